"""VAE: an AutoEncoder whose code is a distribution."""

from numbers import Real

import keras
import numpy as np
from keras import ops

from keras_vae.images import to_pixels
from keras_vae.layers import Sampling, check_seed
from keras_vae.models.autoencoder import AutoEncoder, weighted_mean

# How many different draws of noise an evaluation uses, one an image, and how many numbers in all.
NOISE_ROWS, NOISE_VALUES = 4096, 2**20


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(AutoEncoder):
    """Variational autoencoder (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114).

    The encoder gives a Gaussian ``q(z|x) = N(z_mean, exp(z_log_var))``, a draw from it is
    decoded, and the loss, in nats per image, is summed over pixels and latents and averaged
    over the batch:

    ``loss = reconstruction_loss + beta * kl_loss``

    with ``kl_loss = KL[q(z|x) || N(0, I)]`` (see `gaussian_kl`). With ``beta=1`` this is the
    negative ELBO, up to the likelihood's constant; other values make the beta-VAE (Higgins
    2017). Training draws fresh noise at each step; `evaluate`, `predict` and a plain call
    always use the same noise, so they give the same numbers twice, on every backend.

    Args:
        encoder: Keras model, images ``(n, height, width, channels)`` in [0, 1] to the pair
            ``(z_mean, z_log_var)``, each ``(n, latent_dim)``.
        decoder: Keras model, ``z`` to *unactivated* outputs
            ``(n, height, width, channels)``; the likelihood has the last activation.
        likelihood: Name or object, see `keras_vae.likelihoods`.
        beta: Weight of the KL, a finite number of at least 0.
        seed: None or a non-negative integer; the noise of training starts from it.

    Call arguments:
        x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        training: Whether to draw fresh noise.
        eps: Optional noise ``(n, latent_dim)`` to use instead.
        raw: If True, the result has one more entry, ``outputs``: what the decoder gave,
            before the likelihood's activation.

    Returns:
        A dict: ``reconstruction`` ``(n, height, width, channels)``, pixels in [0, 1], and
        ``z_mean``, ``z_log_var`` and ``z``, each ``(n, latent_dim)``.

    Raises:
        ValueError: If an argument is unusable, or encoder and decoder do not fit together.

    Example:

    ```python
    encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=2)
    model = keras_vae.VAE(encoder, decoder)
    model.compile("adam")
    model.fit(np.random.rand(256, 28, 28, 1))
    model.sample(9)  # (9, 28, 28, 1)
    ```
    """

    code = ("z_mean", "z_log_var")

    def __init__(self, encoder, decoder, likelihood="mse", beta=1.0, seed=None, **kwargs):
        check_seed(seed)
        if isinstance(beta, bool) or not isinstance(beta, Real) or not 0 <= beta < np.inf:
            raise ValueError(
                f"Argument `beta` must be a finite number of at least 0. Received: beta={beta!r}"
            )
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.beta = float(beta)
        self.seed = seed
        self.sampling = Sampling(seed=seed)
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")
        self._noise = None

    def call(self, x, training=False, eps=None, raw=False):
        z_mean, z_log_var = (ops.cast(part, "float32") for part in self.encoder(self.pixels(x)))
        if eps is None and not training:
            eps = self.fixed_noise(0, ops.shape(x)[0])
        z = self.sampling([z_mean, z_log_var], eps=eps)
        return self.draw(z, {"z_mean": z_mean, "z_log_var": z_log_var, "z": z}, raw)

    @property
    def metrics(self):
        return [*super().metrics, self.kl_loss_tracker]

    def compute_losses(self, data, training):
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self.built:
            self.build(x.shape)
        eps = None
        if not training:  # how many images the evaluation has seen says which noise comes next
            eps = self.fixed_noise(self.kl_loss_tracker.count, ops.shape(x)[0])
        y = self(x, training=training, eps=eps, raw=True)
        reconstruction_nats = self.likelihood.nats(to_pixels(x), y["outputs"])  # (n,)
        kl_nats = gaussian_kl(y["z_mean"], y["z_log_var"])  # (n,)
        reconstruction_loss = weighted_mean(reconstruction_nats, sample_weight)
        kl_loss = weighted_mean(kl_nats, sample_weight)
        loss = reconstruction_loss + self.beta * kl_loss + sum(self.losses)
        return {"loss": loss, "reconstruction_loss": reconstruction_loss, "kl_loss": kl_loss}

    def fixed_noise(self, first, n):
        """Returns the noise of images number ``first`` to ``first + n`` of an evaluation.

        The same on every backend (it comes from NumPy) and for every batch size.
        """
        if self._noise is None:
            rows = max(1, min(NOISE_ROWS, NOISE_VALUES // self.latent_dim))
            rng = np.random.default_rng(0)
            self._noise = rng.standard_normal((rows, self.latent_dim), "float32")
        rows = ops.cast(first, "int32") + ops.arange(n, dtype="int32")
        return ops.take(ops.convert_to_tensor(self._noise), ops.mod(rows, len(self._noise)), axis=0)

    def encode(self, x, batch_size=128):
        """Returns the distributions over codes that images stand for.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to work on at once.

        Returns:
            The pair ``(z_mean, z_log_var)`` of NumPy float32 arrays ``(n, latent_dim)``.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z_mean, z_log_var = model.encode(images)
        ```
        """
        return super().encode(x, batch_size)

    def reconstruct(self, x, batch_size=128):
        """Returns images as the model draws them again, without noise: ``decode(z_mean)``.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to work on at once.

        Returns:
            NumPy float32 images of the same shape, pixels in [0, 1].

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        pictures = model.reconstruct(images)
        ```
        """
        z_mean, _ = self.encode(x, batch_size)
        return self.decode(z_mean, batch_size)

    def sample(self, n, seed=None, temperature=1.0):
        """Returns new images, decoded from ``z ~ N(0, temperature^2 I)``.

        The codes are drawn with NumPy: one seed shows one picture on every backend.

        Args:
            n: How many.
            seed: None or a non-negative integer.
            temperature: Scale of the codes; below 1 images are more typical and less diverse.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If an argument is unusable.

        Example:

        ```python
        images = model.sample(16, seed=0)
        ```
        """
        check_seed(seed)
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise ValueError(f"Argument `n` must be a non-negative integer. Received: n={n!r}")
        if not isinstance(temperature, Real) or not 0 <= temperature < np.inf:
            raise ValueError(
                "Argument `temperature` must be a finite number of at least 0. "
                f"Received: temperature={temperature!r}"
            )
        z = np.random.default_rng(seed).standard_normal((n, self.latent_dim or 1), "float32")
        return self.decode(temperature * z)

    def _encode(self, x):
        z_mean, z_log_var = self.encoder(to_pixels(x), training=False)
        return ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "seed": self.seed}


def gaussian_kl(z_mean, z_log_var):
    """Returns ``KL[N(z_mean, exp(z_log_var)) || N(0, I)]`` of each image.

    ``-1/2 sum_j (1 + z_log_var_j - z_mean_j^2 - exp(z_log_var_j))`` (Kingma & Welling 2014,
    appendix B).

    Args:
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``, the logarithm of the variance.

    Returns:
        Shape ``(n,)``, in nats per image.

    Example:

    ```python
    gaussian_kl(np.zeros((1, 2)), np.zeros((1, 2)))  # [0.]
    ```
    """
    z_mean, z_log_var = ops.convert_to_tensor(z_mean), ops.convert_to_tensor(z_log_var)
    return -0.5 * ops.sum(1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var), axis=-1)
