"""AutoEncoder: an encoder, a decoder and a reconstruction loss. A baseline for `VAE`."""

import keras
import numpy as np
from keras import ops

from keras_vae import likelihoods, parallel
from keras_vae.models import penalties
from keras_vae.training import programs
from keras_vae.training.backends import export_arguments, without_gradient
from keras_vae.training.batches import in_batches
from keras_vae.training.fitting import Fitting
from keras_vae.training.means import EpochMeans
from keras_vae.training.programs import Programs


@keras.saving.register_keras_serializable(package="keras_vae")
class AutoEncoder(Fitting):
    """Autoencoder: compresses an image to a short code ``z`` and reconstructs it from there.

    The loss is the likelihood's, in nats per image: for ``"mse"`` the squared error
    ``||x - x'||^2`` summed over pixels and averaged over the batch. The codes follow no known
    distribution, so the model cannot sample new images; `VAE` can.

    Images are one kind of data: the likelihood says which data the model takes, and
    `keras_vae.likelihoods` has some for rows of a table, signals and volumes, ``(n, ...)`` of any
    fixed shape.

    Args:
        encoder: Keras model, images ``(n, height, width, channels)`` in [0, 1], or what
            `Likelihood.inputs` returns for other data, to ``z`` of shape ``(n, latent_dim)``.
        decoder: Keras model, ``z`` to *unactivated* outputs of the shape of the data; the
            likelihood applies the last activation. Some likelihoods need more channels, see
            `Likelihood.output_channels`.
        likelihood: Name or object, see `keras_vae.likelihoods`.
        augmentation: Keras layer that changes the data at random in training, such as
            ``keras.layers.RandomFlip("horizontal", dtype="float32")``, or None. Its output, for
            images clipped to [0, 1], is both the input and the target of the reconstruction.
        penalty: `keras_vae.penalties.MMD` or `CodeNorm`, or None: shapes the codes. The logs then
            have ``penalty_loss``.

    Call arguments:
        - x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]; or other
            data that the likelihood is of.
        - raw: If True, the result has one more entry, ``outputs``: the decoder's outputs,
            before the likelihood's activation.

    Returns:
        A dict: ``reconstruction`` of the shape of ``x``, pixels in [0, 1] or values in the units
        of the data, and ``z`` ``(n, latent_dim)``.

    Raises:
        ValueError: If an argument is invalid, or encoder and decoder do not fit together.

    Example:

    ```python
    encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=16, variational=False)
    model = keras_vae.AutoEncoder(encoder, decoder)
    model.compile("adam")
    model.fit(np.random.rand(256, 28, 28, 1))
    ```
    """

    code = ("z",)  # the encoder's outputs, by name
    has_prior = False  # whether there is a p(z) to sample from
    loss_names = ("loss", "reconstruction_loss")

    def __init__(
        self, encoder, decoder, likelihood="mse", augmentation=None, penalty=None, **kwargs
    ):
        condition = kwargs.pop("condition", None)  # passed by `VAE`
        if condition is not None and not self.has_prior:
            raise ValueError("Only a `VAE` takes a `condition`: an `AutoEncoder` has none")
        # The encoder casts its inputs; the loss needs float32 pixels under any policy.
        super().__init__(autocast=False, **kwargs)
        for name, model in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(model, keras.Model):
                raise ValueError(
                    f"Argument `{name}` must be a Keras model. Received: {name}={model!r}"
                )
        if augmentation is not None and not isinstance(augmentation, keras.Layer):
            raise ValueError(
                "Argument `augmentation` must be a Keras layer or None. "
                f"Received: augmentation={augmentation!r}"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.condition = condition
        self.augmentation = augmentation
        self.likelihood = likelihood
        self.penalty = penalty
        if penalty is not None:
            self.loss_names = (*self.loss_names, "penalty_loss")
        self.means = EpochMeans(self.loss_names)
        self.programs, self.asked_steps = Programs(), None
        self.data_shape = self.latent_dim = None
        # Models made from keras.Input have a known shape and are checked here, others when the
        # first images arrive.
        if getattr(encoder, "inputs", None):
            self._connect(encoder.inputs[0].shape)

    def __setattr__(self, name, value):
        # Not a property: torch registers a layer that is assigned without calling a setter.
        if name in self.pieces:
            value = self.pieces[name](self, value)
            if before := getattr(self, name, None):  # Keras would keep it as a sublayer
                self._tracker.unlock()
                self._layers.remove(before)
        super().__setattr__(name, value)

    def _checked_likelihood(self, value):
        value = likelihoods.get(value)
        if self.built:
            self._check_outputs(value)
        return value

    def _checked_penalty(self, value):
        value = penalties.check(value, has_posterior=self.has_prior)
        if hasattr(self, "means") and (value is None) != ("penalty_loss" not in self.loss_names):
            raise ValueError(
                "A penalty can be replaced by another, but not added to a model or taken from it: "
                "its losses have other names. Set its `weight` to 0, or make a new model"
            )
        return value

    # What an attribute is checked with, and completed, when it is set.
    pieces = {"likelihood": _checked_likelihood, "penalty": _checked_penalty}

    def build(self, input_shape):
        self._connect(input_shape)

    def _connect(self, input_shape):
        """Checks that encoder and decoder fit together; sets `data_shape` and `latent_dim`."""
        self.data_shape = tuple(input_shape[1:])
        if not self.data_shape or None in self.data_shape:
            raise ValueError(
                "Argument `encoder` must take data of a fixed shape, such as (None, height, width, "
                f"channels) or (None, columns). Received: input shape {tuple(input_shape)}"
            )
        self._check_inputs()
        codes = self.encoder(self._symbol(*self.data_shape))
        codes = codes if isinstance(codes, (list, tuple)) else [codes]
        shapes = [getattr(code, "shape", None) for code in codes]
        if len(shapes) != len(self.code) or len(set(shapes)) != 1 or len(shapes[0] or ()) != 2:
            raise ValueError(
                f"Argument `encoder` of `{type(self).__name__}` must return "
                f"{' and '.join(self.code)}, each of shape (None, latent_dim). "
                f"Received: {len(shapes)} output(s) of shape {', '.join(map(str, shapes))}"
            )
        self.latent_dim = shapes[0][1]
        taken = self.decoder.inputs[0].shape if getattr(self.decoder, "inputs", None) else shapes[0]
        if tuple(taken) != tuple(shapes[0]):
            raise ValueError(
                f"Argument `decoder` must take codes of the encoder's shape {shapes[0]}. "
                f"Received: a decoder that takes {tuple(taken)}"
            )
        self._check_outputs(self.likelihood)
        self.built = True

    def _check_inputs(self):
        """Raises `ValueError` unless both networks take a condition, or neither does."""
        for name in ("encoder", "decoder"):
            found = len(getattr(getattr(self, name), "inputs", None) or ())
            wanted = 1 if self.condition is None else 2
            if found and found != wanted:
                raise ValueError(
                    f"Argument `{name}` must take {wanted} input(s), since the model has "
                    f"{'a' if wanted == 2 else 'no'} condition (`condition=condition.size` of the "
                    f"builders). Received: a model of {found} input(s)"
                )

    def _symbol(self, *shape):
        """Returns a symbolic batch for encoder or decoder, with the condition if there is one."""
        x = keras.KerasTensor((None, *shape), dtype="float32")
        if self.condition is None:
            return x
        return [x, keras.KerasTensor((None, self.condition.size), dtype="float32")]

    def _check_outputs(self, likelihood):
        """Raises `ValueError` unless the decoder's outputs have the shape for a likelihood."""
        outputs = self.decoder(self._symbol(self.latent_dim))
        channels = self.data_shape[-1]
        wanted = likelihood.output_channels(channels)
        expected = (None, *self.data_shape[:-1], wanted)
        if getattr(outputs, "shape", None) == expected:
            if not likelihood.built:
                likelihood.build((None, *self.data_shape))
            return
        shape = "the data's shape"
        if wanted != channels:
            shape = f"the data's shape with {wanted} channels for {type(likelihood).__name__},"
        raise ValueError(
            f"Argument `decoder` must return one tensor of {shape} {expected}. "
            f"Received: {getattr(outputs, 'shape', outputs)}"
        )

    def call(self, x, raw=False):
        z = ops.cast(self.encoder(self.likelihood.inputs(self.values(x))), "float32")
        return self.draw(z, {"z": z}, raw)

    def values(self, x):
        """Returns a batch as float32, images as pixels in [0, 1]; or raises `ValueError`."""
        self.likelihood.data.check(x, self.data_shape)
        return self.likelihood.data.tensor(x)

    def draw(self, z, code, raw, signs=None):
        """Returns the dict of `call`: the image decoded from `z`, and the entries of `code`.

        Args:
            z: ``(n, latent_dim)``.
            code: A dict.
            raw: See the class.
            signs: The condition, ``(n, size)``, of a conditional model.
        """
        outputs = ops.cast(self.decoder(z if signs is None else [z, signs]), "float32")
        result = {"reconstruction": self.likelihood.mean(outputs), **code}
        return {**result, "outputs": outputs} if raw else result

    def __call__(self, x, *args, **kwargs):
        # Checked here, since Keras wraps the messages of errors in `call` in its own text.
        if isinstance(x, (np.ndarray, dict, list)):
            x = self._array(x)
        elif self.data_shape is not None:
            self.likelihood.data.check(x, self.data_shape)
        result = super().__call__(x, *args, **kwargs)
        if kwargs.get("raw") and not (isinstance(result, dict) and "outputs" in result):
            what = sorted(result) if isinstance(result, dict) else type(result).__name__
            raise ValueError(
                "`call` must return a dict, with an entry 'outputs' if `raw` is True: return "
                f"`self.draw(z, code, raw)`. Received: {what}"
            )
        return result

    # The losses. For `fit` see training/fitting.py, for the gradient training/backends/.

    @property
    def metrics(self):
        return [self.means]

    @property
    def metrics_names(self):
        return list(self.loss_names)

    def compute_losses(self, data, training):
        """Returns the losses of one batch by name, each in nats per image.

        Args:
            data: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``; ``y`` is not used. In
                training, a batch that `training_batch` has returned.
            training: Whether layers behave as in training.

        Returns:
            A dict of float32 scalars with the names of `loss_names`; ``loss`` is optimised. On
            several devices they are this device's shares, which add up to the losses of the
            batch (`keras_vae.parallel`).
        """
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y = self(x, training=training, raw=True)  # the dict of `call`
        reconstruction_loss = self.reconstruction_loss(x, y["outputs"], sample_weight, training)
        loss = reconstruction_loss + parallel.share(x) * sum(self.losses)
        losses = {"loss": loss, "reconstruction_loss": reconstruction_loss}
        return self.with_penalty(losses, y, sample_weight)

    def with_penalty(self, losses, y, sample_weight):
        """Returns the losses with the penalty added, if the model has one."""
        if self.penalty is None:
            return losses
        nats = self.penalty.loss(self, y, sample_weight)
        return {**losses, "loss": losses["loss"] + nats, "penalty_loss": nats}

    def noise_of_steps(self, steps, rows, training):
        """Returns the noise of the next steps.

        Args:
            steps: The number of steps.
            rows: Images in a batch, on all devices together.
            training: Whether the steps train the model.

        Returns:
            A dict of tensors ``(steps, rows of this device, ...)``: for each step, the arguments
            of `compute_losses` that it would otherwise compute itself.
        """
        return {}

    def training_batch(self, data):
        """Returns a batch ``(x, y, sample_weight)`` with its images augmented.

        An augmentation draws random numbers, so each device augments the complete batch, and then
        takes its part.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.augmentation is None:
            return x, y, sample_weight
        return tuple(map(parallel.own, (self.augmented(x), y, sample_weight)))

    def augmented(self, x):
        """Returns a batch of images after the augmentation, if the model has one."""
        if self.augmentation is None:
            return x
        if not self.built:
            self.build(x.shape)
        images = ops.cast(self.augmentation(self.values(x), training=True), "float32")
        if tuple(images.shape[1:]) != self.data_shape:
            raise ValueError(
                f"Argument `augmentation` must keep the data's shape {self.data_shape}. "
                f"Received: a layer that returns {tuple(images.shape[1:])}"
            )
        return self.likelihood.data.clipped(images)

    def reconstruction_loss(self, x, outputs, sample_weight, training):
        """Returns the batch mean of ``-log p(x|z)``; in training it updates the likelihood."""
        x = self.likelihood.data.tensor(x)
        if training:
            self.likelihood.update(x, outputs, sample_weight)
        return weighted_mean(self.likelihood.nats(x, outputs), sample_weight)

    def update_means(self, losses, data):
        """Adds one batch to the epoch means, weighted by its size, and returns the means."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        self.means.update_state(parallel.totals(losses), parallel.rows(ops.shape(x)[0]))
        return self.means.result()

    def epoch_means(self):
        """Returns the means over the batches of this epoch so far, as floats by name."""
        means = self.means.numbers()
        return dict(zip(means, parallel.of_first([*means.values()])))

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """Writes what a plain call returns as a graph for inference, see `keras.Model.export`.

        The graph is deterministic: it decodes ``z_mean``. It takes batches of any size.
        `keras_vae.export.write` writes encoder, decoder and edits as graphs of their own.

        Args:
            filepath: The file or folder to write.
            format: One that Keras can write on this backend: ``"tf_saved_model"``, ``"onnx"``,
                ``"openvino"``, ``"litert"`` or ``"torch"``.
            verbose: Whether to print a message.
            input_signature: Default: float32 data of the model's shape, with any batch size.
            **kwargs: See `keras.Model.export`.

        Raises:
            ValueError: If the model has seen no images yet, or the backend cannot write the format.

        Example:

        ```python
        model.export("vae.onnx", format="onnx")
        ```
        """
        self._check_built()
        if input_signature is None:
            shape = (None, *self.data_shape)
            input_signature = [keras.InputSpec(shape=shape, dtype="float32", name="x")]
        kwargs = export_arguments(format) | kwargs
        super().export(filepath, format, verbose, input_signature, **kwargs)

    # Using the trained model: arrays in, NumPy out.

    def encode(self, x, batch_size=128, condition=None):
        """Returns the codes of images.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to process at once.
            condition: What is known about the images, for a model with a condition, see
                `Condition.of`; None for nothing.

        Returns:
            NumPy float32 ``z`` of shape ``(n, latent_dim)``.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z = model.encode(images)
        ```
        """
        x = self._array(x)
        if not self.built:
            self.build(x.shape)
        return self._in_batches(self._encode, x, batch_size, condition)

    def posterior(self, x, batch_size=128, condition=None):
        """Returns the posterior of images, in one form for `AutoEncoder` and `VAE`.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to process at once.
            condition: What is known about the images, for a model with a condition, see
                `Condition.of`; None for nothing.

        Returns:
            The pair ``(z_mean, z_log_var)`` of NumPy float32 arrays ``(n, latent_dim)``. The
            codes of an `AutoEncoder` have no variance: ``z_mean`` is ``z``, and ``z_log_var``
            is None.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z_mean, z_log_var = model.posterior(images)
        ```
        """
        return self.encode(x, batch_size, condition), None

    def codes(self, x, batch_size=128, condition=None):
        """Returns one code per image: ``z`` of an `AutoEncoder`, ``z_mean`` of a `VAE`.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to process at once.
            condition: What is known about the images, for a model with a condition, see
                `Condition.of`; None for nothing.

        Returns:
            NumPy float32 codes ``(n, latent_dim)``, which `decode` accepts.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z = model.codes(images)
        ```
        """
        return self.posterior(x, batch_size, condition)[0]

    def decode(self, z, batch_size=128, condition=None):
        """Returns the images decoded from codes.

        Args:
            z: Codes ``(n, latent_dim)``; or, for a model with a condition, ``(n, latent_dim +
                condition.size)``, codes followed by the condition (1: present, -1: absent).
            batch_size: How many codes to process at once.
            condition: See `encode`; None if `z` has it.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If the codes have the wrong shape, or the model has seen no images yet.

        Example:

        ```python
        images = model.decode(np.zeros((1, model.latent_dim)))
        ```
        """
        self._check_built()
        z = np.asarray(z, dtype="float32")
        size = 0 if self.condition is None or condition is not None else self.condition.size
        if size and z.ndim == 2 and z.shape[1] == self.latent_dim + size:
            z, signs = np.split(z, [self.latent_dim], axis=1)
            return in_batches(self.program(self._decode), z, batch_size, signs)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(
                f"Argument `z` must have the shape (n, {self.latent_dim}). "
                f"Received: shape={z.shape}"
            )
        return self._in_batches(self._decode, z, batch_size, condition)

    def _check_built(self):
        if not self.built:
            raise ValueError("The model has seen no images yet. Call `fit` or `encode` first.")

    def reconstruct(self, x, batch_size=128, condition=None, to=None):
        """Returns reconstructions: images encoded and decoded, without noise.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to process at once.
            condition: What is known about the images, for a model with a condition, see
                `Condition.of`; None for nothing.
            to: Another condition to decode with, which changes the images; None: the same.

        Returns:
            NumPy float32 images of the same shape, pixels in [0, 1].

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        reconstructions = model.reconstruct(images)
        ```
        """
        codes = self.codes(x, batch_size, condition)
        return self.decode(codes, batch_size, condition if to is None else to)

    def sample(self, n, seed=None, temperature=1.0):
        """Raises `ValueError`: a plain autoencoder has no prior to sample from."""
        raise ValueError(
            "An `AutoEncoder` cannot sample: its codes have no known distribution, so there is "
            "no p(z) to draw from. Train a `VAE`, or draw codes from a mixture that is fitted to "
            "the codes of real images (`keras_vae.latent.fit_mixture`)."
        )

    def log_likelihood(self, x, k=100, batch_size=128, seed=0, progress=None):
        """Raises `ValueError`: a plain autoencoder does not define p(x)."""
        raise ValueError(
            "An `AutoEncoder` has no log-likelihood: without a p(z) there is no p(x). Train a "
            "`VAE`, or compare `test_mse` (`keras_vae.evaluate`)."
        )

    def _encode(self, x):
        x = self.likelihood.inputs(self.likelihood.data.tensor(x))
        return ops.cast(self.encoder(x, training=False), "float32")

    def _decode(self, *z):
        outputs = self.decoder(z[0] if len(z) == 1 else [*z], training=False)
        return self.likelihood.mean(ops.cast(outputs, "float32"))

    def _reconstruction_nats(self, x, *signs):
        return self.likelihood.nats(*self._values_and_outputs(x, *signs))

    def _value_nats(self, x, *signs):
        return self.likelihood.value_nats(*self._values_and_outputs(x, *signs))

    def _values_and_outputs(self, x, *signs):
        """Returns a batch as float32, and the decoder's outputs for its codes without noise."""
        z = keras.tree.flatten(self._encode(x, *signs))[0]  # of a VAE z_mean
        outputs = self.decoder([z, *signs] if signs else z, training=False)
        return self.likelihood.data.tensor(x), ops.cast(outputs, "float32")

    def program(self, function):
        """Returns a method of the model, compiled once and again after changes to the model."""
        programs.refresh(self)
        name = function.__name__
        functions = self.programs.functions
        if name not in functions:
            functions[name] = without_gradient(self, function)
        return functions[name]

    def _in_batches(self, function, array, batch_size, condition=None):
        """Runs a method on an array, and for a model with a condition on that."""
        given = self._given(condition, len(array))
        return in_batches(self.program(function), array, batch_size, *given)

    def _given(self, condition, n):
        """Returns ``[signs]`` for a model with a condition, otherwise ``[]``."""
        if self.condition is not None:
            return [self.condition.of(condition, n)]
        if condition is not None:
            raise ValueError(
                "Argument `condition` needs a model with a condition, such as "
                "`VAE(..., condition=keras_vae.Condition(range(10)))`. "
                f"Received: condition={condition!r}"
            )
        return []

    # Saving

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "penalty": keras.saving.serialize_keras_object(self.penalty),
        }

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("encoder", "decoder", "augmentation", "condition", *cls.pieces)
            if name in config
        }
        return cls(**{**config, **parts})


def weighted_mean(nats, sample_weight=None):
    """Returns the batch mean of per-image nats, weighted as in Keras: ``sum(w * nats) / n``.

    On several devices it is this device's share of that mean, see `keras_vae.parallel`.
    """
    if sample_weight is not None:
        weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        nats = nats * (weights if len(nats.shape) == 1 else weights[:, None])
    return parallel.mean(nats)


def mean_weight(x, sample_weight=None):
    """Returns `weighted_mean` of ones for a batch `x`."""
    if sample_weight is None:
        return parallel.share(x)
    return parallel.mean(ops.reshape(ops.cast(sample_weight, "float32"), (-1,)))
