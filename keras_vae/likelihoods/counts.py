"""Likelihoods of counts: whole numbers of at least 0."""

import keras
import numpy as np
from keras import ops

from keras_vae.likelihoods.reals import Numbers, filled
from keras_vae.likelihoods.special import log_gamma

MOST = 30.0  # the largest logarithm of a rate: a step that overshoots must not overflow


class Counts(Numbers):
    """Base class: the decoder's outputs are logarithms of rates, 0 being the mean count.

    Args:
        standardise: Whether `adapt` measures the mean count of each channel (the last axis) of
            the training data, which rates start from, and how to standardise ``log(1 + x)``,
            which the encoder sees.
        missing: Whether counts may be missing, as NaN, see `RealValued`.
    """

    values = "discrete"
    COUNTS = True

    def build(self, shape):
        if self.scaling:
            self.log_mean = self.add_weight(shape[-1:], "zeros", trainable=False, name="log_mean")
        super().build(shape)

    def adapt(self, x):
        if self.scaling:
            super().adapt(np.log1p(x))
            count = np.maximum((~np.isnan(x)).sum(axis=tuple(range(x.ndim - 1))), 1)
            mean = np.nansum(x, axis=tuple(range(x.ndim - 1)), dtype="float64") / count
            self.log_mean.assign(np.log(np.maximum(mean, 1 / (count + 1))))

    def inputs(self, x):
        x = ops.log1p(x)
        return filled(self.scaling(x) if self.scaling else x)

    def log_rate(self, outputs):
        """Returns the logarithm of the mean of each count."""
        outputs = outputs + self.log_mean if self.scaling else outputs
        return ops.minimum(outputs, MOST)

    def mean(self, outputs):
        return ops.exp(self.log_rate(outputs))


@keras.saving.register_keras_serializable(package="keras_vae")
class Poisson(Counts):
    """``rate^x exp(-rate) / x!`` with ``log(rate)`` from the decoder.

    Args:
        standardise: Whether `adapt` measures the mean count of each channel (the last axis) of
            the training data, which rates start from, and how to standardise ``log(1 + x)``,
            which the encoder sees.
        missing: Whether counts may be missing, as NaN: they are left out of the likelihood, and
            the encoder sees the mean in their place.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    counts = np.random.default_rng(0).poisson(3, (100, 5))
    model = keras_vae.VAE(*keras_vae.build_mlp((5,), latent_dim=2), likelihood="poisson")
    model.compile("adam")
    model.fit(counts)
    ```
    """

    def draw(self, means, rng):
        return rng.poisson(means).astype("float32")

    def value_nats(self, x, outputs):
        log_rate, x_known = self.log_rate(outputs), filled(x)
        return self.of_known(ops.exp(log_rate) - x_known * log_rate + log_gamma(x_known + 1), x)


@keras.saving.register_keras_serializable(package="keras_vae")
class NegativeBinomial(Counts):
    """A Poisson whose rate varies: of mean ``m`` from the decoder and variance ``m + m^2 / r``.

    The dispersion ``r`` of each channel is trained by the gradient. For counts that vary more
    than a Poisson's, such as reads of genes (Lopez et al. 2018,
    https://doi.org/10.1038/s41592-018-0229-2).

    Args:
        standardise: Whether `adapt` measures the mean count of each channel (the last axis) of
            the training data, which rates start from, and how to standardise ``log(1 + x)``,
            which the encoder sees.
        missing: Whether counts may be missing, as NaN: they are left out of the likelihood, and
            the encoder sees the mean in their place.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    model = keras_vae.VAE(
        *keras_vae.build_mlp((5,), latent_dim=2), likelihood="negative_binomial"
    )
    ```
    """

    def make(self, channels):
        self.log_dispersion = self.add_weight((channels,), "zeros", name="log_dispersion")

    def draw(self, means, rng):
        r = np.exp(np.clip(ops.convert_to_numpy(self.log_dispersion), -MOST / 2, MOST / 2))
        return rng.poisson(means * rng.gamma(r, 1 / r, means.shape)).astype("float32")

    def value_nats(self, x, outputs):
        log_mean, x_known = self.log_rate(outputs), filled(x)
        log_r = ops.clip(self.log_dispersion, -MOST / 2, MOST / 2)
        r = ops.exp(log_r)
        log_total = ops.logaddexp(log_mean, log_r)  # log(r + m)
        chosen = log_gamma(x_known + 1) + log_gamma(r) - log_gamma(x_known + r)
        nats = chosen + r * (log_total - log_r) + x_known * (log_total - log_mean)
        return self.of_known(nats, x)
