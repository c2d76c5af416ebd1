"""What the page says of rows of a table, as functions without Gradio.

Texts of a request's cells become a row, as those of a file do. A visitor's mistake raises
`ValueError`, which names the column.
"""

import tempfile
from pathlib import Path

import numpy as np

from keras_vae import evaluate, tables

REFERENCE = 500  # test rows whose -log p(x) is computed, to say what is usual
DRAWS, TOGETHER = 100, 4000  # draws of z for each row; codes to decode at once
NEIGHBOURS = 5
LONGEST = 1000  # characters of a cell in a request


class Rows:
    """The test rows of a run, and what its model says of any row.

    Args:
        run: A `keras_vae.runs.Run` of a table.

    Attributes:
        table: Its `keras_vae.tables.Table`.
        columns: Pairs of each `keras_vae.tables.Column` that the model learns and its slice of a
            row's values.
        names: The names of these columns.
        kept: The test rows, float32 ``(n, width)``, NaN where missing.
        codes: Their codes ``(n, latent_dim)``.

    Example:

    ```python
    rows = Rows(runs.load("my-table"))
    row = rows.row(["41.6", "red", ""])  # the last cell is missing
    print(rows.surprise(row), rows.filled(row))
    ```
    """

    def __init__(self, run):
        self.model, self.table = run.model, run.table
        self.columns = list(self.table.parts())
        self.names = [column.name for column, _ in self.columns]
        examples = run.examples
        self.kept = np.zeros((0, self.table.width), "float32")
        self.codes = np.zeros((0, run.model.latent_dim), "float32")
        self.labels = None  # the class of each test row, if the table has a column of them
        if examples is not None:
            self.kept = examples.images
            self.codes = examples.codes[: len(self.kept)]
            if examples.title == "by label":
                names = np.array(examples.colour_names)
                self.labels = names[examples.colours[: len(self.kept)]]
        self.digits = [digits(self.kept[:, part]) for _, part in self.columns]
        self.usual, self.usual_nats = np.zeros(0), np.zeros((0, len(self.columns)))
        if len(self.kept):
            self.usual = self.total(self.kept[:REFERENCE])
            self.usual_nats = self.surprise(self.kept)

    def row(self, texts):
        """Returns the texts of the cells, in the order of `names`, as a row ``(1, width)``."""
        given = {name: np.array([text]) for name, text in zip(self.names, texts, strict=True)}
        cells = tables.files.Cells(Path("row"), given, np.array([1]))
        try:
            return self.table.encode(cells)
        except ValueError as error:  # its message is of the line of a file
            raise ValueError(str(error).replace("Line 1 of row: the", "The", 1)) from None

    def texts(self, row):
        """Returns the cells of a row ``(width,)`` as exact texts, empty where missing."""
        columns = self.table.decode(row[None])
        return [tables.files.text(columns[name][0]) for name in self.names]

    def shown(self, rows):
        """Returns a list of texts, rounded for reading, for each of some rows."""
        columns = self.table.decode(rows)
        texts = [
            [readable(value, *wanted) for value in columns[name]]
            for name, wanted in zip(self.names, self.digits)
        ]
        return [list(cells) for cells in zip(*texts)]

    def missing(self, rows):
        """Returns where cells are missing, bool ``(n, columns)``."""
        return np.stack([np.isnan(rows[:, part]).any(axis=1) for _, part in self.columns], axis=1)

    def expected(self, row):
        """Returns the reconstruction of a row, and what the others suggest for missing cells."""
        expected = self.model.reconstruct(row)
        if np.isnan(row).any() and self.model.has_prior:
            filled = self.model.impute(row, DRAWS, TOGETHER)
            expected = np.where(np.isnan(row), filled, expected)
        return expected

    def surprise(self, rows):
        """Returns the nats of each cell ``(n, columns)``, NaN where it is missing."""
        values = evaluate.value_losses(self.model, rows)
        nats = np.stack([values[:, part].sum(axis=1) for _, part in self.columns], axis=1)
        return np.where(self.missing(rows), np.nan, nats)

    def total(self, rows):
        """Returns ``-log p(x)`` of rows; of a plain autoencoder the reconstruction loss."""
        if self.model.has_prior:
            return -self.model.log_likelihood(rows, DRAWS, TOGETHER)
        return np.nansum(self.surprise(rows), axis=1)

    def neighbours(self, row, own=None):
        """Returns the numbers of the test rows with the nearest codes, and their distances.

        Args:
            row: A row ``(1, width)``.
            own: The number of a test row that is left out, or None.
        """
        distances = np.linalg.norm(self.codes - self.model.codes(row), axis=1)
        order = np.argsort(distances, kind="stable")
        nearest = order[order != own][:NEIGHBOURS]
        return nearest, distances[nearest]

    def csv(self, rows):
        """Returns rows as the content of a CSV file, with the constant columns."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rows.csv")
            tables.write(path, self.table.decode(rows))
            return path.read_bytes()


def share_below(value, usual):
    """Returns the share of the known usual values that are lower, or None if there are none."""
    known = usual[~np.isnan(usual)]
    return float((known < value).mean()) if known.size and not np.isnan(value) else None


def digits(values):
    """Returns how the numbers of a column are read: with how many decimals, and if all are whole.

    Two digits of the standard deviation are enough to see how far a number is from the mean.
    """
    known = values[~np.isnan(values)].astype("float64")
    spread = known.std() if known.size else 0.0
    places = int(np.clip(1 - np.floor(np.log10(spread)), 0, 9)) if spread > 0 else 2
    return places, bool((known == np.rint(known)).all())


def readable(value, places, whole):
    """Returns a cell as a short text."""
    if isinstance(value, str):
        return value
    value = float(value)
    if np.isnan(value):
        return ""
    if whole and value.is_integer() and abs(value) < 1e9:
        return str(int(value))
    is_plain = value == 0 or 1e-4 <= abs(value) < 1e9
    return f"{value:.{places}f}" if is_plain else f"{value:.3g}"
