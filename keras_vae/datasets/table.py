"""Attribute files: the attributes of images, from a CSV or a file in CelebA's format."""

import csv
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from keras_vae.datasets import attributes
from keras_vae.datasets.attributes import Attributes

FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "path")
MOST_BYTES = 500_000_000  # a few million lines of 40 attributes


@dataclass(frozen=True)
class Table:
    """The content of an attributes file.

    Attributes:
        files: The row of each file name.
        attributes: The `Attributes` in the columns, see `attributes.read`.
        columns: All columns as strings, by name.
    """

    files: dict
    attributes: Attributes
    columns: dict

    def rows_of(self, files):
        """Returns the table's row of each file (a relative path), -1 for files not in the table.

        The table may contain the path; or, where it is unique, the name without folders, with or
        without its extension.
        """
        found = np.full(len(files), -1)
        for name in (str, lambda file: PurePosixPath(file).name, lambda f: PurePosixPath(f).stem):
            names = np.array([name(file) for file in files])
            unique, first, counts = np.unique(names, return_index=True, return_counts=True)
            for key, index, count in zip(unique, first, counts):
                if count == 1 and found[index] < 0:
                    found[index] = self.files.get(str(key), -1)
        return found


def read(path, cut_scores=False):
    """Returns the `Table` in a file.

    Values are numbers, true and false, or yes and no. Empty cells, ``NA``, ``?`` and similar
    values are unknown. `attributes.read` decides which columns are attributes.

    Args:
        path: A CSV (separated by comma, semicolon or tab) that begins with a line of column
            names; the column ``file`` (or ``filename``, ``file_name``, ``image``, ``image_id``,
            ``path``, otherwise the first column) names the images. Or a file like CelebA's
            ``list_attr_celeba.txt``: the number of images, the column names, then a line for each
            image.
        cut_scores: Whether columns of scores become attributes.

    Raises:
        ValueError: If the file cannot be read; the message names the line where possible.
    """
    text = read_text(path)
    try:
        names, rows = split_celeba(text) or split_csv(text)
    except csv.Error as error:
        raise ValueError(f"The attributes file {path} cannot be read: {error}") from None
    names = [name.strip() for name in names]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"The attributes file {path} must begin with a line of distinct column names, the "
            f"images' file names among them. Received: {', '.join(names) or 'nothing'}"
        )
    if not rows:
        raise ValueError(f"The attributes file {path} has column names and nothing below them")
    for number, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"Line {number} of the attributes file {path} has {len(row)} values; "
                f"expected {len(names)}"
            )
    columns = {name: [row[index].strip() for _, row in rows] for index, name in enumerate(names)}
    key = next((name for name in names if name.lower() in FILE_COLUMNS), names[0])
    files = {}
    for row, file in enumerate(columns[key]):
        file = file.replace("\\", "/").removeprefix("./")
        if files.setdefault(file, row) != row:
            raise ValueError(f"The attributes file {path} has two lines for {file}")
    del columns[key]
    numbers = {name: attributes.numbers_of(texts) for name, texts in columns.items()}
    return Table(files, attributes.read(numbers, cut_scores), columns)


def read_text(path):
    """Returns the text of a file; large and binary files are refused before they are read."""
    try:
        status = os.stat(path)  # opening a pipe would block
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > MOST_BYTES:
            raise ValueError(
                f"it has {status.st_size / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:g}"
            )
        with open(path, "rb") as file:
            if b"\0" in file.read(4096):
                raise ValueError("it is not a text file in UTF-8")
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problem = "it is not a text file in UTF-8"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
    raise ValueError(f"The attributes file {path} cannot be read: {problem}")


def split_celeba(text):
    """Returns the column names and the numbered rows of a file like CelebA's, else None."""
    lines = text.split("\n")
    if not lines[0].strip().isdigit() or len(lines) < 2:
        return None
    rows = [(number, line.split()) for number, line in enumerate(lines[2:], 3) if line.strip()]
    return ["file", *lines[1].split()], rows


def split_csv(text):
    """Returns the column names and the numbered rows of a CSV."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = [(reader.line_num, row) for row in reader if row]
    return (rows[0][1], rows[1:]) if rows else ([], [])
