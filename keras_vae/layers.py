"""Layers of a VAE: `Sampling`."""

import keras
import numpy as np
from keras import ops


def check_seed(seed):
    """Raises `ValueError` unless `seed` is None or a non-negative integer."""
    is_integer = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if seed is not None and not (is_integer and seed >= 0):
        raise ValueError(
            f"Argument `seed` must be None or a non-negative integer. Received: seed={seed!r}"
        )


@keras.saving.register_keras_serializable(package="keras_vae")
class Sampling(keras.layers.Layer):
    """Draws ``z ~ N(z_mean, exp(z_log_var))`` so that gradients flow through the draw.

    The reparameterisation trick (Kingma & Welling 2014, section 2.4):
    ``z = z_mean + exp(z_log_var / 2) * eps`` with ``eps ~ N(0, I)``. Every call draws fresh
    noise; two layers with the same seed draw the same sequence. Always in float32.

    Args:
        seed: None or a non-negative integer.

    Call arguments:
        inputs: The pair ``[z_mean, z_log_var]``, each ``(n, latent_dim)``; ``z_log_var`` is
            the logarithm of the variance.
        eps: Optional noise of shape ``(n, latent_dim)`` to use instead of a fresh draw.

    Returns:
        ``z``, of shape ``(n, latent_dim)``.

    Raises:
        ValueError: If the seed is unusable or the inputs are not two tensors of one shape.

    Example:

    ```python
    z = keras_vae.Sampling(seed=0)([np.zeros((4, 2)), np.zeros((4, 2))])  # (4, 2)
    ```
    """

    def __init__(self, seed=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        check_seed(seed)
        self.seed = seed
        # Neighbouring seeds give overlapping streams on torch, so spread them out first.
        spread = (
            None if seed is None else int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
        )
        self.seed_generator = keras.random.SeedGenerator(spread)

    def build(self, input_shape):
        is_pair = len(input_shape) == 2 and all(isinstance(s, (list, tuple)) for s in input_shape)
        if not is_pair or tuple(input_shape[0]) != tuple(input_shape[1]):
            raise ValueError(
                "`Sampling` must be called on [z_mean, z_log_var], two tensors of one shape "
                f"(n, latent_dim). Received shapes: {input_shape}"
            )

    def call(self, inputs, eps=None):
        z_mean, z_log_var = inputs  # (n, latent_dim) each
        if eps is None:
            eps = keras.random.normal(
                ops.shape(z_mean), dtype=self.compute_dtype, seed=self.seed_generator
            )
        return z_mean + ops.exp(z_log_var / 2) * eps

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
