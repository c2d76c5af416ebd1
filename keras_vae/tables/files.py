"""Files of rows: CSV, read with a bounded number of rows in memory, and Parquet."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_vae.atomic import atomic

ENDINGS = (".csv", ".tsv", ".parquet")
PARQUET = "{} needs polars, or pandas with pyarrow: pip install polars"
ALL = 2**62


@dataclass(frozen=True)
class Cells:
    """Rows of a file.

    Attributes:
        path: The file.
        columns: For each name in the header an array ``(n,)`` of strings, or of float64 numbers.
        lines: The line of each row in the file, for messages.
    """

    path: Path
    columns: dict
    lines: np.ndarray

    def __len__(self):
        return len(self.lines)


def is_table(path):
    """Returns whether a path has the ending of a file of rows."""
    return str(path).lower().endswith(ENDINGS)


def read(path):
    """Returns the `Cells` of a file.

    Raises:
        ValueError: If the file cannot be read, changes meanwhile, or has no rows.
    """
    return next(chunks(path, ALL))


def chunks(path, rows=1000):
    """Yields the `Cells` of a file, some rows at a time.

    Args:
        path: A ``.csv`` (separated by comma, semicolon or tab), ``.tsv`` or ``.parquet`` file.
        rows: Number of rows of each but the last.

    Raises:
        ValueError: If the file cannot be read, changes meanwhile, or has no rows; the message
            names the line where possible.

    Example:

    ```python
    for cells in keras_vae.tables.chunks("patients.csv"):
        print(len(cells), list(cells.columns))
    ```
    """
    path = Path(path).expanduser()
    try:
        before = stamp(path)
        parts = parquet(path, rows) if path.suffix.lower() == ".parquet" else lines(path, rows)
        empty = True
        for part in parts:
            if stamp(path) != before:
                raise ValueError(f"{path} has changed while it was read. Read it again")
            empty = False
            yield part
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8") from None
    except (OSError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be read: {why}") from None
    if empty:
        raise ValueError(f"{path} has column names and no rows below them")


def stamp(path):
    """Returns what differs if a file changes."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def lines(path, rows):
    """Yields the cells of a text file."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        plain = re.sub(r'"[^"]*"', "", first)  # without quoted names
        if '"' in plain:
            raise ValueError(f"{path}: a column name in the first line has a line break")
        if "\0" in first:
            raise ValueError(f"{path} is not a text file in UTF-8")
        delimiter = max(",;\t", key=plain.count)
        header = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        names = check_names(path, header)
        found, numbers, line = [], [], 1
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            begin, line = line + 1, reader.line_num + 1  # a cell may have line breaks
            if not row and len(names) > 1:
                continue
            row = row or [""]
            if len(row) != len(names):
                raise ValueError(
                    f"Line {begin} of {path} has {len(row):,} values; expected "
                    f"{len(names):,}, as in its first line"
                )
            found.append(row)
            numbers.append(begin)
            if len(found) == rows:
                yield cells(path, names, found, numbers)
                found, numbers = [], []
        if found:
            yield cells(path, names, found, numbers)


def check_names(path, names):
    names = [name.strip() for name in names]
    if not any(names):
        raise ValueError(f"{path} must begin with a line of column names. Received: nothing")
    seen = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise ValueError(f"Column {number} of {path} has no name in the first line")
        if name in seen:
            raise ValueError(f"{path} has two columns called {name!r}. Rename one of them")
        seen.add(name)
    return names


def cells(path, names, rows, numbers):
    columns = {name: np.array([row[i].strip() for row in rows]) for i, name in enumerate(names)}
    return Cells(path, columns, np.array(numbers))


def parquet(path, rows):
    """Yields the cells of a Parquet file, which is read at once."""
    os.stat(path)  # the readers have many types of errors
    frame = read_frame(path)
    columns = {}
    for original, name in zip(frame.columns, check_names(path, map(str, frame.columns))):
        column = np.asarray(frame[original])
        if column.ndim > 1 or any(isinstance(x, (list, dict, np.ndarray)) for x in column[:100]):
            raise ValueError(f"The column {name!r} of {path} holds lists, and not numbers or texts")
        if column.dtype.kind in "fiu":
            columns[name] = column.astype("float64")
        else:
            columns[name] = np.array(["" if is_missing(x) else str(x).strip() for x in column])
    count = len(next(iter(columns.values())))
    for start in range(0, count, rows):
        some = slice(start, min(start + rows, count))
        part = {name: column[some] for name, column in columns.items()}
        yield Cells(path, part, np.arange(some.start, some.stop) + 1)


def is_missing(value):
    return value is None or value != value


def read_frame(path):
    """Returns a data frame of polars or pandas, whichever is installed."""
    for name in ("polars", "pandas"):
        try:
            return __import__(name).read_parquet(path)
        except ImportError:  # pandas needs pyarrow
            continue
        except Exception as error:  # each reader has its own exceptions for damaged files
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    raise ValueError(PARQUET.format(path))


def write(path, columns):
    """Writes rows to a file; it appears when it is complete.

    Args:
        path: A ``.csv``, ``.tsv`` or ``.parquet`` file.
        columns: For each name in the header an array or a list ``(n,)`` of numbers, NaN where
            missing, or strings; or an iterator over such dicts, which are written one after the
            other.

    Raises:
        ValueError: If the file cannot be written.

    Example:

    ```python
    keras_vae.tables.write("codes.csv", {"z_1": z_mean[:, 0], "z_2": z_mean[:, 1]})
    ```
    """
    path = Path(path)
    try:
        with atomic(path) as temporary:
            parts = [columns] if isinstance(columns, dict) else columns
            if path.suffix.lower() == ".parquet":
                parts = list(parts)
                columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
                write_parquet(temporary, path, columns)
                return
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                tab = path.suffix.lower() == ".tsv"
                writer = csv.writer(file, delimiter="\t" if tab else ",", lineterminator="\n")
                for number, part in enumerate(parts):
                    if number == 0:
                        writer.writerow(part)
                    writer.writerows(zip(*(map(text, column) for column in part.values())))
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None


def write_parquet(temporary, path, columns):
    columns = {name: np.asarray(column) for name, column in columns.items()}
    try:
        import polars
    except ImportError:
        try:
            import pandas

            pandas.DataFrame(columns).to_parquet(temporary)
        except ImportError:
            raise ValueError(PARQUET.format(path)) from None
    else:
        polars.DataFrame(columns).write_parquet(temporary)


def text(value):
    """Returns a value as the text of a cell: numbers as short as float32 allows."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, np.float32):
        return np.format_float_positional(value, unique=True, trim="-")
    return repr(int(value)) if float(value).is_integer() else repr(float(value))
