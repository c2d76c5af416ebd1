"""The means of the losses over an epoch."""

import keras
import numpy as np
from keras import ops


class EpochMeans(keras.metrics.Metric):
    """Means of several losses over images: one metric, since each costs time in every step.

    Args:
        names: Of the losses.

    Attributes:
        count: How many images there were.
        good: How many batches there were before the first loss that is not finite.

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
        self.total = self.add_variable((len(self.names),), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")
        self.good = self.add_variable((), "zeros", name="good")

    def update_state(self, losses, images):
        """Adds a batch: losses by name, means over its images, and how many those are."""
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
        """Returns the means by name, as numbers."""
        total, count = (ops.convert_to_numpy(part) for part in (self.total, self.count))
        return dict(zip(self.names, (total / np.maximum(count, 1)).tolist()))
