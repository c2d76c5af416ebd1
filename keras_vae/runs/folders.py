"""Creating and finding run folders. Only the standard library is needed.

The command line loads this file by itself, so that it can report a wrong run before Keras loads.
"""

import contextlib
import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path


def create(dataset, output=None, overwrite=False, root="runs"):
    """Makes the folder of a new run.

    Args:
        dataset: Name or path of the data set, for the folder's name.
        output: The folder to use; None makes a new one, ``root/<dataset>-<UTC time>``.
        overwrite: Whether `output` may hold files already; they stay until `clear` is called.
        root: Where new folders go.

    Returns:
        The `Path` of an existing folder.

    Raises:
        ValueError: If `output` holds files and may not be overwritten.
        OSError: If the folder cannot be made or written to.

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
        raise ValueError(f"The folder {folder} is not empty. Use another, or --overwrite")
    tempfile.TemporaryFile(dir=folder).close()  # raises `OSError` if it cannot be written to
    return folder


def missing(output):
    """Returns which folders have to be made for `output`, the innermost first."""
    path = Path(output)
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def remove_empty(folders):
    """Removes folders, the innermost first, as long as nothing is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):  # another run may use it by now
            folder.rmdir()


def find(folder=None, root="runs"):
    """Returns the folder of a run given by path or name.

    Args:
        folder: The run folder, or its name in `root`; None is the newest completed run.
        root: Where runs are.

    Returns:
        The `Path` of a folder with a config.json.

    Raises:
        ValueError: If there is no such run; the message names those there are.

    Example:

    ```python
    folder = keras_vae.runs.find()
    ```
    """
    if folder is not None:
        for path in (Path(folder), Path(root, folder)):
            if (path / "config.json").is_file():
                return path
    there = completed(root)
    if folder is None and there:
        return there[0]
    if not there:
        hint = f"There are no completed runs in {root}/. To train one: python train.py"
    else:
        hint = f"Completed runs, the newest first: {', '.join(map(str, there[:5]))}"
    if folder is not None:
        hint = f"There is no run in {str(folder) or repr('')}. {hint}"
    raise ValueError(hint)


def completed(root="runs"):
    """Returns the folders of completed runs, the newest first.

    Args:
        root: Where runs are.

    Returns:
        A list of `Path`; what cannot be read is left out.

    Example:

    ```python
    folders = keras_vae.runs.completed()
    ```
    """
    started = {}
    for path in Path(root).glob("*/config.json"):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            config = read_json(path)
            if config.get("completed") is True and (path.parent / "model.keras").is_file():
                started[path.parent] = (str(config.get("started")), path.stat().st_mtime)
    return sorted(started, key=started.get, reverse=True)


def backend_of(folder):
    """Returns the backend that a run was trained on, or None if its config.json does not say."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        backend = read_json(folder / "config.json").get("backend")
        return backend if isinstance(backend, str) else None


def check_attributes(folder, wanted):
    """Raises `ValueError` if a run's data have no such attributes, as far as config.json says."""
    there = read_settings(folder).get("attribute_names")
    if there is not None:
        check_names(wanted, there, folder)


def check_names(wanted, there, folder):
    """Raises `ValueError` if one of the names wanted is not there."""
    for name in wanted:
        if name not in there:
            known = ", ".join(map(str, there)) or "none"
            raise ValueError(f"There is no attribute {name!r} in {folder}. There are: {known}")


def direction_names(folder):
    """Returns the attributes that a run can edit, a tuple of names.

    Raises:
        ValueError: If there are none, or the file cannot be read.
    """
    import numpy as np

    path = folder / "directions.npz"
    if not path.exists():
        why = "the data had no attributes"
        if read_settings(folder).get("attribute_names"):
            why = "too few images have one of its attributes, or it is from an older version"
        raise ValueError(f"{folder} has no directions.npz: {why}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return tuple(map(str, file["names"].ravel().tolist()))
    except Exception as error:  # NumPy and zip have many kinds for damaged files
        why = getattr(error, "strerror", None) or "it is damaged, or not a file of plain arrays"
        raise ValueError(f"{path} cannot be read: {why}") from None


def read_settings(folder):
    """Returns the config.json of a run; whatever goes wrong is a `ValueError`."""
    path = folder / "config.json"
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def read_json(path):
    """Returns the settings in a file, a dict, or raises `ValueError` or `OSError`."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it holds no settings")
    return content
