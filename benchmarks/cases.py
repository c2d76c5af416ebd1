"""The networks that benchmarks/speed.py times, each at two sizes, on images made here.

They are plain enough to be written by hand for each framework, and stay the same, so that speeds of
different versions compare. What train.py uses by default is in `keras_vae.training.recipes`.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A network and its training settings."""

    network: str
    image_shape: tuple
    latent_dim: int
    widths: tuple
    activation: str
    likelihood: str
    learning_rate: float
    images: int  # not a multiple of the batch size, as for real data sets
    batch_size: int = 128

    @property
    def patch(self):
        """Side of the squares in which `build_conv` reads an image of this size."""
        return 2 ** max(0, round(math.log2(min(self.image_shape[:2]) / 8)))


# An epoch takes one or two seconds on two CPU cores.
CASES = {
    "mlp-28": Case("mlp", (28, 28, 1), 16, (512, 512), "relu", "mse", 4e-3, 15_000),
    "conv-28": Case("conv", (28, 28, 1), 16, (48,), "silu", "mse", 6e-3, 8_000),
    "mlp-64": Case("mlp", (64, 64, 3), 64, (256,), "silu", "gaussian", 3e-3, 4_000),
    "conv-64": Case("conv", (64, 64, 3), 64, (64,), "silu", "gaussian", 4e-3, 2_500),
}
# Almost no arithmetic: the time of a step is its overhead.
EMPTY = Case("mlp", (1, 1, 1), 1, (1,), "relu", "mse", 1e-3, 300, batch_size=1)


def make_images(case, count, seed=0):
    """Returns smooth random uint8 images: 8x8 random values per channel, interpolated."""
    height, width, channels = case.image_shape
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 8, 8, channels), "float32")
    pixels = np.einsum("hi,nijc,wj->nhwc", weights(height), coarse, weights(width), optimize=True)
    return (255 * pixels).astype("uint8")


def weights(size):
    """Returns the matrix ``(size, 8)`` of linear interpolation from 8 values to `size`."""
    places = np.linspace(0, 7, size, dtype="float32")
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(8, dtype="float32")))


def make_model(case, pixel_mean, steps, seed=0):
    """Returns the compiled VAE of a case, with the optimizer of train.py."""
    import keras  # here, so that importing the cases does not require a choice of backend

    import keras_vae
    from keras_vae.training import recipes

    keras.utils.set_random_seed(seed)
    build = {"mlp": keras_vae.build_mlp, "conv": keras_vae.build_conv}[case.network]
    encoder, decoder = build(
        case.image_shape,
        case.latent_dim,
        case.widths,
        activation=case.activation,
        pixel_mean=pixel_mean,
    )
    model = keras_vae.VAE(encoder, decoder, case.likelihood, seed=seed)
    model.compile(recipes.make_optimizer(case.learning_rate, steps))
    return model
