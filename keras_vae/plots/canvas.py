"""Grids of images, and figures filled by a grid."""

import io

import matplotlib.figure
import numpy as np

DPI = 150
INK = "#333333"
WIDTH = 8.0  # inches, of every figure of images
TALLEST = 300  # inches; matplotlib draws at most 2**16 pixels


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook displays even if pyplot has not been imported."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def grid(images, columns, gap=2, wide_rows=(), wide_columns=()):
    """Returns a picture of images in rows on white.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1], with 1 or 3
            channels.
        columns: Images in a row.
        gap: Pixels between two images.
        wide_rows: Numbers of the rows, counted from 0, before which the gap is three times as
            large.
        wide_columns: The same for columns.

    Returns:
        A NumPy array ``(height, width, 3)`` of the same type.

    Example:

    ```python
    picture = plots.grid(np.zeros((6, 10, 10, 3), "uint8"), columns=3)  # (22, 34, 3)
    Image.fromarray(picture).save("grid.png")
    ```
    """
    images = np.asarray(images)
    images = np.broadcast_to(images, (*images.shape[:3], 3))
    n, height, width, _ = images.shape
    tops = starts(-(-n // columns), height, gap, wide_rows)
    lefts = starts(columns, width, gap, wide_columns)
    shape = (tops[-1] + height, lefts[-1] + width, 3)
    picture = np.full(shape, 255 if images.dtype == np.uint8 else 1, images.dtype)
    for index, image in enumerate(images):
        top, left = tops[index // columns], lefts[index % columns]
        picture[top : top + height, left : left + width] = image
    return picture


def starts(count, size, gap, wide=()):
    """Returns the first pixel of each row, or column, of a grid."""
    extra = np.cumsum([2 * gap * (index in wide) for index in range(count)])
    return (np.arange(count) * (size + gap) + extra).astype(int)


def canvas(picture, title, columns=(), rows=()):
    """Returns a figure filled by a picture, with a title above it.

    Args:
        picture: ``(height, width, 3)``, pixels in [0, 1].
        title: One line of text.
        columns: Pairs of pixel and text, written above the picture, centred on the pixel.
        rows: Pairs of pixel and text (of one or more lines), written to the left of the picture,
            rotated by 90 degrees and centred on the pixel.

    Returns:
        A matplotlib `Figure`.
    """
    lines = max((text.count("\n") + 1 for _, text in rows), default=0)
    side, head = 0.12 * (lines + bool(lines)), 0.32 + 0.18 * bool(columns)
    inches = min((WIDTH - side) * picture.shape[0] / picture.shape[1], TALLEST)
    figure = Figure(figsize=(WIDTH, inches + head), dpi=DPI)
    axes = figure.add_axes((side / WIDTH, 0, 1 - side / WIDTH, inches / (inches + head)))
    small = picture.shape[1] < WIDTH * DPI  # enlarged pixels stay crisp
    axes.imshow(picture, interpolation="nearest" if small else "antialiased", vmin=0, vmax=1)
    axes.axis("off")
    style = {"textcoords": "offset points", "color": INK, "annotation_clip": False}
    for x, text in columns:
        place = {"xytext": (0, 3), "ha": "center", "va": "bottom", "fontsize": 8}
        axes.annotate(printable(text), (x, -0.5), **place, **style)
    for y, text in rows:
        place = {"xytext": (-4, 0), "ha": "right", "va": "center", "rotation": 90, "fontsize": 7}
        place["multialignment"] = "center"
        axes.annotate(printable(text), (-0.5, y), **place, **style)
    figure.text(0, 1 - 0.07 / (inches + head), printable(title), va="top", fontsize=9, color=INK)
    return figure


def printable(name):
    """Returns text that matplotlib can draw and does not parse as a formula."""
    return name.encode(errors="replace").decode().replace("$", r"\$")
