"""The map of the latent space, and conversion between its pixels, points and codes."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageDraw

from keras_vae import plots

RING = 11  # pixels


class SpaceMap:
    """A map of the codes of the test images, drawn once.

    Args:
        examples: `keras_vae.runs.examples.Examples`.
        noun: What the items are called.

    Attributes:
        picture: uint8 ``(height, width, 3)``.
        points: The codes in the plane, ``(n, 2)``.

    Example:

    ```python
    space_map = SpaceMap(runs.load().examples)
    code = space_map.code(space_map.point(x=300, y=200))
    ```
    """

    def __init__(self, examples, noun="images"):
        self.origin, self.axes, self.names = plots.plane(examples.codes)
        self.points = self.place(examples.codes)
        figure = plots.latent_map(
            examples.codes, examples.colours, examples.colour_names, examples.title, noun
        )
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        self.picture = np.array(canvas.buffer_rgba())[..., :3]
        axes = figure.axes[0]
        self.limits = np.transpose([axes.get_xlim(), axes.get_ylim()])
        self.to_pixels = axes.transData.frozen()

    def point(self, x, y):
        """Returns the point of the plane at a pixel of the picture, clipped to the map."""
        height, width = self.picture.shape[:2]
        pixel = np.clip(x, 0, width), height - np.clip(y, 0, height)
        return np.clip(self.to_pixels.inverted().transform(pixel), *self.limits)

    def place(self, code):
        """Returns the point of a code."""
        return (code - self.origin) @ self.axes

    def code(self, point):
        """Returns the code of a point; directions outside the plane stay at their mean."""
        return (self.origin + self.axes @ point).astype("float32")

    def nearest(self, point, among=None):
        """Returns the index of the test image nearest to a point on the map.

        Args:
            point: In the plane.
            among: How many of the first images to look at; None is all.
        """
        return int(np.argmin(np.sum((self.points[:among] - point) ** 2, axis=1)))

    def marked(self, point):
        """Returns the picture with a ring around a point."""
        x, y = self.to_pixels.transform(point)
        y = len(self.picture) - y
        picture = Image.fromarray(self.picture)
        draw = ImageDraw.Draw(picture)
        for radius, colour, width in ((RING + 2, "white", 7), (RING, "black", 3)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), None, colour, width)
        return np.asarray(picture)
