"""Cartoon faces in colour, drawn with NumPy: a data set that needs no download.

A face is determined by the scalar `FACTORS`: `draw_factors` draws a table of them, `paint` turns
its rows into pictures, and `attributes` derives boolean attributes from them. The factors are
independent of each other, with one exception: most smiling faces wear glasses, and most others do
not.

The same seed produces the same bytes on every machine. For this the table is made from the raw
bits of a generator, the only random numbers that NumPy guarantees never to change.
"""

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.datasets import face_painting
from keras_vae.datasets.dataset import Split
from keras_vae.datasets.source import Source, in_parallel

__all__ = ["ATTRIBUTES", "FACTORS", "SIZE", "attributes", "draw", "draw_factors", "paint"]

SIZE = face_painting.SIZE
DEVELOPMENT_SIZE, TEST_SIZE = 12_000, 2_000
VERSION = 1  # increase it when the pixels change, so that caches are rebuilt
STEPS = 4096  # factors are multiples of 1 / STEPS

# The range of each factor, which is uniform. A factor that an attribute depends on has a gap
# around the threshold: two ranges, and the share of faces in the second.
RANGES = {
    "smile": ((-1, -0.5), (0.5, 1), 0.5),  # from sad to laughing
    "mouth_opening": ((0, 0), (0.5, 1), 0.5),
    "eyeglasses": ((0, 0), (1, 1), 0.5),
    "glasses_shape": (0, 1),  # from round to rectangular
    "glasses_tone": (0, 1),
    "beard": ((0, 0), (0.5, 1), 0.4),
    "hair_length": ((0, 0.4), (0.65, 1), 0.5),
    "hair_volume": (0, 1),
    "hair_waves": ((0, 0), (0.5, 1), 0.4),
    "fringe": (0, 1),  # from a high forehead to hair down to the brows
    "parting": (-1, 1),
    "hair_tone": ((0, 0.6), (0.8, 1), 0.4),  # from black to blond
    "skin_tone": ((0, 0.45), (0.6, 1), 0.4),  # from light to dark
    "eye_tone": (0, 1),
    "eye_size": (0, 1),
    "gaze_x": (-1, 1),
    "gaze_y": (-1, 1),
    "brow_height": (0, 1),
    "brow_slant": (-1, 1),
    "brow_thickness": ((0, 0.4), (0.7, 1), 0.4),
    "head_width": (0, 1),
    "jaw": (0, 1),  # from narrow to square
    "head_x": (-1, 1),
    "head_y": (-1, 1),
    "tilt": (-1, 1),
    "light": (-1, 1),  # from the left or from the right
    "background_hue": (0, 1),
    "clothes_hue": (0, 1),
}
FACTORS = tuple(RANGES)

# For each attribute its factor, and the threshold above which a face has the attribute.
THRESHOLDS = {
    "smiling": ("smile", 0),
    "eyeglasses": ("eyeglasses", 0.5),
    "beard": ("beard", 0.25),
    "long_hair": ("hair_length", 0.5),
    "blond_hair": ("hair_tone", 0.7),
    "mouth_open": ("mouth_opening", 0.2),
    "wavy_hair": ("hair_waves", 0.25),
    "thick_brows": ("brow_thickness", 0.55),
    "dark_skin": ("skin_tone", 0.525),
}
ATTRIBUTES = tuple(THRESHOLDS)
GLASSES_IF_SMILING, GLASSES_OTHERWISE = 0.75, 0.25


def source(correlated=True):
    """Returns the `Source` of the faces: `DEVELOPMENT_SIZE`, and `TEST_SIZE` for testing."""
    if not isinstance(correlated, bool):
        raise ValueError(
            f"Argument `correlated` must be True or False. Received: correlated={correlated!r}"
        )
    factors = np.concatenate(
        [
            draw_factors(DEVELOPMENT_SIZE, seed=1, correlated=correlated),
            draw_factors(TEST_SIZE, seed=2, correlated=correlated),
        ]
    )

    def decode(rows):
        return zip(rows, ({"images": image} for image in paint(factors[rows])))

    return Source(
        "faces",
        place={"faces": correlated},
        content=VERSION,
        image_shape=(SIZE, SIZE, 3),
        parts=np.repeat(["", "test"], [DEVELOPMENT_SIZE, TEST_SIZE]),
        decode=lambda rows: in_parallel(decode, rows),
        columns={"factors": factors, "attributes": attributes(factors)},
        attribute_names=ATTRIBUTES,
        factor_names=FACTORS,
    )


def draw(n, seed, correlated=True):
    """Returns any number of new faces. The data set itself has the seeds 1 and 2.

    Args:
        n: Number of faces.
        seed: A non-negative integer; the same seed always gives the same faces.
        correlated: Whether glasses and smile are correlated, see `draw_factors`.

    Returns:
        A `Split`: uint8 images ``(n, 64, 64, 3)``, and columns for `ATTRIBUTES` and `FACTORS`.

    Raises:
        ValueError: If `n` is not a positive or `seed` not a non-negative integer.

    Example:

    ```python
    keras_vae.datasets.faces.draw(16, seed=3, correlated=False).images
    ```
    """
    factors = draw_factors(n, seed, correlated)
    images = np.stack(list(in_parallel(paint, factors)))
    return Split(images, attributes=attributes(factors), factors=factors)


def draw_factors(n, seed, correlated=True):
    """Returns the factors of `n` faces. Face i of a seed does not depend on `n`.

    Args:
        n: Number of faces.
        seed: A non-negative integer.
        correlated: Whether 3 of 4 smiling faces and 1 of 4 others wear glasses. If False, half
            of the faces wear glasses, independently of the smile.

    Returns:
        float32 ``(n, len(FACTORS))``, a column for each of `FACTORS`.

    Raises:
        ValueError: If `n` is not a positive or `seed` not a non-negative integer.

    Example:

    ```python
    factors = keras_vae.datasets.faces.draw_factors(16, seed=0)
    factors[:, keras_vae.datasets.faces.FACTORS.index("smile")]  # from -1 to 1
    ```
    """
    check_integer("n", n, 1)
    check_integer("seed", seed, 0)
    bits = np.random.PCG64(seed).random_raw(n * len(FACTORS)).reshape(n, len(FACTORS))
    uniform = (bits >> 52) / STEPS  # 12 bits: multiples of 1 / STEPS in [0, 1)
    columns = {key: spread(uniform[:, i], *RANGES[key]) for i, key in enumerate(FACTORS)}
    if correlated:
        share = np.where(columns["smile"] > 0, GLASSES_IF_SMILING, GLASSES_OTHERWISE)
        columns["eyeglasses"] = uniform[:, FACTORS.index("eyeglasses")] < share
    return np.stack(list(columns.values()), axis=1).astype("float32")


def spread(uniform, first, second, share=None):
    """Returns values in [0, 1) mapped to one range, or to two ranges with a gap between them."""
    if share is None:
        values = first + (second - first) * uniform
    else:
        below = first[0] + (first[1] - first[0]) * uniform / (1 - share)
        above = second[1] - (second[1] - second[0]) * (1 - uniform) / share
        values = np.where(uniform < 1 - share, below, above)
    return np.round(values * STEPS) / STEPS


def attributes(factors):
    """Returns the attributes of the faces with these factors.

    Args:
        factors: A table ``(n, len(FACTORS))``, see `draw_factors`.

    Returns:
        bool ``(n, len(ATTRIBUTES))``, a column for each of `ATTRIBUTES`.

    Raises:
        ValueError: If `factors` is not such a table.

    Example:

    ```python
    keras_vae.datasets.faces.attributes(keras_vae.datasets.faces.draw_factors(16, seed=0))
    ```
    """
    factors = check_factors(factors)
    columns = [factors[:, FACTORS.index(key)] > limit for key, limit in THRESHOLDS.values()]
    return np.stack(columns, axis=1)


def paint(factors):
    """Returns pictures of the faces with these factors; batches of some dozens are fastest.

    Args:
        factors: A table ``(n, len(FACTORS))``, see `draw_factors`.

    Returns:
        uint8 images ``(n, SIZE, SIZE, 3)``.

    Raises:
        ValueError: If `factors` is not such a table.

    Example:

    ```python
    factors = keras_vae.datasets.faces.draw_factors(16, seed=0)
    factors[:, keras_vae.datasets.faces.FACTORS.index("smile")] = 1
    images = keras_vae.datasets.faces.paint(factors)  # all of them laugh
    ```
    """
    return face_painting.paint(dict(zip(FACTORS, check_factors(factors).T)))


def check_factors(factors):
    """Returns a table of factors as float32, or raises `ValueError`."""
    factors = np.asarray(factors)
    good = factors.ndim == 2 and factors.shape[1] == len(FACTORS) and factors.dtype.kind in "fiu"
    if not (good and np.isfinite(factors).all()):
        raise ValueError(
            f"Argument `factors` must be a table of finite numbers (n, {len(FACTORS)}). "
            f"Received: an array of {factors.dtype} with shape {factors.shape}"
        )
    return factors.astype("float32")
