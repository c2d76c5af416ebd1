"""The means of the losses over an epoch."""

import keras
import numpy as np
from keras import ops


class EpochMeans(keras.metrics.Metric):
    """Means of several losses over images. One metric for all, since each one slows every step.

    Args:
        names: Names of the losses.

    Attributes:
        count: Number of images so far.
        good: Number of batches before the first one whose loss is not finite.

    Example:

    ```python
    means = EpochMeans(("loss", "kl_loss"))
    means.update_state({"loss": 3.0, "kl_loss": 1.0}, 128)  # of a batch of 128 images
    means.numbers()  # {"loss": 3.0, "kl_loss": 1.0}
    ```
    """

    def __init__(self, names, name="means"):
        super().__init__(name=name, dtype="float32")
        self.names = tuple(names)
        self.total = self._number("total", len(self.names))
        self.count = self._number("count")
        self.good = self._number("good")

    def _number(self, name, *shape):
        # Not `add_variable`: a strategy of TensorFlow would add up the replicas, which are equal.
        return keras.Variable("zeros", shape, "float32", trainable=False, name=name)

    def update_state(self, losses, images):
        """Adds a batch.

        Args:
            losses: Means over the batch, by name.
            images: Number of images in the batch.
        """
        images = ops.cast(images, "float32")
        values = ops.stack([ops.cast(losses[name], "float32") for name in self.names])
        self.total.assign_add(images * values)
        self.count.assign_add(images)
        self.good.assign_add(ops.cast(ops.isfinite(self.total[0]), "float32"))

    def result(self):
        """Returns the means by name, as tensors."""
        means = ops.divide_no_nan(self.total, self.count)
        return {name: means[i] for i, name in enumerate(self.names)}

    def numbers(self):
        """Returns the means by name, as floats."""
        total, count = (ops.convert_to_numpy(part) for part in (self.total, self.count))
        return dict(zip(self.names, (total / np.maximum(count, 1)).tolist()))
