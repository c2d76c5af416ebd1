"""Attribute files: which image shows what, from a CSV or in the format of CelebA."""

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "path")
TRUE, FALSE = {"1", "1.0", "true", "yes"}, {"0", "0.0", "-1", "-1.0", "false", "no"}


@dataclass(frozen=True)
class Table:
    """Attributes of images.

    Attributes:
        files: The row of each file name.
        attribute_names: The columns that are true or false throughout.
        attributes: bool ``(n, number of attributes)``.
        columns: Every column as texts, by name.
    """

    files: dict
    attribute_names: tuple
    attributes: np.ndarray
    columns: dict

    def rows_of(self, files):
        """Returns the table's row of each file (a relative path), -1 where there is none.

        The table may name the path, the name without folders if no two files share it, or
        that without its ending.
        """
        found = np.full(len(files), -1)
        for name in (str, lambda file: PurePosixPath(file).name, lambda f: PurePosixPath(f).stem):
            names = np.array([name(file) for file in files])
            unique, first, counts = np.unique(names, return_index=True, return_counts=True)
            for key, index, count in zip(unique, first, counts):
                if count == 1 and found[index] < 0:
                    found[index] = self.files.get(str(key), -1)
        return found


def read(path):
    """Returns the `Table` in a file.

    Args:
        path: A CSV (separated by comma, semicolon or tab) with a line of column names, where
            the column ``file`` (or ``filename``, ``image``, ``image_id``, ``path``, or else the
            first one) names the images. Or a file like CelebA's ``list_attr_celeba.txt``: the
            number of images, the names, then a line for each image.

    Raises:
        ValueError: If it cannot be read, and at which line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not a text file in UTF-8"
        raise ValueError(f"The attributes file {path} cannot be read: {problem}") from None
    lines = text.splitlines()
    if lines and lines[0].strip().isdigit():
        names, *rows = [["file", *lines[1].split()] if len(lines) > 1 else ["file"]] + [
            line.split() for line in lines[2:]
        ]
        first = 3
    else:
        head = lines[0] if lines else ""
        delimiter = max(",;\t", key=head.count)
        names, *rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True)) or [[]]
        first = 2
    names = [name.strip() for name in names]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"The attributes file {path} must begin with a line of different column names, the "
            f"images' file names among them. Received: {', '.join(names) or 'nothing'}"
        )
    numbered = [(number, row) for number, row in enumerate(rows, start=first) if row]
    for number, row in numbered:
        if len(row) != len(names):
            raise ValueError(
                f"Line {number} of the attributes file {path} has {len(row)} values; "
                f"expected {len(names)}"
            )
    columns = {
        name: [row[index].strip() for _, row in numbered] for index, name in enumerate(names)
    }
    key = next((name for name in names if name.lower() in FILE_COLUMNS), names[0])
    files = {}
    for row, file in enumerate(columns[key]):
        file = file.replace("\\", "/").removeprefix("./")
        if files.setdefault(file, row) != row:
            raise ValueError(f"The attributes file {path} has two lines for {file}")
    attribute_names = tuple(
        name
        for name, values in columns.items()
        if name != key and {value.lower() for value in values} <= TRUE | FALSE
    )
    attributes = np.array(
        [[value.lower() in TRUE for value in columns[name]] for name in attribute_names], bool
    ).reshape(len(attribute_names), len(numbered))
    del columns[key]
    return Table(files, attribute_names, attributes.T, columns)
