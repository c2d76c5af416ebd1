"""What training maximises: lower bounds of log p(x).

With K draws z_i of q(z|x) and ``w_i = p(x|z_i) p(z_i) / q(z_i|x)``, the ELBO is the mean of
``log w_i``, and the importance-weighted bound ``log 1/K sum_i w_i``, which is tighter. Like
`keras_vae.likelihoods`, bounds are Keras layers without weights, saved in the model's config.
"""

import keras
from keras import ops

from keras_vae import pieces
from keras_vae.checks import check_integer, check_number
from keras_vae.pieces import Piece
from keras_vae.priors import log_normal

__all__ = ["ELBO", "Bound", "ImportanceWeighted", "get"]

LEAST = 1e-20  # a draw's weight in the decoder's gradient, so that the encoder's can be scaled
NO_FREE_BITS = (
    "Free bits change the KL of a batch, of which the importance-weighted bound has none: use "
    "free_bits=0, or the bound 'elbo'"
)


class Bound(Piece):
    """Base class of bounds.

    Attributes:
        draws: How many draws of z there are for each image.

    Example:

    ```python
    model.bound.draws  # 1
    ```
    """

    draws = 1


@keras.saving.register_keras_serializable(package="keras_vae")
class ELBO(Bound):
    """The evidence lower bound, with one draw of z.

    ``log p(x|z) - KL[q(z|x) || p(z)]`` (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114,
    equation 3). `VAE.compute_losses` computes it.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, bound="elbo")
    ```
    """


@keras.saving.register_keras_serializable(package="keras_vae")
class ImportanceWeighted(Bound):
    """The importance-weighted bound of Burda et al. 2016, and its relatives.

    ``log 1/K sum_i w_i`` (https://arxiv.org/abs/1509.00519, equation 8), and with the other
    arguments (Rainforth et al. 2018, https://arxiv.org/abs/1802.04537, section 4):

    - ``groups=M``: the mean of M such bounds, each of K/M draws (MIWAE). ``groups=K`` is the mean
      of K draws of the ELBO.
    - ``encoder_groups=M``: the encoder is trained with M groups, decoder and prior with ``groups``
      (PIWAE): many draws make the decoder's gradient better and the encoder's noisier.
    - ``elbo_share=b``: ``b`` times the ELBO plus ``1 - b`` times the bound (CIWAE).
    - ``doubly_reparameterised=True``: the encoder's gradient is estimated with less noise, and
      not worse with more draws (Tucker et al. 2019, https://arxiv.org/abs/1810.04152, equation 8).

    The KL in each w_i is weighted by beta. `evaluate` uses K draws as well, so ``val_loss`` is the
    same bound. ``reconstruction_loss`` and ``kl_loss`` are means over the draws.

    Args:
        draws: K, at least 2.
        groups: Number of groups for all weights, or for all but the encoder's; divides K.
        encoder_groups: Number of groups for the encoder; divides K. None: the same.
        elbo_share: A number in [0, 1].
        doubly_reparameterised: Whether to use that gradient for the encoder.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    bound = keras_vae.bounds.ImportanceWeighted(64, encoder_groups=8)  # PIWAE(8, 8)
    model = keras_vae.VAE(encoder, decoder, "bernoulli", bound=bound)
    ```
    """

    def __init__(
        self,
        draws=50,
        groups=1,
        encoder_groups=None,
        elbo_share=0.0,
        doubly_reparameterised=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_integer("draws", draws, 2)
        for name, count in (("groups", groups), ("encoder_groups", encoder_groups)):
            check_integer(name, count, 1, optional=name == "encoder_groups")
            if count is not None and draws % count:
                raise ValueError(
                    f"Argument `{name}` must divide the {draws} draws. Received: {name}={count}"
                )
        check_number("elbo_share", elbo_share, low=0, high=1)
        if not isinstance(doubly_reparameterised, bool):
            raise ValueError(
                "Argument `doubly_reparameterised` must be True or False. "
                f"Received: doubly_reparameterised={doubly_reparameterised!r}"
            )
        self.draws, self.groups = int(draws), int(groups)
        self.encoder_groups = None if encoder_groups is None else int(encoder_groups)
        self.elbo_share = float(elbo_share)
        self.doubly_reparameterised = doubly_reparameterised

    def draw(self, z_mean, z_log_var, eps):
        """Returns the draws of z, their log density, and gates of their gradients.

        Args:
            z_mean, z_log_var: ``(n, latent_dim)``.
            eps: Noise ``(n, draws, latent_dim)``.

        Returns:
            A dict: ``z`` and ``z_gated``, ``(n, draws, latent_dim)``, the same values, but the
            gradient of the second is scaled; ``log_q`` ``(n, draws)``; and ``gates``
            ``(n, draws, 2)`` or None, see `gated`.
        """
        mean, log_var = z_mean[:, None], z_log_var[:, None]
        z = z_gated = mean + ops.exp(log_var / 2) * eps
        gates = None
        if self.doubly_reparameterised:
            mean, log_var = ops.stop_gradient(mean), ops.stop_gradient(log_var)
            z_gated, gates = ops.split(gated(z), [z.shape[-1]], axis=-1)
        elif self.encoder_groups:
            parts = [z, *(ops.broadcast_to(part, ops.shape(z)) for part in (mean, log_var))]
            ends = [(i + 1) * z.shape[-1] for i in range(3)]
            parts = ops.split(gated(ops.concatenate(parts, axis=-1)), ends, axis=-1)
            z_gated, mean, log_var, gates = parts
        log_q = log_normal(z_gated, mean, log_var)
        return {"z": z, "z_gated": z_gated, "log_q": log_q, "gates": gates}

    def terms(self, model, x, y, kl_weight, training):
        """Returns the terms of the losses of each image.

        Args:
            model: A `VAE`.
            x: Images ``(n, height, width, channels)``.
            y: The result of the model's `call` with `draws` draws.
            kl_weight: The weight of the KL.
            training: Whether the losses are to be trained.

        Returns:
            The negative bound ``(n,)``; the means over the draws of ``-log p(x|z)`` ``(n,)`` and
            of the KL ``(n, 1)``; and the normalised weights ``(n * draws,)``, which add up to n.
        """
        x = repeated(model.likelihood.data.tensor(x), self.draws)
        nats = ops.reshape(model.likelihood.nats(x, y["outputs"]), (-1, self.draws))
        kl = y["log_q"] - model.prior.log_prob(y["z_gated"])
        log_w = -nats - kl_weight * kl  # (n, draws)
        bound = self.value(log_w)  # (n,)
        weights = ops.stop_gradient(self.draw_weights(log_w, self.groups))  # (n, draws)
        if training and y["gates"] is not None:
            # Decoder and prior are trained with `weights`. Where their gradient reaches the
            # encoder, it is scaled to other weights.
            weights = ops.maximum(weights, LEAST)
            wanted = ops.stop_gradient(self.encoder_weights(log_w, kl_weight))
            opened = y["gates"][..., 0] * wanted / weights + y["gates"][..., 1]
            surrogate = ops.sum(weights * log_w + opened, axis=1)
            bound = surrogate + ops.stop_gradient(bound - surrogate)
        means = ops.mean(nats, axis=1), ops.mean(kl, axis=1, keepdims=True)
        return -bound, *means, self.draws * ops.reshape(weights, (-1,))

    def value(self, log_w):
        """Returns the bound of each image, ``(n,)``, from ``log w_i``, ``(n, draws)``."""
        size = self.draws // self.groups
        by_group = ops.logsumexp(ops.reshape(log_w, (-1, self.groups, size)), axis=2)
        bound = ops.mean(by_group, axis=1) - ops.log(float(size))
        share = self.elbo_share
        return share * ops.mean(log_w, axis=1) + (1 - share) * bound if share else bound

    def draw_weights(self, log_w, groups):
        """Returns the derivative of the bound with respect to each ``log w_i``."""
        share = self.elbo_share
        return share / self.draws + (1 - share) * self.normalised(log_w, groups) / groups

    def normalised(self, log_w, groups):
        """Returns the weights w_i divided by their sum in each group, ``(n, draws)``."""
        parts = ops.reshape(log_w, (-1, groups, self.draws // groups))
        return ops.reshape(ops.softmax(parts, axis=2), ops.shape(log_w))

    def encoder_weights(self, log_w, kl_weight):
        """Returns the weights of the gradients that reach the encoder through each z_i."""
        groups = self.encoder_groups or self.groups
        if not self.doubly_reparameterised:
            return self.draw_weights(log_w, groups)
        # The gradient of log q(z_i|x) with z_i held is left out; on average it equals one through
        # z_i: that of w_i (1 - w_i), with the factor that log q has.
        w = self.normalised(log_w, groups)
        w = w - kl_weight * (w - ops.square(w))
        return self.elbo_share / self.draws + (1 - self.elbo_share) * w / groups

    def get_config(self):
        names = "draws", "groups", "encoder_groups", "elbo_share", "doubly_reparameterised"
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def repeated(x, times):
    """Returns a batch with each item repeated: ``(n, ...)`` to ``(n * times, ...)``."""
    shape = ops.shape(x)
    x = ops.broadcast_to(x[:, None], (shape[0], times, *shape[1:]))
    return ops.reshape(x, (-1, *x.shape[2:]))


@ops.custom_gradient
def gated(x):
    """Returns `x` with two zeros appended, its gates: they scale its gradient.

    The gradient of x is multiplied by the quotient of the gradients of the gates. So a factor that
    is known only after x was used reaches the point where the gradient passes: a loss to which
    ``gate_1 * factor + gate_2`` is added, with the value 0, has these gradients, up to factors of
    the complete loss, which cancel.

    Args:
        x: ``(n, draws, m)``.

    Returns:
        ``(n, draws, m + 2)``.
    """

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        gates = upstream[..., -2:]
        return upstream[..., :-2] * ops.divide_no_nan(gates[..., :1], gates[..., 1:])

    zeros = ops.zeros_like(x[..., :1])
    return ops.concatenate([x, zeros, zeros], axis=-1), gradient


BY_NAME = {"elbo": ELBO, "importance": ImportanceWeighted}


def get(bound):
    """Returns the bound of this name, or the object itself.

    Args:
        bound: ``"elbo"``, ``"importance"`` (with 50 draws), or a `Bound`.

    Returns:
        A `Bound`.

    Raises:
        ValueError: If it is neither.

    Example:

    ```python
    keras_vae.bounds.get("importance").draws  # 50
    ```
    """
    return pieces.get("bound", bound, Bound, BY_NAME)
