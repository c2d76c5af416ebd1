"""Likelihoods of uint8 pixels: probabilities of the 256 levels, hence exact bits per dimension."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer, check_number
from keras_vae.likelihoods.base import LEVELS, Likelihood

HALF_STEP = 0.5 / LEVELS  # pixels
LEAST = 1 / 1024  # scale, in pixels: a level then has a probability of 0.76
SHIFT = 3.0  # the scales of a mixture start at softplus(-SHIFT), .05


@keras.saving.register_keras_serializable(package="keras_vae")
class DiscretizedLogistic(Likelihood):
    """The probability of a uint8 level under a logistic around ``x' = sigmoid(outputs)``.

    ``P(x) = S((x + 1/510 - x') / s) - S((x - 1/510 - x') / s)`` with the sigmoid S, pixels in
    [0, 1] and one scale s that the gradient trains; the levels 0 and 255 include the tails
    (Kingma et al. 2016, https://arxiv.org/abs/1606.04934, appendix C.1). It is a probability of
    uint8 pixels, so `bits_per_dim` needs no dequantisation. Train it on uint8 images: values
    between two levels count as the nearest.

    Args:
        scale: The initial one, in pixels.

    Raises:
        ValueError: If the scale is not a finite number above 0.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, likelihood="discretized_logistic")
    ```
    """

    values = "discrete"

    def __init__(self, scale=0.1, **kwargs):
        super().__init__(**kwargs)
        check_number("scale", scale, above=0)
        self.first_scale = float(scale)
        initializer = keras.initializers.Constant(math.log(self.first_scale))
        self.log_scale = self.add_weight((), initializer, name="log_scale")

    def scale(self):
        """Returns the scale of the logistic, in pixels."""
        return LEAST + ops.exp(self.log_scale)

    def value_nats(self, x, outputs):
        return -log_probability(x, self.mean(outputs), self.scale())

    def get_config(self):
        return {**super().get_config(), "scale": self.first_scale}


@keras.saving.register_keras_serializable(package="keras_vae")
class LogisticMixture(Likelihood):
    """The probability of a uint8 pixel under a mixture of logistics from the decoder.

    As in PixelCNN++ (Salimans et al. 2017, https://arxiv.org/abs/1701.05517, section 2.1 and 2.2):
    all channels of a pixel are of the same component, and the mean of each channel depends
    linearly on the channels before it. For each pixel with c channels the decoder returns
    ``c + K (1 + 2 c + c (c - 1) / 2)`` numbers: a mean of all components, and for each of the K
    components its weight, and for each channel a mean, a scale, and the factors of the channels
    before it.

    Args:
        components: K, the number of logistics.

    Raises:
        ValueError: If the number is not a positive integer.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.LogisticMixture(5)
    outputs = likelihood.output_channels(3)  # 53
    parts = keras_vae.build_conv((64, 64, 3), latent_dim=32, output_channels=outputs)
    model = keras_vae.VAE(*parts, likelihood)
    ```
    """

    values = "discrete"

    def __init__(self, components=5, **kwargs):
        super().__init__(**kwargs)
        check_integer("components", components, 1)
        self.components = int(components)

    def output_channels(self, channels):
        return channels + self.components * (1 + 2 * channels + channels * (channels - 1) // 2)

    def channels(self, outputs):
        """Returns the number of channels of the images, from that of the outputs."""
        return next(c for c in range(1, 100) if self.output_channels(c) >= outputs.shape[-1])

    def parts(self, outputs):
        """Returns log weights ``(..., K)``; means, scales ``(..., K, c)``; factors ``(..., K, f)``.

        Means and scales are in pixels.
        """
        outputs = ops.convert_to_tensor(outputs)
        k, c = self.components, self.channels(outputs)
        f = c * (c - 1) // 2
        ends = np.cumsum([0, c, k, k * c, k * c, k * f]).tolist()
        shared, logits, means, scales, factors = (
            outputs[..., start:end] for start, end in itertools.pairwise(ends)
        )

        def by_component(x, size):
            return ops.reshape(x, (*ops.shape(x)[:-1], k, size))

        # Components start at different places: equal ones would have equal gradients for ever.
        apart = ops.reshape(ops.linspace(-1.0, 1.0, k), (k, 1)) if k > 1 else 0.0
        means = ops.sigmoid(shared[..., None, :] + by_component(means, c) + apart)
        scales = LEAST + ops.softplus(by_component(scales, c) - SHIFT)
        return ops.log_softmax(logits), means, scales, ops.tanh(by_component(factors, f))

    def mean(self, outputs):
        log_weights, means, _, _ = self.parts(outputs)
        return ops.sum(ops.exp(log_weights)[..., None] * means, axis=-2)

    def value_nats(self, x, outputs):
        """Returns ``-log p(x|z)`` of each pixel, ``(n, height, width, 1)``.

        The channels of a pixel share a component and depend on each other, so they have one number
        together.
        """
        log_weights, means, scales, factors = self.parts(outputs)
        x = ops.convert_to_tensor(x)[..., None, :]  # (..., 1, c)
        total, used = log_weights, 0
        for channel in range(means.shape[-1]):
            mean = means[..., channel]
            for before in range(channel):
                mean = mean + factors[..., used] * (x[..., before] - means[..., before])
                used += 1
            total = total + log_probability(x[..., channel], mean, scales[..., channel])
        return -ops.logsumexp(total, axis=-1, keepdims=True)

    def get_config(self):
        return {**super().get_config(), "components": self.components}


def log_probability(x, mean, scale):
    """Returns the log probability of the level of each pixel under a logistic.

    With the edges ``a`` and ``b`` of the level, in scales from the mean,
    ``S(a) - S(b) = S(a) S(-b) (1 - exp(b - a))``, which does not lose its digits far from the mean.
    """
    level = ops.round(ops.multiply(x, LEVELS))
    centred = ops.subtract(level / LEVELS, mean)
    below_upper = -ops.softplus(-(centred + HALF_STEP) / scale)  # log S(a)
    above_lower = -ops.softplus((centred - HALF_STEP) / scale)  # log S(-b)
    width = ops.log(-ops.expm1(-2 * HALF_STEP / scale))
    inside = below_upper + above_lower + width
    return ops.where(level < 0.5, below_upper, ops.where(level > LEVELS - 0.5, above_lower, inside))
