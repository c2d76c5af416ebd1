"""Figures of the numbers in evaluation.json."""

import numpy as np

from keras_vae.datasets.names import short
from keras_vae.plots.canvas import DPI, INK, WIDTH, Figure, printable
from keras_vae.plots.charts import ACCENT, tidy

LINES = {
    "flip_rate": ("flip rate", ACCENT, "-"),
    "identity": ("identity", "#5474a0", "-"),
    "largest_leakage": ("largest leakage", "#777777", "--"),
}
EVALUATION = ("edit_strengths.png", "edit_leakage.png", "disentanglement.png")
MOST = 24  # most attributes shown
COLUMNS = 4


def evaluation(numbers):
    """Returns the figures of an evaluation.

    Args:
        numbers: A result of `keras_vae.runs.report.measure`, or some of its parts.

    Returns:
        A dict of matplotlib `Figure` by file name: ``edit_strengths.png`` and
        ``edit_leakage.png`` if edits were measured (the latter only with more than one
        attribute), ``disentanglement.png`` if disentanglement was measured.

    Example:

    ```python
    codes, names = model.codes(faces.test.images), faces.factor_names[:2]
    scores = evaluate.disentanglement_report(codes, faces.test.factors[:, :2], names)
    figures = plots.evaluation({"disentanglement": scores})
    figures["disentanglement.png"].savefig("disentanglement.png")
    ```
    """
    figures = {}
    edits = numbers.get("edits", {})
    if edits.get("attributes"):
        figures["edit_strengths.png"] = edit_strengths(edits)
        if len({*edits["attributes"], *edits["watched"]}) > 1:
            figures["edit_leakage.png"] = edit_leakage(edits)
    if "factors" in numbers.get("disentanglement", {}):
        figures["disentanglement.png"] = disentanglement(numbers["disentanglement"])
    return figures


def edit_strengths(edits):
    """Returns a figure of the effects of edits by strength, with a panel for each attribute."""
    entries = list(edits["attributes"].items())[:MOST]
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    size = (max(4.0, WIDTH * columns / COLUMNS), 0.9 + 1.75 * rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    drawn = set()  # edits of classes have only a flip rate
    for axes, (name, entry) in zip(panels, entries):
        numbers = entry["methods"][entry["method"]]
        strengths = [point["strength"] for point in numbers["curve"]]
        axes.axvline(numbers["strength"], color="#dddddd", lw=5, zorder=0)
        for key, (_, colour, style) in LINES.items():
            values = [np.nan if point[key] is None else point[key] for point in numbers["curve"]]
            axes.plot(strengths, values, style, color=colour, lw=1.8, marker="o", ms=2.5)
            drawn |= {key} if np.isfinite(values).any() else set()
        axes.set_title(printable(short(name)), loc="left", fontsize=9, color=INK)
        axes.set_ylim(-0.04, 1.04)
        tidy(axes)
    for axes in panels[len(entries) :]:
        axes.axis("off")
    for axes in panels[max(0, len(entries) - columns) : len(entries)]:  # the lowest in its column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("strength a", fontsize=8, color=INK)
    handles = [
        panels[0].plot([], [], style, color=colour, label=label)[0]
        for key, (label, colour, style) in LINES.items()
        if key in drawn
    ]
    place = {"loc": "outside lower center", "ncols": 3 if columns > 2 else 1}
    figure.legend(handles=handles, **place, frameon=False, fontsize=9)
    title = "Effects of edits on test images; grey: the strength chosen on validation images"
    figure.suptitle(
        title if columns > 2 else title.replace("; ", "\n"),
        fontsize=9,
        color=INK,
        x=0.01,
        ha="left",
    )
    return figure


def edit_leakage(edits):
    """Returns a table of the share of verdicts that each edit changes, at its chosen strength."""
    edited = list(edits["attributes"])[:MOST]
    columns = list(dict.fromkeys([*edited, *edits["watched"]]))[:MOST]
    shares = np.full((len(edited), len(columns)), np.nan)
    for i, name in enumerate(edited):
        entry = edits["attributes"][name]
        numbers = entry["methods"][entry["method"]]
        for j, other in enumerate(columns):
            value = numbers["flip_rate"] if other == name else numbers["leakage"].get(other)
            shares[i, j] = np.nan if value is None else value
    side = 0.42
    size = (max(5.0, 1.9 + side * len(columns)), max(2.4, 1.9 + side * len(edited)))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(shares):
        if np.isfinite(value):
            colour = "white" if value > 0.6 else INK
            label = f"{value:.2f}".removeprefix("0")
            axes.text(j, i, label, ha="center", va="center", fontsize=7, color=colour)
    names = [printable(short(name)) for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(edited)), [printable(short(n)) for n in edited], fontsize=8)
    axes.set_ylabel("edited", fontsize=9, color=INK)
    axes.set_xlabel("judged", fontsize=9, color=INK)
    title = "Share of the judge's verdicts changed by edits"
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    return figure


def disentanglement(numbers):
    """Returns a chart of how well all latents, and single latents, predict each true factor."""
    factors = sorted(numbers["factors"], key=lambda factor: -factor["informativeness"])
    figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    factors.sort(key=lambda factor: factor["kind"] == "boolean")  # last: they have another scale
    places, width = np.arange(len(factors)), 0.28
    for index, (key, label, colour) in enumerate(
        (
            (
                "informativeness",
                "informativeness of all latents: R² (* balanced accuracy)",
                "#9aa5b1",
            ),
            ("mig", "mutual information gap (MIG)", ACCENT),
            ("sap", "separated attribute predictability (SAP)", "#5474a0"),
        )
    ):
        values = [np.nan if f[key] is None else f[key] for f in factors]
        axes.bar(places + (index - 1) * width, values, width, color=colour, label=label)
    names = [f["name"] + ("*" if f["kind"] == "boolean" else "") for f in factors]
    axes.set_xticks(places, names, rotation=45, ha="right", fontsize=7)
    axes.set_title("Disentanglement of the true factors", loc="left", fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    return figure
