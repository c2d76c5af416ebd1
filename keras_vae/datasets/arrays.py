"""A file of NumPy arrays, ``.npy`` or ``.npz``, as a data set. Nothing is unpickled."""

import contextlib
import math
import os
import zipfile
from pathlib import Path

import numpy as np

from keras_vae.datasets import pictures
from keras_vae.datasets.attributes import read
from keras_vae.datasets.source import Source, part_called

CHUNK = 2**25  # approximate number of bytes read at once
NUMBERS = "uifb"  # kinds of numeric dtypes
EXPECTED = (
    "images (with labels, or attributes and attribute_names, of the same length), or train, "
    "validation and test, or x_train, y_train, x_test and y_test"
)


def source(path, image_size=None, resize="crop", cut_scores=False):
    """Returns the `Source` of an array file.

    Args:
        path: ``.npy`` with images ``(n, height, width[, channels])``; or ``.npz`` with such an
            array for each part and optional labels, named as in `EXPECTED`. Images are
            integers in 0..255, bool, or floats in [0, 1], which are rounded to 8 bits.
            Attributes are bool or numbers, NaN where unknown, see `attributes.read`.
        image_size: ``(height, width)``; None keeps the size.
        resize: See `pictures.read`.
        cut_scores: Whether columns of scores become attributes, see `attributes.read`.

    Raises:
        ValueError: If arrays are missing, damaged, or of the wrong shape, type or range.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    status = os.stat(path)
    images, others = members(path)
    shapes = {name: image_shape(path, name) for name in images}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The images in {path} differ in shape: {shapes}")
    natural = next(iter(shapes.values()))
    shape = natural if image_size is None else (*image_size, natural[2])
    counts = {name: header(path, name)[0][0] for name in images}
    columns, names = columns_of(path, images, others, counts, cut_scores)

    def decode(_):
        start = 0
        for name in images:
            for chunk in chunks(path, name):
                chunk = to_uint8(chunk.reshape(-1, *natural), path, start)
                for row, image in enumerate(chunk, start):
                    yield row, {"images": pictures.fit(image, shape, resize)}
                start += len(chunk)

    return Source(
        path.stem,
        place={"file": str(path), "size": shape, "resize": resize},
        content=[status.st_size, status.st_mtime_ns, status.st_ctime_ns],
        image_shape=shape,
        parts=np.repeat([part for part in images.values()], list(counts.values())),
        decode=decode,
        columns=columns,
        in_order=True,
        **names,
    )


def members(path):
    """Returns the part of each image array by name, and the names of the other arrays."""
    if path.suffix.lower() == ".npy":
        return {"": ""}, []
    with failing_plainly(path), zipfile.ZipFile(path) as file:
        names = [name[: -len(".npy")] for name in file.namelist() if name.endswith(".npy")]
    images = {name: "" for name in ("images", "x") if name in names}
    if len(images) > 1:
        raise ValueError(f"{path} has both images and x. Expected one of them")
    parts = {name: part_called(name.removeprefix("x_")) for name in names}
    images = images or {name: part for name, part in parts.items() if part}
    if not images and len(names) == 1:
        images = {names[0]: ""}
    if not images:
        received = ", ".join(names) or "none"
        raise ValueError(f"{path} has these arrays: {received}. Expected {EXPECTED}")
    return images, [name for name in names if name not in images]


def columns_of(path, images, others, counts, cut_scores):
    """Returns the columns of labels and attributes, and their names as arguments of `Source`."""
    columns, names = {}, {}

    def load(*possible):
        for name in possible:
            if name in others:
                with failing_plainly(path), opened(path, name) as (file, _):
                    return np.lib.format.read_array(file, allow_pickle=False)
        return None

    if list(images.values()) == [""]:
        labels = text(load("labels", "y"))
        attributes, attribute_names = load("attributes"), load("attribute_names")
        if attributes is not None:
            rows = sum(counts.values())
            if (
                attributes.ndim != 2
                or len(attributes) != rows
                or attributes.dtype.kind not in NUMBERS
            ):
                raise ValueError(
                    f"`attributes` in {path} must be numbers, with a row for each of the {rows} "
                    f"images. Received: {attributes.dtype}, shape={attributes.shape}"
                )
            attribute_names = text(attribute_names)
            if attribute_names is None or attribute_names.shape != attributes.shape[1:]:
                raise ValueError(
                    f"{path} needs `attribute_names`, a string for each of the "
                    f"{attributes.shape[1]} columns of `attributes`"
                )
            numbers = dict(zip(map(str, attribute_names), attributes.T.astype("float64")))
            if len(numbers) != len(attribute_names):
                raise ValueError(f"`attribute_names` in {path} names an attribute twice")
            found = read(numbers, cut_scores)
            columns |= found.columns()
            names |= {"attribute_names": found.names, "unused": found.unused, "cuts": found.cuts}
    else:
        given = [f"y_{name.removeprefix('x_')}" for name in images]
        missing = [name for name in given if name not in others]
        if set(others) & {*given, "labels", "attributes"} and missing:
            raise ValueError(f"{path} has labels or attributes, but not {', '.join(missing)}")
        parts = [] if missing else [text(load(name)).reshape(-1) for name in given]
        labels = np.concatenate(parts) if parts else None
    if labels is not None:
        if labels.size != sum(counts.values()):
            raise ValueError(
                f"The labels in {path} must be one for each of the {sum(counts.values())} images. "
                f"Received: {labels.shape}"
            )
        classes, columns["labels"] = np.unique(labels.reshape(-1), return_inverse=True)
        names["label_names"] = tuple(map(str, classes))
    return columns, names


def text(array):
    """Returns an array of bytes as an array of strings; any other array unchanged."""
    return array.astype(str) if array is not None and array.dtype.kind == "S" else array


def image_shape(path, name):
    """Returns ``(height, width, channels)`` of an array of images, or raises `ValueError`."""
    shape, dtype = header(path, name)
    what = f"The array {name!r} in {path}" if name else f"The array in {path}"
    if dtype.hasobject:
        raise ValueError(f"{what} holds Python objects, which are not loaded. Save numbers instead")
    is_grey = len(shape) == 3
    is_one = is_grey and shape[2] in (1, 3)  # (height, width, channels)
    is_colour = len(shape) == 4 and shape[3] in (1, 3)
    if not (is_grey or is_colour) or is_one or min(shape) <= 0:
        raise ValueError(
            f"{what} must be images of shape (n, height, width) or (n, height, width, channels) "
            f"with 1 or 3 channels. Received: shape={shape}"
        )
    if dtype.kind not in NUMBERS:
        raise ValueError(f"{what} must hold numbers. Received: dtype={dtype}")
    return (*shape[1:3], 1 if is_grey else shape[3])


@contextlib.contextmanager
def opened(path, name):
    """Opens an array for reading from its beginning; yields the file and its size in bytes."""
    if path.suffix.lower() == ".npy":
        with open(path, "rb") as file:
            yield file, os.path.getsize(path)
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            yield file, archive.getinfo(f"{name}.npy").file_size


def header(path, name):
    """Returns the shape and dtype of an array without reading its values."""
    with failing_plainly(path), opened(path, name) as (file, size):
        shape, dtype, _ = read_header(file)
        if file.tell() + dtype.itemsize * math.prod(shape) > size:
            raise ValueError("it is truncated")
        return shape, dtype


def read_header(file):
    version = np.lib.format.read_magic(file)
    read = getattr(np.lib.format, f"read_array_header_{version[0]}_0", None)
    if read is None:
        raise ValueError(f"version {version} of the format is not supported")
    shape, is_fortran, dtype = read(file)
    return shape, dtype, is_fortran


def chunks(path, name):
    """Yields the images of an array in chunks."""
    with failing_plainly(path), opened(path, name) as (file, _):
        shape, dtype, is_fortran = read_header(file)
        if is_fortran:  # each image is scattered over the file
            with opened(path, name) as (again, _):
                array = np.lib.format.read_array(again, allow_pickle=False)
        item = dtype.itemsize * math.prod(shape[1:])
        step = max(1, CHUNK // item)
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start)
            if is_fortran:
                yield array[start : start + count]
                continue
            content = file.read(item * count)
            yield np.frombuffer(content, dtype).reshape(count, *shape[1:])


def to_uint8(images, path, start):
    """Returns images as uint8 in 0..255, or raises `ValueError`."""
    if images.dtype == bool:
        return images.astype("uint8") * np.uint8(255)
    is_float = images.dtype.kind == "f"
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= (1 if is_float else 255)):
        raise ValueError(
            f"The images in {path} must be integers in 0..255 or floats in [0, 1]. Received: "
            f"{images.dtype} from {low} to {high} (images {start} to {start + len(images) - 1}). "
            "For numbers that are no pixels use --likelihood normal, in Python pixels=False"
        )
    return np.round(images * 255).astype("uint8") if is_float else images.astype("uint8")


@contextlib.contextmanager
def failing_plainly(path):
    """Turns any error about a file into a `ValueError` that names the file."""
    try:
        yield
    except Exception as error:  # the types depend on NumPy and on the compression
        if isinstance(error, MemoryError) or str(path) in str(error):
            raise
        raise ValueError(f"{path} cannot be read as a NumPy file: {error}") from error
