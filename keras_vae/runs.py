"""The run folder: what train.py writes and others read.

Every file is written under a temporary name and moved into place, so that a file that is
there is whole.
"""

import contextlib
import csv
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import keras

FILES = {
    "model.keras": "the trained model, best epoch by validation loss",
    "config.json": "every setting and version, and whether the run was completed",
    "history.csv": "the losses of each epoch",
    "metrics.json": "the final numbers, of the saved model on the test images",
    "data.png": "training images, as the model sees them",
    "skipped.txt": "files that could not be used, and why (if there are any)",
    "samples.png": "new images, decoded from z ~ N(0, I)",
    "reconstructions.png": "test images and how the model draws them again",
    "latent.png": "where the test images lie in the latent space",
    "history.png": "the losses over the epochs",
}

TEMPORARY = ".unfinished-"  # how the name of a file begins while it is written


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
    return folder


def missing(output):
    """Returns which folders have to be made for `output`, the innermost first."""
    path = Path(output)
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def clear(folder):
    """Removes the files of an earlier run, and no others."""
    for name in FILES:
        Path(folder, name).unlink(missing_ok=True)


@contextlib.contextmanager
def atomic(path):
    """Gives a temporary path to write to; moves it to `path` if all went well."""
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary_files(folder):
    """Cleans up for a process that ends in the middle of writing."""
    for path in Path(folder).glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_text(path, text):
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path, content):
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_history(path, history):
    """Writes Keras's ``history.history`` as a table, one row an epoch."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        for epoch, row in enumerate(zip(*history.values()), start=1):
            writer.writerow([epoch, *(f"{value:.6g}" for value in row)])


def write_figure(path, figure):
    with atomic(path) as temporary:
        figure.savefig(temporary)


def write_model(path, model):
    with atomic(path) as temporary:
        model.save(temporary)


def load_model(folder):
    """Returns the model of a run, on whichever backend Keras uses now.

    Args:
        folder: The run folder.

    Returns:
        A `VAE` or `AutoEncoder`, compiled.

    Raises:
        ValueError: If there is no model in the folder.

    Example:

    ```python
    model = keras_vae.runs.load_model("runs/faces-20260101-120000")
    model.sample(16)
    ```
    """
    path = Path(folder, "model.keras")
    if not path.is_file():
        raise ValueError(f"There is no model in {folder}: expected the file {path}")
    return keras.saving.load_model(path)  # safe mode: nothing in the file is executed
