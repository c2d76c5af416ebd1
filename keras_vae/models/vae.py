"""VAE: an AutoEncoder that encodes an image as a distribution over codes."""

import math

import keras
from keras import ops

from keras_vae import noise, parallel, priors
from keras_vae.checks import check_integer
from keras_vae.layers import Sampling, hashed_seed
from keras_vae.likelihoods.data import Pixels
from keras_vae.models import bounds, conditions, importance
from keras_vae.models.autoencoder import AutoEncoder, mean_weight, weighted_mean
from keras_vae.models.settings import Setting, number, settings
from keras_vae.priors import kl_per_latent

EVALUATION = -1  # the seed of the noise in `evaluate`; those of training are not negative


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(AutoEncoder):
    """Variational autoencoder (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114).

    The encoder returns a Gaussian ``q(z|x) = N(z_mean, exp(z_log_var))``, a draw from it is
    decoded, and the loss, in nats per image, is summed over pixels and latents and averaged
    over the batch:

    ``loss = reconstruction_loss + beta * kl_loss``

    with ``kl_loss = KL[q(z|x) || p(z)]`` and ``p(z) = N(0, I)`` (see `gaussian_kl`). With
    ``beta=1`` this is the negative ELBO, up to the likelihood's constant; other values give the
    beta-VAE (Higgins 2017). `prior` replaces p(z), `bound` the ELBO by a tighter bound, and
    `penalty` adds a term; ``reconstruction_loss`` and ``kl_loss`` keep their meaning, and ``loss``
    is what is optimised.

    The noise of training is a function of seed, step and position in the batch
    (`keras_vae.noise`), the same on every backend. `evaluate` always uses the same noise for the
    image at each position, so its losses are the same in every call and, without a penalty, for
    every batch size. `predict` and a plain call draw no noise: they decode ``z_mean``.

    Warm-up and free bits change only the loss that training optimises. ``kl_loss`` is always
    the raw KL (estimated by the draws of z if the prior has no closed form), and `evaluate` always
    weights it by the final beta, so ``val_loss`` means the same in every epoch. ``kl_weight`` in
    the logs is the mean weight over the epoch. ``beta`` and ``free_bits`` may be set at any time
    (``model.beta = 4.0``), also by a callback, and the next step uses them. Each is read as a
    variable, like ``optimizer.learning_rate``.

    Args:
        encoder: Keras model, images ``(n, height, width, channels)`` in [0, 1] to the pair
            ``(z_mean, z_log_var)``, each ``(n, latent_dim)``.
        decoder: Keras model, ``z`` to *unactivated* outputs
            ``(n, height, width, channels)``; the likelihood applies the last activation.
        likelihood: Name or object, see `keras_vae.likelihoods`.
        beta: Weight of the KL, a finite number of at least 0.
        kl_warmup_steps: Number of training steps in which the weight rises linearly from 0 to
            beta (Bowman et al. 2016, https://arxiv.org/abs/1511.06349).
        free_bits: KL that each latent may have at no cost, in nats: training optimises
            ``sum_j max(free_bits, batch mean of KL_j)`` in place of the KL (Kingma et al. 2016,
            https://arxiv.org/abs/1606.04934, appendix C.8, with each latent a group). With a
            prior other than the standard normal, all latents are one group.
        augmentation: Keras layer that changes pixels in [0, 1] at random in training, or None,
            see `AutoEncoder`.
        seed: Seeds the noise of training: None or a non-negative integer.
        prior: p(z), a name or an object, see `keras_vae.priors`.
        bound: The lower bound of log p(x) that is maximised, a name or an object, see
            `keras_vae.bounds`.
        penalty: One of `keras_vae.penalties`, or None. The logs then have ``penalty_loss``.
        condition: A `keras_vae.Condition`, or None: encoder and decoder then take ``[x, signs]``
            and ``[z, signs]``, and `fit` takes labels or attributes as ``y``.

    Attributes:
        steps: The number of training steps so far, an int32 variable that is saved with the model.

    Call arguments:
        - x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        - training: Whether to draw ``z`` with fresh noise; otherwise it is ``z_mean``.
        - eps: Optional noise ``(n, latent_dim)`` to draw ``z`` with, or for the draws of a bound
            ``(n, draws, latent_dim)``.
        - raw: If True, the result has one more entry, ``outputs``: the decoder's outputs,
            before the likelihood's activation.
        - signs: Optional condition ``(n, size)``; None: unknown.

    Returns:
        A dict: ``reconstruction`` ``(n, height, width, channels)``, pixels in [0, 1], and
        ``z_mean``, ``z_log_var`` and ``z``, each ``(n, latent_dim)``. With several draws ``z`` is
        ``(n, draws, latent_dim)``, and there are ``n * draws`` reconstructions.

    Raises:
        ValueError: If an argument is invalid, or encoder and decoder do not fit together.

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
    has_prior = True
    loss_names = ("loss", "reconstruction_loss", "kl_loss", "kl_weight")
    beta, free_bits = Setting(), Setting()

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="mse",
        beta=1.0,
        kl_warmup_steps=0,
        free_bits=0.0,
        augmentation=None,
        seed=None,
        prior="normal",
        bound="elbo",
        penalty=None,
        condition=None,
        **kwargs,
    ):
        check_integer("kl_warmup_steps", kl_warmup_steps, 0, below=2**31)
        check_integer("seed", seed, 0, optional=True)
        kwargs["condition"] = conditions.check(condition)  # a second input of both networks
        super().__init__(encoder, decoder, likelihood, augmentation, penalty, **kwargs)
        self.prior, self.bound = prior, bound
        self.beta, self.free_bits = beta, free_bits  # checked by `Setting`
        self.kl_warmup_steps = int(kl_warmup_steps)
        self.seed = seed
        self.sampling = Sampling(seed=seed)
        if self.built:
            self._build_codes()
        # Seed and step say which noise comes next, and are saved with the model.
        self.steps, self.noise_seed = (
            keras.Variable(value, trainable=False, dtype="int32", name=name)
            for name, value in (("steps", 0), ("noise_seed", hashed_seed(seed)))
        )

    def build(self, input_shape):
        super().build(input_shape)
        self._build_codes()

    def _build_codes(self):
        """Builds the layers that need the length of a code; `quantize` requires built layers."""
        self.sampling.build([(None, self.latent_dim)] * 2)
        self._build_prior(self.prior)

    def _build_prior(self, prior):
        if prior.data_shape not in (None, self.data_shape):
            raise ValueError(
                "Argument `prior` must have pseudo-inputs of the model's shape "
                f"{self.data_shape}. Received: some of shape {prior.data_shape}"
            )
        if prior.pixels not in (None, isinstance(self.likelihood.data, Pixels)):
            raise ValueError(
                "Argument `prior` must have pseudo-inputs of the kind that the likelihood is of. "
                f"Received: `VampPrior(pixels={prior.pixels})` for {type(self.likelihood).__name__}"
            )
        if not prior.built:
            prior.build((None, self.latent_dim))

    def _checked_prior(self, value):
        value = priors.get(value)
        if value.encode is not None and value.encode.__self__ is not self:
            raise ValueError(
                "Argument `prior` must not be the prior of another model, which it may be trained "
                f"with. Make a new {type(value).__name__}"
            )
        value.encode = self.posterior_of_values
        if self.built:
            self._build_prior(value)
        return value

    def _checked_bound(self, value):
        value = bounds.get(value)
        if value.draws > 1 and number(getattr(self, "free_bits", 0.0)) > 0:
            raise ValueError(bounds.NO_FREE_BITS)
        return value

    def check_setting(self, name, value):
        if name == "free_bits" and value > 0 and self.bound.draws > 1:
            raise ValueError(bounds.NO_FREE_BITS)

    pieces = {**AutoEncoder.pieces, "prior": _checked_prior, "bound": _checked_bound}

    def posterior_of_values(self, x, *signs, training=False):
        """Returns ``(z_mean, z_log_var)``, float32 tensors, of a tensor of `values`.

        Args:
            x: ``(n, ...)``, for images pixels in [0, 1].
            *signs: Nothing, or the condition ``(n, size)``, which is unknown by default.
            training: Whether layers behave as in training.
        """
        if self.condition is not None and not signs:
            signs = [self.condition.signs(None, ops.shape(x)[0])]
        x = self.likelihood.inputs(x)
        parts = self.encoder([x, *signs] if signs else x, training=training)
        return tuple(ops.cast(part, "float32") for part in parts)

    @property
    def variables(self):
        return [*super().variables, *settings(self)]

    def call(self, x, training=False, eps=None, raw=False, signs=None):
        if self.condition is not None and signs is None:
            signs = self.condition.signs(None, ops.shape(x)[0])
        given = [] if signs is None else [signs]
        z_mean, z_log_var = self.posterior_of_values(self.values(x), *given, training=training)
        code = {"z_mean": z_mean, "z_log_var": z_log_var}
        if not training and eps is None:
            return self.draw(z_mean, {**code, "z": z_mean}, raw, signs)
        if eps is not None and len(eps.shape) == 3:  # several draws
            code |= self.bound.draw(z_mean, z_log_var, eps)
            if signs is not None:
                signs = bounds.repeated(signs, self.bound.draws)
            return self.draw(ops.reshape(code["z_gated"], (-1, self.latent_dim)), code, raw, signs)
        z = self.sampling([z_mean, z_log_var], eps=eps)
        return self.draw(z, {**code, "z": z}, raw, signs)

    def compute_losses(self, data, training, eps=None, uniform=None):
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self.built:
            self.build(x.shape)
        if eps is None:
            rows = parallel.rows(ops.shape(x)[0])
            drawn = self.noise_of_steps(1, rows, training)
            eps, uniform = drawn["eps"][0], drawn.get("uniform", [None])[0]
        given = {}
        if self.condition is not None:
            signs = self.condition.signs(labels, ops.shape(x)[0])
            given["signs"] = self.condition.hide(signs, uniform) if training else signs
        y = self(x, training=training, eps=eps, raw=True, **given)
        regularisation = sum(self.losses)  # before the prior may call the encoder, too
        kl_weight = self.kl_weight(training)
        if self.bound.draws == 1:
            reconstruction_loss = self.reconstruction_loss(x, y["outputs"], sample_weight, training)
            kl = self.prior.kl(y["z_mean"], y["z_log_var"], y["z"])  # (n, latent_dim) or (n, 1)
            kl = weighted_mean(kl, sample_weight)
            charged = self.charged_kl(kl, x, sample_weight) if training else ops.sum(kl)
            loss = reconstruction_loss + kl_weight * charged
        else:
            loss, reconstruction_loss, kl = self.weighted_bound(
                x, y, kl_weight, sample_weight, training
            )
        if training:
            self.steps.assign_add(1)
        share = parallel.share(x)
        losses = {
            "loss": loss + share * regularisation,
            "reconstruction_loss": reconstruction_loss,
            "kl_loss": ops.sum(kl),
            "kl_weight": share * kl_weight,
        }
        return self.with_penalty(losses, y, sample_weight)

    def charged_kl(self, kl, x, sample_weight):
        """Returns the KL that training optimises: no term is reduced below `free_bits`."""
        free_bits = ops.convert_to_tensor(self.free_bits)
        free = free_bits * mean_weight(x, sample_weight)
        is_free = parallel.total(free) > parallel.total(kl)
        return ops.sum(ops.where(ops.logical_and(free_bits > 0, is_free), free, kl))

    def weighted_bound(self, x, y, kl_weight, sample_weight, training):
        """Returns the batch means of the negative bound, the reconstruction loss and the KL."""
        bound, nats, kl, weights = self.bound.terms(self, x, y, kl_weight, training)
        if self.prior.has_closed_form:
            kl = self.prior.kl(y["z_mean"], y["z_log_var"])
        if training:
            draws = self.bound.draws
            if sample_weight is not None:
                own = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
                weights = weights * bounds.repeated(own, draws)
            x = bounds.repeated(self.likelihood.data.tensor(x), draws)
            self.likelihood.update(x, y["outputs"], weights)
        return tuple(weighted_mean(part, sample_weight) for part in (bound, nats, kl))

    def noise_of_steps(self, steps, rows, training):
        step = ops.arange(steps, dtype="int32")[:, None, None]
        own = ops.arange(parallel.own_rows(rows), dtype="int32")[:, None]
        row = parallel.first_row() + own
        column = ops.arange(self.latent_dim * self.bound.draws, dtype="int32")
        if self.bound.draws > 1:
            column = ops.reshape(column, (self.bound.draws, self.latent_dim))
            step, row = step[..., None], row[..., None]
        if training:
            eps = noise.normal(self.noise_seed, self.steps + step, row, column)
            if self.condition is None:
                return {"eps": eps}
            # Which conditions are hidden: the columns after those of eps.
            column = ops.arange(1 + self.condition.size, dtype="int32") + math.prod(column.shape)
            step, row = (ops.reshape(part, (-1, 1)) for part in (step, row))
            uniform = noise.uniform(self.noise_seed, self.steps + step[:, None], row, column)
            return {"eps": eps, "uniform": uniform}
        first = ops.cast(self.means.count, "int32")  # images that the evaluation has seen
        return {"eps": noise.normal(EVALUATION, 0, first + step * rows + row, column)}

    def kl_weight(self, training):
        """Returns the weight of the KL in this step."""
        beta = ops.convert_to_tensor(self.beta)
        if not (training and self.kl_warmup_steps):
            return beta
        share = ops.cast(self.steps, "float32") / self.kl_warmup_steps
        return beta * ops.minimum(share, 1.0)

    def encode(self, x, batch_size=128, condition=None):
        """Returns the distributions over codes of images.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to process at once.
            condition: What is known about the images, for a model with a condition, see
                `Condition.of`; None for nothing.

        Returns:
            The pair ``(z_mean, z_log_var)`` of NumPy float32 arrays ``(n, latent_dim)``.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z_mean, z_log_var = model.encode(images)
        ```
        """
        return super().encode(x, batch_size, condition)

    def posterior(self, x, batch_size=128, condition=None):
        return self.encode(x, batch_size, condition)

    def sample(self, n, seed=None, temperature=1.0, condition=None):
        """Returns new images, decoded from draws of the prior: ``z ~ N(0, temperature^2 I)``.

        NumPy draws the noise, so a seed gives the same codes on every backend, up to rounding.

        Args:
            n: Number of images.
            seed: None or a non-negative integer.
            temperature: Scale of the codes; below 1 images are more typical and less diverse.
            condition: Which images to draw, for a model with a condition, see `Condition.of`;
                None for any.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If an argument is invalid.

        Example:

        ```python
        images = model.sample(16, seed=0)
        ```
        """
        self._check_built()
        return self.decode(self.prior.sample(n, seed, temperature), condition=condition)

    def log_likelihood(self, x, k=100, batch_size=128, seed=0, progress=None, condition=None):
        """Returns an estimate of log p(x) of each image, by importance sampling.

        ``log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x)`` with ``z_i ~ q(z|x)`` (Burda, Grosse &
        Salakhutdinov 2016, https://arxiv.org/abs/1509.00519, equation 8). On average it is a
        lower bound that rises with k: the ELBO at ``k=1``, log p(x) in the limit; papers use
        5000. It includes the constant that the loss omits, so it is a log density of pixels in
        [0, 1], or a log probability of binary ones. Beta, free bits and warm-up do not affect
        it. NumPy draws the noise for each image separately, so the result depends neither on
        the batch size nor on the backend, up to rounding.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]: an
                array, or images of a streamed data set.
            k: Number of draws of z for each image.
            batch_size: How many codes to decode at once. With a large k, a larger batch than
                the default is faster if it fits into memory.
            seed: A non-negative integer.
            progress: None, or a function that is called with the number of images just
                finished, such as `update` of a tqdm bar.
            condition: See `encode`; the result is then log p(x|condition).

        Returns:
            NumPy float64 ``(n,)``, in nats per image.

        Raises:
            ValueError: If an argument is invalid, or if the likelihood is not a distribution
                of these pixels, such as `Bernoulli` of grey ones.

        Example:

        ```python
        encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=2)
        model = keras_vae.VAE(encoder, decoder, likelihood="gaussian")
        model.log_likelihood(np.random.rand(8, 28, 28, 1), k=50)  # (8,)
        ```
        """
        return importance.estimates(self, x, k, batch_size, seed, progress, condition)[0]

    def impute(self, x, k=100, batch_size=128, seed=0, condition=None):
        """Returns data with missing values (NaN) replaced by what the known ones suggest.

        ``E[x_missing | x_known]`` by importance sampling: the mean of p(x|z_i) over draws of
        q(z|x), weighted by ``p(x_known|z_i) p(z_i) / q(z_i|x)`` (MIWAE, Mattei & Frellsen 2019,
        https://arxiv.org/abs/1812.02633, equation 12).

        Args:
            x: Data ``(n, ...)`` with NaN for missing values, for a likelihood with
                ``missing=True``.
            k: Number of draws of z for each item.
            batch_size: How many codes to decode at once.
            seed: A non-negative integer.
            condition: See `encode`.

        Returns:
            NumPy float32, of the shape of `x`: known values as they are, missing ones in the same
            units; probabilities for a missing category.

        Raises:
            ValueError: If an argument is invalid, or the likelihood takes no missing values.

        Example:

        ```python
        rows = np.random.default_rng(0).normal(170, 10, (100, 3))
        rows[0, 0] = np.nan
        likelihood = keras_vae.likelihoods.Normal(missing=True)
        model = keras_vae.VAE(*keras_vae.build_mlp((3,), latent_dim=1), likelihood)
        model.compile("adam")
        model.fit(rows)
        np.isnan(model.impute(rows)).sum()  # 0
        ```
        """
        return importance.imputed(self, x, k, batch_size, seed, condition)

    def _weighted_mean(self, x, z_mean, z_log_var, eps, count, *signs):
        return importance.weighted_mean(self, x, z_mean, z_log_var, eps, count, *signs)

    def _log_weights(self, x, z_mean, z_log_var, eps, count, *signs):
        return importance.log_weights(self, x, z_mean, z_log_var, eps, count, *signs)

    def _encode(self, x, *signs):
        return self.posterior_of_values(self.likelihood.data.tensor(x), *signs)

    def load_own_variables(self, store):
        # A file of an earlier version has no `noise_seed`, and `steps` only with a warm-up.
        for name, variable in (("0", self.steps), ("1", self.noise_seed)):
            if name in store:
                variable.assign(store[name])

    def get_config(self):
        return {
            **super().get_config(),
            "beta": number(self.beta),
            "kl_warmup_steps": self.kl_warmup_steps,
            "free_bits": number(self.free_bits),
            "seed": self.seed,
            "prior": keras.saving.serialize_keras_object(self.prior),
            "bound": keras.saving.serialize_keras_object(self.bound),
            "condition": keras.saving.serialize_keras_object(self.condition),
        }


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
    return ops.sum(kl_per_latent(z_mean, z_log_var), axis=-1)
