"""What `fit`, `evaluate` and `predict` are given, once its values are checked."""

import contextlib
import dataclasses

import numpy as np

from keras_vae.training import inputs, streams


@dataclasses.dataclass(frozen=True)
class Data:
    """Images with labels and weights, as an array, on disk, or in batches.

    Attributes:
        x: A NumPy array, images on disk (`keras_vae.datasets.stream.Rows`), or a data set whose
            batches are checked on their way.
        y: Labels, or None.
        sample_weight: float32 ``(n,)``, or None.
        look: The `keras_vae.training.streams.Look` that checks batches, or None.
    """

    x: object
    y: object = None
    sample_weight: np.ndarray | None = None
    look: streams.Look | None = None

    def plain_errors(self):
        """Returns a context that removes other libraries' words around an error in a batch."""
        return contextlib.nullcontext() if self.look is None else self.look.plain_errors()

    def split(self, share):
        """Returns the data without their last share, and that share."""
        first, last = inputs.split(self.x, self.y, self.sample_weight, share)
        return Data(*first), Data(*last)

    def for_keras(self, batch_size, shuffle=False, first_epoch=0, **others):
        """Returns ``(x, y, sample_weight, steps)`` for Keras's own loop.

        Args:
            batch_size, shuffle, first_epoch: As those of `fit`.
            **others: Arguments that images on disk do not go with; they must be left out then.
        """
        if inputs.is_on_disk(self.x):
            others |= {"sample_weight": self.sample_weight}
            x, steps = inputs.stream(self.x, batch_size, shuffle, first_epoch, **others)
            return x, None, None, steps
        y = inputs.labels(self.x, self.y, self.sample_weight)
        return self.x, y, self.sample_weight, None


def prepare(x, y, sample_weight, image_shape, class_weight=None, argument="x"):
    """Returns `Data` whose values are checked, which compiled code cannot do.

    Args:
        x, y, sample_weight, class_weight: As those of `fit`.
        image_shape: The model's ``(height, width, channels)``, or None if it is not known yet.
        argument: The name to use in messages.

    Raises:
        ValueError: If the data are unusable.
    """
    if inputs.is_stream(x):
        look = streams.Look(image_shape, argument, class_weight)
        return Data(streams.checked(x, look), y, sample_weight, look)
    inputs.check_class_weight(class_weight, y)
    x = inputs.as_images(x, image_shape, argument)
    return Data(x, y, inputs.as_weights(sample_weight, len(x)))
