"""White shapes on black, painted with NumPy: a data set to measure disentanglement on.

It is made like dSprites (Matthey et al. 2017, https://github.com/google-deepmind/dsprites-dataset),
on which most published scores of disentanglement are measured: a square, an ellipse or a heart,
which varies in size, orientation and position, each independently of the others. It has the same
grid of 737,280 combinations of `FACTORS`, but its pixels are not those of dSprites, so compare
scores only with scores of these sprites. `paint` turns any factors into pictures, `grid_factors`
returns those of the grid, and `draw` draws from it.

Two things differ from dSprites on purpose. All shapes have the same area at the same scale. And the
40 orientations end before 2 pi, which would repeat 0.

The same factors produce the same bytes on every machine. For this painting uses only +, -, *, / and
comparisons of numbers that were rounded first, and random rows come from the raw bits of a
generator, the only random numbers that NumPy guarantees never to change.
"""

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.datasets.dataset import Split
from keras_vae.datasets.source import Source, in_parallel

__all__ = [
    "COUNT",
    "FACTORS",
    "GRID",
    "SHAPES",
    "SIZE",
    "draw",
    "draw_factors",
    "grid_factors",
    "paint",
]

SIZE = 64
DEVELOPMENT_SIZE, TEST_SIZE = 42_000, 4_200  # multiples of the number of shapes
DRAWN = 60_000  # rows that the data set is chosen from: enough different squares
VERSION = 1  # increase it when the pixels change, so that caches are rebuilt

SHAPES = ("square", "ellipse", "heart")
# The values of each factor on the grid. Between them, every value from the first to the last is
# possible, except for the shape; every orientation is.
VALUES = {
    "shape": np.arange(3),  # an index of SHAPES
    "scale": np.linspace(0.5, 1, 6),
    "orientation": np.arange(40) * (2 * np.pi / 40),  # radians, clockwise
    "x": np.linspace(0, 1, 32),  # from left to right
    "y": np.linspace(0, 1, 32),  # from top to bottom
}
FACTORS = tuple(VALUES)
GRID = tuple(map(len, VALUES.values()))
COUNT = int(np.prod(GRID))  # 737,280
TURNS = np.array([10, 20, 40])  # steps of orientation after which each shape looks the same

# In pixels. A step of x or y on the grid moves a sprite by exactly one pixel.
FIRST, LAST = 16, 47  # the column or row of pixels that the centre is in, of 0..63
HALF_SIDE = 9.2  # of the square of scale 1
REACH = 13  # from the pixel of the centre to the farthest one that a sprite covers

# In units of half a side of the square, whose area is then 4. So is that of the others.
ELLIPSE = np.sqrt(4 / np.pi) * np.array([np.sqrt(1.5), np.sqrt(1 / 1.5)])  # half-axes, 3 to 2
# The heart is a square that stands on a corner, with half a disc on each of its two upper sides.
LOBE = np.sqrt(4 / (4 + np.pi))  # radius of the discs, half a side of that square
CENTROID = (np.pi / 2 + 2 / 3) / (4 + np.pi)  # from its middle towards the discs, in radii
STEPS = 2**16  # sizes, sines and cosines are rounded to multiples of 1 / STEPS


def source():
    """Returns the `Source` of the sprites: `DEVELOPMENT_SIZE`, and `TEST_SIZE` for testing."""
    factors = grid_factors(rows_of_the_set())

    def decode(rows):
        return zip(rows, ({"images": image} for image in paint(factors[rows])))

    return Source(
        "sprites",
        place={"sprites": True},
        content=VERSION,
        image_shape=(SIZE, SIZE, 1),
        parts=np.repeat(["", "test"], [DEVELOPMENT_SIZE, TEST_SIZE]),
        decode=lambda rows: in_parallel(decode, rows),
        columns={"factors": factors, "labels": labels(factors)},
        label_names=SHAPES,
        factor_names=FACTORS,
    )


def rows_of_the_set():
    """Returns the rows of the grid that are the data set: of each shape equally many, in turn.

    No two are the same picture, as a square and its quarter turn would be.
    """
    rows = random_rows(DRAWN, seed=1)
    shape, scale, orientation, x, y = np.unravel_index(rows, GRID)
    pictures = np.ravel_multi_index((shape, scale, orientation % TURNS[shape], x, y), GRID)
    first = np.sort(np.unique(pictures, return_index=True)[1])  # of each picture
    each = (DEVELOPMENT_SIZE + TEST_SIZE) // len(SHAPES)
    by_shape = [rows[first][shape[first] == i][:each] for i in range(len(SHAPES))]
    return np.stack(by_shape, axis=1).ravel()


def random_rows(n, seed):
    """Returns random rows of the grid, some of them maybe repeatedly."""
    return (np.random.PCG64(seed).random_raw(n) % COUNT).astype("int64")


def draw(n, seed):
    """Returns any number of sprites, drawn from the whole grid.

    Some may be in the data set too, and most of those with the seed 1 are.

    Args:
        n: Number of sprites.
        seed: A non-negative integer; the same seed always gives the same sprites.

    Returns:
        A `Split`: uint8 images ``(n, 64, 64, 1)``, labels, which are indices of `SHAPES`, and a
        column for each of `FACTORS`.

    Raises:
        ValueError: If `n` is not a positive or `seed` not a non-negative integer.

    Example:

    ```python
    keras_vae.datasets.sprites.draw(16, seed=3).images
    ```
    """
    factors = draw_factors(n, seed)
    images = np.stack(list(in_parallel(paint, factors)))
    return Split(images, labels=labels(factors), factors=factors)


def draw_factors(n, seed):
    """Returns the factors of `n` random rows of the grid. Row i of a seed does not depend on `n`.

    Args:
        n: Number of sprites.
        seed: A non-negative integer.

    Returns:
        float32 ``(n, len(FACTORS))``, see `grid_factors`.

    Raises:
        ValueError: If `n` is not a positive or `seed` not a non-negative integer.

    Example:

    ```python
    factors = keras_vae.datasets.sprites.draw_factors(16, seed=0)
    factors[:, keras_vae.datasets.sprites.FACTORS.index("scale")]  # from 0.5 to 1
    ```
    """
    check_integer("n", n, 1)
    check_integer("seed", seed, 0)
    return grid_factors(random_rows(n, seed))


def grid_factors(rows):
    """Returns the factors of some rows of the grid, which are numbered like those of dSprites.

    Args:
        rows: Integers from 0 to `COUNT` - 1, ``(n,)``. From one row to the next y changes first,
            then x, orientation, scale and shape.

    Returns:
        float32 ``(n, len(FACTORS))``, a column for each of `FACTORS`: ``shape``, an index of
        `SHAPES`; ``scale``, 0.5 to 1; ``orientation`` in radians, clockwise, from 0 to less than
        2 pi; ``x`` and ``y``, 0 to 1.

    Raises:
        ValueError: If `rows` are not such integers.

    Example:

    ```python
    sprites = keras_vae.datasets.sprites
    rows = np.arange(sprites.COUNT).reshape(sprites.GRID)[2, 5, :, 16, 16]
    images = sprites.paint(sprites.grid_factors(rows))  # a large heart turns in the middle
    ```
    """
    rows = np.asarray(rows)
    good = rows.ndim == 1 and rows.dtype.kind in "iu"
    if not (good and ((rows >= 0) & (rows < COUNT)).all()):
        raise ValueError(
            f"Argument `rows` must be integers from 0 to {COUNT - 1}, (n,). Received: rows={rows!r}"
        )
    columns = zip(VALUES.values(), np.unravel_index(rows, GRID))
    return np.stack([values[index] for values, index in columns], axis=1).astype("float32")


def labels(factors):
    """Returns the shape of each sprite as an integer."""
    return factors[:, FACTORS.index("shape")].astype("int64")


def paint(factors):
    """Returns pictures of the sprites with these factors; batches of some dozens are fastest.

    A pixel is white if its centre lies in the shape. Sprites are never cut off by the border.

    Args:
        factors: A table ``(n, len(FACTORS))``, see `grid_factors`. Values between those of the
            grid are possible too, except for the shape, and so is every orientation.

    Returns:
        uint8 images ``(n, SIZE, SIZE, 1)``, 0 or 255.

    Raises:
        ValueError: If `factors` is not such a table.

    Example:

    ```python
    factors = keras_vae.datasets.sprites.draw_factors(16, seed=0)
    factors[:, keras_vae.datasets.sprites.FACTORS.index("shape")] = 2
    images = keras_vae.datasets.sprites.paint(factors)  # all of them hearts
    ```
    """
    shape, scale, orientation, *centre = check_factors(factors).astype("float64").T
    # A window of pixels around the centre, and the distances of its columns and rows to the centre.
    window = np.arange(-REACH, REACH + 1)
    centre = [rounded(FIRST + (LAST - FIRST) * position) for position in centre]
    columns, rows = (np.round(position).astype(int)[:, None] + window for position in centre)
    dx = (columns - centre[0][:, None])[:, None, :]
    dy = (rows - centre[1][:, None])[:, :, None]

    # Coordinates turn and grow with the sprite: u to its right, v down.
    half = rounded(HALF_SIDE * scale).reshape(-1, 1, 1)
    cosine, sine = (rounded(f(orientation)).reshape(-1, 1, 1) for f in (np.cos, np.sin))
    u, v = (dx * cosine + dy * sine) / half, (dy * cosine - dx * sine) / half

    inside = np.empty(u.shape, bool)
    for i, is_inside in enumerate((in_square, in_ellipse, in_heart)):
        inside[shape == i] = is_inside(u[shape == i], v[shape == i])
    images = np.zeros((len(shape), SIZE, SIZE, 1), "uint8")
    images[np.arange(len(shape))[:, None, None], rows[:, :, None], columns[:, None, :], 0] = (
        inside * np.uint8(255)
    )
    return images


def in_square(u, v):
    return (abs(u) <= 1) & (abs(v) <= 1)


def in_ellipse(u, v):
    u, v = u / ELLIPSE[0], v / ELLIPSE[1]
    return u * u + v * v <= 1


def in_heart(u, v):
    # Towards its upper right and its upper left side, from the middle of the square.
    p, q = ((side - v) / (np.sqrt(2) * LOBE) + CENTROID for side in (u, -u))
    square = (abs(p) <= 1) & (abs(q) <= 1)
    return square | (p * p + (q - 1) * (q - 1) <= 1) | ((p - 1) * (p - 1) + q * q <= 1)


def rounded(values):
    """Returns multiples of 1 / STEPS: cosines, say, differ between machines in the last digit."""
    return np.round(values * STEPS) / STEPS


def check_factors(factors):
    """Returns a table of factors as float32, or raises `ValueError`."""
    factors = np.asarray(factors)
    good = factors.ndim == 2 and factors.shape[1] == len(FACTORS) and factors.dtype.kind in "fiu"
    if not (good and np.isfinite(factors).all()):
        raise ValueError(
            f"Argument `factors` must be a table of finite numbers (n, {len(FACTORS)}). "
            f"Received: an array of {factors.dtype} with shape {factors.shape}"
        )
    factors = factors.astype("float32")
    shape, scale, _, x, y = factors.T
    possible = {
        "shape": np.isin(shape, VALUES["shape"]),
        "scale": (scale >= 0.5) & (scale <= 1),
        "x": (x >= 0) & (x <= 1),
        "y": (y >= 0) & (y <= 1),
    }
    for name, good in possible.items():
        if not good.all():
            raise ValueError(
                "Argument `factors` must have a shape of 0, 1 or 2, a scale from 0.5 to 1, and x "
                f"and y from 0 to 1. Received: {name}={factors[~good][0, FACTORS.index(name)]:g}"
            )
    return factors
