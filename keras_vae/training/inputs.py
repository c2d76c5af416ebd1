"""Inputs of `fit`, `evaluate` and `predict` that Keras alone would misread."""

import math

import numpy as np
from keras import ops

from keras_vae.checks import check_integer
from keras_vae.images import check_images, fits

BATCH_SIZE = 32  # Keras's own default


def as_images(x, image_shape, argument="x"):
    """Returns images as one NumPy array that the model can read, or those on disk as they are.

    Args:
        x: An array, a tensor, a list of images of one size, or a dict whose entry ``image`` is
            one of these.
        image_shape: The model's ``(height, width, channels)``, or None if it has not seen any.
        argument: The name to use in messages.

    Raises:
        ValueError: See `keras_vae.images.check_images`.
    """
    if isinstance(x, dict):
        x = entry(x, argument)
    if ops.is_tensor(x):
        x = ops.convert_to_numpy(x)
    elif is_array_like(x) and not isinstance(x, np.ndarray):  # a tensor of another framework
        x = np.asarray(x)
    elif isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
        x = stacked(x, argument)
    check_images(x, image_shape or (None, None, None), argument)
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
        x = x.astype("uint8", copy=False)
    return x


def is_array_like(x):
    """Returns whether `x` becomes one array, and is no data set."""
    return hasattr(x, "shape") and hasattr(x, "__array__") and not is_on_disk(x)


def is_stream(x):
    """Returns whether `x` hands out batches, unlike an array, or what becomes one."""
    return not (x is None or isinstance(x, (list, tuple, dict)) or hasattr(x, "shape"))


def entry(x, argument="x"):
    """Returns the entry ``image`` of a dict, as data sets of TFDS have it."""
    if "image" not in x:
        keys = ", ".join(map(repr, x)) or "none"
        raise ValueError(
            f"Argument `{argument}` must be images, or a dict with an entry 'image'. "
            f"Received: a dict with the keys {keys}"
        )
    return x["image"]


def stacked(images, argument="x"):
    """Returns a list of images of one size as one array."""
    parts = [image if is_on_disk(image) else as_array(image) for image in images]
    if any(len(part.shape) > 3 for part in parts):
        raise ValueError(
            f"Argument `{argument}` must be one array of images. Received: a "
            f"{type(images).__name__} of arrays of the shapes {shapes_of(parts)}. "
            "`np.concatenate` makes one of several; labels are an argument of their own, `y`."
        )
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"Argument `{argument}` must be images of one size. Received: {len(parts)} images of "
            f"the sizes {shapes_of(parts)}. Crop or resize them to one, see `keras_vae.photos`."
        )
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return np.ma.stack(parts)  # to be refused
    return np.stack(parts) if parts else np.empty((0,))


def as_array(image):
    if isinstance(image, np.ndarray):
        image = np.array(image.tolist()) if image.dtype == object else image
    elif ops.is_tensor(image):
        image = ops.convert_to_numpy(image)
    return image if isinstance(image, np.ndarray) else np.asarray(image)


def shapes_of(parts, most=5):
    """Returns the shapes of arrays in words, each once."""
    shapes = list(dict.fromkeys(str(tuple(part.shape)) for part in parts))
    return ", ".join(shapes[:most]) + (f" and {len(shapes) - most} more" * (len(shapes) > most))


def is_list_of_images(x, image_shape):
    """Returns whether a list is one of images, and not one of images, labels and weights."""
    if not (isinstance(x, (list, tuple)) and x):
        return False
    shape = getattr(x[0], "shape", ())
    return fits(shape, image_shape or (None, None, None)) or (len(shape) == 3 and len(x) > 3)


def as_weights(sample_weight, n):
    """Returns the weights of n images as float32 ``(n,)``, or None."""
    if sample_weight is None:
        return None
    if ops.is_tensor(sample_weight):
        sample_weight = ops.convert_to_numpy(sample_weight)
    weights = sample_weight
    if not isinstance(weights, np.ndarray):
        try:
            weights = np.asarray(sample_weight)
        except ValueError:  # lists of several lengths
            weights = np.array(None)
    if weights.dtype.kind not in "fiub" or weights.shape not in ((n,), (n, 1)):
        what = type(sample_weight).__name__
        if weights.dtype.kind != "O":
            what = f"dtype={weights.dtype}, shape={weights.shape}"
        raise ValueError(
            f"Argument `sample_weight` must be one number for each of the {n} images, an array of "
            f"shape ({n},). Received: {what}"
        )
    low, high = (weights.min(), weights.max()) if n else (0, 0)
    if isinstance(weights, np.ma.MaskedArray) or not (low >= 0 and high < np.inf):
        raise ValueError(bad_weights(low, high))
    return weights.reshape(n).astype("float32")


def bad_weights(low, high):
    """Returns the message about weights of images that training can't use."""
    return (
        "Argument `sample_weight` must be finite numbers of at least 0. Received: values from "
        f"{low} to {high}. A negative weight would train towards worse pictures."
    )


def check_class_weight(class_weight, y):
    """Raises `ValueError` if there are weights of classes, and no labels that name them."""
    if class_weight and y is None:
        raise ValueError(
            "Argument `class_weight` needs labels: give `y`, or batches (x, y). Received none."
        )


def labels(x, y, sample_weight):
    """Returns labels that mean nothing where Keras, having none, would forget the weights."""
    if y is None and sample_weight is not None and hasattr(x, "shape"):
        return np.zeros(x.shape[0], "uint8")
    return y


def is_on_disk(x):
    """Returns whether `x` are images of a streamed data set."""
    return hasattr(x, "stream") and hasattr(x, "shape")


def is_array(x, y=None, sample_weight=None):
    """Returns whether `x` is an array of images, with one label and weight each, if any."""
    if not (isinstance(x, np.ndarray) and x.ndim == 4 and len(x)):
        return False
    return all(
        part is None or (hasattr(part, "shape") and tuple(part.shape[:1]) == x.shape[:1])
        for part in (y, sample_weight)
    )


def is_plain(x, y=None, sample_weight=None):
    """Returns whether `x` are images that our own loop takes: an array, or images on disk."""
    if is_on_disk(x):
        return sample_weight is None and len(x) > 0
    return is_array(x, y, sample_weight)


def split(x, y, sample_weight, share):
    """Returns x, y, weights without the last share of them, and the same of that share."""
    n = math.floor(len(x) * (1 - share))
    if not 0 < n < len(x):
        raise ValueError(
            f"Argument `validation_split` must leave images on both sides of {len(x)}. "
            f"Received: validation_split={share!r}"
        )
    return [
        [part if part is None else part[some] for part in (x, y, sample_weight)]
        for some in (slice(n), slice(n, None))
    ]


def stream(x, batch_size, shuffle=False, first_epoch=0, **others):
    """Returns images that stay on disk as a stream, and its number of batches in an epoch.

    Keras would warn at the end of each epoch of a stream that has one. Raises `ValueError` for
    `others`, arguments that do not go with a stream, unless they are left at nothing.
    """
    for name, value in others.items():
        if value is not None and not (np.isscalar(value) and value in (0, 1)):
            raise ValueError(
                f"`{name}` does not go with images that stay on disk. Leave it out, or load the "
                "data set with a larger `memory`"
            )
    batch_size = BATCH_SIZE if batch_size is None else batch_size
    check_integer("batch_size", batch_size, 1)
    if len(x) == 0:
        raise ValueError("Argument `x` must hold at least one image. Received: none")
    return x.stream(batch_size, shuffle, first_epoch), -(-len(x) // batch_size)
