"""Charts of one column of rows, for benchmarks/plots.py: marks, their values and what they mean."""

from matplotlib.figure import Figure

INK, GREY, ORANGE, BLUE = "#333333", "#777777", "#c2410c", "#5474a0"

# Sizes are in pixels of a browser, 96 in an inch; matplotlib wants some of them in points.
WIDTH, ROW = 720, 25
TOP, BOTTOM, VALUES = 42, 56, 76  # the legend, the axis, and the values on the right
POINT = 72 / 96
STYLE = {
    "svg.fonttype": "none",  # text stays text: small files, and readers can search and copy it
    "svg.hashsalt": "keras_vae",  # ids are the same in each run
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 14 * POINT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
}
LINE = {"color": GREY, "lw": 1.5}  # of a value to compare with


def chart(groups, limits, label, left=250, right=VALUES, scale="linear"):
    """Returns the axes of a new figure with a row for each label, and the heights of the rows.

    Args:
        groups: Labels of rows by the title of their group; an empty title takes no room.
        limits: Of the horizontal axis.
        label: Of the horizontal axis.
        left: Width of the labels.
        right: Width of the margin on the right.
        scale: Of the horizontal axis.
    """
    heights, titles, y = [], {}, 0
    for title, labels in groups.items():
        if title:
            titles[y] = title
            y += 1
        heights += range(y, y + len(labels))
        y += len(labels)
    tall = TOP + ROW * y + BOTTOM
    figure = Figure(figsize=(WIDTH / 96, tall / 96), dpi=96)
    # Placed by hand, since a layout that measures text differs between versions of matplotlib.
    box = (left / WIDTH, BOTTOM / tall, (WIDTH - left - right) / WIDTH, ROW * y / tall)
    axes = figure.add_axes(box, xscale=scale, xlim=limits, ylim=(y - 0.5, -0.5))
    axes.set_xlabel(label)
    axes.set_yticks(heights, [label for labels in groups.values() for label in labels])
    axes.tick_params(colors=INK, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25, lw=0.8)
    axes.set_axisbelow(True)
    for y, title in titles.items():
        figure.text(12 / WIDTH, 1 - (TOP + ROW * (y + 0.65)) / tall, title, weight="bold")
    return axes, heights


def dot(colour, **changes):
    return {"marker": "o", "ms": 7, "ls": "", "color": colour} | changes


def point(axes, x, y, colour=ORANGE, low=None, high=None, **changes):
    """Draws a point, and a line from `low` to `high`."""
    if low is not None:
        axes.plot([low, high], [y, y], color=colour, lw=2, alpha=0.6, solid_capstyle="butt")
    axes.plot(x, y, **dot(colour, **changes))


def value(axes, y, text):
    """Writes a value to the right of the axes, at the height of its row."""
    axes.annotate(
        text.replace("-", "−"),
        (1, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(64 * POINT, 0),
        textcoords="offset points",
        ha="right",
        va="center_baseline",
    )


def legend(axes, **entries):
    """Writes above the axes what marks mean, and returns the figure: keywords of `plot` by text."""
    handles = [axes.plot([], [], label=label, **mark)[0] for label, mark in entries.items()]
    place = {"loc": "upper right", "bbox_to_anchor": (1 - 8 / WIDTH, 1), "borderaxespad": 0.6}
    look = {"frameon": False, "handletextpad": 0.4}
    axes.figure.legend(handles=handles, **place, ncols=len(entries), **look)
    return axes.figure
