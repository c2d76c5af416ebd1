"""Reads the tables of docs/benchmarks/results/, for benchmarks/plots.py."""

import re
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks" / "results"


def read_table(page, heading, first):
    """Returns a table of a page as a dict of rows by label, each a dict of cells by column.

    Args:
        page: The name of a file in docs/benchmarks/results/.
        heading: The heading under which the table is.
        first: What the table's first column is called, which may be nothing.
    """
    text = (RESULTS / page).read_text(encoding="utf-8")
    (part,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    for table in re.findall(r"(?:^\|.*\|\n)+", part, re.M):
        columns, _, *rows = [cells(line) for line in table.splitlines()]
        if columns[0] == first:
            found = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
            if len(found) < len(rows):
                raise ValueError(f"{page}, {heading}: two rows have the same label")
            return found
    raise ValueError(f"{page}, {heading}: no table whose first column is called {first!r}")


def cells(line):
    return [re.sub(r"[*`]", "", cell).strip() for cell in line.strip().strip("|").split("|")]


def numbers(cell):
    """Returns the numbers in a cell, such as a median and its range, or several sittings."""
    found = re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", cell)
    return [float(number.replace(",", "")) for number in found]
