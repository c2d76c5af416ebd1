"""What may be added to the loss of a model, to shape its codes.

A penalty is estimated from each batch, so with one the losses depend on the batch size. To add one,
write a class with `nats` and `get_config`; see `keras_vae.pieces.Piece` for its attributes.
"""

import math

import keras
from keras import ops

from keras_vae.checks import check_integer, check_number
from keras_vae.pieces import Piece
from keras_vae.priors import LOG_2_PI

__all__ = ["DIP", "MMD", "CodeNorm", "Penalty", "TotalCorrelation"]

SCALES = 0.2, 0.5, 1.0, 2.0, 5.0  # of the kernels of `MMD`, times latent_dim


class Penalty(Piece):
    """Base class of penalties.

    Args:
        weight: The factor of the penalty, a finite number of at least 0.

    Raises:
        ValueError: If the weight is invalid.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class MeanCode(keras_vae.penalties.Penalty):
        def nats(self, model, y, shares):
            mean = keras.ops.sum(shares[:, None] * y["z_mean"], axis=0)
            return keras.ops.sum(keras.ops.square(mean))

    model = keras_vae.VAE(encoder, decoder, penalty=MeanCode(weight=10.0))
    ```
    """

    needs_posterior = True  # hence a `VAE`

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        check_number("weight", weight, low=0)
        self.weight = float(weight)

    def nats(self, model, y, shares):
        """Returns the penalty of a batch, before its weight: a scalar.

        Args:
            model: The model that is trained.
            y: The dict that the model's `call` returns for the batch.
            shares: ``(n,)``, which share of the batch each image is: they add up to 1.

        Returns:
            A scalar tensor, in nats per image.

        Example:

        ```python
        shares = keras.ops.full((len(images),), 1 / len(images))
        nats = keras_vae.penalties.MMD(100.0).nats(model, model(images), shares)
        ```
        """
        raise NotImplementedError(f"{type(self).__name__} must define `nats`")

    def loss(self, model, y, sample_weight):
        """Returns the weighted penalty of a batch; images without weight do not count."""
        if sample_weight is None:
            ones = ops.ones_like(one_draw(y)[:, 0])
            return self.weight * self.nats(model, y, ones / ops.sum(ones))
        weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        total = ops.sum(weights)
        nats = self.nats(model, y, weights / ops.maximum(total, 1e-30))
        # Scaled like the mean of the other losses, which is divided by the number of images.
        return self.weight * nats * total / ops.cast(ops.shape(weights)[0], "float32")

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(package="keras_vae")
class TotalCorrelation(Penalty):
    """``TC = KL[q(z) || prod_j q(z_j)]`` of the codes: the beta-TCVAE.

    The KL of the ELBO is the sum of the information that codes have of images, the total
    correlation, and the KL of each latent by itself; only the second says how far latents are
    from independent (Chen et al. 2018, https://arxiv.org/abs/1802.04942, equation 2). Their
    ``beta`` is ``1 + weight`` here. The density ``q(z) = 1/N sum q(z|x)`` over N training images is
    estimated from the M of a batch:

    - ``"weighted"``: ``log q(z_i) ~ log 1/M sum_j q(z_i|x_j)`` (their equation 5, without its
      constant ``log N``), which is biased.
    - ``"stratified"``: ``q(z|x_i)`` of the image itself has the weight 1/N, and the others share
      the rest, which is unbiased for q(z) (their appendix C.2, where one of the others has
      another weight than the rest).

    Args:
        weight: Factor of the penalty.
        images: N, the number of training images; only for ``"stratified"``.
        estimate: ``"weighted"`` or ``"stratified"``.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    penalty = keras_vae.penalties.TotalCorrelation(weight=5)
    model = keras_vae.VAE(encoder, decoder, penalty=penalty)
    ```
    """

    def __init__(self, weight, images=None, estimate="weighted", **kwargs):
        super().__init__(weight, **kwargs)
        check_integer("images", images, 1, optional=estimate != "stratified")
        if estimate not in ("weighted", "stratified"):
            raise ValueError(
                "Argument `estimate` must be 'weighted' or 'stratified'. "
                f"Received: estimate={estimate!r}"
            )
        self.images, self.estimate = None if images is None else int(images), estimate

    def nats(self, model, y, shares):
        parts = (one_draw(y), y["z_mean"], y["z_log_var"])
        z, means, log_vars = (ops.transpose(part) for part in parts)  # (d, n) is faster
        squares = ops.square(z[..., None] - means[:, None]) * ops.exp(-log_vars)[:, None]
        each = -0.5 * (squares + log_vars[:, None] + LOG_2_PI)  # log q(z_ik|x_j): (d, n, n)
        log_weights = self.log_weights(shares)
        log_q = ops.logsumexp(log_weights + ops.sum(each, axis=0), axis=1)  # (n,)
        log_q_each = ops.logsumexp(log_weights + each, axis=2)  # (d, n)
        return ops.sum(shares * (log_q - ops.sum(log_q_each, axis=0)))

    def log_weights(self, shares):
        """Returns the log of the weight of ``q(z|x_j)`` in the estimate of q(z_i), ``(n, n)``."""
        log_shares = ops.log(ops.maximum(shares, 1e-30))
        if self.estimate == "weighted":
            return log_shares[None]
        log_n = math.log(self.images)
        rest = math.log(max(self.images - 1, 1e-30)) - log_n
        others = rest + log_shares - ops.log(ops.maximum(1 - shares, 1e-30))[:, None]
        return ops.where(ops.eye(ops.shape(shares)[0]) > 0, -log_n, others)

    def get_config(self):
        return {**super().get_config(), "images": self.images, "estimate": self.estimate}


@keras.saving.register_keras_serializable(package="keras_vae")
class MMD(Penalty):
    """The maximum mean discrepancy between codes and N(0, I): InfoVAE, WAE-MMD.

    ``MMD^2 = E k(z, z') - 2 E k(z, e) + E k(e, e')`` with codes z, noise e, and the mean of
    Gaussian kernels ``exp(-||z - z'||^2 / (2 s))``, ``s`` from 0.2 to 5 times ``latent_dim``.
    Terms with noise are exact; pairs of a batch estimate the first without bias, so it may be
    slightly negative. With ``beta = 1 - alpha`` and ``weight = alpha + lambda - 1`` a VAE with it
    is the InfoVAE (Zhao et al. 2017, https://arxiv.org/abs/1706.02262, equation 7); an
    `AutoEncoder` with it is the WAE-MMD (Tolstikhin et al. 2018,
    https://arxiv.org/abs/1711.01558, algorithm 2).

    Args:
        weight: Factor of the penalty. MMD^2 is at most 2: weights are of the size of the losses.

    Raises:
        ValueError: If the weight is invalid.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, beta=0.0, penalty=keras_vae.penalties.MMD(100.0))
    ```
    """

    needs_posterior = False

    def nats(self, model, y, shares):
        z = one_draw(y)
        n, d = ops.shape(z)[0], z.shape[1]
        squares = ops.sum(ops.square(z), axis=1)  # (n,)
        distances = squares[:, None] + squares - 2 * ops.matmul(z, ops.transpose(z))
        pairs = shares[:, None] * shares * (1 - ops.eye(n))
        pairs = ops.divide_no_nan(pairs, ops.sum(pairs))
        total = 0.0
        for s in (scale * d for scale in SCALES):
            among = ops.sum(pairs * ops.exp(-ops.maximum(distances, 0.0) / (2 * s)))
            across = (s / (s + 1)) ** (d / 2) * ops.sum(shares * ops.exp(-squares / (2 * (s + 1))))
            total = total + among - 2 * across + (s / (s + 2)) ** (d / 2)
        return total / len(SCALES)


@keras.saving.register_keras_serializable(package="keras_vae")
class DIP(Penalty):
    """Squared differences of the covariance of codes from the identity: the DIP-VAE.

    ``sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2`` (Kumar et al. 2018,
    https://arxiv.org/abs/1711.00848, equations 6 and 7), with the covariance C of a batch: of
    ``z_mean`` (DIP-VAE-I), or of z (DIP-VAE-II), which adds the mean variance of q(z|x).

    Args:
        weight: Factor of the penalty.
        diagonal: Factor of the diagonal, beside it; the paper uses 10 for I and 1 for II.
        of: ``"z_mean"`` or ``"z"``.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, penalty=keras_vae.penalties.DIP(10.0, of="z"))
    ```
    """

    def __init__(self, weight, diagonal=10.0, of="z_mean", **kwargs):
        super().__init__(weight, **kwargs)
        check_number("diagonal", diagonal, low=0)
        if of not in ("z_mean", "z"):
            raise ValueError(f"Argument `of` must be 'z_mean' or 'z'. Received: of={of!r}")
        self.diagonal, self.of = float(diagonal), of

    def nats(self, model, y, shares):
        means, weights = y["z_mean"], shares[:, None]
        centred = means - ops.sum(weights * means, axis=0)
        covariance = ops.matmul(ops.transpose(weights * centred), centred)
        identity = ops.eye(means.shape[1])
        if self.of == "z":
            covariance = covariance + identity * ops.sum(weights * ops.exp(y["z_log_var"]), axis=0)
        squares = ops.square(covariance - identity)
        return ops.sum(squares * (1 - identity + self.diagonal * identity))

    def get_config(self):
        return {**super().get_config(), "diagonal": self.diagonal, "of": self.of}


@keras.saving.register_keras_serializable(package="keras_vae")
class CodeNorm(Penalty):
    """``||z||^2 / 2`` of the codes, and squared weights of the decoder: RAE-L2.

    A regularised `AutoEncoder` (Ghosh et al. 2020, https://arxiv.org/abs/1903.12436, equations 4
    to 6). New images come from a density that is fitted to its codes afterwards
    (`keras_vae.latent.fit_mixture`, `fit_flow`). For a `VAE` it applies to the drawn z.

    Args:
        weight: Factor of the penalty.
        decoder: Factor of ``||theta||^2 / 2`` over the kernels of the decoder, beside it.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    parts = keras_vae.build_mlp((28, 28, 1), latent_dim=16, variational=False)
    model = keras_vae.AutoEncoder(*parts, penalty=keras_vae.penalties.CodeNorm(1e-2))
    ```
    """

    needs_posterior = False

    def __init__(self, weight, decoder=0.0, **kwargs):
        super().__init__(weight, **kwargs)
        check_number("decoder", decoder, low=0)
        self.decoder = float(decoder)

    def nats(self, model, y, shares):
        nats = ops.sum(shares * ops.sum(ops.square(one_draw(y)), axis=1)) / 2
        if self.decoder:
            kernels = [w for w in model.decoder.trainable_variables if w.name.endswith("kernel")]
            nats = nats + self.decoder / 2 * sum(ops.sum(ops.square(w)) for w in kernels)
        return nats

    def get_config(self):
        return {**super().get_config(), "decoder": self.decoder}


def one_draw(y):
    """Returns one code of each image, ``(n, latent_dim)``, of a dict that `call` returned."""
    return y["z"][:, 0] if len(y["z"].shape) == 3 else y["z"]


def check(penalty, has_posterior):
    """Returns the penalty, or raises `ValueError` if it is none, or does not suit the model."""
    if penalty is not None and not isinstance(penalty, Penalty):
        raise ValueError(
            "Argument `penalty` must be None or a `keras_vae.penalties.Penalty`. "
            f"Received: penalty={penalty!r}"
        )
    if penalty is not None and penalty.needs_posterior and not has_posterior:
        raise ValueError(
            f"The penalty {type(penalty).__name__} needs the posterior of a `VAE`. An "
            "`AutoEncoder` takes MMD and CodeNorm"
        )
    return penalty
