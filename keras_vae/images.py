"""What counts as a batch of images, and how it becomes pixels in [0, 1]."""

import keras
import numpy as np
from keras import ops


def check_images(images, image_shape, argument="x"):
    """Raises `ValueError` unless `images` is a batch that the model can read.

    Values are looked at in NumPy arrays only: a tensor or a stream is checked for its shape
    and type when the model is called on it.

    Args:
        images: NumPy array ``(n, height, width, channels)``: uint8 in 0..255, or float in [0, 1].
        image_shape: The model's ``(height, width, channels)``.
        argument: The name to use in the message.

    Raises:
        ValueError: If the shape, the type or the range is another.
    """
    if not hasattr(images, "shape"):
        raise ValueError(
            f"Argument `{argument}` must be one array of images. Received: {type(images).__name__}"
        )
    if tuple(images.shape[1:]) != tuple(image_shape):
        expected = ", ".join(str(size) for size in ("n", *image_shape))
        message = (
            f"Argument `{argument}` must be a batch of images of shape ({expected}). "
            f"Received: shape={tuple(images.shape)}."
        )
        if tuple(images.shape) == tuple(image_shape):
            message += f" A single image needs a batch axis: `{argument}[None]`."
        elif image_shape[-1] == 1 and tuple(images.shape[1:]) == tuple(image_shape[:-1]):
            message += f" Grey images need a channel axis: `{argument}[..., None]`."
        raise ValueError(message)
    kind = keras.backend.standardize_dtype(images.dtype)
    if kind != "uint8" and "float" not in kind:
        raise ValueError(
            f"Argument `{argument}` must be uint8 in 0..255 or float in [0, 1]. "
            f"Received: dtype={kind}. Use `{argument}.astype('uint8')` for values in 0..255."
        )
    if kind != "uint8" and isinstance(images, np.ndarray) and images.size:
        low, high = images.min(), images.max()
        if not (low >= 0 and high <= 1):  # so that NaN is refused as well
            raise ValueError(
                f"Argument `{argument}` must be uint8 in 0..255 or float in [0, 1]. "
                f"Received: dtype={kind}, with values from {low} to {high}. "
                f"Use `{argument} / 255` or `{argument}.astype('uint8')` for values in 0..255."
            )


def to_pixels(images):
    """Returns images as float32 pixels in [0, 1]; uint8 is divided by 255, on the device."""
    if keras.backend.standardize_dtype(images.dtype) == "uint8":
        return ops.cast(images, "float32") / 255.0
    return ops.cast(images, "float32")


def to_uint8(pixels):
    """Returns NumPy pixels in [0, 1] as uint8 in 0..255, of the same shape."""
    return np.rint(255 * pixels).astype("uint8")
