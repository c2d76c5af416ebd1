"""Formats the results of benchmarks/speed.py as text."""

BASE = ("backend", "case", "precision")

# Heading, format, whether higher is better (None: not rated), key of a row.
COLUMNS = (
    ("fit", "{:,.0f}", True, "images_per_second"),
    ("by hand", "{:,.0f}", None, "by_hand_images_per_second"),
    ("ratio", "{:.2f}", True, "ratio"),
    ("of peak", "{:.0%}", True, "share_of_peak"),
    ("compile", "{:.1f} s", False, "compile_seconds"),
    ("1st step", "{:.1f} s", False, "first_step_seconds"),
    ("from start", "{:.1f} s", False, "process_to_first_step_seconds"),
    ("memory", "{:,.0f} MB", False, "peak_megabytes"),
    ("GPU memory", "{:,.0f} MB", False, "device_peak_megabytes"),
    ("enc 1", "{:.2f} ms", False, "encode_1_ms"),
    ("enc 64", "{:.2f} ms", False, "encode_64_ms"),
    ("dec 1", "{:.2f} ms", False, "decode_1_ms"),
    ("dec 64", "{:.2f} ms", False, "decode_64_ms"),
)
STEP = ("step_microseconds", "by_hand_step_microseconds")


def line(row):
    """Returns a summary of one row, to be printed while the others are measured."""
    return (
        f"{label(row)}: {row['images_per_second']:,.0f} images/s, by hand "
        f"{row['by_hand_images_per_second']:,.0f} ({row['by_hand']}), ratio {row['ratio']:.2f}"
    )


def table(result):
    """Returns the tables of all rows and of the empty steps of a result."""
    rows = result["rows"]
    columns = [one for one in COLUMNS if any(row.get(one[3]) is not None for row in rows)]
    cells = [["", *(heading for heading, *_ in columns), "ratios", "by hand with"]]
    for row in rows:
        numbers = [written(form, row.get(name)) for _, form, _, name in columns]
        span = f"{row['ratios'][0]:.2f}-{row['ratios'][-1]:.2f}"
        cells.append([label(row), *numbers, span, row["by_hand"]])
    steps = [["empty step", "fit", "by hand"]]
    for row in result["empty_steps"]:
        steps.append([row["backend"], *(written("{:,.0f} µs", row[name]) for name in STEP)])
    return aligned(cells) + "\n\n" + aligned(steps)


def changes(before, after):
    """Returns the changes between two results, for the rows in both."""
    earlier = {tuple(row[name] for name in BASE): row for row in before["rows"]}
    cells = [["before -> after", *(heading for heading, *_ in COLUMNS)]]
    for row in after["rows"]:
        old = earlier.get(tuple(row[name] for name in BASE))
        if old:
            cells.append([label(row), *(change(old, row, column) for column in COLUMNS)])
    if all(old_or_new == "-" for row in cells[1:] for old_or_new in row[9:10]):  # no GPU
        cells = [row[:9] + row[10:] for row in cells]
    earlier = {row["backend"]: row for row in before["empty_steps"]}
    steps = [["empty step", "fit", "by hand"]]
    for row in after["empty_steps"]:
        if row["backend"] in earlier:
            old = earlier[row["backend"]]
            columns = [("", "{:,.0f} µs", False, name) for name in STEP]
            steps.append([row["backend"], *(change(old, row, one) for one in columns)])
    text = aligned(cells) + "\n\n" + aligned(steps)
    if before["settings"] != after["settings"]:
        text += "\n\nThe settings of the two measurements differ: compare with care."
    return text


def change(old, new, column):
    """Returns both numbers of a column, marked + or ! if they differ by more than a tenth."""
    _, form, more_is_better, name = column
    old, new = old.get(name), new.get(name)
    if old is None or new is None:
        return "-"
    text = f"{written(form, old)} -> {written(form, new)}"
    if more_is_better is None or old <= 0 or new <= 0 or 1 / 1.1 < new / old < 1.1:
        return text
    return text + (" +" if (new > old) == more_is_better else " !")


def label(row):
    precision = "" if row["precision"] == "float32" else f" {row['precision']}"
    return f"{row['backend']} {row['case']}{precision}"


def written(form, number):
    return "-" if number is None else form.format(number)


def aligned(rows):
    """Returns rows of cells as text; the first column is left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )
