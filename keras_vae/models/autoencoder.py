"""AutoEncoder: an encoder, a decoder and a reconstruction loss. The plain baseline."""

import functools

import keras
import numpy as np
from keras import ops

from keras_vae import inputs, likelihoods, sources, training
from keras_vae.batches import in_batches
from keras_vae.callbacks import StopOnNonFinite
from keras_vae.checks import check_size
from keras_vae.images import check_images, to_pixels
from keras_vae.means import EpochMeans
from keras_vae.trainers import Trainer, without_gradient


@keras.saving.register_keras_serializable(package="keras_vae")
class AutoEncoder(Trainer, keras.Model):
    """Learns to squeeze an image into a short code ``z`` and to draw it again from there.

    The loss is the likelihood's, in nats per image: for ``"mse"`` the squared error
    ``||x - x'||^2`` summed over pixels and averaged over the batch. Nothing shapes the space
    of codes, so there is nothing to sample from: that is what `VAE` adds.

    Args:
        encoder: Keras model, images ``(n, height, width, channels)`` in [0, 1] to
            ``z`` of shape ``(n, latent_dim)``.
        decoder: Keras model, ``z`` to *unactivated* outputs
            ``(n, height, width, channels)``; the likelihood has the last activation.
        likelihood: Name or object, see `keras_vae.likelihoods`.
        augmentation: Keras layer that changes pixels in [0, 1] at random in training, such as
            ``keras.layers.RandomFlip("horizontal", dtype="float32")``, or None. What it gives
            is both the input and what is to be reconstructed; it is clipped to [0, 1].

    Call arguments:
        x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        raw: If True, the result has one more entry, ``outputs``: what the decoder gave,
            before the likelihood's activation.

    Returns:
        A dict: ``reconstruction`` ``(n, height, width, channels)``, pixels in [0, 1], and
        ``z`` ``(n, latent_dim)``.

    Raises:
        ValueError: If an argument is unusable, or encoder and decoder do not fit together.

    Example:

    ```python
    encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=16, variational=False)
    model = keras_vae.AutoEncoder(encoder, decoder)
    model.compile("adam")
    model.fit(np.random.rand(256, 28, 28, 1))
    ```
    """

    code = ("z",)  # what the encoder gives, by name
    loss_names = ("loss", "reconstruction_loss")

    def __init__(self, encoder, decoder, likelihood="mse", augmentation=None, **kwargs):
        # The encoder casts for itself; the loss must see float32 pixels under any policy.
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
        self.augmentation = augmentation
        self.likelihood = likelihoods.get(likelihood)
        self._likelihood_weights = list(self.likelihood.weights)  # known to Keras, hence saved
        self.means = EpochMeans(self.loss_names)
        self._programs, self.asked_steps = {}, None
        self.image_shape = self.latent_dim = None
        # Models made from keras.Input know their shape: then everything is checked right here,
        # otherwise when the first images arrive.
        if getattr(encoder, "inputs", None):
            self._connect(encoder.inputs[0].shape)

    def build(self, input_shape):
        self._connect(input_shape)

    def _connect(self, input_shape):
        """Checks that encoder and decoder fit together; learns `image_shape`, `latent_dim`."""
        self.image_shape = tuple(input_shape[1:])
        if len(self.image_shape) != 3 or None in self.image_shape:
            raise ValueError(
                "Argument `encoder` must take images of a fixed shape (None, height, width, "
                f"channels). Received: input shape {tuple(input_shape)}"
            )
        codes = self.encoder(keras.KerasTensor((None, *self.image_shape), dtype="float32"))
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
        outputs = self.decoder(keras.KerasTensor((None, self.latent_dim), dtype="float32"))
        if getattr(outputs, "shape", None) != (None, *self.image_shape):
            raise ValueError(
                f"Argument `decoder` must return one tensor of the images' shape "
                f"{(None, *self.image_shape)}. Received: {getattr(outputs, 'shape', outputs)}"
            )
        self.built = True

    def call(self, x, raw=False):
        z = ops.cast(self.encoder(self.pixels(x)), "float32")
        return self.draw(z, {"z": z}, raw)

    def pixels(self, x):
        """Returns a batch of images as float32 pixels in [0, 1], or raises `ValueError`."""
        check_images(x, self.image_shape)
        return to_pixels(x)

    def draw(self, z, code, raw):
        """Returns `call`'s dict: the picture decoded from `z`, and the code it came from."""
        outputs = ops.cast(self.decoder(z), "float32")
        result = {"reconstruction": self.likelihood.pixels(outputs), **code}
        return {**result, "outputs": outputs} if raw else result

    def __call__(self, x, *args, **kwargs):
        if isinstance(x, np.ndarray):
            self._check_arrays(x)
        return super().__call__(x, *args, **kwargs)

    # Training. The gradient is taken in trainers/.

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
                training a batch as `training_batch` gives it.
            training: Whether layers behave as in training.

        Returns:
            A dict of float32 scalars with the names of `loss_names`; ``loss`` is optimised.
        """
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y = self(x, training=training, raw=True)  # the dict of `call`
        reconstruction_loss = self.reconstruction_loss(x, y["outputs"], sample_weight, training)
        loss = reconstruction_loss + sum(self.losses)
        return {"loss": loss, "reconstruction_loss": reconstruction_loss}

    def noise_of_a_step(self, x):
        """Returns what `compute_losses` would draw for a batch, as arguments to it."""
        return {}

    def training_batch(self, data):
        """Returns a batch ``(x, y, sample_weight)`` with its images augmented."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return self.augmented(x), y, sample_weight

    def augmented(self, x):
        """Returns a batch of images as the augmentation changes them, if there is one."""
        if self.augmentation is None:
            return x
        if not self.built:
            self.build(x.shape)
        images = ops.cast(self.augmentation(self.pixels(x), training=True), "float32")
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"Argument `augmentation` must keep the images' shape {self.image_shape}. "
                f"Received: a layer that gives {tuple(images.shape[1:])}"
            )
        return ops.clip(images, 0.0, 1.0)

    def reconstruction_loss(self, x, outputs, sample_weight, training):
        """Returns ``-log p(x|z)``, the batch mean; in training the likelihood learns, too."""
        pixels = to_pixels(x)
        if training:
            self.likelihood.update(pixels, outputs, sample_weight)
        return weighted_mean(self.likelihood.nats(pixels, outputs), sample_weight)

    def update_means(self, losses, data):
        """Adds one batch to the epoch means, weighted by its size, and returns the means."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        self.means.update_state(losses, ops.shape(x)[0])
        return self.means.result()

    def epoch_means(self):
        """Returns the means over the batches of this epoch so far, as numbers by name."""
        return self.means.numbers()

    def compile(self, optimizer="adam", *, steps_per_execution="auto", **kwargs):
        """Keras's `compile`, without `loss` and `metrics`: the model has its own.

        Args:
            optimizer: Name or object.
            steps_per_execution: How many steps to take in one go, with callbacks in between.
                By default as many as are worth it on this backend; one, if there is a
                callback that does something at each step.
            **kwargs: See Keras.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"`{type(self).__name__}` has its own losses and takes no `{name}`: choose "
                    f"`likelihood` at construction. Received: {name}={kwargs[name]!r}"
                )
        if steps_per_execution == "auto":
            steps_per_execution = None
        else:
            check_size("steps_per_execution", steps_per_execution)
        super().compile(optimizer=optimizer, steps_per_execution=steps_per_execution or 1, **kwargs)
        self.asked_steps = steps_per_execution
        self._programs.clear()

    def compile_from_config(self, config):
        # How a step is run belongs to the backend and the machine, and Keras stores what "auto"
        # came to: a model from JAX would ask for XLA everywhere.
        optimizer = config.get("optimizer")
        module = optimizer.get("module") if isinstance(optimizer, dict) else None
        if (module or "").startswith("keras.src.backend."):
            # On torch Keras names a class of its own, which is of no use on other backends.
            optimizer = {**optimizer, "module": "keras.optimizers", "registered_name": None}
            config = {**config, "optimizer": optimizer}
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config | {"jit_compile": "auto", "steps_per_execution": "auto"})
        self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Keras's `fit` on images; labels are not needed and not used.

        Images of a streamed data set (`keras_vae.datasets.stream.Rows`) go in like arrays, also
        into `evaluate`, `predict` and `encode`. Both go through a loop of our own, many steps in
        one go (`keras_vae.training`), any other kind of data through Keras's.

        Raises `FloatingPointError` if the loss becomes infinite or not a number, and says at
        which step, see `keras_vae.callbacks.StopOnNonFinite`.
        """
        self._check_arrays(x, validation_data)
        callbacks = self._with_guard(callbacks)
        if validation_split and validation_data is None and inputs.is_array(x, y, sample_weight):
            x, y, sample_weight, validation_data = inputs.split(
                x, y, sample_weight, validation_split
            )
        validation = keras.utils.unpack_x_y_sample_weight(validation_data)
        if (
            self._takes(x, y, sample_weight)
            and (validation_data is None or self._takes(*validation))
            and not (class_weight or steps_per_epoch or validation_steps)
            and not (validation_split and validation_data is None)
        ):
            batch_size = batch_size or inputs.BATCH_SIZE
            source = self._source(x, sample_weight, batch_size, shuffle, initial_epoch)
            validate = None
            if validation_data is not None:
                validate = functools.partial(
                    self._validate, validation, validation_batch_size or batch_size
                )
            self.optimizer.build(self.trainable_variables)
            return training.fit(
                self,
                source,
                validate,
                callbacks,
                verbose,
                epochs,
                initial_epoch,
                validation_freq,
            )
        # Keras's loop: for other kinds of data, and for a number of steps of one's own.
        if isinstance(validation_data, (list, tuple)) and len(validation_data) == 3:
            x_val, y_val, weights = validation_data
            validation_data = (x_val, inputs.labels(x_val, y_val, weights), weights)
        steps_per_execution = self.steps_per_execution if self.compiled else 1
        if inputs.is_on_disk(x):
            x, steps = inputs.stream(
                x,
                batch_size,
                bool(shuffle),
                initial_epoch,
                sample_weight=sample_weight,
                class_weight=class_weight,
                validation_split=validation_split,
                steps_per_execution=steps_per_execution,
            )
            y, shuffle = None, False
            steps_per_epoch = steps_per_epoch or steps
        x_val, _, weights = validation
        if inputs.is_on_disk(x_val):
            validation_data, steps = inputs.stream(
                x_val,
                validation_batch_size or batch_size,
                sample_weight=weights,
                steps_per_execution=steps_per_execution,
            )
            validation_steps = validation_steps or steps
        return super().fit(
            inputs.batches(x),
            inputs.labels(x, y, sample_weight),
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=inputs.batches(validation_data),
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def _takes(self, x, y=None, sample_weight=None):
        """Returns whether our own loop runs these data, and in this setting."""
        return (
            self.compiled
            and not self.run_eagerly
            and self.can_run_steps()
            and self._is_as_made()
            and not (keras.config.max_epochs() or keras.config.max_steps_per_epoch())
            and inputs.is_plain(x, y, sample_weight)
        )

    def _is_as_made(self):
        """Returns whether nobody has put another step or other losses into this model.

        Our loop reads no labels and no logs, and on torch it takes a step apart.
        """
        names = "train_step", "test_step", "compute_losses", "update_means", "metrics"
        made = [getattr(type(self), name) for name in names]
        modules = [getattr(part, "fget", part).__module__ for part in made]
        return not set(names) & set(vars(self)) and all(
            module.startswith("keras_vae.") for module in modules
        )

    def _source(self, x, sample_weight, batch_size, shuffle=False, first_epoch=0):
        check_size("batch_size", batch_size)
        if not self.built:
            self.build(x.shape)
        check_images(x, self.image_shape)
        if inputs.is_on_disk(x):
            return sources.StreamSource(x, batch_size, bool(shuffle), first_epoch)
        if sample_weight is not None:
            sample_weight = np.reshape(sample_weight, len(x)).astype("float32")
        # From NumPy's global state, so that `keras.utils.set_random_seed` sets the order, too.
        seed = np.random.randint(2**31) if shuffle else None
        return sources.ArraySource(self.on_device(x), sample_weight, batch_size, seed)

    def _validate(self, validation, batch_size, callbacks):
        x, y, sample_weight = validation
        return self.evaluate(
            x,
            y,
            batch_size,
            sample_weight=sample_weight,
            callbacks=callbacks,
            return_dict=True,
        )

    def _with_guard(self, callbacks):
        """Returns callbacks with the guard first, so that nothing of a broken epoch is saved."""
        guard = StopOnNonFinite()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            return [guard, *keras.tree.flatten(callbacks or [])]
        if not any(isinstance(callback, StopOnNonFinite) for callback in callbacks.callbacks):
            guard.set_model(self)
            callbacks.callbacks.insert(0, guard)
        return callbacks

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        _use_cached_eval_dataset=False,  # in Keras's own loop
    ):
        """Keras's `evaluate`: the losses on images, in nats per image; twice gives the same."""
        self._check_arrays(x)
        if not self.compiled:
            raise ValueError("Call `compile` before `evaluate`.")
        if hasattr(x, "shape") and tuple(x.shape[:1]) == (0,):
            raise ValueError("Argument `x` must hold at least one image. Received: none")
        if self._takes(x, y, sample_weight) and not steps:
            source = self._source(x, sample_weight, batch_size or inputs.BATCH_SIZE)
            losses = training.evaluate(self, source, callbacks, verbose)
        else:
            y = inputs.labels(x, y, sample_weight)
            if inputs.is_on_disk(x):
                x, all_steps = inputs.stream(
                    x,
                    batch_size,
                    sample_weight=sample_weight,
                    steps_per_execution=self.steps_per_execution,
                )
                y, steps = None, steps or all_steps
            losses = super().evaluate(
                inputs.batches(x),
                y,
                batch_size,
                verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=callbacks,
                return_dict=True,
                _use_cached_eval_dataset=_use_cached_eval_dataset,
            )
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def predict(self, x, batch_size=None, **kwargs):
        """Keras's `predict`: what `call` returns, as NumPy arrays."""
        self._check_arrays(x)
        if inputs.is_on_disk(x):
            together = self.steps_per_execution if self.compiled else 1
            x, steps = inputs.stream(x, batch_size, steps_per_execution=together)
            kwargs["steps"] = kwargs.get("steps") or steps
        return super().predict(inputs.batches(x), batch_size=batch_size, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """Keras's `train_on_batch` on images."""
        self._check_arrays(x)
        x = np.asarray(x) if inputs.is_on_disk(x) else x
        losses = super().train_on_batch(x, y, sample_weight, class_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Keras's `test_on_batch` on images."""
        self._check_arrays(x)
        x = np.asarray(x) if inputs.is_on_disk(x) else x
        losses = super().test_on_batch(x, y, sample_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def _check_arrays(self, *batches):
        """Refuses arrays of images with unusable values, which compiled code cannot look at."""
        for batch in batches:
            x = keras.utils.unpack_x_y_sample_weight(batch)[0]
            if ops.is_tensor(x):
                x = ops.convert_to_numpy(x)
            if isinstance(x, np.ndarray) or inputs.is_on_disk(x):
                check_images(x, self.image_shape or x.shape[1:])

    # Using the trained model: arrays in, NumPy out.

    def encode(self, x, batch_size=128):
        """Returns the codes of images.

        Args:
            x: Images ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
            batch_size: How many images to work on at once.

        Returns:
            NumPy float32 ``z`` of shape ``(n, latent_dim)``.

        Raises:
            ValueError: If the images do not fit the model.

        Example:

        ```python
        z = model.encode(images)
        ```
        """
        x = x if inputs.is_on_disk(x) else np.asarray(x)
        if not self.built:
            self.build(x.shape)
        check_images(x, self.image_shape)
        return self._in_batches(self._encode, x, batch_size)

    def decode(self, z, batch_size=128):
        """Returns the pictures that codes stand for.

        Args:
            z: Codes ``(n, latent_dim)``.
            batch_size: How many codes to work on at once.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If the codes have another shape.

        Example:

        ```python
        images = model.decode(np.zeros((1, model.latent_dim)))
        ```
        """
        if not self.built:
            raise ValueError("The model has seen no images yet. Call `fit` or `encode` first.")
        z = np.asarray(z, dtype="float32")
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(
                f"Argument `z` must have the shape (n, {self.latent_dim}). "
                f"Received: shape={z.shape}"
            )
        return self._in_batches(self._decode, z, batch_size)

    def reconstruct(self, x, batch_size=128):
        """Returns images as the model draws them again: ``decode(encode(x))``.

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
        return self.decode(self.encode(x, batch_size), batch_size)

    def sample(self, n, seed=None, temperature=1.0):
        """Raises `ValueError`: a plain autoencoder has no prior to sample from."""
        raise ValueError(
            "An `AutoEncoder` cannot sample: nothing ties its codes to a known distribution, so "
            "there is no p(z) to draw from. Train a `VAE`, or draw codes from a mixture fitted "
            "to those of real images, see `keras_vae.latent.fit_mixture`."
        )

    def log_likelihood(self, x, k=100, batch_size=128, seed=0, progress=None):
        """Raises `ValueError`: a plain autoencoder is no model of p(x)."""
        raise ValueError(
            "An `AutoEncoder` has no log-likelihood: without a p(z) there is no p(x). Train a "
            "`VAE`, or compare `test_mse`, see `keras_vae.evaluate`."
        )

    def _encode(self, x):
        return ops.cast(self.encoder(to_pixels(x), training=False), "float32")

    def _decode(self, z):
        outputs = self.decoder(z, training=False)
        return self.likelihood.pixels(ops.cast(outputs, "float32"))

    def program(self, function):
        """Returns a method of the model, compiled once; `compile` forgets it."""
        name = function.__name__
        if name not in self._programs:
            self._programs[name] = without_gradient(self, function)
        return self._programs[name]

    def _in_batches(self, function, array, batch_size):
        return in_batches(self.program(function), array, batch_size)

    # Saving

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
        }

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("encoder", "decoder", "likelihood", "augmentation")
            if name in config
        }
        return cls(**{**config, **parts})


def weighted_mean(nats, sample_weight=None):
    """Returns the batch mean of per-image nats, as Keras weighs: ``sum(w * nats) / n``."""
    if sample_weight is not None:
        weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        nats = nats * (weights if len(nats.shape) == 1 else weights[:, None])
    return ops.mean(nats, axis=0)
