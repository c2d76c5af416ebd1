"""Runs on the Hugging Face Hub: their names, and downloading them, without Keras.

Only files with a name in `NAMES` are downloaded, after their sizes have been checked. None of them
is executed: `.keras` files are loaded in Keras's safe mode, and `.npz` files without pickle.
"""

import contextlib
import os
import re
import sys
import zipfile
from pathlib import Path

PREFIX = "hf://"
REPO = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
NAME = re.compile(rf"{PREFIX}({REPO})(?:@(\w[\w.-]*))?", re.ASCII)
FOLDER = re.compile(r"models--(.+)--(.+)")  # of a repository, in the cache of huggingface_hub
COMMIT = re.compile(r"[0-9a-f]{40}")

PARTS = ("config.json", "model.keras", "directions.npz", "mixture.npz", "flow.keras")
PARTS += ("examples.npz", "metrics.json", "evaluation.json")
FIGURES = ("data.png", "reconstructions.png", "samples.png", "arithmetic.png", "interpolation.png")
FIGURES += ("traversal.png", "manifold.png", "latents.png", "latent_map.png", "columns.png")
FIGURES += ("pairs.png", "history.png", "edit_strengths.png", "edit_leakage.png")
FIGURES += ("disentanglement.png",)
NAMES = PARTS + FIGURES
NEEDED = ("config.json", "model.keras")
MB = 1_000_000
MOST_BYTES = {".keras": 2000 * MB, ".npz": 200 * MB, ".json": 10 * MB, ".png": 50 * MB}


def check_repo(repo):
    """Raises `ValueError` unless this is the name of a repository, such as ``"name/repo"``."""
    if not isinstance(repo, str) or not re.fullmatch(REPO, repo, re.ASCII):
        raise ValueError(f"expected a repository such as name/repo, not {repo!r}")


def parse(name):
    """Returns repository and revision, or None for the newest, of ``hf://name/repo[@revision]``."""
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is not a run on the Hugging Face Hub; expected hf://name/repo")
    return match[1], match[2]


def name_of(folder):
    """Returns ``"hf://name/repo"`` for the folder of a downloaded run, otherwise None."""
    folder = Path(folder).resolve()
    match = FOLDER.fullmatch(folder.parent.parent.name)
    return f"{PREFIX}{match[1]}/{match[2]}" if match and folder.parent.name == "snapshots" else None


def library():
    """Returns the package `huggingface_hub`; raises `ValueError` if it is not installed."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            'huggingface_hub is not installed. Install it with: pip install "keras_vae[hub]"'
        ) from None
    return huggingface_hub


def endpoint():
    """Returns the address of the Hub, or None for the usual one."""
    return os.environ.get("HF_ENDPOINT") or None


def api():
    """Returns the client of the Hub; it uses the token of ``hf auth login``, or HF_TOKEN."""
    return library().HfApi(endpoint=endpoint())


def fetch(name):
    """Downloads a run from the Hub, unless it is there already.

    It goes to the cache of `huggingface_hub`. What is downloaded is of the commit whose files and
    sizes were checked. If the Hub cannot be reached, the last download is used, and a line says so.

    Args:
        name: ``"hf://name/repo"``, or ``"hf://name/repo@revision"`` with a branch, tag or commit.

    Returns:
        The `Path` of the folder.

    Raises:
        ValueError: If there is no such run, a file is too large, or the Hub cannot be reached and
            the run was never downloaded.

    Example:

    ```python
    folder = fetch("hf://name/repo")
    ```
    """
    repo, revision = parse(name)
    hub = library()
    try:
        info = api().model_info(repo, revision=revision, files_metadata=True, timeout=30)
    except (OSError, hub.errors.HTTPError) as error:
        if has_answer(error):
            raise ValueError(said(error, name)) from error
        return last_download(repo, revision, name, error)
    names = check_listing(name, info.siblings)
    with plain_errors(name):
        folder = hub.snapshot_download(
            repo, revision=info.sha, allow_patterns=names, endpoint=endpoint()
        )
    folder = Path(folder)
    check_sizes_unpacked(folder, name)
    remember(folder, revision)
    return folder


def check_listing(name, siblings):
    """Returns the files to download of those in a repository.

    Args:
        name: What the run is called in messages.
        siblings: Objects with `rfilename`, a path in the repository, and `size`, in bytes.

    Raises:
        ValueError: If it is not a run, or a file is too large.
    """
    sizes = {file.rfilename: file.size for file in siblings if file.rfilename in NAMES}
    if lacking := [needed for needed in NEEDED if needed not in sizes]:
        raise ValueError(f"{name} is not a run: it has no {' and no '.join(lacking)}")
    for file, size in sizes.items():
        most = MOST_BYTES[Path(file).suffix]
        if size is None or size > most:
            has = "an unknown size" if size is None else f"{size / MB:,.0f} MB"
            raise ValueError(
                f"{name}: {file} has {has}; at most {most / MB:,.0f} MB are downloaded"
            )
    return list(sizes)


def check_sizes_unpacked(folder, name):
    """Raises `ValueError` if an archive holds more than its file may; a few MB could hold GB."""
    for file in NAMES:
        most = MOST_BYTES[Path(file).suffix]
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(folder / file) as z:
            size = sum(part.file_size for part in z.infolist())
            if size > most:
                raise ValueError(
                    f"{name}: {file} has {size / MB:,.0f} MB unpacked; at most {most / MB:,.0f} MB "
                    "are read"
                )


def remember(folder, revision):
    """Notes the commit that was downloaded last, where `huggingface_hub` looks when offline."""
    if revision is None or not COMMIT.fullmatch(revision):
        note = folder.parent.parent / "refs" / (revision or "main")
        with contextlib.suppress(OSError):  # a cache that is shared may be read-only
            note.parent.mkdir(exist_ok=True)
            note.write_text(folder.name)


def last_download(repo, revision, name, error):
    """Returns the folder of the last download, and says so in a line."""
    hub = library()
    try:
        folder = hub.snapshot_download(
            repo, revision=revision, allow_patterns=list(NAMES), local_files_only=True
        )
    except OSError:
        raise ValueError(f"{said(error, name)}. It was not downloaded before") from error
    folder = Path(folder)
    if lacking := [needed for needed in NEEDED if not (folder / needed).is_file()]:
        raise ValueError(f"{said(error, name)}. The last download lacks {' and '.join(lacking)}")
    check_sizes_unpacked(folder, name)
    print(
        f"The Hugging Face Hub cannot be reached: using the last download of {name}, commit "
        f"{folder.name[:7]}",
        file=sys.stderr,
        flush=True,
    )
    return folder


@contextlib.contextmanager
def plain_errors(name):
    """Turns what goes wrong between here and the Hub into `ValueError` with one line.

    Progress is shown on a terminal only.
    """
    errors, utils = library().errors, library().utils
    shows = contextlib.nullcontext if sys.stderr.isatty() else utils.disable_progress_bars
    try:
        with shows():
            yield
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        raise ValueError(said(error, name)) from error


def has_answer(error):
    """Whether the Hub has answered, and is not out of order."""
    response = getattr(error, "response", None)
    return response is not None and response.status_code < 500


def said(error, name):
    """Returns one line about what went wrong with a run or repository."""
    errors = library().errors
    while isinstance(error, RuntimeError) and error.__cause__ is not None:  # of one of the uploads
        error = error.__cause__
    status = getattr(getattr(error, "response", None), "status_code", None)
    why = getattr(error, "server_message", None) or str(error)
    why = " ".join(why.split()).rstrip(".") or type(error).__name__
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name} was not found: the repository has no such branch, tag or commit"
    if isinstance(error, errors.GatedRepoError):
        return f"{name} is open only to those that its owner admits. To log in: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return f"{name} was not found, or you may not see it. To log in: hf auth login"
    if status == 401:
        return f"{name} needs a login that is valid. To log in: hf auth login"
    if status == 403:
        return f"{name} is not allowed with this login ({why}). To log in: hf auth login"
    if status is not None:
        return f"{name}: the Hugging Face Hub answers with an error, {status}: {why}"
    if isinstance(error, ValueError):
        return f"{name}: {why}"
    return f"{name}: the Hugging Face Hub cannot be reached ({why})"
