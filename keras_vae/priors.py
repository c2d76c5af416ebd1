"""p(z): the distribution of codes, from which a `VAE` draws new ones.

To add a prior, write a class with `make` (which makes its weights), `log_prob`, `sample`, and if
it has arguments `get_config`. See `keras_vae.pieces.Piece` for its variables and attributes.
"""

import itertools
import math

import keras
import numpy as np
from keras import ops

from keras_vae import pieces
from keras_vae.checks import check, check_integer, check_number
from keras_vae.images import check_images, to_float
from keras_vae.layers import GlorotUniform
from keras_vae.likelihoods.data import Reals
from keras_vae.networks import logits
from keras_vae.pieces import Piece
from keras_vae.training.backends import device_name

__all__ = ["FlowPrior", "MixturePrior", "Prior", "StandardNormal", "VampPrior", "get"]

LOG_2_PI = math.log(2 * math.pi)


class Prior(Piece):
    """Base class of priors; a `VAE` builds it for its codes.

    Attributes:
        latent_dim: The length of a code; None before the prior is built.
        encode: The encoder of the model that the prior belongs to: pixels to
            ``(z_mean, z_log_var)``. Set by the model.
        data_shape: The shape of the images that it holds; None if it holds none.
        pixels: Whether they are pixels; None if it holds none.
        title: What it is, in words.
        has_closed_form: Whether `kl` is exact, and needs no draws.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Laplace(keras_vae.priors.Prior):
        def log_prob(self, z):
            return -keras.ops.sum(keras.ops.abs(z) + keras.ops.log(2.0), axis=-1)

        def draw(self, n, rng, temperature):
            return temperature * rng.laplace(size=(n, self.latent_dim)).astype("float32")

    model = keras_vae.VAE(encoder, decoder, prior=Laplace())
    ```
    """

    encode = None
    title = "a prior of your own"
    has_closed_form = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built, self.latent_dim = False, None
        self.data_shape = self.pixels = None

    def build(self, input_shape):
        self.latent_dim = int(input_shape[-1])
        self.make(self.latent_dim)

    def make(self, latent_dim):
        """Makes the weights, by `add_weight`; the base class makes none.

        Args:
            latent_dim: The length of a code.

        Example:

        ```python
        class Wide(keras_vae.priors.StandardNormal):
            def make(self, latent_dim):
                self.log_scale = self.add_weight((latent_dim,), "zeros", name="log_scale")
        ```
        """

    def call(self, z):
        return self.log_prob(z)

    def log_prob(self, z):
        """Returns ``log p(z)`` of codes.

        Args:
            z: A tensor ``(..., latent_dim)``.

        Returns:
            A tensor ``(...)``, in nats.

        Example:

        ```python
        model.prior.log_prob(np.zeros((4, model.latent_dim), "float32"))  # (4,)
        ```
        """
        raise NotImplementedError(f"{type(self).__name__} must define `log_prob`")

    def sample(self, n, seed=None, temperature=1.0):
        """Returns codes drawn from the prior, the same on every backend, up to rounding.

        Args:
            n: Number of codes.
            seed: None or a non-negative integer.
            temperature: Scale of the noise; below 1 images are more typical and less diverse.

        Returns:
            NumPy float32 ``(n, latent_dim)``.

        Raises:
            ValueError: If an argument is invalid.

        Example:

        ```python
        z = model.prior.sample(16, seed=0)
        ```
        """
        check_integer("n", n, 0)
        check_integer("seed", seed, 0, optional=True)
        check_number("temperature", temperature, low=0)
        return self.draw(n, np.random.default_rng(seed), np.float32(temperature))

    def draw(self, n, rng, temperature):
        """Returns codes drawn from the prior: what `sample` returns.

        Args:
            n: Number of codes.
            rng: NumPy's generator, the only source of random numbers.
            temperature: Scale of the noise, a float32 number.

        Returns:
            NumPy float32 ``(n, latent_dim)``.

        Example:

        ```python
        z = model.prior.draw(16, np.random.default_rng(0), np.float32(1))
        ```
        """
        raise NotImplementedError(f"{type(self).__name__} must define `draw`")

    def kl(self, z_mean, z_log_var, z=None):
        """Returns ``KL[q(z|x) || p(z)]`` of each image as terms that add up.

        Here it is estimated by the given draws: ``log q(z|x) - log p(z)``, a single term.

        Args:
            z_mean: ``(n, latent_dim)``.
            z_log_var: ``(n, latent_dim)``, the logarithm of the variance.
            z: Draws of q(z|x), ``(n, latent_dim)`` or ``(n, draws, latent_dim)``.

        Returns:
            ``(n, terms)``, in nats. `VAE.free_bits` applies to each term.

        Example:

        ```python
        zeros = np.zeros((4, model.latent_dim), "float32")
        kl = model.prior.kl(zeros, zeros, zeros)
        ```
        """
        if len(z.shape) == 2:
            z = z[:, None]
        log_q = log_normal(z, z_mean[:, None], z_log_var[:, None])
        return ops.mean(log_q - self.log_prob(z), axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="keras_vae")
class StandardNormal(Prior):
    """``p(z) = N(0, I)`` (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114).

    The KL has a closed form, with a term for each latent.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, prior="normal")
    ```
    """

    title = "N(0, I)"
    has_closed_form = True

    def log_prob(self, z):
        return -0.5 * ops.sum(ops.square(z) + LOG_2_PI, axis=-1)

    def draw(self, n, rng, temperature):
        return temperature * rng.standard_normal((n, self.latent_dim), "float32")

    def kl(self, z_mean, z_log_var, z=None):
        return kl_per_latent(z_mean, z_log_var)


@keras.saving.register_keras_serializable(package="keras_vae")
class MixturePrior(Prior):
    """A mixture of Gaussians with diagonal covariances, learned together with the model.

    ``p(z) = sum_k weights_k N(means_k, exp(log_vars_k))``. The KL is estimated by the draws of z.

    Args:
        components: Number of Gaussians.

    Raises:
        ValueError: If the number is not a positive integer.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, prior=keras_vae.priors.MixturePrior(20))
    ```
    """

    def __init__(self, components=20, **kwargs):
        super().__init__(**kwargs)
        check_integer("components", components, 1)
        self.components = int(components)
        self.title = f"a learned mixture of {self.components} Gaussians"

    def make(self, latent_dim):
        shape = self.components, latent_dim
        self.means = self.add_weight(shape, "zeros", name="means")
        self.means.assign(np.random.standard_normal(shape))  # the same on every backend
        self.log_vars = self.add_weight(shape, "zeros", name="log_vars")
        self.logits = self.add_weight((self.components,), "zeros", name="logits")

    def log_prob(self, z):
        log_weights = ops.log_softmax(self.logits)
        return log_mixture(z, ops.convert_to_tensor(self.means), self.log_vars, log_weights)

    def draw(self, n, rng, temperature):
        weights = np.exp(ops.convert_to_numpy(self.logits).astype("float64"))
        parts = map(ops.convert_to_numpy, (self.means, self.log_vars))
        return draw_from_mixture(n, rng, temperature, weights / weights.sum(), *parts)

    def get_config(self):
        return {**super().get_config(), "components": self.components}


@keras.saving.register_keras_serializable(package="keras_vae")
class VampPrior(Prior):
    """The mean posterior of K pseudo-images, which are learned: ``p(z) = 1/K sum_k q(z|u_k)``.

    "Variational mixture of posteriors" (Tomczak & Welling 2018, https://arxiv.org/abs/1705.07120):
    the mean of q(z|x) over the data is the best prior; K learned images are enough to approximate
    it. The KL is estimated by the draws of z. Each step also encodes the K images.

    Args:
        pseudo_inputs: The images to start from, ``(K, height, width, channels)``, uint8 in 0..255
            or float in [0, 1]: training images in random order.
        pixels: Whether they are pixels; False for other data, of any shape and size.

    Raises:
        ValueError: If they are not images, or not finite numbers.

    Example:

    ```python
    prior = keras_vae.priors.VampPrior(images[:500])
    model = keras_vae.VAE(encoder, decoder, prior=prior)
    ```
    """

    def __init__(self, pseudo_inputs, pixels=True, **kwargs):
        super().__init__(**kwargs)
        check("pixels", pixels, isinstance(pixels, bool), "True or False")
        pseudo_inputs, self.pixels = np.asarray(pseudo_inputs), pixels
        if pixels:
            check_images(pseudo_inputs, None, "pseudo_inputs")
        else:
            Reals().check(pseudo_inputs, None, "pseudo_inputs")
        if len(pseudo_inputs) == 0:
            raise ValueError("Argument `pseudo_inputs` must hold at least one image. Received: 0")
        self.shape = pseudo_inputs.shape
        self.data_shape = self.shape[1:]
        self.title = f"a VampPrior of {len(pseudo_inputs)} images"
        # Logits, so that the pixels stay in [0, 1].
        self.pseudo_logits = self.add_weight(self.shape, "zeros", name="pseudo_logits")
        self.pseudo_logits.assign(logits(to_float(pseudo_inputs)) if pixels else pseudo_inputs)

    def pseudo_inputs(self):
        """Returns the K pseudo-images as they are now.

        Returns:
            A tensor of the shape of the argument, pixels in [0, 1] or other data.

        Example:

        ```python
        prior = keras_vae.priors.VampPrior(images)
        model = keras_vae.VAE(encoder, decoder, prior=prior)
        pictures = keras.ops.convert_to_numpy(model.prior.pseudo_inputs())
        ```
        """
        return ops.sigmoid(self.pseudo_logits) if self.pixels else self.pseudo_logits + 0.0

    def components(self):
        """Returns the means and log variances of the K Gaussians, each ``(K, latent_dim)``."""
        if self.encode is None:
            raise ValueError("A `VampPrior` needs the encoder of its model: make the `VAE` first")
        return self.encode(self.pseudo_inputs())

    def log_prob(self, z):
        means, log_vars = self.components()
        return log_mixture(z, means, log_vars, -math.log(self.shape[0]))

    def draw(self, n, rng, temperature):
        parts = map(ops.convert_to_numpy, self.components())
        weights = np.full(self.shape[0], 1 / self.shape[0])
        return draw_from_mixture(n, rng, temperature, weights, *parts)

    def get_config(self):
        return {**super().get_config(), "pseudo_inputs": list(self.shape), "pixels": self.pixels}

    @classmethod
    def from_config(cls, config):
        # The file of weights has the images.
        return cls(**config | {"pseudo_inputs": np.zeros(config["pseudo_inputs"], "uint8")})


@keras.saving.register_keras_serializable(package="keras_vae")
class FlowPrior(Prior):
    """Noise mapped by coupling layers (RealNVP), learned together with the model.

    Each layer scales and shifts one half of the numbers by a network of the other half, which is
    easily inverted (Dinh, Sohl-Dickstein & Bengio 2017, https://arxiv.org/abs/1605.08803; as the
    prior of a VAE: Huang et al. 2017). The KL is estimated by the draws of z.

    Args:
        layers: Number of coupling layers.
        width: Units of the two hidden layers of each network.

    Raises:
        ValueError: If an argument is invalid, or codes have a single number.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, prior="flow")
    ```
    """

    def __init__(self, layers=6, width=128, **kwargs):
        super().__init__(**kwargs)
        check_integer("layers", layers, 1)
        check_integer("width", width, 1)
        self.layers, self.width = int(layers), int(width)
        self.title = f"a learned flow of {self.layers} layers"

    def make(self, latent_dim):
        if latent_dim < 2:
            raise ValueError("The prior `FlowPrior` needs at least 2 latents. Received: 1")
        self.half = latent_dim // 2
        sizes = self.half, self.width, self.width, 2 * (latent_dim - self.half)
        self.kernels, self.biases = [], []
        for layer in range(self.layers):
            for i, shape in enumerate(itertools.pairwise(sizes)):
                # Zeros at the end: the flow starts as the identity.
                start = "zeros" if i == 2 else GlorotUniform()
                name = f"{layer}_{i}"
                self.kernels.append(self.add_weight(shape, start, name=f"kernel_{name}"))
                self.biases.append(self.add_weight(shape[1:], "zeros", name=f"bias_{name}"))

    def log_prob(self, z):
        z, log_volume = ops.convert_to_tensor(z), 0.0
        for layer in range(self.layers):
            kept, changed = z[..., : self.half], z[..., self.half :]
            log_scale, shift = self.coupling(layer, kept)
            changed = changed * ops.exp(log_scale) + shift
            log_volume = log_volume + ops.sum(log_scale, axis=-1)
            z = ops.concatenate([ops.flip(changed, -1), ops.flip(kept, -1)], axis=-1)
        return log_volume - 0.5 * ops.sum(ops.square(z) + LOG_2_PI, axis=-1)

    def codes(self, noise):
        """Returns the codes to which noise ``(n, latent_dim)`` is mapped."""
        z = noise
        for layer in reversed(range(self.layers)):
            z = ops.flip(z, -1)
            kept, changed = z[..., : self.half], z[..., self.half :]
            log_scale, shift = self.coupling(layer, kept)
            z = ops.concatenate([kept, (changed - shift) * ops.exp(-log_scale)], axis=-1)
        return z

    def coupling(self, layer, x):
        """Returns the log scales and shifts of one half, from the other."""
        parts = [*zip(self.kernels, self.biases)][3 * layer : 3 * layer + 3]
        for kernel, bias in parts[:2]:
            x = ops.silu(ops.matmul(x, kernel) + bias)
        kernel, bias = parts[2]
        log_scale, shift = ops.split(ops.matmul(x, kernel) + bias, 2, axis=-1)
        return ops.tanh(log_scale), shift

    def draw(self, n, rng, temperature):
        noise = temperature * rng.standard_normal((n, self.latent_dim), "float32")
        return ops.convert_to_numpy(self.codes(ops.convert_to_tensor(noise)))

    def get_config(self):
        return {**super().get_config(), "layers": self.layers, "width": self.width}


def log_normal(z, z_mean, z_log_var):
    """Returns ``log N(z; z_mean, exp(z_log_var))``, summed over the last axis."""
    squares = ops.square(z - z_mean) * ops.exp(-z_log_var)
    return -0.5 * ops.sum(squares + z_log_var + LOG_2_PI, axis=-1)


def log_mixture(z, means, log_vars, log_weights):
    """Returns ``log sum_k exp(log_weights_k) N(z; means_k, exp(log_vars_k))``.

    Args:
        z: ``(..., latent_dim)``.
        means, log_vars: ``(K, latent_dim)``.
        log_weights: ``(K,)``, or one number.
    """
    z = ops.convert_to_tensor(z)
    if device_name() != "cpu":  # where a product may be rounded to 10 bits, and this is as fast
        return ops.logsumexp(log_normal(z[..., None, :], means, log_vars) + log_weights, axis=-1)
    # As products of matrices, 40 times faster on two cores. Around the mean of all components, so
    # that less is subtracted from large numbers.
    middle = ops.stop_gradient(ops.mean(means, axis=0))
    z, means, inverse = z - middle, means - middle, ops.exp(-log_vars)
    constant = ops.sum(ops.square(means) * inverse + log_vars + LOG_2_PI, axis=-1)
    distances = (
        ops.matmul(ops.square(z), ops.transpose(inverse))
        - 2 * ops.matmul(z, ops.transpose(means * inverse))
        + constant
    )
    return ops.logsumexp(log_weights - 0.5 * distances, axis=-1)


def draw_from_mixture(n, rng, temperature, weights, means, log_vars):
    """Returns n draws of a mixture of Gaussians, NumPy in, NumPy out."""
    chosen = rng.choice(len(weights), n, p=weights)
    noise = rng.standard_normal((n, means.shape[1]), "float32")
    return means[chosen] + temperature * np.exp(log_vars[chosen] / 2) * noise


def kl_per_latent(z_mean, z_log_var):
    """Returns ``KL[N(z_mean, exp(z_log_var)) || N(0, 1)]`` of each latent: ``(n, latent_dim)``.

    ``-1/2 (1 + z_log_var - z_mean^2 - exp(z_log_var))`` (Kingma & Welling 2014, appendix B).
    """
    z_mean, z_log_var = ops.convert_to_tensor(z_mean), ops.convert_to_tensor(z_log_var)
    return -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))


BY_NAME = {"normal": StandardNormal, "mixture": MixturePrior, "flow": FlowPrior}


def get(prior):
    """Returns the prior of this name, or the object itself.

    Args:
        prior: ``"normal"``, ``"mixture"``, ``"flow"``, or a `Prior`. A `VampPrior` needs images,
            and has no name.

    Returns:
        A `Prior`.

    Raises:
        ValueError: If it is neither.

    Example:

    ```python
    keras_vae.priors.get("mixture")
    ```
    """
    return pieces.get("prior", prior, Prior, BY_NAME)
