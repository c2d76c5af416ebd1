"""Data sets by name or path. `load` returns images for training, validation and testing.

Validation images guide training; test images are only for the final numbers.
"""

import math
import os
from pathlib import Path

import numpy as np

from keras_vae import checks
from keras_vae.datasets.dataset import Dataset as Dataset
from keras_vae.datasets.dataset import Split as Split
from keras_vae.images import aligned_empty

__all__ = ["Dataset", "Split", "load"]

MEMORY = 2.0  # GB of images held in memory by default
MOST_CLASSES = 100  # up to this many classes become attributes
TOO_MANY = 0.25  # the share of unreadable files above which loading fails


def load(
    name="faces",
    limit=None,
    seed=0,
    *,
    image_size=None,
    resize=None,
    attributes_file=None,
    attributes=None,
    group=None,
    cut_scores=False,
    correlated=None,
    memory=MEMORY,
    pixels=None,
):
    """Returns a data set.

    Images are decoded once and cached, see `keras_vae.datasets.cache`.

    Args:
        name: ``"faces"`` or ``"sprites"``, drawn by the package (see `keras_vae.datasets.faces`
            and `keras_vae.datasets.sprites`); the name of a TFDS image set, such as ``"mnist"`` or
            ``"celeb_a"``; the path of a folder of pictures (see `keras_vae.datasets.folder`), of
            an ``.npy`` or ``.npz`` file (see `keras_vae.datasets.arrays`), or of a table, ``.csv``,
            ``.tsv`` or ``.parquet`` (see `keras_vae.tables.Table.of`).
        limit: If given, keep at most this many training images and as many validation
            images, chosen after shuffling. The test images always stay the same.
        seed: Determines which images are for validation, unless the data set defines them, and
            the order of the training and validation images.
        image_size: Side in pixels, or ``(height, width)``, to resize all images to. By default
            small images of equal size and arrays are kept, and other images become 64 x 64.
        resize: ``"crop"``, the default, fills that size and crops the rest; ``"pad"`` keeps
            the complete picture, with black borders.
        attributes_file: File with the attributes of a folder's pictures, see
            `keras_vae.datasets.table`.
        attributes: Names of the attributes to keep; None keeps all. Classes are attributes
            too, such as ``"8"``, unless there are more than 100.
        group: Group column of `attributes_file`, or of a table, such as a person: images or rows
            with the same value stay in one part.
        cut_scores: Whether columns of scores, such as 0.93, become attributes, thresholded in
            the middle of their scale (see `keras_vae.datasets.attributes.read`). Otherwise
            they are not used.
        correlated: For ``"faces"`` only: whether smiling faces wear glasses more often, since
            attributes of photographs are correlated too. True by default.
        memory: Most GB of images to hold in memory; larger sets stay on disk and are streamed.
        pixels: Whether an ``.npy`` or ``.npz`` file holds images, or other numbers of any shape.
            By default it holds images if its arrays have their shape.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: If there is no such data set, an argument is invalid, the data cannot be
            loaded, or more than a quarter of the files cannot be read.

    Example:

    ```python
    faces = keras_vae.datasets.load("faces", limit=100)
    faces.train.images.shape  # (100, 64, 64, 3)
    ```
    """
    from keras_vae.datasets import cache
    from keras_vae.datasets.source import divide

    if limit is not None:
        checks.check_integer("limit", limit, 1)
    checks.check_integer("seed", seed, 0)
    checks.check_number("memory", memory, low=0)
    options = {
        "image_size": as_size(image_size),
        "resize": resize,
        "attributes_file": attributes_file,
        "group": group,
        "cut_scores": cut_scores or None,
        "correlated": correlated,
    }
    source = find(name, {k: value for k, value in options.items() if value is not None}, pixels)
    attribute_names = source.attribute_names + class_attributes(source)
    kept = choose(attributes, attribute_names, source)
    rows = divide(source, limit, seed)
    budget = int(memory * 1e9)
    if source.values is not None:
        data = cache.Decoded(np.arange(len(source.values)), {"images": source.values}, {})
    else:
        data = cache.decoded(source, np.concatenate(list(rows.values())), budget)
    skipped = refuse_if_too_many(source, data)
    positions = {part: data.positions(rows[part]) for part in rows}
    for part in positions:
        if not len(positions[part]):
            raise ValueError(f"No {part} image of {source.name} can be read")
    size = sum(map(len, positions.values())) * math.prod(source.image_shape)
    streamed = bool(size > budget) and source.values is None
    splits = {part: make_split(source, data, positions[part], streamed, kept) for part in positions}
    return Dataset(
        source.name,
        **splits,
        label_names=source.label_names,
        attribute_names=tuple(attribute_names[column] for column in kept),
        factor_names=source.factor_names,
        streamed=streamed,
        skipped=skipped,
        unused=source.unused,
        cuts=source.cuts,
        table=source.table,
    )


def as_size(image_size):
    """Returns ``(height, width)`` for a number or a pair, None for None."""
    if image_size is None:
        return None
    size = (image_size, image_size) if checks.is_integer(image_size) else image_size
    checks.check_sizes("image_size", size, count=2)
    return tuple(int(side) for side in size)


def find(name, options, pixels=None):
    """Returns the `Source` that a name or path stands for; `pixels` as in `load`."""
    from keras_vae.datasets import arrays, faces, folder, sprites, tfds, values
    from keras_vae.tables.files import is_table

    if not isinstance(name, (str, os.PathLike)) or not str(name):
        raise ValueError(f"Argument `name` must be a name or a path. Received: name={name!r}")
    name = os.fspath(name)
    path = Path(name).expanduser()
    painted = {"faces": (faces.source, ("correlated",)), "sprites": (sprites.source, ())}
    is_array = path.suffix.lower() in (".npy", ".npz")
    if is_array and path.is_file() and pixels is None:
        pixels = values.is_of_images(path.resolve())
    if name in painted:
        make, allowed = painted[name]
    elif is_table(name):
        make, allowed = values.of_table, ("group",)
    elif is_array and pixels is False:
        make, allowed = values.of_array, ()
    elif is_array:
        make, allowed = arrays.source, ("image_size", "resize", "cut_scores")
    elif path.is_dir() and (os.sep in name or not tfds.exists(name)):
        allowed = ("image_size", "resize", "attributes_file", "group", "cut_scores")
        make = folder.source
    elif path.is_file():
        raise ValueError(
            f"{name} is a file. Expected a folder of images, an .npy or .npz file, or a table, "
            ".csv, .tsv or .parquet"
        )
    else:
        make, allowed = tfds.source, ("image_size", "resize")
    for option in set(options) - set(allowed):
        raise ValueError(f"`{option}` does not apply to the data set {name}. Leave it out")
    if options.get("resize", "crop") not in ("crop", "pad"):
        raise ValueError(
            f"Argument `resize` must be 'crop' or 'pad'. Received: resize={options['resize']!r}"
        )
    if make is folder.source and "attributes_file" not in options:
        for option in ("group", "cut_scores"):
            if option in options:
                raise ValueError(
                    f"`{option}` refers to columns of `attributes_file`, which is missing"
                )
    return make(*(() if name in painted else (name,)), **options)


def refuse_if_too_many(source, data):
    """Returns the reason for each skipped file; raises `ValueError` if there are too many."""
    names = source.files or [f"image {row}" for row in range(len(source.parts))]
    broken = {names[row]: reason for row, reason in data.broken.items()}
    for unusable, total in (
        (source.skipped, len(source.parts) + len(source.skipped)),
        (broken, len(data.rows)),
    ):
        if len(unusable) > TOO_MANY * total:
            file, reason = next(iter(unusable.items()))
            raise ValueError(
                f"{len(unusable)} of {total} images in {source.name} cannot be used, for example "
                f"{file}: {reason}"
            )
    return dict(sorted((source.skipped | source.ignored | broken).items()))


def make_split(source, data, positions, streamed, kept):
    """Returns the `Split` at some positions of the decoded columns, with the attributes kept."""
    from keras_vae.datasets import stream

    columns = {name: column[data.rows[positions]] for name, column in source.columns.items()}
    for name, column in data.columns.items():
        if name == "images" and data.path:
            images = stream.Rows(data.path, positions)
            columns[name] = images if streamed else images.to_memory()
        elif name == "images":
            columns[name] = aligned_empty((len(positions), *column.shape[1:]), column.dtype)
            np.take(column, positions, axis=0, out=columns[name], mode="clip")  # unbuffered
        else:
            columns[name] = np.asarray(column[positions])
    if class_attributes(source):
        numbers = [source.label_names.index(name) for name in class_attributes(source)]
        labels = columns["labels"][:, None]
        given = columns.get("attributes", np.zeros((len(positions), 0), bool))
        known = columns.get("known", np.ones(given.shape, bool))
        columns["attributes"] = np.concatenate([given, labels == np.array(numbers)], axis=1)
        # TFDS uses -1 for a missing label.
        columns["known"] = np.concatenate([known, np.repeat(labels >= 0, len(numbers), 1)], axis=1)
    for name in ("attributes", "known"):
        if name in columns:
            columns[name] = columns[name][:, kept]
    if "known" in columns and columns["known"].all():
        del columns["known"]
    return Split(**columns)


def choose(wanted, names, source):
    """Returns the column numbers of the wanted attributes (None: of all)."""
    wanted = names if wanted is None else [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, (list, tuple)):
        raise ValueError(f"Argument `attributes` must be names. Received: attributes={wanted!r}")
    for name in wanted:
        if name not in names:
            message = f"There is no attribute {name!r} in {source.name}. There are: "
            message += ", ".join(names) or "none"
            if name in source.unused:
                message += f". The column {name!r} is not used: {source.unused[name]}. A column "
                message += "must hold true or false only, or scores with cut_scores"
            raise ValueError(message)
    return [names.index(name) for name in wanted]


def class_attributes(source):
    """Returns the names of the classes that are also attributes, none if there are too many.

    If a class and an attribute have the same name, only the attribute is kept.
    """
    if len(source.label_names) > MOST_CLASSES:
        return ()
    return tuple(name for name in source.label_names if name not in source.attribute_names)
