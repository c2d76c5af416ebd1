"""Standardising: a layer that is adapted to the training data and saved with the model."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class Standardise(keras.layers.Layer):
    """``(x - mean) / std`` of each channel, the last axis. NaN, a missing value, stays NaN.

    Unlike `keras.layers.Normalization` it skips missing values, and leaves channels that are
    constant at a standard deviation of 1.

    Call arguments:
        x: ``(n, ..., channels)``.

    Returns:
        Float32, of the shape of ``x``.

    Example:

    ```python
    layer = Standardise()
    layer.build((None, 2))
    layer.adapt(np.array([[1.0, 20.0], [3.0, 40.0]]))
    layer(np.array([[2.0, 30.0]]))  # [[0., 0.]]
    ```
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def build(self, input_shape):
        size = (input_shape[-1],)
        self.mean = self.add_weight(size, "zeros", trainable=False, name="mean")
        self.std = self.add_weight(size, "ones", trainable=False, name="std")
        self.adapted = self.add_weight((), "zeros", trainable=False, name="adapted")

    def adapt(self, x):
        """Sets mean and standard deviation to those of the known values of an array.

        Args:
            x: NumPy array ``(n, ..., channels)``.
        """
        axes = tuple(range(x.ndim - 1))
        count = np.maximum((~np.isnan(x)).sum(axis=axes), 1)
        mean = np.nansum(x, axis=axes, dtype="float64") / count
        squares = np.nansum(np.square(x - mean, dtype="float64"), axis=axes) / count
        std = np.sqrt(squares)
        # Differences that float32 cannot tell from rounding are no scale to divide by.
        std = np.where(std > 1e-6 * np.maximum(np.abs(mean), 1e-30), std, 1.0)
        self.mean.assign(mean)
        self.std.assign(std)
        self.adapted.assign(1.0)

    @property
    def is_adapted(self):
        return bool(ops.convert_to_numpy(self.adapted) > 0)

    def call(self, x):
        return (x - self.mean) / self.std

    def invert(self, x):
        """Returns standardised values in the units of the data."""
        return x * self.std + self.mean

    def log_std(self):
        """Returns the logarithm of the standard deviations: what a density loses by scaling."""
        return ops.log(self.std)

    def compute_output_shape(self, input_shape):
        return input_shape
