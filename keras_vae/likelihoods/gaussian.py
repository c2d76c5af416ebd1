"""Likelihoods with a distance in the exponent: squared errors, and absolute ones."""

import math

import keras
from keras import ops

from keras_vae.checks import check_number
from keras_vae.likelihoods.base import LEVELS, Calibrated, Likelihood, per_image, squared_error

LEAST = 1 / LEVELS**2  # a variance: that of a step between two grey values
SHIFT = 3.0  # `PixelGaussian` starts at a variance of softplus(-SHIFT), .05


@keras.saving.register_keras_serializable(package="keras_vae")
class MSE(Likelihood):
    """Squared error, summed over pixels: ``||x - x'||^2`` with ``x' = sigmoid(outputs)``.

    Up to a constant this is a Gaussian of variance 1/2 around ``x'`` (the constant,
    ``D/2 log(pi)`` for D pixels and channels, is omitted). Real pixel errors are far smaller
    than 1/2, so the KL has a large weight and reconstructions are blurred; `Gaussian` learns
    the variance. Its losses are not comparable with those of other likelihoods.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.MSE()
    outputs = np.zeros((2, 28, 28, 1))
    likelihood.mean(outputs)  # 0.5 everywhere
    likelihood.nats(np.ones((2, 28, 28, 1)), outputs)  # [196., 196.]
    ```
    """

    values = "continuous"
    omitted = math.log(math.pi) / 2

    def value_nats(self, x, outputs):
        return ops.square(ops.subtract(x, self.mean(outputs)))


@keras.saving.register_keras_serializable(package="keras_vae")
class Gaussian(Calibrated):
    """``N(x; sigmoid(outputs), variance)`` with one variance, learned: the sigma-VAE.

    The best variance is the mean squared error of the reconstructions (Rybkin, Daniilidis &
    Levine 2021, https://arxiv.org/abs/2006.13202, section 3), which balances reconstruction
    and KL without a beta to tune. Here it is one number for all images: a running mean over
    the training batches, saved with the model and fixed when the model is evaluated, so that
    a loss depends neither on the test images nor on their batch size. Never below
    (1/255)^2, the step between two grey values. The constant of the density is included.
    Its losses are not comparable with those of other likelihoods, and negative for sharp models.

    Args:
        variance: The initial one, in pixels squared; training replaces it.

    Raises:
        ValueError: If the variance is not a finite number above 0.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, likelihood="gaussian")
    ```
    """

    values = "continuous"

    LEAST = LEAST

    def __init__(self, variance=0.5, **kwargs):
        super().__init__(**kwargs)
        check_number("variance", variance, above=0)
        self.first_variance = float(variance)
        self.variance = self.make_scale("variance", variance)

    def error(self, x, pixels):
        return squared_error(x, pixels)

    def value_nats(self, x, outputs):
        errors = ops.square(ops.subtract(x, self.mean(outputs)))
        return ops.log(2 * math.pi * self.variance) / 2 + errors / (2 * self.variance)

    def nats(self, x, outputs):
        # Not the sum of `value_nats`: scaling one sum for each image takes less time, and rounds
        # less, than scaling each pixel.
        values = math.prod(x.shape[1:])
        constant = values / 2 * ops.log(2 * math.pi * self.variance)
        return constant + squared_error(x, self.mean(outputs)) / (2 * self.variance)

    def update(self, x, outputs, sample_weight=None):
        self.update_scale(self.variance, x, outputs, sample_weight)

    def get_config(self):
        return {**super().get_config(), "variance": self.first_variance}


@keras.saving.register_keras_serializable(package="keras_vae")
class PixelGaussian(Likelihood):
    """``N(x; mean, variance)`` with a mean and a variance for each pixel from the decoder.

    The decoder returns twice as many channels as the images have: ``mean = sigmoid(first half)``
    and ``variance = (1/255)^2 + softplus(second half - 3)``. It says where the model is uncertain,
    such as at edges. Without the lower limit it would be unbounded: a pixel that never varies has
    an infinite density (Mattei & Frellsen 2018, https://arxiv.org/abs/1802.04826, section 2).

    Example:

    ```python
    likelihood = keras_vae.likelihoods.PixelGaussian()
    outputs = likelihood.output_channels(3)  # 6
    parts = keras_vae.build_mlp((28, 28, 3), latent_dim=8, output_channels=outputs)
    model = keras_vae.VAE(*parts, likelihood)
    ```
    """

    values = "continuous"

    def output_channels(self, channels):
        return 2 * channels

    def mean(self, outputs):
        mean, _ = ops.split(outputs, 2, axis=-1)
        return ops.sigmoid(mean)

    def variance(self, outputs):
        """Returns the variance of each pixel, of the shape of images."""
        _, raw = ops.split(outputs, 2, axis=-1)
        return LEAST + ops.softplus(raw - SHIFT)

    def twice_nats(self, x, outputs):
        variance = self.variance(outputs)
        errors = ops.square(ops.subtract(x, self.mean(outputs)))
        return ops.log(2 * math.pi * variance) + errors / variance

    def value_nats(self, x, outputs):
        return self.twice_nats(x, outputs) / 2

    def nats(self, x, outputs):  # halves one sum for each image, like `Gaussian`
        return per_image(self.twice_nats(x, outputs)) / 2


@keras.saving.register_keras_serializable(package="keras_vae")
class Laplace(Calibrated):
    """``exp(-|x - x'| / scale) / (2 scale)`` for each pixel, with one scale, learned.

    The best scale is the mean absolute error; it is learned like the variance of `Gaussian`.
    Single large errors cost less than with a Gaussian, so edges and outliers matter less. Never
    below 1/255. ``x' = sigmoid(outputs)``, the mean and the median.

    Args:
        scale: The initial one, in pixels; training replaces it.

    Raises:
        ValueError: If the scale is not a finite number above 0.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, likelihood="laplace")
    ```
    """

    values = "continuous"

    LEAST = 1 / LEVELS

    def __init__(self, scale=0.5, **kwargs):
        super().__init__(**kwargs)
        check_number("scale", scale, above=0)
        self.first_scale = float(scale)
        self.scale = self.make_scale("scale", scale)

    def error(self, x, pixels):
        return per_image(ops.abs(ops.subtract(x, pixels)))

    def value_nats(self, x, outputs):
        errors = ops.abs(ops.subtract(x, self.mean(outputs)))
        return ops.log(2 * self.scale) + errors / self.scale

    def nats(self, x, outputs):  # scales one sum for each image, like `Gaussian`
        constant = math.prod(x.shape[1:]) * ops.log(2 * self.scale)
        return constant + self.error(x, self.mean(outputs)) / self.scale

    def update(self, x, outputs, sample_weight=None):
        self.update_scale(self.scale, x, outputs, sample_weight)

    def get_config(self):
        return {**super().get_config(), "scale": self.first_scale}
