"""The checked data of `fit`, `evaluate` and `predict`."""

import contextlib
import dataclasses

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.training import inputs, streams


@dataclasses.dataclass(frozen=True)
class Data:
    """Images with labels and weights: an array, images on disk, or a data set of batches.

    Attributes:
        x: A NumPy array, images on disk (`keras_vae.datasets.stream.Rows`), or a data set whose
            batches are checked as they are read.
        y: Labels, or None.
        sample_weight: float32 ``(n,)``, or None.
        look: The `keras_vae.training.streams.Look` that checks batches, or None.
    """

    x: object
    y: object = None
    sample_weight: np.ndarray | None = None
    look: streams.Look | None = None

    def plain_errors(self):
        """Returns a context that removes other libraries' text around an error in a batch."""
        return contextlib.nullcontext() if self.look is None else self.look.plain_errors()

    def split(self, share):
        """Returns the data in two parts; the second is the last `share` of the images."""
        first, last = inputs.split(self.x, self.y, self.sample_weight, share)
        return Data(*first), Data(*last)

    def for_keras(self, batch_size, shuffle=False, first_epoch=0, **others):
        """Returns ``(x, y, sample_weight, steps)`` for Keras's own loop.

        Args:
            batch_size, shuffle, first_epoch: As those of `fit`.
            **others: Arguments that must not be set for images on disk.
        """
        if inputs.is_on_disk(self.x):
            others |= {"sample_weight": self.sample_weight}
            inputs.check_stream(self.x, **others)
            batch_size = inputs.BATCH_SIZE if batch_size is None else batch_size
            check_integer("batch_size", batch_size, 1)
            steps = -(-len(self.x) // batch_size)
            # Endless, since Keras warns of one that ends with the epoch.
            seed = inputs.order_seed(shuffle)
            return self.x.stream(batch_size, seed, first_epoch * steps), None, None, steps
        y = inputs.labels(self.x, self.y, self.sample_weight)
        return self.x, y, self.sample_weight, None


def prepare(model, x, y, sample_weight, class_weight=None, argument="x"):
    """Returns `Data` after checking its values, which compiled code cannot do.

    Args:
        model: The model that reads the data.
        x, y, sample_weight, class_weight: As those of `fit`.
        argument: The name to use in messages.

    Raises:
        ValueError: If the data are invalid.
    """
    kind, condition = model.likelihood.data, model.condition
    if inputs.is_stream(x):
        labels = condition and (condition.size, condition.exclusive)
        look = streams.Look(kind, model.data_shape, argument, class_weight, labels)
        return Data(streams.checked(x, look), y, sample_weight, look)
    inputs.check_class_weight(class_weight, y)
    x = inputs.as_array_of(kind, x, model.data_shape, argument)
    if condition is not None:
        y = condition.checked(y, len(x))
    return Data(x, y, inputs.as_weights(sample_weight, len(x)))
