"""What data a likelihood is a distribution of: how they are checked, stored and converted."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_vae.checks import LARGEST
from keras_vae.images import check_images, fits, to_float, to_pixels


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Pixels of images, or other values in [0, 1]: uint8 in 0..255, or floats."""

    axes = 3  # besides the batch, of data of unknown shape

    def check(self, x, shape, argument="x"):
        """Raises `ValueError` unless `x` is a batch of these data.

        Args:
            x: An array, whose values are checked if it is one of NumPy, or a tensor.
            shape: The model's, without the batch; None: any.
            argument: The name to use in the message.
        """
        check_images(x, shape, argument)

    def stored(self, x):
        """Returns a NumPy array in the type in which it is kept and fed."""
        return x.astype("uint8", copy=False) if x.dtype.kind in "iu" else x

    def tensor(self, x):
        """Returns a batch as float32: what the likelihood is a distribution of."""
        return to_pixels(x)

    def array(self, x):
        """Returns a NumPy array as float32, like `tensor`."""
        return to_float(x)

    def clipped(self, x):
        """Returns changed data in their limits."""
        return ops.clip(x, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Reals:
    """Real numbers of any size.

    Attributes:
        missing: Whether NaN is allowed, for a missing value.
        counts: Whether values are whole numbers of at least 0.
        exclusive: Whether the values of the last axis are zeros and a single one.
    """

    missing: bool = False
    counts: bool = False
    exclusive: bool = False

    axes = 1

    def check(self, x, shape, argument="x"):
        check_shape(x, shape, argument)
        if isinstance(x, np.ndarray) and x.size:
            problem = self.problem(x)
            if problem:
                raise ValueError(f"Argument `{argument}` must be {self.expected()}. {problem}")

    def expected(self):
        kind = "finite numbers"
        if self.counts:
            kind = "whole numbers of at least 0"
        elif self.exclusive:
            kind = "zeros, and a one for the category"
        return f"{kind}, or NaN where a value is missing" if self.missing else kind

    def problem(self, x):
        """Returns what is wrong with the values of a NumPy array, as a sentence, or None."""
        known = ~np.isnan(x) if x.dtype.kind == "f" else np.ones(x.shape, bool)
        if not (self.missing or known.all()):
            places = f"{x.size - known.sum()} of {x.size} are NaN"
            return f"Received: {places}. A likelihood with `missing=True` omits them"
        values = x[known]
        if not (np.abs(values) < LARGEST).all():
            return f"Received: values from {values.min()} to {values.max()}"
        if self.counts and ((values < 0) | (values != np.rint(values))).any():
            wrong = values[(values < 0) | (values != np.rint(values))][0]
            return f"Received: a value of {wrong}"
        if self.exclusive:
            whole, some = known.all(axis=-1), known.any(axis=-1)
            ones = x[whole]
            if (whole != some).any() or not (
                ((ones == 0) | (ones == 1)).all() and (ones.sum(axis=-1) == 1).all()
            ):
                return "Received: rows that are not. Use `keras.utils.to_categorical`"
        return None

    def stored(self, x):
        return x.astype("float32", copy=False)

    def tensor(self, x):
        return ops.cast(x, "float32")

    def array(self, x):
        return np.asarray(x, "float32")

    def clipped(self, x):
        return x


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Consecutive parts of the last axis, each with data of its own.

    Attributes:
        kinds: The data of each part.
        widths: The length of each part.
    """

    kinds: tuple
    widths: tuple

    axes = 1

    def check(self, x, shape, argument="x"):
        check_shape(x, shape, argument)
        if not isinstance(x, np.ndarray):
            return
        start = 0
        for kind, width in zip(self.kinds, self.widths):
            part = x[..., start : start + width]
            problem = kind.problem(part) if part.size else None
            if problem:
                raise ValueError(
                    f"Columns {start} to {start + width - 1} of argument `{argument}` must be "
                    f"{kind.expected()}. {problem}"
                )
            start += width

    stored, tensor, array, clipped = Reals.stored, Reals.tensor, Reals.array, Reals.clipped


def check_shape(x, shape, argument):
    """Raises `ValueError` unless `x` is a batch of numbers of this shape; None: any."""
    if not hasattr(x, "shape"):
        raise ValueError(
            f"Argument `{argument}` must be one array of numbers. Received: {type(x).__name__}"
        )
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(
            f"Argument `{argument}` must be an array without a mask. Received: a masked array. "
            f"`{argument}.filled(np.nan)` marks missing values for a likelihood with `missing=True`"
        )
    given = tuple(x.shape)
    if len(given) < 2 if shape is None else not fits(given[1:], shape):
        expected = "n, ..." if shape is None else ", ".join(map(str, ("n", *shape)))
        message = f"Argument `{argument}` must have the shape ({expected}). Received: shape={given}"
        if shape is not None and fits(given, shape):
            message += f". A single item needs a batch axis: `{argument}[None]`"
        raise ValueError(message)
    kind = str(x.dtype)
    if getattr(x.dtype, "kind", "f") not in "OSUMmc":  # NumPy types unknown to Keras
        kind = keras.backend.standardize_dtype(x.dtype)
        if kind == "bool" or "int" in kind or "float" in kind:
            return
    raise ValueError(f"Argument `{argument}` must be numbers. Received: dtype={kind}")
