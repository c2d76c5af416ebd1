"""`compile`, `fit`, `evaluate` and `predict`, and the choice between two loops.

Our loop (`loop.py`) runs arrays and images on disk (`keras_vae.datasets.stream.Rows`). Keras's own
runs everything else: `tf.data`, `PyDataset`, `DataLoader`, grain and generators; `class_weight`,
`steps_per_epoch` and `run_eagerly`; weights that are divided among devices; and models whose
subclass overrides the step or the losses. The choice is made in `fit` and `_is_ours`. Both loops
divide batches among devices, see `keras_vae.parallel`.
"""

import contextlib
import functools

import keras
import numpy as np

from keras_vae import parallel
from keras_vae.checks import check_integer
from keras_vae.training import checkpoint, inputs, loop, programs, sources, streams
from keras_vae.training.backends import Trainer
from keras_vae.training.data import Data, prepare
from keras_vae.training.guards import StopOnNonFinite, Watch


class Fitting(Trainer, keras.Model):
    """The training methods of `keras.Model`, for models of images: `AutoEncoder` and `VAE`."""

    _in_epoch = False  # whether `fit` is in an epoch, see `Watch`

    def compile(self, optimizer="adam", *, steps_per_execution="auto", **kwargs):
        """Keras's `compile` without `loss` and `metrics`, which the model defines.

        Args:
            optimizer: Name of a Keras optimizer, or the optimizer.
            steps_per_execution: How many steps to take between two calls of the callbacks'
                batch methods. The default is the fastest number on this backend; 1 calls
                them at each step.
            **kwargs: Other arguments of Keras's `compile`.

        Raises:
            ValueError: If `loss` or `metrics` are passed, or `steps_per_execution` is invalid.

        Example:

        ```python
        model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0))
        ```
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"`{type(self).__name__}` has its own losses and takes no `{name}`: set "
                    f"`likelihood` in its constructor. Received: {name}={kwargs[name]!r}"
                )
        if steps_per_execution == "auto":
            steps_per_execution = None
        else:
            check_integer("steps_per_execution", steps_per_execution, 1)
        super().compile(optimizer=optimizer, steps_per_execution=steps_per_execution or 1, **kwargs)
        self.asked_steps = steps_per_execution
        self.programs.clear()

    def compile_from_config(self, config):
        # How steps are run depends on backend and machine, but Keras saves the value that "auto"
        # resolved to: a model saved on JAX would request XLA on every backend.
        optimizer = config.get("optimizer")
        module = optimizer.get("module") if isinstance(optimizer, dict) else None
        if (module or "").startswith("keras.src.backend."):
            # On torch Keras saves its own optimizer class, which other backends lack.
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
        """Keras's `fit` on images; only a model with a condition uses labels.

        Args:
            x: Images: an array, a list of images of one size, a dict with an entry ``image``,
                images of a streamed data set, or any data set that Keras accepts. Its batches
                may be such dicts, too.
            validation_data: Images in one of these forms, alone or as ``(x, y)`` or
                ``(x, y, sample_weight)``.

        The other arguments are those of Keras.

        Returns:
            Keras's `History`; its losses are in nats per image.

        Raises:
            FloatingPointError: If the loss becomes infinite or NaN, see
                `keras_vae.training.guards.StopOnNonFinite`.
            ValueError: If the data are invalid.

        Example:

        ```python
        history = model.fit(images, epochs=10, validation_data=others).history
        history["val_loss"][-1]  # in nats per image
        ```
        """
        parallel.join()
        data = self._data(x, y, sample_weight, class_weight)
        validation = self._validation(validation_data)
        is_an_array = inputs.is_array(data.x, data.y, data.sample_weight)
        if validation_split and validation is None and is_an_array:
            data, validation = data.split(validation_split)
            validation_split = 0.0
        self._adapt(data)
        callbacks = self._with_guards(callbacks)
        saver = checkpoint.of(getattr(callbacks, "callbacks", callbacks))
        others = class_weight, steps_per_epoch, validation_steps, validation_split
        ours = self._is_ours(data) and (validation is None or self._is_ours(validation))
        if ours and not any(others):
            batch_size = batch_size or inputs.BATCH_SIZE
            check_integer("batch_size", batch_size, 1)
            if not self.built:
                self.build(data.x.shape)
            with parallel.together(self):
                source = self._source(data, batch_size, shuffle, training=True)
                if saver:
                    saver.begin(self, data, batch_size)
                validate = validation and functools.partial(
                    self._evaluate_ours, validation, validation_batch_size or batch_size
                )
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
        if saver:
            raise ValueError(
                "`Checkpoint` continues training on an array or on images on disk, with the step "
                "and the losses of the package and default settings of `fit`. Use "
                "`keras.callbacks.BackupAndRestore` for other data, which continues with an epoch"
            )
        self._check_labels(data)
        if validation is not None:
            self._check_labels(validation)
        if self.compiled:
            programs.refresh(self, training=True)
        steps_per_execution = self.steps_per_execution if self.compiled else 1
        x, y, sample_weight, steps = data.for_keras(
            batch_size,
            bool(shuffle),
            initial_epoch,
            class_weight=class_weight,
            validation_split=validation_split,
            steps_per_execution=steps_per_execution,
        )
        if validation is not None:
            *validation_data, all_steps = validation.for_keras(
                validation_batch_size or batch_size, steps_per_execution=steps_per_execution
            )
            validation_steps = validation_steps or all_steps
            is_in_batches = inputs.is_stream(validation_data[0])
            validation_data = validation_data[0] if is_in_batches else tuple(validation_data)
        with data.plain_errors(), (validation or data).plain_errors(), self._together_in_keras():
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle and steps is None,  # a stream is shuffled already
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch or steps,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def _adapt(self, data):
        """Measures what the likelihood must know of the training data, before the first `fit`."""
        if isinstance(data.x, np.ndarray) and len(data.x):
            if not self.built:
                self.build(data.x.shape)
            if not self.likelihood.is_adapted:
                self.likelihood.adapt(data.x)
        elif self.built and not self.likelihood.is_adapted:
            raise ValueError(
                "The likelihood must know mean and standard deviation of the data before it is "
                "trained on batches: call `model.likelihood.adapt` with an array of some, or make "
                "the likelihood with `standardise=False`"
            )

    def _check_labels(self, data):
        """Raises `ValueError` for images on disk in Keras's loop if labels are needed."""
        if self.condition is not None and inputs.is_on_disk(data.x):
            raise ValueError(
                "A model with a condition reads images on disk with default settings of `fit` and "
                "`evaluate` only, or load the data set with a larger `memory`"
            )

    def _together_in_keras(self):
        """Returns a context in which Keras's loop trains this model on several devices."""
        divides = parallel.backend.DIVIDES
        if parallel.devices(self) == 1:
            return contextlib.nullcontext()
        if not divides and keras.distribution.distribution() is None:
            raise ValueError(
                "To train with Keras's loop on several devices of JAX, set a "
                "`keras.distribution.DataParallel` before the model is made"
            )
        if not divides and parallel.processes()[1] == 1:
            return contextlib.nullcontext()
        if divides and self.augmentation is not None:
            raise ValueError(
                "On several devices an augmentation needs an array, or images on disk: it must see "
                "the complete batch. Pass such images, or augment them in the data set"
            )
        if not (self.built and self.compiled):
            raise ValueError(
                "Training on several devices needs a compiled model of known shape. Make the "
                "encoder from `keras.Input`, or call `build` first"
            )
        return parallel.together(self)

    def _is_ours(self, data):
        """Returns whether our own loop can run these data with the current settings."""
        return (
            self.compiled
            and not self.run_eagerly
            and self.can_run_steps()
            and self._is_as_made()
            and not (keras.config.max_epochs() or keras.config.max_steps_per_epoch())
            and inputs.is_plain(data.x, data.y, data.sample_weight)
        )

    def _is_as_made(self):
        """Returns True unless a subclass or instance overrides the step or the losses.

        Our loop uses neither labels nor logs, and on torch it records the parts of a step.
        """
        names = "train_step", "test_step", "compute_losses", "update_means", "metrics"
        made = [getattr(type(self), name) for name in names]
        modules = [getattr(part, "fget", part).__module__ for part in made]
        return not set(names) & set(vars(self)) and all(
            module.startswith("keras_vae.") for module in modules
        )

    def _data(self, x, y=None, sample_weight=None, class_weight=None, argument="x"):
        return prepare(self, x, y, sample_weight, class_weight, argument)

    def _validation(self, validation_data):
        """Returns the argument `validation_data` as `Data`, or None."""
        if validation_data is None:
            return None
        axes = self.likelihood.data.axes
        if inputs.is_list_of_items(validation_data, self.data_shape, axes):
            validation_data = (validation_data,)
        parts = keras.utils.unpack_x_y_sample_weight(validation_data)
        return self._data(*parts, argument="validation_data")

    def _source(self, data, batch_size, shuffle=False, training=False):
        check_integer("batch_size", batch_size, 1)
        x, seed = data.x, inputs.order_seed(shuffle)
        if not self.built:
            self.build(x.shape)
        if seed is not None:
            seed = int(parallel.of_first(seed))
        part = self.part_to_read(training)
        labels = None if self.condition is None else data.y
        if inputs.is_on_disk(x):
            return sources.StreamSource(x, labels, batch_size, seed, part)
        if training:
            held = self.hold(x)
            if parallel.of_all([not isinstance(held, np.ndarray)]).all():  # in every process
                x = held
        return sources.ArraySource(x, labels, data.sample_weight, batch_size, seed, part)

    def _with_guards(self, callbacks):
        """Returns the callbacks with `StopOnNonFinite` first and `Watch` last.

        The first stops `fit` before another callback saves a broken epoch. The last sees what
        the other callbacks have changed.
        """
        guard, watch = StopOnNonFinite(), Watch()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [guard, *keras.tree.flatten(callbacks or []), watch]
            self._set_mode(callbacks)
            return callbacks
        if not any(isinstance(callback, StopOnNonFinite) for callback in callbacks.callbacks):
            guard.set_model(self)
            callbacks.callbacks.insert(0, guard)
        if not any(isinstance(callback, Watch) for callback in callbacks.callbacks):
            watch.set_model(self)
            callbacks.callbacks.append(watch)
        self._set_mode(callbacks.callbacks)
        return callbacks

    def _set_mode(self, callbacks):
        """Sets ``mode`` of callbacks that monitor one of our losses: lower is better.

        Keras infers this only for ``loss`` and for compiled metrics.
        """
        losses = {name for name in self.loss_names if name.endswith("loss")}
        for callback in callbacks:
            monitor = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and monitor in losses:
                callback.mode = "min"

    @contextlib.contextmanager
    def _beside_an_epoch(self):
        """A context for evaluating the model; within `fit` it then restores the epoch means."""
        programs.refresh(self)
        before = self._in_epoch and [np.array(v.value) for v in self.metrics_variables]
        yield
        if self._in_epoch:
            for variable, value in zip(self.metrics_variables, before):
                variable.assign(value)

    def _evaluate_ours(self, data, batch_size, callbacks=None, verbose=0):
        with self._beside_an_epoch():
            return loop.evaluate(self, self._source(data, batch_size), callbacks, verbose)

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
        _use_cached_eval_dataset=False,  # passed by Keras's `fit`
    ):
        """Keras's `evaluate`: the losses on images, the same in every call.

        Args:
            x: Images in one of the forms that `fit` takes.
            y: Labels or attributes, for a model with a condition.
            return_dict: Whether to return the losses by name.

        The other arguments are those of Keras.

        Returns:
            The losses in nats per image: a dict, or a list in the order of `metrics_names`.

        Raises:
            ValueError: If the data are invalid, or the model is not compiled.

        Example:

        ```python
        model.evaluate(images, return_dict=True)["loss"]
        ```
        """
        if not self.compiled:
            raise ValueError("Call `compile` before `evaluate`.")
        by_fit = _use_cached_eval_dataset  # its data are checked
        data = Data(x, y, sample_weight) if by_fit else self._data(x, y, sample_weight)
        # A process may evaluate the model without the others.
        with contextlib.nullcontext() if by_fit else parallel.alone():
            return self._evaluate(data, batch_size, verbose, steps, callbacks, return_dict, by_fit)

    def _evaluate(self, data, batch_size, verbose, steps, callbacks, return_dict, by_fit):
        if hasattr(data.x, "shape") and tuple(data.x.shape[:1]) == (0,):
            raise ValueError("Argument `x` must hold at least one image. Received: none")
        if self._is_ours(data) and not steps:
            batch_size = batch_size or inputs.BATCH_SIZE
            losses = self._evaluate_ours(data, batch_size, callbacks, verbose)
        else:
            self._check_labels(data)
            x, y, sample_weight, all_steps = data.for_keras(
                batch_size, steps_per_execution=self.steps_per_execution
            )
            with data.plain_errors(), self._beside_an_epoch():
                losses = super().evaluate(
                    x,
                    y,
                    batch_size,
                    verbose,
                    sample_weight=sample_weight,
                    steps=steps or all_steps,
                    callbacks=callbacks,
                    return_dict=True,
                    _use_cached_eval_dataset=by_fit,
                )
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def predict(self, x, batch_size=None, **kwargs):
        """Keras's `predict`: the results of `call` as NumPy arrays, without noise."""
        data = self._data(x)
        programs.refresh(self)
        x = data.x
        if inputs.is_on_disk(x):
            x, batch_size = streams.InBatches(x, batch_size or inputs.BATCH_SIZE), None
        with data.plain_errors():
            return super().predict(x, batch_size=batch_size, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """Keras's `train_on_batch` on images."""
        x, y, sample_weight = self._batch(x, y, sample_weight, class_weight)
        if self.compiled:
            programs.refresh(self, training=True)
        losses = super().train_on_batch(x, y, sample_weight, class_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Keras's `test_on_batch` on images."""
        x, y, sample_weight = self._batch(x, y, sample_weight)
        with self._beside_an_epoch():
            losses = super().test_on_batch(x, y, sample_weight, return_dict=True)
        return losses if return_dict else [losses[name] for name in self.loss_names]

    def predict_on_batch(self, x):
        """Keras's `predict_on_batch` on images."""
        return super().predict_on_batch(self._batch(x)[0])

    def _batch(self, x, y=None, sample_weight=None, class_weight=None):
        """Checks one batch and returns its images, labels and weights."""
        inputs.check_class_weight(class_weight, y)
        x = self._array(x)
        if self.condition is not None:
            y = self.condition.checked(y, len(x))
        return np.asarray(x), y, inputs.as_weights(sample_weight, len(x))

    def _array(self, x, argument="x"):
        """Returns data as an array that the model can read, see `inputs.as_array_of`."""
        return inputs.as_array_of(self.likelihood.data, x, self.data_shape, argument)
