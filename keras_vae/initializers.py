"""Initial weights drawn by NumPy: the same on every backend, and without a compilation on JAX."""

import math

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer


@keras.saving.register_keras_serializable(package="keras_vae")
class GlorotUniform(keras.initializers.Initializer):
    """Keras's initializer of this name: uniform within ``sqrt(6 / (fan_in + fan_out))`` of 0.

    Glorot & Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html.

    Args:
        seed: A non-negative integer, for the same weights in every call; None draws from NumPy's
            global state, which `keras.utils.set_random_seed` sets.

    Example:

    ```python
    layer = keras.layers.Dense(64, kernel_initializer=GlorotUniform())
    ```
    """

    def __init__(self, seed=None):
        check_integer("seed", seed, 0, optional=True)
        self.seed = seed

    def __call__(self, shape, dtype=None):
        seed = np.random.randint(2**31) if self.seed is None else self.seed
        limit = math.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:])))  # an image's pixels, twice
        weights = np.random.default_rng(seed).uniform(-limit, limit, shape).astype("float32")
        return ops.convert_to_tensor(weights, dtype)

    def get_config(self):
        return {"seed": self.seed}
