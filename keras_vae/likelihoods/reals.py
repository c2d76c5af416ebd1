"""Likelihoods of real numbers: columns of a table, signals, volumes in their own units."""

import math

import keras
import numpy as np
from keras import ops

from keras_vae import parallel
from keras_vae.checks import check
from keras_vae.likelihoods.base import Likelihood
from keras_vae.likelihoods.data import Reals
from keras_vae.likelihoods.scaling import Standardise
from keras_vae.likelihoods.special import log_gamma

LEAST = 1e-6  # a variance, after standardising
RATE = 0.05  # a batch's share in the running mean; more for the first batches


class Numbers(Likelihood):
    """Base class of likelihoods of numbers, each independent of the others given z.

    A subclass defines `inputs` and `mean`, and makes variables of its own in `make`.

    Args:
        standardise: Whether `adapt` measures the training data.
        missing: Whether values may be missing, as NaN.
    """

    COUNTS = False  # whether the numbers are whole and at least 0

    def __init__(self, standardise=True, missing=False, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("standardise", standardise), ("missing", missing)):
            check(name, value, isinstance(value, bool), "True or False")
        self.standardise, self.missing = standardise, missing
        self.data = Reals(missing=missing, counts=self.COUNTS)
        self.scaling = Standardise() if standardise else None
        self.built = False

    def build(self, shape):
        if self.scaling:
            self.scaling.build(shape)
        self.make(shape[-1])
        self.built = True

    def make(self, channels):
        """Makes the variables for data with this many channels."""

    def adapt(self, x):
        if self.scaling:
            self.scaling.adapt(x)

    @property
    def is_adapted(self):
        return not self.scaling or self.scaling.is_adapted

    def of_known(self, nats, x):
        """Returns the nats of each value, 0 where ``x`` is missing."""
        return ops.where(known(x), nats, 0.0) if self.missing else nats

    def why_no_distribution(self, x):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "standardise": self.standardise,
            "missing": self.missing,
        }


class RealValued(Numbers):
    """Base class of likelihoods of real numbers.

    Args:
        standardise: Whether `adapt` measures mean and standard deviation of each channel (the
            last axis) of the training data: encoder and decoder then work with standardised
            values, and nats and reconstructions are in the units of the data.
        missing: Whether values may be missing, as NaN: they are left out of the likelihood, and
            the encoder sees the mean in their place.
    """

    def inputs(self, x):
        x = self.scaling(x) if self.scaling else x
        return filled(x) if self.missing else x

    def mean(self, outputs):
        return self.scaling.invert(outputs) if self.scaling else outputs

    def in_units(self, nats, x):
        """Returns the nats of each value in the units of the data, 0 where ``x`` is missing.

        Args:
            nats: Those of the standardised values.
            x: The data.
        """
        if self.scaling:
            nats = nats + self.scaling.log_std()
        return self.of_known(nats, x)


@keras.saving.register_keras_serializable(package="keras_vae")
class Normal(RealValued):
    """``N(x; outputs, variance)`` of real numbers, with learned variances.

    The best variance is the mean squared error of the reconstructions, a running mean over the
    training batches as in `Gaussian`, for all values together or for each channel by itself. With
    networks that are linear and one variance this is probabilistic PCA (Tipping & Bishop 1999,
    https://doi.org/10.1111/1467-9868.00196; as a VAE: Lucas et al. 2019,
    https://arxiv.org/abs/1911.02469).

    Args:
        per_channel: Whether each channel (each column of a table) has a variance of its own.
        standardise: Whether `adapt` measures mean and standard deviation of each channel (the
            last axis) of the training data: encoder and decoder then work with standardised
            values, and nats and reconstructions are in the units of the data.
        missing: Whether values may be missing, as NaN: they are left out of the likelihood, and
            the encoder sees the mean in their place.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    rows = np.random.default_rng(0).normal(170, 10, (100, 3))
    parts = keras_vae.build_mlp((3,), latent_dim=1, hidden=(16,))
    model = keras_vae.VAE(*parts, likelihood="normal")
    model.compile("adam")
    model.fit(rows)
    model.reconstruct(rows)  # (100, 3), in the units of the rows
    ```
    """

    values = "continuous"

    def __init__(self, per_channel=True, **kwargs):
        super().__init__(**kwargs)
        check("per_channel", per_channel, isinstance(per_channel, bool), "True or False")
        self.per_channel = per_channel

    def make(self, channels):
        shape = (channels,) if self.per_channel else ()
        self.variance = self.add_weight(shape, "ones", trainable=False, name="variance")
        self.updates = self.add_weight(shape, "zeros", trainable=False, name="updates")

    def value_nats(self, x, outputs):
        errors = ops.square(self.inputs(x) - outputs)
        # Not divided by the variance itself, whose value torch would keep for the gradient, while
        # `update` changes it.
        nats = ops.log(2 * math.pi * self.variance) + errors * (1 / self.variance)
        return self.in_units(nats / 2, x)

    def draw(self, means, rng):
        std = np.sqrt(ops.convert_to_numpy(self.variance))
        std = std * ops.convert_to_numpy(self.scaling.std) if self.scaling else std
        return means + (std * rng.standard_normal(means.shape)).astype("float32")

    def update(self, x, outputs, sample_weight=None):
        errors = ops.square(self.inputs(x) - outputs)
        weights = ops.cast(known(x), "float32") if self.missing else ops.ones_like(errors)
        if sample_weight is not None:
            own = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            weights = weights * ops.reshape(own, (-1, *[1] * (len(errors.shape) - 1)))
        axes = tuple(range(len(errors.shape) - self.per_channel))
        total = parallel.total(ops.sum(weights * errors, axis=axes))
        count = parallel.total(ops.sum(weights, axis=axes))
        error = ops.stop_gradient(total / ops.maximum(count, 1e-30))
        before = ops.convert_to_tensor(self.variance)
        rate = ops.maximum(RATE, 1 / (self.updates + 1))
        after = ops.maximum(before + rate * (error - before), LEAST)
        # A batch without known values, or whose outputs overflowed, changes nothing.
        counts = ops.logical_and(ops.isfinite(error), count > 0)
        self.variance.assign(ops.where(counts, after, before))
        self.updates.assign_add(ops.cast(counts, "float32"))

    def get_config(self):
        return {**super().get_config(), "per_channel": self.per_channel}


@keras.saving.register_keras_serializable(package="keras_vae")
class StudentT(RealValued):
    """Student's t around the outputs, for data with outliers: they cost only their logarithm.

    Scale and degrees of freedom of each channel are trained by the gradient. With
    ``nu`` degrees of freedom and the scaled error ``e``,
    ``-log p = -lgamma((nu + 1) / 2) + lgamma(nu / 2) + log(pi nu) / 2 + log(scale)
    + (nu + 1) / 2 log(1 + e^2 / nu)``. ``nu`` stays above 1, so that the mean exists.

    Args:
        standardise: Whether `adapt` measures mean and standard deviation of each channel (the
            last axis) of the training data: encoder and decoder then work with standardised
            values, and nats and reconstructions are in the units of the data.
        missing: Whether values may be missing, as NaN: they are left out of the likelihood, and
            the encoder sees the mean in their place.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    model = keras_vae.VAE(*keras_vae.build_mlp((3,), latent_dim=1), likelihood="student_t")
    ```
    """

    values = "continuous"

    def make(self, channels):
        self.log_scale = self.add_weight((channels,), "zeros", name="log_scale")
        first = keras.initializers.Constant(4.0)
        self.raw_freedom = self.add_weight((channels,), first, name="raw_freedom")

    def draw(self, means, rng):
        scale = np.exp(ops.convert_to_numpy(self.log_scale))
        scale = scale * ops.convert_to_numpy(self.scaling.std) if self.scaling else scale
        noise = rng.standard_t(ops.convert_to_numpy(self.freedom()), means.shape)
        return means + (scale * noise).astype("float32")

    def freedom(self):
        """Returns the degrees of freedom of each channel, at first about 5."""
        return 1.0 + ops.softplus(self.raw_freedom)

    def value_nats(self, x, outputs):
        nu, log_scale = self.freedom(), ops.maximum(self.log_scale, math.log(LEAST) / 2)
        errors = ops.square((self.inputs(x) - outputs) * ops.exp(-log_scale))
        constant = log_gamma(nu / 2) - log_gamma((nu + 1) / 2) + ops.log(math.pi * nu) / 2
        return self.in_units(constant + log_scale + (nu + 1) / 2 * ops.log1p(errors / nu), x)


@keras.saving.register_keras_serializable(package="keras_vae")
class Categorical(Likelihood):
    """One of K categories, as zeros and a one in the last axis: ``softmax(outputs)``.

    ``-log p(x|z) = -sum_k x_k log softmax(outputs)_k``, the cross-entropy.

    Args:
        missing: Whether items may be missing, as NaN in all K places; the encoder then sees zeros.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    one_hot = keras.utils.to_categorical([0, 2, 1, 2])
    model = keras_vae.VAE(*keras_vae.build_mlp((3,), latent_dim=1), likelihood="categorical")
    model.compile("adam")
    model.fit(one_hot)
    ```
    """

    values = "discrete"

    def __init__(self, missing=False, **kwargs):
        super().__init__(**kwargs)
        check("missing", missing, isinstance(missing, bool), "True or False")
        self.missing = missing
        self.data = Reals(missing=missing, exclusive=True)

    def inputs(self, x):
        return filled(x)

    def mean(self, outputs):
        return ops.softmax(outputs, axis=-1)

    def draw(self, means, rng):
        # The largest of Gumbel variables around the logarithms is a draw of the categories.
        chosen = np.argmax(np.log(np.maximum(means, 1e-30)) + rng.gumbel(size=means.shape), axis=-1)
        return np.eye(means.shape[-1], dtype="float32")[chosen]

    def value_nats(self, x, outputs):
        """Returns the nats of each of the K places: the item's at its category, 0 elsewhere."""
        return -(filled(x) * ops.log_softmax(outputs, axis=-1))

    def why_no_distribution(self, x):
        return None

    def get_config(self):
        return {**super().get_config(), "missing": self.missing}


def known(x):
    """Returns where values are not missing."""
    return ops.logical_not(ops.isnan(x))


def filled(x):
    """Returns values with zeros for missing ones."""
    return ops.where(known(x), x, 0.0)
