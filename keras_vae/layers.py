"""Layers of a VAE: `Sampling`, `DepthToSpace` (up-sampling that is fast on every backend) and
`DynamicBinarization`, which draws binary images from grey ones; and their initial weights."""

import math

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer


@keras.saving.register_keras_serializable(package="keras_vae")
class Sampling(keras.layers.Layer):
    """Draws ``z ~ N(z_mean, exp(z_log_var))`` so that gradients flow through the draw.

    The reparameterisation trick (Kingma & Welling 2014, section 2.4):
    ``z = z_mean + exp(z_log_var / 2) * eps`` with ``eps ~ N(0, I)``. Every call draws fresh
    noise; two layers with the same seed draw the same sequence. It computes in float32.

    Args:
        seed: None or a non-negative integer.
        dtype: The type it computes in, see `keras.layers.Layer`.

    Call arguments:
        - inputs: The pair ``[z_mean, z_log_var]``, each ``(n, latent_dim)``; ``z_log_var`` is
            the logarithm of the variance.
        - eps: Optional noise of shape ``(n, latent_dim)`` to use instead of a fresh draw.

    Returns:
        ``z``, of shape ``(n, latent_dim)``.

    Raises:
        ValueError: If the seed is invalid or the inputs are not two tensors of one shape.

    Example:

    ```python
    z = keras_vae.Sampling(seed=0)([np.zeros((4, 2)), np.zeros((4, 2))])  # (4, 2)
    ```
    """

    def __init__(self, seed=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        check_integer("seed", seed, 0, optional=True)
        self.seed = seed
        self.seed_generator = seed_generator(seed)

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
            shape, seed = ops.shape(z_mean), self.seed_generator
            eps = keras.random.normal(shape, dtype=self.compute_dtype, seed=seed)
        return z_mean + ops.exp(z_log_var / 2) * eps

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_vae")
class DynamicBinarization(keras.layers.Layer):
    """Sets each pixel to 1 with a probability equal to its value in [0, 1], otherwise to 0.

    As the `augmentation` of a VAE with the Bernoulli likelihood it draws new binary images from
    the same grey ones in each epoch (Salakhutdinov & Murray 2008, section 5.1; "stochastically
    binarised" in Burda et al. 2016, https://arxiv.org/abs/1509.00519). It does not change
    validation images: binarise those once, by calling a layer with a seed.

    Args:
        seed: None or a non-negative integer.
        dtype: The type it computes in, see `keras.layers.Layer`.

    Call arguments:
        - x: Pixels in [0, 1], of any shape.
        - training: If False, ``x`` is returned unchanged.

    Returns:
        Zeros and ones, of the shape of ``x``.

    Raises:
        ValueError: If the seed is invalid, or the pixels are integers, such as 0..255.

    Example:

    ```python
    parts = keras_vae.build_mlp((28, 28, 1), 50, hidden=(200, 200), activation="tanh")
    binarise = keras_vae.DynamicBinarization(seed=0)
    model = keras_vae.VAE(*parts, "bernoulli", augmentation=binarise)
    test_images = np.asarray(keras_vae.DynamicBinarization(seed=1)(np.random.rand(8, 28, 28, 1)))
    ```
    """

    def __init__(self, seed=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        check_integer("seed", seed, 0, optional=True)
        self.seed = seed
        self.seed_generator = seed_generator(seed)

    def call(self, x, training=True):
        dtype = keras.backend.standardize_dtype(x.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(
                "`DynamicBinarization` must be called on pixels in [0, 1], as floats: divide "
                f"images by 255. Received: {dtype}"
            )
        if not training:
            return x
        thresholds = keras.random.uniform(ops.shape(x), dtype="float32", seed=self.seed_generator)
        return ops.cast(thresholds < x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def seed_generator(seed):
    """Returns a generator for a hashed seed: neighbouring seeds overlap on torch."""
    return keras.random.SeedGenerator(None if seed is None else hashed_seed(seed))


def hashed_seed(seed):
    """Returns a seed of 31 bits; None draws one from NumPy's global state."""
    seed = np.random.randint(2**31) if seed is None else seed
    return int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)


@keras.saving.register_keras_serializable(package="keras_vae")
class Offset(keras.layers.Layer):
    """Adds a constant image: a weight, initially zero, learned unless ``trainable=False``.

    Call arguments:
        - x: Of any shape ``(n, ...)``.

    Returns:
        ``x + offset``, of the shape of ``x``.

    Example:

    ```python
    minus_mean = Offset(trainable=False)
    minus_mean.build((None, 28, 28, 1))
    minus_mean.offset.assign(-images.mean(axis=0))
    ```
    """

    def build(self, input_shape):
        self.offset = self.add_weight(shape=input_shape[1:], initializer="zeros", name="offset")

    def call(self, x):
        return x + self.offset

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_vae")
class DepthToSpace(keras.layers.Layer):
    """Turns channels into pixels: each position becomes a square of `factor` by `factor`.

    Of signals and volumes each position becomes a line or a cube.

    After a plain convolution this replaces a transposed one (sub-pixel convolution, Shi et al.
    2016, https://arxiv.org/abs/1609.05158). The gradient of a strided transposed convolution is
    slow on JAX; this layer only reorders values.

    Args:
        factor: Side of the square in pixels.

    Call arguments:
        - x: ``(n, height, width, factor * factor * channels)``, or with one or three sides.

    Returns:
        ``(n, factor * height, factor * width, channels)``.

    Raises:
        ValueError: If the factor is invalid or does not divide the channels.

    Example:

    ```python
    pixels = keras_vae.DepthToSpace(2)(np.zeros((1, 7, 7, 12)))  # (1, 14, 14, 3)
    ```
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        check_integer("factor", factor, 1)
        self.factor = int(factor)

    def build(self, input_shape):
        sides = len(input_shape) - 2
        is_fixed = 1 <= sides <= 3 and None not in input_shape[1:]
        if not is_fixed or input_shape[-1] % self.factor**sides:
            raise ValueError(
                "`DepthToSpace` must be called on a tensor of fixed shape (n, height, width, "
                f"channels) with channels a multiple of {self.factor ** max(1, sides)}. "
                f"Received shape: {input_shape}"
            )

    def call(self, x):
        _, *sides, channels = self.compute_output_shape(x.shape)
        f, count = self.factor, len(sides)
        x = ops.reshape(x, (-1, *(side // f for side in sides), *[f] * count, channels))
        # (n, height / f, f, width / f, f, channels)
        pairs = [axis for side in range(1, count + 1) for axis in (side, side + count)]
        x = ops.transpose(x, (0, *pairs, 2 * count + 1))
        return ops.reshape(x, (-1, *sides, channels))

    def compute_output_shape(self, input_shape):
        n, *sides, channels = input_shape
        f = self.factor
        return (n, *(side * f for side in sides), channels // f ** len(sides))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="keras_vae")
class Enlarge(keras.layers.Layer):
    """Enlarges images by an integer factor with linear interpolation.

    The same as `keras.layers.UpSampling2D` with ``interpolation="bilinear"``, by two products with
    constant matrices, which can be exported with any batch size on every backend.

    Args:
        factor: How many times larger the sides become.

    Call arguments:
        - x: ``(n, height, width, channels)``.

    Returns:
        ``(n, factor * height, factor * width, channels)``.

    Raises:
        ValueError: If `factor` is not an integer of at least 1.

    Example:

    ```python
    layer = Enlarge(2)
    layer(np.zeros((1, 4, 4, 3)))  # (1, 8, 8, 3)
    ```
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        check_integer("factor", factor, 1)
        self.factor = int(factor)

    def build(self, input_shape):
        self.sides = tuple(input_shape[1:3])  # of a tensor that is traced they are no integers

    def call(self, x):
        rows, columns = (self.weights_of(side, x.dtype) for side in self.sides)
        return ops.einsum("ih,jw,nhwc->nijc", rows, columns, x)

    def weights_of(self, side, dtype):
        """Returns the weights ``(factor * side, side)`` of pixels in those of the result."""
        places = (np.arange(self.factor * side) + 0.5) / self.factor - 0.5
        places = np.clip(places, 0, side - 1)[:, None]  # at the edge the outermost pixel
        weights = np.maximum(0, 1 - np.abs(places - np.arange(side)))
        return ops.convert_to_tensor(weights.astype("float32"), dtype)

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return n, self.factor * height, self.factor * width, channels

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="keras_vae")
class GlorotUniform(keras.initializers.Initializer):
    """Keras's initializer of this name: uniform within ``sqrt(6 / (fan_in + fan_out))`` of 0.

    Glorot & Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html. NumPy draws the weights,
    so they are the same on every backend, and need no compilation on JAX.

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
