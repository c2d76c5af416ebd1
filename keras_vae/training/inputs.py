"""Checks and conversions of the inputs of `fit`, `evaluate` and `predict`."""

import math

import numpy as np
from keras import ops

from keras_vae.images import fits

BATCH_SIZE = 32  # Keras's default


def as_array_of(kind, x, data_shape, argument="x"):
    """Returns data as one NumPy array that the model can read; images on disk unchanged.

    Args:
        kind: What they must be, see `keras_vae.likelihoods.data`.
        x: An array, a tensor, a list of items of one shape, or a dict whose entry ``image`` is
            one of these.
        data_shape: The model's, such as ``(height, width, channels)``, or None if it has seen none.
        argument: The name to use in messages.

    Raises:
        ValueError: If the data do not fit the model.
    """
    if isinstance(x, dict):
        x = entry(x, argument)
    if ops.is_tensor(x):
        x = ops.convert_to_numpy(x)
    elif is_array_like(x) and not isinstance(x, np.ndarray):  # a tensor of another framework
        x = np.asarray(x)
    elif isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
        x = stacked(x, len(data_shape or ()) or kind.axes, argument)
    kind.check(x, data_shape, argument)
    return kind.stored(x) if isinstance(x, np.ndarray) else x


def is_array_like(x):
    """Returns whether NumPy can convert `x` to an array; False for images on disk."""
    return hasattr(x, "shape") and hasattr(x, "__array__") and not is_on_disk(x)


def is_stream(x):
    """Returns whether `x` is a data set that yields batches, not an array, a list or a dict."""
    return not (x is None or isinstance(x, (list, tuple, dict)) or hasattr(x, "shape"))


def entry(x, argument="x"):
    """Returns the entry ``image`` of a dict, the form that TFDS data sets yield."""
    if "image" not in x:
        keys = ", ".join(map(repr, x)) or "none"
        raise ValueError(
            f"Argument `{argument}` must be images, or a dict with an entry 'image'. "
            f"Received: a dict with the keys {keys}"
        )
    return x["image"]


def stacked(images, axes, argument="x"):
    """Returns a list of images of one size, or of other items with so many axes, as one array."""
    parts = [image if is_on_disk(image) else as_array(image) for image in images]
    if any(len(part.shape) > axes for part in parts):
        raise ValueError(
            f"Argument `{argument}` must be one array of images. Received: a "
            f"{type(images).__name__} of arrays of the shapes {shapes_of(parts)}. "
            "Join several arrays with `np.concatenate`; pass labels as `y`."
        )
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"Argument `{argument}` must be images of one size. Received: {len(parts)} images of "
            f"the sizes {shapes_of(parts)}. Crop or resize them to one size."
        )
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return np.ma.stack(parts)  # which `check_images` rejects
    return np.stack(parts) if parts else np.empty((0,))


def as_array(image):
    if isinstance(image, np.ndarray):
        image = np.array(image.tolist()) if image.dtype == object else image
    elif ops.is_tensor(image):
        image = ops.convert_to_numpy(image)
    return image if isinstance(image, np.ndarray) else np.asarray(image)


def shapes_of(parts, most=5):
    """Returns the distinct shapes of arrays as a string that lists at most `most` of them."""
    shapes = list(dict.fromkeys(str(tuple(part.shape)) for part in parts))
    return ", ".join(shapes[:most]) + (f" and {len(shapes) - most} more" * (len(shapes) > most))


def is_list_of_items(x, data_shape, axes=3):
    """Returns whether a list holds single items, rather than data, labels and weights."""
    if not (isinstance(x, (list, tuple)) and x):
        return False
    shape, expected = getattr(x[0], "shape", ()), data_shape or (None,) * axes
    return fits(shape, expected) or (len(shape) == len(expected) and len(x) > 3)


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


def as_labels(y, n, size, exclusive, argument="y"):
    """Returns the labels of n images as int32 ``(n,)``, or their attributes as float32.

    Args:
        y: Labels or attributes, see `keras_vae.Condition`; None if nothing is known.
        n: Number of images.
        size: Number of classes or attributes.
        exclusive: Whether they are classes.
        argument: The name to use in messages.

    Raises:
        ValueError: If they are not labels of n images.
    """
    if y is None:
        y = np.full(n, -1) if exclusive else np.full((n, size), np.nan)
    y = ops.convert_to_numpy(y) if ops.is_tensor(y) else np.asarray(y)
    if exclusive:
        fits = y.shape in ((n,), (n, 1)) and y.dtype.kind in "iu"
        if fits and (not n or (y.min() >= -1 and y.max() < size)):
            return y.reshape(n).astype("int32")
    else:
        if y.shape == (n, size) and y.dtype.kind in "fiub" and not ((y < 0) | (y > 1)).any():
            return y.astype("float32")  # NaN is neither
    what = f"{y.dtype}, shape={y.shape}"
    if y.size and y.dtype.kind in "fiu":
        what += f", values from {y.min()} to {y.max()}"
    raise ValueError(bad_labels(size, exclusive, what, n, argument))


def bad_labels(size, exclusive, what, n="n", argument="y"):
    """Returns the error message for labels that a model with a condition cannot use."""
    expected = f"numbers in [0, 1] or NaN of shape ({n}, {size})"
    if exclusive:
        expected = f"the class of each of the {n} images, an integer below {size} or -1"
    return (
        f"Argument `{argument}` must be {expected}, since the model has a condition. "
        f"Received: {what}"
    )


def bad_weights(low, high):
    """Returns the error message for weights that are negative or not finite."""
    return (
        "Argument `sample_weight` must be finite numbers of at least 0. Received: values from "
        f"{low} to {high}. A negative weight would maximise the loss of its image."
    )


def check_class_weight(class_weight, y):
    """Raises `ValueError` if there are class weights but no labels."""
    if class_weight and y is None:
        raise ValueError(
            "Argument `class_weight` needs labels: pass `y`, or batches (x, y). Received no labels."
        )


def labels(x, y, sample_weight):
    """Returns dummy labels for weights without labels: Keras would drop `sample_weight`."""
    if y is None and sample_weight is not None and hasattr(x, "shape"):
        return np.zeros(x.shape[0], "uint8")
    return y


def is_on_disk(x):
    """Returns whether `x` holds the images of a streamed data set."""
    return hasattr(x, "stream") and hasattr(x, "shape")


def is_array(x, y=None, sample_weight=None):
    """Returns whether `x` is an array of images; labels and weights must match its length."""
    if not (isinstance(x, np.ndarray) and x.ndim > 1 and len(x)):
        return False
    return all(
        part is None or (hasattr(part, "shape") and tuple(part.shape[:1]) == x.shape[:1])
        for part in (y, sample_weight)
    )


def is_plain(x, y=None, sample_weight=None):
    """Returns whether our own loop can run on `x`: an array, or images on disk."""
    if is_on_disk(x):
        return sample_weight is None and len(x) > 0
    return is_array(x, y, sample_weight)


def split(x, y, sample_weight, share):
    """Returns ``[x, y, weights]`` without the last share of the images, and of that share."""
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


def check_stream(x, **others):
    """Raises `ValueError` if images on disk cannot be trained on with some of `others` set."""
    for name, value in others.items():
        if value is not None and not (np.isscalar(value) and value in (0, 1)):
            raise ValueError(
                f"Argument `{name}` is not supported for images on disk. Omit it, or load the "
                "data set with a larger `memory`"
            )
    if len(x) == 0:
        raise ValueError("Argument `x` must hold at least one image. Received: none")


def order_seed(shuffle):
    """Returns a seed for the order of images, or None.

    Drawn from NumPy's global state, so that `keras.utils.set_random_seed` sets the order.
    """
    return np.random.randint(2**31) if shuffle else None
