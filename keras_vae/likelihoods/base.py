"""The base classes of likelihoods, and what several of them use."""

import math

import keras
from keras import ops

from keras_vae import parallel
from keras_vae.likelihoods.data import Pixels
from keras_vae.pieces import Piece

LEVELS = 255  # uint8 pixels are 0..LEVELS
KINDS = ("continuous", "binary", "discrete")


class Likelihood(Piece):
    """Base class of likelihoods; of those of pixels, ``x`` is float32 in [0, 1].

    Attributes:
        data: What it is a distribution of, see `keras_vae.likelihoods.data`; by default pixels.
        values: The pixels that ``exp(-nats)`` is a distribution of: ``"continuous"``, for a
            density; ``"binary"`` or ``"discrete"`` (the 256 levels of uint8), for a probability;
            or None if it is not a distribution.
        omitted: The constant that `nats` and `value_nats` omit from ``-log p(x|z)``, in nats per
            value (for images: per pixel and channel).

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class LogCosh(keras_vae.likelihoods.Likelihood):
        def value_nats(self, x, outputs):
            return keras.ops.log(keras.ops.cosh(10 * (x - self.mean(outputs))))

    x, outputs = keras.ops.ones((2, 4, 4, 1)), keras.ops.zeros((2, 4, 4, 1))
    LogCosh().nats(x, outputs)  # [68.9, 68.9]
    ```
    """

    data = Pixels()
    values = None
    omitted = 0.0

    def call(self, outputs):
        return self.mean(outputs)

    def adapt(self, x):
        """Measures what the likelihood must know of the training data; here nothing.

        `fit` calls it with an array. Before training on batches, call it with an array of some
        data.

        Args:
            x: NumPy ``(n, ...)``.

        Example:

        ```python
        rows = np.random.default_rng(0).normal(170, 10, (200, 3)).astype("float32")
        likelihood = keras_vae.likelihoods.Normal()
        model = keras_vae.VAE(*keras_vae.build_mlp((3,), latent_dim=1), likelihood)
        model.likelihood.adapt(rows)
        ```
        """

    @property
    def is_adapted(self):
        """Whether `adapt` was called, if the likelihood needs it."""
        return True

    def inputs(self, x):
        """Returns what the encoder sees of a batch: pixels as they are.

        Args:
            x: A float32 tensor, pixels in [0, 1] or values.

        Returns:
            A float32 tensor of its shape.

        Example:

        ```python
        seen = model.likelihood.inputs(np.random.rand(2, 28, 28, 1))  # (2, 28, 28, 1)
        ```
        """
        return x

    def output_channels(self, channels):
        """Returns how many channels the decoder's outputs must have.

        Args:
            channels: Number of channels of the data, their last axis.

        Returns:
            An integer.

        Example:

        ```python
        keras_vae.likelihoods.MSE().output_channels(3)  # 3
        keras_vae.likelihoods.PixelGaussian().output_channels(3)  # 6
        ```
        """
        return channels

    def mean(self, outputs):
        """Returns the mean of p(x|z).

        Args:
            outputs: Those of the decoder, a tensor ``(n, ...)``.

        Returns:
            A tensor of the shape of the data: pixels in [0, 1], or values in their units.

        Example:

        ```python
        keras_vae.likelihoods.MSE().mean(np.zeros((1, 2)))  # [[0.5, 0.5]]
        ```
        """
        return ops.sigmoid(outputs)

    def value_nats(self, x, outputs):
        """Returns ``-log p(x|z)`` of each value, which add up to `nats`.

        Args:
            x: Data, a float32 tensor ``(n, ...)``: pixels in [0, 1], or values.
            outputs: Those of the decoder for them.

        Returns:
            A tensor of the shape of ``x``, ``(n, height, width, channels)`` for images, in nats
            per value. A likelihood under which the channels of a pixel depend on each other has
            one number for all of them: ``(n, height, width, 1)``.

        Example:

        ```python
        likelihood = keras_vae.likelihoods.MSE()
        likelihood.value_nats(np.ones((1, 2)), np.zeros((1, 2)))  # [[0.25, 0.25]]
        ```
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `value_nats`, which returns -log p(x|z) of each "
            "value. To train a model, `nats` alone is enough"
        )

    def nats(self, x, outputs):
        """Returns ``-log p(x|z)`` of each image, summed over pixels and channels.

        Args:
            x: Data, a float32 tensor ``(n, ...)``: pixels in [0, 1], or values.
            outputs: Those of the decoder for them.

        Returns:
            A tensor ``(n,)``, in nats per image.

        Example:

        ```python
        likelihood = keras_vae.likelihoods.MSE()
        likelihood.nats(np.ones((1, 2)), np.zeros((1, 2)))  # [0.5]
        ```
        """
        return per_image(self.value_nats(x, outputs))

    def draw(self, means, rng):
        """Returns draws of p(x|z); of pixels the mean.

        Independent noise in each pixel makes no better picture; new rows of a table without it
        would vary too little.

        Args:
            means: NumPy ``(n, ...)``, results of `mean`.
            rng: NumPy's generator, the only source of random numbers.

        Returns:
            NumPy float32 of the shape of `means`.

        Example:

        ```python
        likelihood = keras_vae.likelihoods.Poisson(standardise=False)
        likelihood.build((None, 5))
        counts = likelihood.draw(np.full((100, 5), 3.0), np.random.default_rng(0))  # (100, 5)
        ```
        """
        return means

    def update(self, x, outputs, sample_weight=None):
        """Updates variables that are learned without a gradient; called in each training step.

        Args:
            x: A training batch, pixels ``(n, height, width, channels)``; on several devices this
                device's part of it, over which `keras_vae.parallel.total` sums.
            outputs: The decoder's outputs for it.
            sample_weight: ``(n,)`` or None.

        Example:

        ```python
        likelihood = keras_vae.likelihoods.Gaussian()
        likelihood.update(np.zeros((8, 4, 4, 1), "float32"), keras.ops.zeros((8, 4, 4, 1)))
        likelihood.variance  # 0.25
        ```
        """

    def why_no_distribution(self, images):
        """Returns why ``exp(-nats)`` is not a distribution of these pixels, as a string, or None.

        Args:
            images: uint8 in 0..255 or float in [0, 1], an array or of a streamed data set.
        """
        name = type(self).__name__
        if self.values not in KINDS:
            return f"the likelihood {name} is not a distribution of pixels"
        if self.values == "binary" and not is_binary(images):
            return (
                f"the likelihood {name} is a distribution of black and white pixels, and these "
                "images have grey ones"
            )
        if self.values == "discrete" and images.dtype.kind not in "iu":
            return (
                f"the likelihood {name} is a distribution of uint8 pixels, and these images are "
                f"{images.dtype}"
            )
        return None


class Calibrated(Likelihood):
    """A likelihood with one scale for all images, learned as the mean error of reconstructions.

    The maximum-likelihood scale is a mean over the data, so no gradient is needed (Rybkin,
    Daniilidis & Levine 2021, https://arxiv.org/abs/2006.13202, section 3). It is a running mean
    over the training batches, saved with the model and fixed when the model is evaluated, so that
    a loss depends neither on the test images nor on their batch size.

    A subclass defines ``LEAST``, below which the scale is never, and ``error``.
    """

    RATE = 0.05  # a batch's share in the running mean; more for the first batches

    def make_scale(self, name, first):
        """Makes the variables; returns the one of the scale."""
        scale = self._number(name, max(float(first), self.LEAST))
        self.updates = self._number("updates", 0.0)
        return scale

    def _number(self, name, value):
        return self.add_weight((), keras.initializers.Constant(value), name=name, trainable=False)

    def error(self, x, pixels):
        """Returns the error of each image whose mean is the best scale, summed over pixels."""
        raise NotImplementedError

    def update_scale(self, scale, x, outputs, sample_weight):
        """Moves the variable `scale` towards the mean error of a batch."""
        errors = self.error(x, self.mean(outputs)) / math.prod(x.shape[1:])  # (n,)
        if sample_weight is None:
            error = parallel.total(parallel.mean(errors))
        else:  # images of weight 0 do not count, nor a batch of only such images
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            error = parallel.total(ops.sum(weights * errors)) / parallel.total(ops.sum(weights))
        error = ops.stop_gradient(error)
        before = ops.convert_to_tensor(scale)
        rate = ops.maximum(self.RATE, 1 / (self.updates + 1))
        after = ops.maximum(before + rate * (error - before), self.LEAST)
        # A batch whose outputs overflowed must not spoil the running mean.
        finite = ops.isfinite(error)
        scale.assign(ops.where(finite, after, before))
        self.updates.assign_add(ops.cast(finite, "float32"))


def per_image(x):
    """Returns the sum over all axes but the first."""
    return ops.sum(x, axis=tuple(range(1, len(x.shape))))


def squared_error(x, pixels):
    """Returns ``||x - pixels||^2`` of each image, shape ``(n,)``."""
    return per_image(ops.square(ops.subtract(x, pixels)))


def is_binary(images):
    """Returns whether all values are 0 or the largest; reads 1000 images at a time."""
    white = LEVELS if images.dtype.kind in "iu" else 1
    blocks = (images[start : start + 1000] for start in range(0, len(images), 1000))
    return all(bool(((block == 0) | (block == white)).all()) for block in blocks)
