"""p(x|z): what the decoder's raw outputs mean, in pixels and in nats.

A likelihood owns the decoder's last activation. To add one, write one class with `nats`,
and, where the defaults of `Likelihood` do not hold, the rest of its members (`pixels`, if not
by a sigmoid; `get_config`, if it has arguments). Register it, so that saved models find it:

```python
@keras.saving.register_keras_serializable(package="mine")
class Laplace(keras_vae.likelihoods.Likelihood):
    def nats(self, x, outputs):
        return keras.ops.sum(keras.ops.abs(x - self.pixels(outputs)), axis=(1, 2, 3))

model = keras_vae.VAE(encoder, decoder, likelihood=Laplace())
```

A number, text or function that is assigned to an attribute later, ``model.likelihood.scale = 2.0``,
is used from the next call of `fit`, `evaluate` and the like on, and in `fit` from the next epoch
on; what is changed inside a list or an array asks for `compile`. A model's file is JSON: a
constructor that takes a tuple gets a list when the model is loaded.

Losses of different likelihoods do not compare: each has its own scale, and some leave out a
constant. Across likelihoods compare ``test_mse`` and ``bits_per_dim``, see `keras_vae.evaluate`.
"""

import math

import keras
from keras import ops

from keras_vae.checks import check_number


class Likelihood:
    """What all likelihoods share. Pixels ``x`` are float32 in [0, 1].

    Attributes:
        name: What it is called, in code and in files.
        values: Which pixels ``exp(-nats)`` is a distribution of: ``"continuous"``,
            ``"binary"``, or None if it is none.
        omitted: What `nats` leaves out of ``-log p(x|z)``, in nats per pixel and channel.
        weights: The variables it learns by `update`; they are saved with the model.
    """

    name = None
    values = None
    omitted = 0.0
    weights = ()

    def pixels(self, outputs):
        """Returns the mean of p(x|z): outputs ``(n, height, width, channels)`` to [0, 1]."""
        return ops.sigmoid(outputs)

    def nats(self, x, outputs):
        """Returns ``-log p(x|z)``, shape ``(n,)``, in nats per image (summed over pixels)."""
        raise NotImplementedError(f"{type(self).__name__} must define `nats`")

    def update(self, x, outputs, sample_weight=None):
        """Learns `weights` from one training batch; called before its `nats`."""

    def why_no_distribution(self, images):
        """Returns in words why ``exp(-nats)`` is no distribution of these pixels, or None.

        Args:
            images: uint8 in 0..255 or float in [0, 1], an array or of a streamed data set.
        """
        name = type(self).__name__
        if self.values not in ("continuous", "binary"):
            return f"the likelihood {name} is no distribution of pixels"
        if self.values == "binary" and not is_binary(images):
            return (
                f"the likelihood {name} is a distribution of black and white pixels, and these "
                "have grey"
            )
        return None

    def get_config(self):
        """Returns the arguments of the constructor, to save; none here."""
        if type(self).__init__ is not object.__init__:
            raise NotImplementedError(f"{type(self).__name__} must define `get_config`")
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_vae")
class MSE(Likelihood):
    """Squared error, summed over pixels: ``||x - x'||^2`` with ``x' = sigmoid(outputs)``.

    Up to a constant this is a Gaussian of variance 1/2 around ``x'`` (the constant,
    ``D/2 log(pi)`` for D pixels and channels, is left out). Real pixel errors are far smaller
    than 1/2, so the KL weighs much and pictures are smooth; `Gaussian` learns the variance.
    Its losses do not compare with those of other likelihoods.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.MSE()
    outputs = np.zeros((2, 28, 28, 1))
    likelihood.pixels(outputs)  # 0.5 everywhere
    likelihood.nats(np.ones((2, 28, 28, 1)), outputs)  # [196., 196.]
    ```
    """

    name = "mse"
    values = "continuous"
    omitted = math.log(math.pi) / 2

    def nats(self, x, outputs):
        return squared_error(x, self.pixels(outputs))


@keras.saving.register_keras_serializable(package="keras_vae")
class Bernoulli(Likelihood):
    """Each pixel is 1 with probability ``sigmoid(outputs)``: for images of zeros and ones.

    The negative log-likelihood is the binary cross-entropy, computed from the logits, so that
    sure outputs keep their gradient. On grey pixels it still trains, but it is a density of
    nothing, and its least value is not 0 (Loaiza-Ganem & Cunningham 2019,
    https://arxiv.org/abs/1907.06845). Its losses do not compare with those of other likelihoods.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.Bernoulli()
    likelihood.nats(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))  # [4 log(2)]
    ```
    """

    name = "bernoulli"
    values = "binary"

    def nats(self, x, outputs):
        return ops.sum(ops.softplus(outputs) - ops.multiply(x, outputs), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="keras_vae")
class Gaussian(Likelihood):
    """``N(x; sigmoid(outputs), variance)`` with one variance, learned: the sigma-VAE.

    The best variance is the mean squared error of the reconstructions (Rybkin, Daniilidis &
    Levine 2021, https://arxiv.org/abs/2006.13202, section 3), which balances reconstruction
    and KL without a beta to tune. Here it is one number for all images: a running mean over
    the training batches, saved with the model and fixed when the model is evaluated, so that
    a loss depends neither on the test images nor on their batch size. Never below
    (1/255)^2, the step between two grey values. The constant of the density is included.
    Its losses do not compare with those of other likelihoods; sharp models have negative ones.

    Args:
        variance: The one to begin with, in pixels squared; training replaces it.

    Raises:
        ValueError: If the variance is not a finite number above 0.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, likelihood="gaussian")
    ```
    """

    name = "gaussian"
    values = "continuous"

    LEAST = 1 / 255**2
    RATE = 0.05  # a batch's share in the running mean; more for the first batches

    def __init__(self, variance=0.5):
        check_number("variance", variance, above=0)
        self.variance = keras.Variable(
            max(float(variance), self.LEAST),
            trainable=False,
            dtype="float32",  # or JAX compiles a step twice: for the number, and for the tensor
            autocast=False,
            name="variance",
        )
        self.updates = keras.Variable(
            0.0, trainable=False, dtype="float32", autocast=False, name="updates"
        )
        self.weights = (self.variance, self.updates)
        self.config = {"variance": float(variance)}

    def nats(self, x, outputs):
        values = math.prod(outputs.shape[1:])
        constant = values / 2 * ops.log(2 * math.pi * self.variance)
        return constant + squared_error(x, self.pixels(outputs)) / (2 * self.variance)

    def update(self, x, outputs, sample_weight=None):
        errors = squared_error(x, self.pixels(outputs)) / math.prod(outputs.shape[1:])  # (n,)
        if sample_weight is None:
            error = ops.mean(errors)
        else:  # images of weight 0 do not count; nor does a batch that has no others
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            error = ops.sum(weights * errors) / ops.sum(weights)
        error = ops.stop_gradient(error)
        before = ops.convert_to_tensor(self.variance)
        rate = ops.maximum(self.RATE, 1 / (self.updates + 1))
        variance = ops.maximum(before + rate * (error - before), self.LEAST)
        # One batch whose outputs overflowed must not spoil the mean for ever.
        finite = ops.isfinite(error)
        self.variance.assign(ops.where(finite, variance, before))
        self.updates.assign_add(ops.cast(finite, "float32"))

    def get_config(self):
        return self.config


def squared_error(x, pixels):
    """Returns ``||x - pixels||^2`` of each image, shape ``(n,)``."""
    return ops.sum(ops.square(ops.subtract(x, pixels)), axis=(1, 2, 3))


def is_binary(images):
    """Returns whether images have no value but the least and the largest; few are read at once."""
    white = 255 if images.dtype.kind in "iu" else 1
    blocks = (images[start : start + 1000] for start in range(0, len(images), 1000))
    return all(bool(((block == 0) | (block == white)).all()) for block in blocks)


BY_NAME = {kind.name: kind for kind in (MSE, Bernoulli, Gaussian)}


def get(likelihood):
    """Returns the likelihood for a name or an object.

    Args:
        likelihood: ``"mse"``, ``"bernoulli"``, ``"gaussian"``, or a `Likelihood`.

    Returns:
        A `Likelihood`.

    Raises:
        ValueError: If it is neither.

    Example:

    ```python
    keras_vae.likelihoods.get("gaussian")
    ```
    """
    if isinstance(likelihood, str) and likelihood in BY_NAME:
        return BY_NAME[likelihood]()
    if isinstance(likelihood, Likelihood):
        return likelihood
    raise ValueError(
        f"Argument `likelihood` must be one of {sorted(BY_NAME)} or a "
        f"`keras_vae.likelihoods.Likelihood`. Received: likelihood={likelihood!r}"
    )
