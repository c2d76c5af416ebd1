"""Packs a run: a small copy for others to use, such as the pretrained model of the package."""

import dataclasses
import io
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from keras_vae.atomic import TEMPORARY
from keras_vae.runs import files
from keras_vae.runs.run import load
from keras_vae.start.folders import check_target, find

CODES = 1000  # most points in the map of the latent space
# Settings that a copy does not need.
PLACES = ("output", "overwrite", "cache", "clear_cache", "tensorboard")


def pack(folder, target, overwrite=False):
    """Writes a small copy of a run: what editing, sampling, interpolation and the demo need.

    Weights are stored in half precision, without the state of the optimizer, and load as float32.
    The mixture is kept only if there is no flow. Figures and the history of training are omitted.

    Args:
        folder: The run folder, or its name in ``runs/``; None is the newest completed run.
        target: The folder to write. It appears when it is complete.
        overwrite: Whether `target` may contain files; those of a run are replaced.

    Returns:
        The size of the written files in bytes.

    Raises:
        ValueError: If there is no such run, one of its files cannot be read, or `target` is not
            empty and `overwrite` is False.
        OSError: If `target` cannot be written.

    Example:

    ```python
    keras_vae.runs.pack("runs/faces-20260101-120000", "faces-small")
    ```
    """
    folder, target = find(folder), Path(target)
    check_target(folder, target, overwrite)
    run = load(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target.parent) as temporary:
        packed = Path(temporary, "run")
        packed.mkdir()
        write(run, packed)
        size = sum(path.stat().st_size for path in packed.iterdir())
        if target.exists():
            files.clear(target)
            for path in packed.iterdir():
                os.replace(path, target / path.name)
        else:
            os.replace(packed, target)
    return size


def write(run, folder):
    """Writes the files of a packed run into an empty folder."""
    # Half precision is too coarse for the means of columns in their own units, such as 30,000.
    precise = not run.is_of_images
    shrink(run.folder / "model.keras", folder / "model.keras", precise)
    copied, config = ["directions.npz", "metrics.json"], run.config
    if run.flow is None:
        copied += ["mixture.npz"]
    else:
        shrink(run.folder / "flow.keras", folder / "flow.keras")
        config = config | {"best_source": "flow"}
    for name in copied:
        if (run.folder / name).exists():
            shutil.copyfile(run.folder / name, folder / name)
    if run.examples is not None:
        n = max(CODES, len(run.examples.images))
        codes, colours = run.examples.codes[:n], run.examples.colours[:n]
        few = dataclasses.replace(run.examples, codes=codes, colours=colours)
        few.save(folder / "examples.npz")
    config = {name: value for name, value in config.items() if name not in PLACES}
    files.write_json(folder / "config.json", config | {"packed": True})


def shrink(source, target, precise=False):
    """Copies a ``.keras`` file without its optimizer, with weights in half precision.

    Args:
        source: The file to read.
        target: The file to write.
        precise: Whether weights keep their precision.
    """
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                content = json.dumps(json.loads(content) | {"compile_config": None})
            elif name == "model.weights.h5":
                content = halved(content, precise)
            after.writestr(name, content)


def halved(content, precise=False):
    """Returns an HDF5 file of weights in half precision, compressed, without the optimizer."""
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as before, h5py.File(result, "w") as after:

        def copy(name, item):
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                new = after.create_group(name)
            else:
                value = item[()] if precise else half(item[()])
                how = {"compression": "gzip", "shuffle": True} if value.ndim else {}
                new = after.create_dataset(name, data=value, **how)
            new.attrs.update(item.attrs)

        before.visititems(copy)
    return result.getvalue()


def half(value):
    """Returns an array of floats as float16, unless a value is too large for it."""
    if value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        small = value.astype("float16")
    return small if np.isfinite(small).all() else value
