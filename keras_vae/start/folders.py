"""Creates and finds run folders: a wrong run is reported before Keras is loaded."""

import contextlib
import json
import re
import shlex
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from keras_vae.start import hub

NOT_EMPTY = "The folder {} is not empty. Choose another, or use --overwrite"
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"  # a model of the drawn faces


def create(dataset, output=None, overwrite=False, root="runs"):
    """Creates the folder of a new run.

    Args:
        dataset: Name or path of the data set, for the folder's name.
        output: The folder to use; None creates ``root/<dataset>-<UTC time>``.
        overwrite: Whether `output` may contain files; they stay until `files.clear` is called.
        root: The parent of folders named automatically.

    Returns:
        The `Path` of an existing folder.

    Raises:
        ValueError: If `output` contains files and `overwrite` is False.
        OSError: If the folder cannot be created or written to.

    Example:

    ```python
    folder = keras_vae.runs.create("faces")
    ```
    """
    if output is None:
        dataset = re.sub(r"[^\w.-]+", "-", Path(dataset).stem).strip("-.") or "images"
        name = f"{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            with contextlib.suppress(FileExistsError):
                folder = Path(root, name + suffix)
                folder.mkdir(parents=True)
                return folder
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not overwrite:
        raise ValueError(NOT_EMPTY.format(folder))
    tempfile.TemporaryFile(dir=folder).close()  # raises `OSError` if it cannot be written to
    return folder


def missing(output):
    """Returns the folders that must be created for `output`, innermost first."""
    path = Path(output)
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def remove_empty(folders):
    """Removes those folders that are empty; `folders` are given innermost first."""
    for folder in folders:
        with contextlib.suppress(OSError):  # not empty: another run may use it
            folder.rmdir()


def check_target(folder, target, overwrite=False):
    """Raises `ValueError` unless a copy of a run may be written to a folder `target`."""
    target = Path(target)
    if target.exists() and target.samefile(folder):
        raise ValueError(
            f"{target} is the run itself, which must not change. Choose another folder"
        )
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} is a file; expected a folder, or no such path")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ValueError(NOT_EMPTY.format(target))


def find(folder=None, root="runs"):
    """Returns the folder of a run given by path or name.

    Args:
        folder: The run folder, or its name in `root`; None is the newest completed run, or the
            pretrained model if there is none. ``"pretrained"`` is the pretrained model, unless a
            run has that name. ``"hf://name/repo"`` is downloaded from the Hugging Face Hub.
        root: The folder of all runs.

    Returns:
        The `Path` of a folder with a config.json.

    Raises:
        ValueError: If there is no such run; the message lists the newest completed runs.

    Example:

    ```python
    folder = keras_vae.runs.find()
    ```
    """
    if isinstance(folder, str) and folder.startswith(hub.PREFIX):
        return hub.fetch(folder)
    if folder is not None:
        for path in (Path(folder), Path(root, folder)):
            if (path / "config.json").is_file():
                return path
    known = completed(root)
    if folder is None and known:
        return known[0]
    if (folder is None or str(folder) == PRETRAINED.name) and (
        PRETRAINED / "config.json"
    ).is_file():
        return PRETRAINED
    if not known:
        hint = f"There are no completed runs in {root}/. To train one: python train.py"
    else:
        hint = f"Completed runs, newest first: {', '.join(map(str, known[:5]))}"
    if folder is not None:
        hint = f"There is no run in {str(folder) or repr('')}. {hint}"
    raise ValueError(hint)


def is_pretrained(folder):
    """Returns True for the folder of the pretrained model, which is part of the package."""
    return Path(folder).resolve() == PRETRAINED


def completed(root="runs"):
    """Returns the folders of completed runs, newest first.

    Args:
        root: The folder of all runs.

    Returns:
        A list of `Path`, without runs that cannot be read.

    Example:

    ```python
    folders = keras_vae.runs.completed()
    ```
    """
    runs = newest_first(root, lambda config: config.get("completed") is True)
    return [folder for folder in runs if (folder / "model.keras").is_file()]


def newest_first(root, wanted):
    """Returns the folders of runs whose config.json, a dict, is wanted."""
    started = {}
    for path in Path(root).glob("*/config.json"):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            config = read_json(path)
            if wanted(config):
                started[path.parent] = (str(config.get("started")), path.stat().st_mtime)
    return sorted(started, key=started.get, reverse=True)


def find_unfinished(folder=None, root="runs"):
    """Returns the folder of a run that can be continued.

    Args:
        folder: The run folder, or its name in `root`; None is the newest unfinished run.
        root: The folder of all runs.

    Returns:
        The `Path` of a folder with a config.json.

    Raises:
        ValueError: If there is no such run, or it cannot be continued.

    Example:

    ```python
    folder = find_unfinished()
    ```
    """
    if folder is None:
        unfinished = newest_first(root, is_unfinished)
        if not unfinished:
            raise ValueError(f"There is no unfinished run in {root}/")
        return unfinished[0]
    for path in (Path(folder), Path(root, folder)):
        if (path / "config.json").is_file():
            config = read_settings(path)
            if config.get("problem"):
                raise ValueError(f"{path} ended with an error: {config['problem']}. Train anew")
            if not is_unfinished(config):
                raise ValueError(f"{path} is complete: there is nothing to continue")
            return path
    known = ", ".join(map(str, newest_first(root, is_unfinished)[:5])) or "none"
    raise ValueError(f"There is no run in {folder}. Unfinished runs, newest first: {known}")


def is_incomplete(folder, config):
    """Returns what to say of a run that ended early, whose config.json is `config`."""
    text = f"{folder} is not complete: using its best model so far"
    # Not one that ended with an error, and not a copy, which has no checkpoint.
    if is_unfinished(config) and not config.get("packed"):
        text += f". To complete it: python train.py --resume {shlex.quote(str(folder))}"
    return text


def is_unfinished(config):
    return config.get("completed") is False and not config.get("problem")


def backend_of(folder):
    """Returns the backend that a run was trained on, or None if config.json does not name it."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        backend = read_json(folder / "config.json").get("backend")
        return backend if isinstance(backend, str) else None


def check_attributes(folder, wanted):
    """Raises `ValueError` unless config.json lists all wanted attributes, or no list at all."""
    known = read_settings(folder).get("attribute_names")
    if known is not None:
        check_names(wanted, known, folder)


def check_names(wanted, known, folder):
    """Raises `ValueError` unless all wanted attributes are known."""
    for name in wanted:
        if name not in known:
            names = ", ".join(map(str, known)) or "none"
            raise ValueError(f"There is no attribute {name!r} in {folder}. There are: {names}")


def direction_names(folder):
    """Returns the attributes that a run can edit, a tuple of names.

    Raises:
        ValueError: If there are none, or the file cannot be read.
    """
    import numpy as np

    path = folder / "directions.npz"
    if not path.exists():
        why = "its data have no attributes"
        if read_settings(folder).get("attribute_names"):
            why = "too few of its images have an attribute, or lack it"
        raise ValueError(f"{folder} has no directions.npz: {why}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return tuple(map(str, file["names"].ravel().tolist()))
    except Exception as error:  # damaged files raise many types in NumPy and zipfile
        why = getattr(error, "strerror", None) or "it is damaged, or not a file of plain arrays"
        raise ValueError(f"{path} cannot be read: {why}") from None


def read_settings(folder):
    """Returns the content of a run's config.json; raises `ValueError` if it cannot be read."""
    path = folder / "config.json"
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def read_json(path):
    """Returns the dict in a JSON file, or raises `ValueError` or `OSError`."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content
