"""A data set before any image is decoded, and how it is divided for training and testing."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

PARTS = ("train", "validation", "test")
OTHER_NAMES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
CHUNK = 64  # images decoded at once by one thread


@dataclass(frozen=True)
class Source:
    """What a kind of data set knows about one: everything but the pixels.

    Rows are numbered 0, 1, ... through the whole set.

    Attributes:
        name: What the set is called, in messages and file names.
        place: What makes it this set (a path, settings); goes to JSON.
        content: What changes whenever its images may have changed; goes to JSON.
        image_shape: ``(height, width, channels)`` of each image.
        parts: For each row one of `PARTS`, or ``""`` if that is still to be divided.
        decode: ``decode(rows)`` gives ``(row, {"images": image, ...})`` in any order; in
            place of the dict a text that says why an image cannot be read.
        columns: What is known of each row without decoding: ``labels``, ``attributes``,
            ``factors``, and ``known`` if some attributes' values are not.
        groups: Texts; rows with the same one (a person) stay together. Or None.
        files: What to call each row in a list, or None.
        skipped: Reasons by file, for images that are no row since they cannot be used.
        ignored: Reasons by file, for what is no image, or one that is there already.
        in_order: Whether decoding a few rows takes as long as decoding all.
        unused: Why columns are no attributes, by column.
        cuts: Where scores were cut in two, by attribute.
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

    @property
    def slug(self):
        """The name as part of a file name."""
        return slug_of(self.name)


def slug_of(name):
    """Returns the name of a data set as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:40] or "images"


def part_called(name):
    """Returns which of `PARTS` a name stands for, or None."""
    name = OTHER_NAMES.get(name.lower(), name.lower())
    return name if name in PARTS else None


def read_options():
    """Returns how grain reads ahead: on all cores, and not much more than is needed at once."""
    import grain

    threads = min(8, os.cpu_count() or 1)
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)


def in_parallel(decode, rows):
    """Yields what ``decode(some_rows)`` yields, for all rows in order, on several threads."""
    import grain

    starts = grain.MapDataset.range(0, len(rows), CHUNK)
    chunks = starts.map(lambda start: list(decode(rows[start : start + CHUNK])))
    for chunk in chunks.to_iter_dataset(read_options()):
        yield from chunk


def divide(source, limit=None, seed=0):
    """Returns the rows of each part by name, in random order.

    What the source divided stays so. A test part that is missing is a tenth of the rest, always
    the same one; then a missing validation part is a tenth of what is left, drawn by `seed`.
    Rows of one group are never on both sides.

    Args:
        source: A `Source`.
        limit: Keep at most that many rows of train and of validation.
        seed: Draws the validation rows and the order.

    Raises:
        ValueError: If there are too few images, or a group is in two given parts.
    """
    random = np.random.default_rng(seed)
    rows = {part: np.flatnonzero(source.parts == part) for part in PARTS}
    rows["train"] = np.flatnonzero((source.parts == "train") | (source.parts == ""))
    check_groups(source, rows)
    if not len(rows["train"]):
        raise ValueError(f"There are no images to train on in {source.name}")
    always = np.random.default_rng(0)
    if not len(rows["test"]):
        rows["test"], rows["train"] = tenth(rows["train"], source.groups, always, source.name)
    if not len(rows["validation"]):
        rest = np.sort(rows["train"])
        rows["validation"], rows["train"] = tenth(rest, source.groups, random, source.name)
    return {
        "train": random.permutation(rows["train"])[:limit],
        "validation": random.permutation(rows["validation"])[:limit],
        "test": always.permutation(rows["test"]),
    }


def tenth(rows, groups, random, name):
    """Returns about a tenth of the rows and the others; groups are kept together."""
    names, group = (rows, np.arange(len(rows)))
    if groups is not None:
        names, group = np.unique(groups[rows], return_inverse=True)
    if len(names) < 2:
        what = "images" if groups is None else "images of different groups"
        raise ValueError(
            f"There are too few {what} in {name}: at least 3 are needed, one each to train, to "
            f"validate and to test. Received: {len(rows)} left to divide"
        )
    # Whole groups in random order, those that fit; or else the smallest.
    sizes, room, taken = np.bincount(group), max(1, len(rows) // 10), []
    for index in random.permutation(len(names)):
        if sizes[index] <= room:
            taken.append(index)
            room -= sizes[index]
    is_taken = np.isin(group, taken or [np.argmin(sizes)])
    return rows[is_taken], rows[~is_taken]


def check_groups(source, rows):
    """Raises `ValueError` if a group is in two of the given parts."""
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
