"""Figures of data that are no images: columns, pairs of columns, signals and volumes."""

import numpy as np

from keras_vae.datasets.names import short
from keras_vae.plots.canvas import DPI, INK, WIDTH, Figure, printable
from keras_vae.plots.charts import ACCENT, tidy

GREY = "#7c8794"
MOST_COLUMNS = 40  # in `columns`
MOST_PAIRED = 5
POINTS = 1000  # in each panel of `pairs`


def columns(scores):
    """Returns a chart of how well each column is reconstructed, the best first.

    Args:
        scores: The list of `keras_vae.runs.values.scores_of_columns`: for each column a dict with
            ``column``, its name; ``r2``, the share of the variance that is explained, None of a
            category; and ``error`` and ``usual_error``.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    plots.columns([{"column": "height", "r2": 0.8, "error": 3.0, "usual_error": 6.7}])
    ```
    """
    shares = []
    for score in scores:
        share = score["r2"]
        if share is None and score["usual_error"] > 0:  # a category
            share = 1 - score["error"] / score["usual_error"]
        if share is not None and np.isfinite(share):
            shares.append((share, score["column"], score["r2"] is None))
    shares = sorted(shares, reverse=True)
    shown = shares[: MOST_COLUMNS // 2] + shares[-(MOST_COLUMNS // 2) :]
    shown = shares if len(shares) <= MOST_COLUMNS else shown
    size = (WIDTH, 0.9 + 0.2 * max(len(shown), 1))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))
    colours = [GREY if is_category else ACCENT for _, _, is_category in shown]
    axes.barh(places, [max(share, 0) for share, _, _ in shown], height=0.7, color=colours)
    for place, (share, _, _) in zip(places, shown):
        axes.text(max(share, 0) + 0.01, place, f"{share:.2f}", va="center", fontsize=7, color=INK)
    axes.set_yticks(places, [printable(short(name)) for _, name, _ in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    title = "Share of the variance that reconstructions of the test data explain (R²)"
    if any(is_category for _, _, is_category in shown):
        title += "; grey: share of the errors avoided"
    if len(shown) < len(shares):
        title += f"\nThe best and the worst {MOST_COLUMNS // 2} of {len(shares):,} columns"
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    tidy(axes)
    axes.grid(False)
    return figure


def pairs(names, real, new):
    """Returns real against new rows, for each pair of the first five columns.

    Args:
        names: Names of the columns.
        real: A list of columns ``(n,)``, NaN where missing.
        new: The same columns of new rows.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    rng = np.random.default_rng(0)
    real, new = rng.normal(170, 10, (2, 200)), rng.normal(169, 9, (2, 200))
    plots.pairs(["height", "weight"], list(real), list(new))
    ```
    """
    count = min(len(names), MOST_PAIRED)
    figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, layout="constrained")
    grid = figure.subplots(count, count, squeeze=False)
    title = "Pairs of columns: test rows (grey) and new rows (orange)"
    if count < len(names):
        title += f"; the first {count} of {len(names):,} columns"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=INK)
    shown = min(POINTS, len(real[0]), len(new[0]))  # as many of each, so that none hides the other
    kinds = ((real, GREY), (new, ACCENT))
    for i in range(count):
        known = real[i][~np.isnan(real[i])]
        limits = np.percentile(known, (0.5, 99.5)) if len(known) else (0, 1)
        room = 0.15 * max(limits[1] - limits[0], 1e-12)
        limits = limits[0] - room, limits[1] + room
        for j in range(count):
            axes = grid[i, j]
            if j > i:
                axes.axis("off")
                continue
            for columns_of, colour in kinds:
                y = columns_of[i][:shown]
                if i == j:
                    y = columns_of[i]
                    edges = np.linspace(*limits, 31)
                    y = y[(y >= limits[0]) & (y <= limits[1])]  # NaN is not
                    if len(y):
                        axes.hist(y, edges, density=True, color=colour, alpha=0.55)
                else:
                    axes.scatter(
                        columns_of[j][:shown], y, s=4, color=colour, alpha=0.5, linewidths=0
                    )
            if i == j:
                axes.set_yticks([])
                axes.set_xlim(*limits)
            else:
                axes.set_ylim(*limits)
                axes.set_xlim(*grid[j, j].get_xlim())
            if i == count - 1:
                axes.set_xlabel(printable(short(names[j])), fontsize=8, color=INK)
            if j == 0:
                axes.set_ylabel(printable(short(names[i])), fontsize=8, color=INK)
            tidy(axes)
            axes.tick_params(labelsize=6)
    return figure


def arrays(x, reconstructions, title):
    """Returns a figure of up to twelve signals, as curves, or of volumes, as slices.

    Args:
        x: ``(n, time, channels)``, or ``(n, ..., channels)`` with two or more sides.
        reconstructions: The same shape, drawn beside `x`; or None.
        title: The title of the figure.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    signals = np.sin(np.linspace(0, 6, 50) + np.arange(4)[:, None])[..., None]  # (4, 50, 1)
    plots.arrays(signals, 0.9 * signals, "Signals and their reconstructions")
    ```
    """
    draw = curves if x.ndim == 3 else slices
    return draw(x[:12], None if reconstructions is None else reconstructions[:12], title)


def curves(x, reconstructions, title):
    """Returns a figure of signals ``(n, time, channels)``; of the first three channels."""
    across = 3
    figure = Figure(
        figsize=(WIDTH, 0.5 + 1.25 * -(-len(x) // across)), dpi=DPI, layout="constrained"
    )
    panels = figure.subplots(-(-len(x) // across), across, squeeze=False, sharex=True, sharey=True)
    if reconstructions is not None:
        title += ": grey, the signal; orange, its reconstruction"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=INK)
    for axes in panels.flat[len(x) :]:
        axes.axis("off")
    for index, axes in zip(range(len(x)), panels.flat):
        for channel in range(min(3, x.shape[-1])):
            colour = GREY if reconstructions is not None else ACCENT
            axes.plot(x[index, :, channel], color=colour, lw=1.6 if colour == GREY else 1.0)
            if reconstructions is not None:
                axes.plot(reconstructions[index, :, channel], color=ACCENT, lw=0.9)
        tidy(axes)
        axes.tick_params(labelsize=6)
    return figure


def slices(x, reconstructions, title):
    """Returns a figure of the middle slices of volumes; of their first channel."""
    rows = [x] if reconstructions is None else [x, reconstructions]
    sides = x.ndim - 2
    picture = [part[..., 0] for part in rows]
    while picture[0].ndim > 3:  # the middle along the first sides
        picture = [part[:, part.shape[1] // 2] for part in picture]
    low, high = np.nanpercentile(picture[0], (0.5, 99.5))
    across = min(6, len(x))
    bands = -(-len(x) // across)
    figure = Figure(
        figsize=(WIDTH, 0.5 + WIDTH / across * bands * len(rows)), dpi=DPI, layout="constrained"
    )
    panels = figure.subplots(bands * len(rows), across, squeeze=False)
    if sides > 2:
        title += ", the middle slice"
    if reconstructions is not None:
        title += "; each below its original"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=INK)
    for axes in panels.flat:
        axes.axis("off")
    for index in range(len(x)):
        for row, part in enumerate(picture):
            axes = panels[index // across * len(rows) + row, index % across]
            axes.imshow(part[index], vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    return figure
