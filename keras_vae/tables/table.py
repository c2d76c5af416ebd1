"""The columns of a table: how its rows become numbers for a model, and numbers become rows."""

from dataclasses import dataclass

import numpy as np

from keras_vae.checks import LARGEST
from keras_vae.datasets.attributes import UNKNOWN
from keras_vae.datasets.names import first_few, short
from keras_vae.tables import files

MODELLED = ("number", "count", "category")
OTHERS = ("label", "group", "ignore")
KINDS = MODELLED + OTHERS
MOST_CATEGORIES = 1000
FAR = 1000  # standard deviations from 0 at which float32 begins to lose digits of a number


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name, without the kind.
        kind: ``"number"``, ``"count"`` (whole numbers of at least 0) or ``"category"``, of which
            the model learns; ``"constant"``, which rows written have; ``"label"``, a class beside
            the data; ``"group"``, rows of which stay together; or ``"ignore"``.
        categories: The possible values of a category or label, or the one of a constant.
        offset: What is subtracted from numbers that are far from 0, such as times.
    """

    name: str
    kind: str
    categories: tuple = ()
    offset: float = 0.0

    @property
    def width(self):
        """The number of values of a row that the column takes."""
        if self.kind == "category":
            return len(self.categories)
        return int(self.kind in MODELLED)


@dataclass(frozen=True)
class Table:
    """The columns of a table, found in the training data by `of`.

    Attributes:
        columns: A tuple of `Column`, in the order of the file.
    """

    columns: tuple

    @classmethod
    def of(cls, cells, group=None):
        """Returns the `Table` that fits the rows of a file.

        A name in the header may end in a colon and a kind: ``age:count``, ``colour:category``,
        ``diagnosis:label``, ``patient:group``, ``note:ignore``. Columns without one are numbers.

        Args:
            cells: The `keras_vae.tables.files.Cells` of all rows.
            group: The name of the group column, as an alternative to ``:group``.

        Raises:
            ValueError: If a value does not fit its column, with the line, or no column is left
                to learn.
        """
        columns, seen = [], set()
        for header, values in cells.columns.items():
            name, kind = split(header)
            kind = "group" if name == group else kind
            if name in seen:
                raise ValueError(f"{cells.path} has two columns called {name!r}. Rename one")
            seen.add(name)
            columns.append(column_of(cells, header, name, kind, values))
        if group is not None and group not in seen:
            raise ValueError(f"{cells.path} has no column {group!r} to group by")
        for kind in ("label", "group"):
            if sum(column.kind == kind for column in columns) > 1:
                raise ValueError(f"{cells.path} has several columns of kind {kind!r}; expected one")
        table = cls(tuple(columns))
        if not table.width:
            raise ValueError(f"{cells.path} has no column to learn: each is constant or no data")
        return table

    @property
    def modelled(self):
        """The columns that the model learns."""
        return [column for column in self.columns if column.kind in MODELLED]

    @property
    def constant(self):
        return [column for column in self.columns if column.kind == "constant"]

    @property
    def width(self):
        """The number of values of a row."""
        return sum(column.width for column in self.columns)

    def parts(self):
        """Yields each column that the model learns, and its slice of a row's values."""
        start = 0
        for column in self.modelled:
            yield column, slice(start, start + column.width)
            start += column.width

    def likelihood(self, numbers="normal"):
        """Returns the likelihood of rows: one for each run of columns of one kind.

        Args:
            numbers: ``"normal"`` or ``"student_t"``.
        """
        from keras_vae import likelihoods

        kinds = {"count": "negative_binomial", "category": "categorical", "number": numbers}
        groups = []
        for column in self.modelled:
            if groups and groups[-1][0] == column.kind != "category":
                groups[-1][1] += 1
            else:
                groups.append([column.kind, column.width])
        return likelihoods.Columns(
            [(likelihoods.BY_NAME[kinds[kind]](missing=True), width) for kind, width in groups]
        )

    def encode(self, cells):
        """Returns rows as numbers.

        Args:
            cells: `keras_vae.tables.files.Cells` with the columns that the model learns, in any
                order; others are not looked at.

        Returns:
            NumPy float32 ``(n, width)``, NaN where a value is missing.

        Raises:
            ValueError: If a column is missing, or a value does not fit it, with the line.
        """
        given = {split(header)[0]: values for header, values in cells.columns.items()}
        rows = np.empty((len(cells), self.width), "float32")
        for column, part in self.parts():
            if column.name not in given:
                expected = first_few([repr(other.name) for other in self.modelled])
                raise ValueError(f"{cells.path} has no column {column.name!r}. Expected {expected}")
            values = given[column.name]
            if column.kind == "category":
                rows[:, part] = one_hot(cells, column, values)
            else:
                numbers = numbers_of(cells, column.name, column.kind, values)
                rows[:, part] = (numbers - column.offset)[:, None]
        return rows

    def decode(self, rows):
        """Returns numbers as columns: for each name an array ``(n,)`` of numbers or strings.

        Args:
            rows: ``(n, width)``; of a category the largest value counts.

        Returns:
            A dict by name: numbers, NaN where missing, or strings, "" where missing.
        """
        parts, columns = dict(self.parts()), {}
        for column in self.columns:
            values = rows[:, parts[column]] if column in parts else None
            if column.kind == "category":
                names = np.array(["", *column.categories])
                missing = np.isnan(values).any(axis=1)
                best = np.argmax(np.where(np.isnan(values), 0, values), axis=1)
                columns[column.name] = names[np.where(missing, 0, best + 1)]
            elif column.kind == "constant":
                columns[column.name] = np.repeat(column.categories, len(rows))
            elif values is not None:
                numbers = values[:, 0]  # float32, whose text is the shortest
                if column.offset:
                    numbers = numbers.astype("float64") + column.offset
                columns[column.name] = np.rint(numbers) if column.kind == "count" else numbers
        return columns

    def to_json(self):
        """Returns the columns as lists of plain values."""
        return [[c.name, c.kind, list(c.categories), c.offset] for c in self.columns]

    @classmethod
    def from_json(cls, columns):
        """Returns the `Table` that `to_json` describes.

        Raises:
            ValueError: If it describes none.
        """
        try:
            return cls(
                tuple(
                    Column(str(name), str(kind), tuple(map(str, categories)), float(offset))
                    for name, kind, categories, offset in columns
                )
            )
        except (TypeError, ValueError):
            raise ValueError("expected 'table' to be a list of columns") from None


def split(header):
    """Returns the name and the kind in a header, such as ``age:count``; None for no kind."""
    name, colon, kind = header.rpartition(":")
    if colon and kind.strip().lower() in KINDS:
        return name.strip(), kind.strip().lower()
    return header, None


def column_of(cells, header, name, kind, values):
    """Returns the `Column` of values in the training data."""
    if kind in ("group", "ignore"):
        return Column(name, kind)
    if kind in ("category", "label"):
        texts = as_texts(values)
        categories = tuple(np.unique(texts[~is_unknown(texts)]).tolist())
        if len(categories) > MOST_CATEGORIES:
            raise ValueError(
                f"The column {name!r} of {cells.path} has {len(categories):,} categories; expected "
                f"at most {MOST_CATEGORIES:,}. A name or number of rows is no data: {name}:ignore"
            )
        if kind == "category" and len(categories) < 2:
            return Column(name, "constant", categories or ("",))
        return Column(name, kind, categories)
    numbers = numbers_of(cells, name, kind, values, declared=kind is not None)
    known = numbers[~np.isnan(numbers)]
    if not len(known) or (known == known[0]).all():
        text = files.text(known[0]) if len(known) else ""
        return Column(name, "constant", (text,))
    offset = 0.0
    if kind != "count" and abs(known.mean()) > FAR * known.std():
        offset = float(np.rint(known.mean()))
    return Column(name, kind or "number", offset=offset)


def numbers_of(cells, name, kind, values, declared=True):
    """Returns the values of a column as float64, NaN where missing."""
    if values.dtype.kind == "f":
        numbers = values
    else:
        known = ~is_unknown(values)
        numbers = np.full(len(values), np.nan)
        try:
            numbers[known] = values[known].astype("float64")
        except ValueError:
            row = next(i for i in np.flatnonzero(known) if not is_number(values[i]))
            hint = "" if declared else f". Say what it is in the first line: {name}:category, "
            hint += "" if declared else f"{name}:label or {name}:ignore"
            raise ValueError(
                f"Line {cells.lines[row]} of {cells.path}: the column {name!r} has the text "
                f"{short(str(values[row]))!r}; expected a number{hint}"
            ) from None
    wrong, expected = np.abs(numbers) >= LARGEST, "a finite number"
    if kind == "count" and not wrong.any():
        wrong = (numbers < 0) | (numbers != np.rint(numbers)) & ~np.isnan(numbers)
        expected = "a whole number of at least 0"
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"Line {cells.lines[row]} of {cells.path}: the column {name!r} has "
            f"{numbers[row]:.9g}; expected {expected}"
        )
    return numbers


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_unknown(texts):
    """Returns where cells are empty, or say that a value is missing."""
    return np.isin(np.char.lower(texts), list(UNKNOWN))


def as_texts(values):
    """Returns cells as strings; categories of a Parquet file may be numbers."""
    if values.dtype.kind != "f":
        return values
    return np.array([files.text(value) for value in values.tolist()])


def one_hot(cells, column, values):
    """Returns categories as zeros and a one, NaN where missing."""
    texts = as_texts(values)
    unknown = is_unknown(texts)
    matches = texts[:, None] == np.array(column.categories)
    strange = np.flatnonzero(~unknown & ~matches.any(axis=1))
    if len(strange):
        raise ValueError(
            f"Line {cells.lines[strange[0]]} of {cells.path}: the column {column.name!r} has "
            f"{short(str(texts[strange[0]]))!r}, which is not in the training data. There are: "
            f"{first_few(list(column.categories))}"
        )
    return np.where(unknown[:, None], np.nan, matches)
