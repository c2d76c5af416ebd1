"""Which run folders there are, found without Keras: a command tells a mistake before it loads.

What is in them is in `keras_vae/runs.py`.
"""

import contextlib
import json
from pathlib import Path


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
    raise ValueError(hint if folder is None else f"There is no run in {folder}. {hint}")


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


def read_json(path):
    """Returns the settings in a file, a dict, or raises `ValueError` or `OSError`."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it holds no settings")
    return content
