"""Data that are no images: tables, and arrays of numbers of any shape."""

import os
from pathlib import Path

import numpy as np

from keras_vae.datasets import arrays
from keras_vae.datasets.source import Source
from keras_vae.tables import Table, files
from keras_vae.tables.table import as_texts, is_unknown, split


def of_table(path, group=None):
    """Returns the `Source` of a table.

    Args:
        path: A ``.csv``, ``.tsv`` or ``.parquet`` file, see `keras_vae.tables.Table.of`.
        group: The group column, as an alternative to ``:group`` in the header.

    Raises:
        ValueError: If the file cannot be read, or a value does not fit its column.
    """
    cells = files.read(path)
    if len(cells) < 3:
        raise ValueError(
            f"{path} has only {len(cells)} row{'s' * (len(cells) > 1)}; at least 3 are needed, one "
            "each for training, validation and testing"
        )
    table = Table.of(cells, group)
    given = {split(header)[0]: column for header, column in cells.columns.items()}
    columns, label_names, groups = {}, (), None
    for column in table.columns:
        texts = as_texts(given[column.name])
        if column.kind == "label" and len(column.categories) > 1:
            label_names = column.categories
            places = np.searchsorted(label_names, texts).clip(0, len(label_names) - 1)
            known = np.array(label_names)[places] == texts
            columns["labels"] = np.where(known, places, -1)
        elif column.kind == "group":  # a row without a value is a group of its own
            own = [f"\0{row}" for row in range(len(texts))]
            groups = np.where(is_unknown(texts), own, texts)
    return of_values(
        path, table.encode(cells), columns, label_names=label_names, groups=groups, table=table
    )


def of_array(path):
    """Returns the `Source` of an ``.npy`` or ``.npz`` file of numbers ``(n, ...)``, NaN allowed.

    The arrays of an ``.npz`` file have the names of `keras_vae.datasets.arrays.source`.

    Raises:
        ValueError: If arrays are missing, damaged, or of the wrong shape or type.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    parts, others = arrays.members(path)
    found = {name: read(path, name) for name in parts}
    shapes = {name: array.shape[1:] for name, array in found.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The arrays in {path} differ in shape: {shapes}")
    counts = {name: len(array) for name, array in found.items()}
    columns, names = arrays.columns_of(path, parts, others, counts, False)
    values = np.concatenate(list(found.values()))
    of_rows = np.repeat(list(parts.values()), list(counts.values()))
    return of_values(path, values, columns, of_rows, **names)


def read(path, name):
    """Returns an array of a file as float32, or raises `ValueError`."""
    shape, dtype = arrays.header(path, name)
    what = f"The array {name!r} in {path}" if name else f"The array in {path}"
    if dtype.kind not in arrays.NUMBERS:
        raise ValueError(f"{what} must hold numbers. Received: dtype={dtype}")
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"{what} must have the shape (n, ...), with an item for each row. Received: "
            f"shape={shape}"
        )
    with arrays.failing_plainly(path), arrays.opened(path, name) as (file, _):
        array = np.lib.format.read_array(file, allow_pickle=False)
    with np.errstate(over="ignore"):
        values = array.astype("float32")
    if np.isinf(values).any():
        raise ValueError(f"{what} must hold finite numbers. Received: infinite or too large ones")
    return values


def of_values(path, values, columns, parts=None, **others):
    """Returns the `Source` of rows of numbers, which need no decoding."""
    path = Path(path).expanduser().resolve()
    status = os.stat(path)
    return Source(
        path.stem,
        place={"file": str(path)},
        content=[status.st_size, status.st_mtime_ns],
        image_shape=values.shape[1:],
        parts=np.full(len(values), "") if parts is None else parts,
        decode=None,
        columns=columns,
        values=values,
        noun="rows" if others.get("table") else "items",
        **others,
    )


def is_of_images(path):
    """Returns whether the arrays of an ``.npy`` or ``.npz`` file have the shape of images."""
    try:
        return all(arrays.image_shape(path, name) for name in arrays.members(path)[0])
    except ValueError:
        return False
