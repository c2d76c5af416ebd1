"""Data for a trained model from files, in batches, so that they may be larger than memory."""

from pathlib import Path

import numpy as np

from keras_vae.datasets import arrays, folder, pictures
from keras_vae.tables import chunks
from keras_vae.tables.files import is_table

TOGETHER = 1024


def batches(run, path, together=TOGETHER, skipped=None):
    """Yields the items of a file or folder, some at a time, as the model of a run takes them.

    Args:
        run: A `keras_vae.runs.Run`.
        path: For a model of a table a ``.csv``, ``.tsv`` or ``.parquet`` file; for a model of
            images a folder, a picture, or an ``.npy`` or ``.npz`` file of images; for one of
            other numbers an ``.npy`` or ``.npz`` file.
        together: Most items at a time.
        skipped: A dict that receives the reason for each picture that cannot be read.

    Yields:
        A list of names (the file of a picture, the line of a row, the number of an item) and an
        array ``(n, ...)``.

    Raises:
        ValueError: If the path holds something else, or cannot be read.

    Example:

    ```python
    for names, x in batches(run, "patients.csv"):
        z_mean, _ = run.model.encode(x)
    ```
    """
    path = Path(path).expanduser()
    if run.table:
        if not is_table(path):
            raise ValueError(
                f"{run.folder} is a model of a table: expected a .csv, .tsv or .parquet file. "
                f"Received: {path}"
            )
        for cells in chunks(path, together):
            yield cells.lines.astype(str).tolist(), run.table.encode(cells)
        return
    if path.suffix.lower() in (".npy", ".npz"):
        yield from of_arrays(run, path, together)
    elif run.is_of_images:
        yield from of_pictures(run, path, together, skipped)
    else:
        raise ValueError(
            f"{run.folder} is a model of arrays: expected an .npy or .npz file. Received: {path}"
        )


def name_of(run, path):
    """Returns what the names of `batches` are."""
    if run.table:
        return "line"
    return "item" if Path(path).suffix.lower() in (".npy", ".npz") else "file"


def of_arrays(run, path, together):
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    shape, first = run.model.data_shape, 0
    for name in arrays.members(path)[0]:
        whole, dtype = arrays.header(path, name)
        if 0 in whole or dtype.kind not in arrays.NUMBERS:
            raise ValueError(
                f"{path} must hold numbers (n, ...). Received: shape={whole}, dtype={dtype}"
            )
        if run.is_of_images:
            natural = arrays.image_shape(path, name)
        elif whole[1:] != shape:
            raise ValueError(
                f"{path} must have arrays of the shape (n, {', '.join(map(str, shape))}). "
                f"Received: (n, {', '.join(map(str, whole[1:]))})"
            )
        for chunk in arrays.chunks(path, name):
            for start in range(0, len(chunk), together):
                x = chunk[start : start + together]
                if run.is_of_images:
                    x = arrays.to_uint8(x.reshape(-1, *natural), path, first)
                    x = np.stack([pictures.fit(image, shape, run.resize) for image in x])
                yield [str(first + row) for row in range(len(x))], np.asarray(x, dtype_of(run))
                first += len(x)


def dtype_of(run):
    return "uint8" if run.is_of_images else "float32"


def of_pictures(run, path, together, skipped):
    skipped = {} if skipped is None else skipped
    if path.is_dir():
        files = [name for name, *_ in folder.find_files(path, None)[0]]
        if not files:
            raise ValueError(f"There are no images in the folder {path}")
    elif path.is_file():
        path, files = path.parent, [path.name]
    else:
        raise ValueError(f"There is no file or folder {path}")
    names, images = [], []
    for index, file in enumerate(files, 1):
        try:
            images.append(pictures.read(path / file, run.model.data_shape, run.resize))
            names.append(file)
        except ValueError as error:
            skipped[file] = str(error)
        if images and (len(images) == together or index == len(files)):
            yield names, np.stack(images)
            names, images = [], []
    if images:
        yield names, np.stack(images)
    if len(skipped) == len(files):
        file, why = next(iter(skipped.items()))
        raise ValueError(f"No image in {path} can be read, for example {file}: {why}")
