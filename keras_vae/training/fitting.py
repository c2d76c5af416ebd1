"""`compile`, `fit`, `evaluate` and `predict`: which loop runs which data.

Arrays and streamed images go through our own (`keras_vae.training.loop`), others through Keras's.
"""

import contextlib
import functools

import keras
import numpy as np

from keras_vae.checks import check_size
from keras_vae.training import inputs, loop, programs, sources, streams
from keras_vae.training.backends import Trainer
from keras_vae.training.guards import StopOnNonFinite, Watch


class Fitting(Trainer, keras.Model):
    """What `AutoEncoder` and `VAE` have from `keras.Model`, for images."""

    _in_epoch = False  # of a `fit`, see `Watch`

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

        Images may also be a list of arrays of one size, or a dict, or batches that are dicts,
        with an entry ``image``, as data sets of TFDS give them.

        Images of a streamed data set (`keras_vae.datasets.stream.Rows`) go in like arrays, also
        into `evaluate`, `predict` and `encode`. Both go through a loop of our own, many steps in
        one go (`keras_vae.training.loop`), any other kind of data through Keras's.

        Raises `FloatingPointError` if the loss becomes infinite or not a number, and says at
        which step, see `keras_vae.runs.callbacks.StopOnNonFinite`.
        """
        x, sample_weight, errors = self._prepared(x, y, sample_weight, class_weight)
        validation, validation_errors = (None, None, None), contextlib.nullcontext()
        if validation_data is not None:
            if inputs.is_list_of_images(validation_data, self.image_shape):
                validation_data = (validation_data,)
            validation = keras.utils.unpack_x_y_sample_weight(validation_data)
            x_val, y_val, weights = validation
            x_val, weights, validation_errors = self._prepared(
                x_val, y_val, weights, argument="validation_data"
            )
            validation = x_val, y_val, weights
            validation_data = x_val if inputs.is_stream(x_val) else validation
        callbacks = self._with_guard(callbacks)
        if validation_split and validation_data is None and inputs.is_array(x, y, sample_weight):
            x, y, sample_weight, validation_data = inputs.split(
                x, y, sample_weight, validation_split
            )
            validation = validation_data
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
            return loop.fit(
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
        if self.compiled:
            programs.refresh(self, training=True)
        x_val, y_val, weights = validation
        if isinstance(validation_data, tuple):
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
        if inputs.is_on_disk(x_val):
            validation_data, steps = inputs.stream(
                x_val,
                validation_batch_size or batch_size,
                sample_weight=weights,
                steps_per_execution=steps_per_execution,
            )
            validation_steps = validation_steps or steps
        with errors, validation_errors:
            return super().fit(
                x,
                inputs.labels(x, y, sample_weight),
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
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
        if inputs.is_on_disk(x):
            return sources.StreamSource(x, batch_size, bool(shuffle), first_epoch)
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
        """Returns callbacks with the guard first, so that nothing of a broken epoch is saved.

        `Watch` comes last, so that it notices what the others change.
        """
        guard, watch = StopOnNonFinite(), Watch()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [guard, *keras.tree.flatten(callbacks or []), watch]
            self._tell_direction(callbacks)
            return callbacks
        if not any(isinstance(callback, StopOnNonFinite) for callback in callbacks.callbacks):
            guard.set_model(self)
            callbacks.callbacks.insert(0, guard)
        if not any(isinstance(callback, Watch) for callback in callbacks.callbacks):
            watch.set_model(self)
            callbacks.callbacks.append(watch)
        self._tell_direction(callbacks.callbacks)
        return callbacks

    def _tell_direction(self, callbacks):
        """Tells those that monitor one of our losses that less is better.

        By itself Keras knows so of ``loss`` only, and of metrics that it compiled.
        """
        losses = {name for name in self.loss_names if name.endswith("loss")}
        for callback in callbacks:
            monitor = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and monitor in losses:
                callback.mode = "min"

    @contextlib.contextmanager
    def _beside_an_epoch(self):
        """A context that evaluates the model; the means of an epoch of `fit` then go on."""
        programs.refresh(self)
        before = self._in_epoch and [np.array(v.value) for v in self.metrics_variables]
        yield
        if self._in_epoch:
            for variable, value in zip(self.metrics_variables, before):
                variable.assign(value)

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
        if not self.compiled:
            raise ValueError("Call `compile` before `evaluate`.")
        errors = contextlib.nullcontext()
        if not _use_cached_eval_dataset:  # otherwise `fit` has done so
            x, sample_weight, errors = self._prepared(x, y, sample_weight)
        if hasattr(x, "shape") and tuple(x.shape[:1]) == (0,):
            raise ValueError("Argument `x` must hold at least one image. Received: none")
        if self._takes(x, y, sample_weight) and not steps:
            source = self._source(x, sample_weight, batch_size or inputs.BATCH_SIZE)
            with self._beside_an_epoch():
                losses = loop.evaluate(self, source, callbacks, verbose)
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
            with errors, self._beside_an_epoch():
                losses = super().evaluate(
                    x,
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
        """Keras's `predict`: what `call` returns, as NumPy arrays; no noise is drawn."""
        x, _, errors = self._prepared(x)
        programs.refresh(self)
        if inputs.is_on_disk(x):
            x, batch_size = streams.InBatches(x, batch_size or inputs.BATCH_SIZE), None
        with errors:
            return super().predict(x, batch_size=batch_size, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """Keras's `train_on_batch` on images."""
        x, sample_weight = self._batch(x, y, sample_weight, class_weight)
        if self.compiled:
            programs.refresh(self, training=True)
        losses = super().train_on_batch(x, y, sample_weight, class_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Keras's `test_on_batch` on images."""
        x, sample_weight = self._batch(x, y, sample_weight)
        with self._beside_an_epoch():
            losses = super().test_on_batch(x, y, sample_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def predict_on_batch(self, x):
        """Keras's `predict_on_batch` on images."""
        return super().predict_on_batch(self._batch(x)[0])

    def _batch(self, x, y=None, sample_weight=None, class_weight=None):
        """Returns the images and the weights of one batch, checked."""
        inputs.check_class_weight(class_weight, y)
        x = self._images(x)
        return np.asarray(x), inputs.as_weights(sample_weight, len(x))

    def _prepared(self, x, y=None, sample_weight=None, class_weight=None, argument="x"):
        """Returns data whose values are checked, which compiled code cannot do.

        Returns:
            Images or a data set, the weights of images, and a context in which to take batches.
        """
        if inputs.is_stream(x):
            look = streams.Look(self.image_shape, argument, class_weight)
            return streams.checked(x, look), sample_weight, look.plain_errors()
        inputs.check_class_weight(class_weight, y)
        x = self._images(x, argument)
        return x, inputs.as_weights(sample_weight, len(x)), contextlib.nullcontext()

    def _images(self, x, argument="x"):
        """Returns images as an array that the model can read, see `inputs.as_images`."""
        return inputs.as_images(x, self.image_shape, argument)
