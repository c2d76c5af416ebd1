"""Inputs of `fit`, `evaluate` and `predict` that Keras alone would misread."""

import copy
import math

import numpy as np

from keras_vae.checks import check_size

BATCH_SIZE = 32  # Keras's own default


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
    """Returns x, y, weights without the last share of them, and a triple of that share."""
    n = math.floor(len(x) * (1 - share))
    if not 0 < n < len(x):
        raise ValueError(
            f"Argument `validation_split` must leave images on both sides of {len(x)}. "
            f"Received: validation_split={share!r}"
        )
    first, last = (
        [part if part is None else part[some] for part in (x, y, sample_weight)]
        for some in (slice(n), slice(n, None))
    )
    return *first, tuple(last)


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
    check_size("batch_size", batch_size)
    if len(x) == 0:
        raise ValueError("Argument `x` must hold at least one image. Received: none")
    return x.stream(batch_size, shuffle, first_epoch), -(-len(x) // batch_size)


def batches(x):
    """Returns `x`; a torch `DataLoader` of bare tensors becomes one of tuples ``(tensor,)``.

    Keras would take such a batch apart into images. Torch need not be there.
    """
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(x).__mro__}
    if "torch.utils.data.dataloader.DataLoader" in kinds:
        x = copy.copy(x)
        x.collate_fn = InTuple(x.collate_fn)
    return x


class InTuple:
    """A collate function that puts a batch into a tuple, unless it is one; goes to workers."""

    def __init__(self, collate):
        self.collate = collate

    def __call__(self, items):
        batch = self.collate(items)
        return batch if isinstance(batch, (tuple, list)) else (batch,)
