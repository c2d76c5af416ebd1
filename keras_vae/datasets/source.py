"""A data set before decoding, and its division into training, validation and test images."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

PARTS = ("train", "validation", "test")
OTHER_NAMES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
CHUNK = 64  # images that a thread decodes at a time


@dataclass(frozen=True)
class Source:
    """A data set of any kind, with everything except the decoded pixels.

    Rows are numbered 0, 1, ... over all parts.

    Attributes:
        name: Name of the set in messages and file names.
        place: The path and settings that identify the set; serialised as JSON.
        content: Sizes, times or versions that differ if the images may differ; serialised as JSON.
        image_shape: ``(height, width, channels)`` of each image.
        parts: For each row one of `PARTS`, or ``""`` if `divide` is to assign it.
        decode: ``decode(rows)`` yields ``(row, {"images": image, ...})`` in any order; for an
            unreadable image the reason, a string, in place of the dict.
        columns: Columns available without decoding: ``labels``, ``attributes``, ``factors``, and
            ``known`` if some attribute values are unknown.
        groups: Strings, or None; rows with the same string (a person) stay in one part.
        files: Name of each row in messages, or None.
        skipped: For each image that is not a row because it cannot be used, the reason.
        ignored: For each file that is not an image, or is a duplicate, the reason.
        in_order: Whether decoding a few rows takes as long as decoding all.
        unused: For each column that is not an attribute, the reason.
        cuts: For each attribute made from scores, the threshold.
        values: The data, if they are no images and need no decoding: float32 ``(n, ...)``.
        table: The `keras_vae.tables.Table` that `values` were read with, or None.
        noun: What rows are called in messages.
    """

    name: str
    place: dict
    content: object
    image_shape: tuple
    parts: np.ndarray
    decode: Callable
    columns: dict = field(default_factory=dict)
    label_names: tuple = ()
    attribute_names: tuple = ()
    factor_names: tuple = ()
    groups: np.ndarray | None = None
    files: list | None = None
    skipped: dict = field(default_factory=dict)
    ignored: dict = field(default_factory=dict)
    in_order: bool = False
    unused: dict = field(default_factory=dict)
    cuts: dict = field(default_factory=dict)
    values: np.ndarray | None = None
    table: object = None
    noun: str = "images"

    @property
    def slug(self):
        """The name as part of a file name."""
        return slug_of(self.name)


def slug_of(name):
    """Returns the name of a data set as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:40] or "images"


def part_called(name):
    """Returns the part that a name such as "val" means, one of `PARTS`, or None."""
    name = OTHER_NAMES.get(name.lower(), name.lower())
    return name if name in PARTS else None


def read_options():
    """Returns grain's settings for reading ahead: up to 8 threads, two items for each."""
    import grain

    threads = min(8, os.cpu_count() or 1)
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)


def in_parallel(decode, rows):
    """Yields the items of ``decode(some_rows)`` for all rows in order, using several threads."""
    import grain

    starts = grain.MapDataset.range(0, len(rows), CHUNK)
    chunks = starts.map(lambda start: list(decode(rows[start : start + CHUNK])))
    for chunk in chunks.to_iter_dataset(read_options()):
        yield from chunk


def divide(source, limit=None, seed=0):
    """Returns the rows of each part by name, in random order.

    Parts defined by the source are kept. A missing test part is a tenth of the other rows, always
    the same; a missing validation part is then a tenth of the remaining rows, drawn with `seed`.
    Rows of one group are always in the same part.

    Args:
        source: A `Source`.
        limit: Most rows to keep for training, and for validation.
        seed: Determines the validation rows and the order.

    Raises:
        ValueError: If there are too few images, or a group is in two parts of the source.
    """
    random = np.random.default_rng(seed)
    rows = {part: np.flatnonzero(source.parts == part) for part in PARTS}
    rows["train"] = np.flatnonzero((source.parts == "train") | (source.parts == ""))
    check_groups(source, rows)
    if not len(rows["train"]):
        raise ValueError(f"There are no {source.noun} to train on in {source.name}")
    always = np.random.default_rng(0)
    if not len(rows["test"]):
        rows["test"], rows["train"] = tenth(rows["train"], source, always)
    if not len(rows["validation"]):
        rest = np.sort(rows["train"])
        rows["validation"], rows["train"] = tenth(rest, source, random)
    return {
        "train": random.permutation(rows["train"])[:limit],
        "validation": random.permutation(rows["validation"])[:limit],
        "test": always.permutation(rows["test"]),
    }


def tenth(rows, source, random):
    """Returns about a tenth of the rows, and the others; groups are kept together."""
    names, group, groups = rows, np.arange(len(rows)), source.groups
    if groups is not None:
        names, group = np.unique(groups[rows], return_inverse=True)
    if len(names) < 2:
        what = source.noun if groups is None else f"{source.noun} of different groups"
        raise ValueError(
            f"There are too few {what} in {source.name}: at least 3 are needed, one each for "
            f"training, validation and testing. Received: {len(rows)} left to divide"
        )
    # Complete groups in random order as long as they fit; if none fits, the smallest.
    sizes, room, taken = np.bincount(group), max(1, len(rows) // 10), []
    for index in random.permutation(len(names)):
        if sizes[index] <= room:
            taken.append(index)
            room -= sizes[index]
    is_taken = np.isin(group, taken or [np.argmin(sizes)])
    return rows[is_taken], rows[~is_taken]


def check_groups(source, rows):
    """Raises `ValueError` if a group is in two parts of the source."""
    if source.groups is None:
        return
    seen = {}
    for part in PARTS:
        for group in np.unique(source.groups[rows[part]]):
            if seen.setdefault(group, part) != part:
                raise ValueError(
                    f"The group {str(group)!r} is in {seen[group]}/ and in {part}/ of "
                    f"{source.name}. A group must be in one part only"
                )
