"""Checks batches of images and converts them to pixels in [0, 1]."""

import math

import keras
import numpy as np
from keras import ops


def check_images(images, image_shape, argument="x"):
    """Raises `ValueError` unless `images` is a batch that the model can read.

    Values are checked in NumPy arrays only; a tensor's shape and type are checked when the model
    is called on it.

    Args:
        images: NumPy array ``(n, height, width, channels)``: integers in 0..255, float in [0, 1],
            or bool.
        image_shape: The model's shape, such as ``(height, width, channels)``, with None where any
            size is allowed; or None for any shape.
        argument: The name to use in the message.

    Raises:
        ValueError: If the shape, the type or the range is wrong.
    """
    if not hasattr(images, "shape"):
        raise ValueError(
            f"Argument `{argument}` must be one array of images. Received: {type(images).__name__}"
        )
    if isinstance(images, np.ma.MaskedArray):
        raise ValueError(
            f"Argument `{argument}` must be an array without a mask, since no loss can omit single "
            f"pixels. Received: a masked array. `{argument}.filled(0)` makes them black."
        )
    shape = tuple(images.shape)
    if len(shape) < 2 if image_shape is None else not fits(shape[1:], image_shape):
        image_shape = image_shape or (None, None, None)
        expected = ", ".join(str(size) for size in ("n", *image_shape))
        message = (
            f"Argument `{argument}` must be a batch of images of shape ({expected}). "
            f"Received: shape={shape}."
        )
        if fits(shape, image_shape):
            message += f" A single image needs a batch axis: `{argument}[None]`."
        elif image_shape[-1] == 1 and fits(shape[1:], image_shape[:-1]):
            message += f" Grey images need a channel axis: `{argument}[..., None]`."
        raise ValueError(message)
    if getattr(images.dtype, "kind", "f") in "OSUMm":  # NumPy types unknown to Keras
        kind, known = str(images.dtype), False
    else:
        kind = keras.backend.standardize_dtype(images.dtype)
        known = kind == "bool" or "int" in kind or "float" in kind
    if not known:
        raise ValueError(
            f"Argument `{argument}` must be {EXPECTED}. Received: dtype={kind}. Use "
            f"`{argument}.astype('uint8')` for values in 0..255, `'float32'` for values in [0, 1]."
        )
    if isinstance(images, np.ndarray) and images.size and kind not in ("uint8", "bool"):
        low, high = images.min(), images.max()
        if not (low >= 0 and high <= white(kind)):  # also rejects NaN
            raise ValueError(out_of_range(argument, kind, low, high))


EXPECTED = "uint8 in 0..255 or float in [0, 1]"


def out_of_range(argument, kind, low, high):
    """Returns the error message for images with values out of range."""
    return (
        f"Argument `{argument}` must be {EXPECTED}. "
        f"Received: dtype={kind}, with values from {low} to {high}. "
        f"Use `{argument} / 255` or `{argument}.astype('uint8')` for values in 0..255."
    )


def fits(shape, image_shape):
    """Returns whether a shape equals `image_shape` where both are known."""
    return len(shape) == len(image_shape) and all(
        one is None or other is None or one == other for one, other in zip(shape, image_shape)
    )


def white(kind):
    """Returns the largest value of a pixel, for the name of a dtype."""
    return 255 if "int" in kind else 1


def to_pixels(images):
    """Returns images as float32 pixels in [0, 1]; integers are divided by 255, on the device."""
    if "int" in keras.backend.standardize_dtype(images.dtype):
        return ops.cast(images, "float32") / 255.0
    return ops.cast(images, "float32")


def to_float(images):
    """Returns NumPy images as float32 pixels in [0, 1]; integers are divided by 255."""
    images = np.asarray(images)
    pixels = images.astype("float32", copy=False)
    return pixels / 255 if images.dtype.kind in "iu" else pixels


def to_uint8(pixels):
    """Returns NumPy pixels in [0, 1] as uint8 in 0..255, of the same shape."""
    return np.rint(255 * pixels).astype("uint8")


def aligned_empty(shape, dtype):
    """Returns an array to be filled, in memory that JAX and TensorFlow on a CPU share with NumPy.

    They do so with memory that begins at a multiple of 64 bytes; NumPy's begins anywhere.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + 64, "uint8")
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
