"""Puts a run on the Hugging Face Hub. How one is downloaded: `keras_vae/start/hub.py`."""

import re
import shutil
import tempfile
from pathlib import Path

from keras_vae.runs import card, files
from keras_vae.runs.packing import pack
from keras_vae.start import hub
from keras_vae.start.folders import find, read_settings

LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")  # the Hub's identifiers


def push(run, repo, private=None, license=None):
    """Puts a small copy of a run on the Hugging Face Hub, for `load` and `keras-vae demo`.

    What is pushed is what `pack` writes, the figures, evaluation.json if the run was evaluated, and
    a README.md written by `keras_vae.runs.card`, in one commit. Files of an earlier run are
    replaced or removed, others stay. Paths on this computer are left out. The copy has test images
    and the figures show training images, so push only what you may share.

    Args:
        run: A `Run`, a run folder or its name in ``runs/``; None is the newest completed run.
        repo: The repository, ``"name/repo"``. It is created if it does not exist.
        private: Whether a new repository is private; None makes it private, and leaves one that
            exists as it is.
        license: The identifier of a licence, such as ``"cc-by-4.0"``; None states none.

    Returns:
        A dict: ``url``, ``private`` (whether the repository is) and ``bytes`` (the size of all).

    Raises:
        ValueError: If there is no such run, the Hub refuses (to log in: ``hf auth login``) or
            cannot be reached, or the repository has another visibility or holds something else.

    Example:

    ```python
    keras_vae.runs.push("runs/faces-20260101-120000", "name/faces")
    ```
    """
    hub.check_repo(repo)
    if license is not None and not LICENSE.fullmatch(license):
        raise ValueError(f"expected a licence such as cc-by-4.0, not {license!r}")
    hub.library()  # reports that it is missing before the run is packed
    folder = find(getattr(run, "folder", run))
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, "run")
        write(folder, copy, repo, license)
        return send(copy, repo, private)


def write(folder, target, repo, license=None):
    """Writes all files to push into a new folder `target`."""
    pack(folder, target)
    names = [name for name in (*hub.FIGURES, "evaluation.json") if (folder / name).is_file()]
    for name in names:
        shutil.copyfile(folder / name, target / name)
    files.write_json(target / "config.json", without_places(read_settings(target)))
    files.write_text(target / card.FILE, card.text(target, repo, license))


def without_places(config):
    """Returns the content of config.json without the paths in it.

    The data keep their name, such as that of a folder; an error that ended the run is left out,
    since its text may name files.
    """
    config = {name: value for name, value in config.items() if name != "problem"}
    for name in ("dataset", "name", "attributes_file"):
        if isinstance(config.get(name), str):
            config[name] = re.split(r"[\\/]", config[name].rstrip("\\/"))[-1]
    return config


def send(folder, repo, private=None):
    """Pushes all files of a folder in one commit; see `push`."""
    library, api = hub.library(), hub.api()
    with hub.plain_errors(repo):
        url = api.create_repo(repo, private=private is not False, exist_ok=True)
        info = api.model_info(repo)
    if private is not None and bool(info.private) != private:
        is_now = "private" if info.private else "public"
        raise ValueError(f"{repo} exists and is {is_now}; that can be changed in its settings only")
    there = {file.rfilename for file in info.siblings}
    if "config.json" in there and "model.keras" not in there:
        raise ValueError(f"{repo} holds another model, which is not replaced. Choose another name")
    paths = sorted(folder.iterdir())
    changes = [library.CommitOperationAdd(path.name, path) for path in paths]
    gone = there & {*hub.NAMES} - {path.name for path in paths}
    changes += [library.CommitOperationDelete(name) for name in sorted(gone)]
    with hub.plain_errors(repo):
        api.create_commit(repo, changes, commit_message="A run of keras_vae")
    size = sum(path.stat().st_size for path in paths)
    return {"url": str(url), "private": bool(info.private), "bytes": size}
