"""p(x|z): converts the decoder's raw outputs to pixels, and to a loss in nats.

A likelihood includes the decoder's last activation. To add one, write a class with `nats` and, if
the defaults do not fit, `pixels` (a sigmoid), `update` (does nothing) and `get_config`. It is a
Keras layer: variables made with `add_weight` are trained, saved and loaded with the model.

```python
@keras.saving.register_keras_serializable(package="mine")
class Laplace(keras_vae.likelihoods.Likelihood):
    def nats(self, x, outputs):
        return keras.ops.sum(keras.ops.abs(x - self.pixels(outputs)), axis=(1, 2, 3))

model = keras_vae.VAE(encoder, decoder, likelihood=Laplace())
```

An attribute that is set later, ``model.likelihood.scale = 2.0``, takes effect with the next call
of `fit`, `evaluate` and the like, and within `fit` with the next epoch. After a change inside a
list or an array, call `compile`.

Losses of different likelihoods are not comparable: scales differ, and some omit a constant.
Across likelihoods compare ``test_mse`` and ``bits_per_dim``, see `keras_vae.evaluate`.
"""

import math

import keras
from keras import ops

from keras_vae import parallel
from keras_vae.checks import check_number


class Likelihood(keras.layers.Layer):
    """Base class of likelihoods. Pixels ``x`` are float32 in [0, 1].

    Attributes:
        values: The pixels that ``exp(-nats)`` is a distribution of: ``"continuous"``,
            ``"binary"``, or None if it is not a distribution.
        omitted: The constant that `nats` omits from ``-log p(x|z)``, in nats per pixel and channel.
    """

    values = None
    omitted = 0.0

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.built = True  # variables are made in the constructor

    def call(self, outputs):
        return self.pixels(outputs)

    def pixels(self, outputs):
        """Returns the mean of p(x|z): outputs ``(n, height, width, channels)`` to [0, 1]."""
        return ops.sigmoid(outputs)

    def nats(self, x, outputs):
        """Returns ``-log p(x|z)``, shape ``(n,)``, in nats per image (summed over pixels)."""
        raise NotImplementedError(f"{type(self).__name__} must define `nats`")

    def update(self, x, outputs, sample_weight=None):
        """Updates variables that are learned without a gradient; called before `nats` in training.

        Args:
            x: A training batch, pixels ``(n, height, width, channels)``; on several devices this
                device's part of it, over which `keras_vae.parallel.total` sums.
            outputs: The decoder's outputs for it, of the same shape.
            sample_weight: ``(n,)`` or None.
        """

    def why_no_distribution(self, images):
        """Returns why ``exp(-nats)`` is not a distribution of these pixels, as a string, or None.

        Args:
            images: uint8 in 0..255 or float in [0, 1], an array or of a streamed data set.
        """
        name = type(self).__name__
        if self.values not in ("continuous", "binary"):
            return f"the likelihood {name} is not a distribution of pixels"
        if self.values == "binary" and not is_binary(images):
            return (
                f"the likelihood {name} is a distribution of black and white pixels, and these "
                "images have grey ones"
            )
        return None


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
    likelihood.pixels(outputs)  # 0.5 everywhere
    likelihood.nats(np.ones((2, 28, 28, 1)), outputs)  # [196., 196.]
    ```
    """

    values = "continuous"
    omitted = math.log(math.pi) / 2

    def nats(self, x, outputs):
        return squared_error(x, self.pixels(outputs))


@keras.saving.register_keras_serializable(package="keras_vae")
class Bernoulli(Likelihood):
    """Each pixel is 1 with probability ``sigmoid(outputs)``: for images of zeros and ones.

    The negative log-likelihood is the binary cross-entropy, computed from the logits, so that
    confident outputs keep their gradient. It can be trained on grey pixels, but is not a density
    of them, and its minimum is not 0 (Loaiza-Ganem & Cunningham 2019,
    https://arxiv.org/abs/1907.06845). Its losses are not comparable with those of other
    likelihoods.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.Bernoulli()
    likelihood.nats(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))  # [4 log(2)]
    ```
    """

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

    LEAST = 1 / 255**2
    RATE = 0.05  # a batch's share in the running mean; more for the first batches

    def __init__(self, variance=0.5, **kwargs):
        super().__init__(**kwargs)
        check_number("variance", variance, above=0)
        self.first_variance = float(variance)
        self.variance = self._number("variance", max(self.first_variance, self.LEAST))
        self.updates = self._number("updates", 0.0)

    def _number(self, name, value):
        return self.add_weight((), keras.initializers.Constant(value), name=name, trainable=False)

    def nats(self, x, outputs):
        values = math.prod(outputs.shape[1:])
        constant = values / 2 * ops.log(2 * math.pi * self.variance)
        return constant + squared_error(x, self.pixels(outputs)) / (2 * self.variance)

    def update(self, x, outputs, sample_weight=None):
        errors = squared_error(x, self.pixels(outputs)) / math.prod(outputs.shape[1:])  # (n,)
        if sample_weight is None:
            error = parallel.total(parallel.mean(errors))
        else:  # images of weight 0 do not count, nor a batch of only such images
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            error = parallel.total(ops.sum(weights * errors)) / parallel.total(ops.sum(weights))
        error = ops.stop_gradient(error)
        before = ops.convert_to_tensor(self.variance)
        rate = ops.maximum(self.RATE, 1 / (self.updates + 1))
        variance = ops.maximum(before + rate * (error - before), self.LEAST)
        # A batch whose outputs overflowed must not spoil the running mean.
        finite = ops.isfinite(error)
        self.variance.assign(ops.where(finite, variance, before))
        self.updates.assign_add(ops.cast(finite, "float32"))

    def get_config(self):
        return {**super().get_config(), "variance": self.first_variance}


def squared_error(x, pixels):
    """Returns ``||x - pixels||^2`` of each image, shape ``(n,)``."""
    return ops.sum(ops.square(ops.subtract(x, pixels)), axis=(1, 2, 3))


def is_binary(images):
    """Returns whether all values are 0 or the largest; reads 1000 images at a time."""
    white = 255 if images.dtype.kind in "iu" else 1
    blocks = (images[start : start + 1000] for start in range(0, len(images), 1000))
    return all(bool(((block == 0) | (block == white)).all()) for block in blocks)


BY_NAME = {"mse": MSE, "bernoulli": Bernoulli, "gaussian": Gaussian}


def get(likelihood):
    """Returns the likelihood of this name, or the object itself.

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
