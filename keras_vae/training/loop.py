"""The loop behind `fit` and `evaluate`: many steps in one execution, exact means over an epoch.

A backend runs all steps of an execution before it returns to this loop. Callbacks are called once
per execution, as with Keras's `steps_per_execution`. `fitting.py` decides which data this loop runs
and which Keras's own.
"""

import contextlib
import time

import keras

from keras_vae import parallel
from keras_vae.training import checkpoint, programs

MOST_BYTES = 100e6  # of images copied for one execution
ENOUGH_SECONDS = 0.1  # per execution: longer ones are no faster, and delay Ctrl-C


def fit(model, source, validate, callbacks, verbose, epochs, first_epoch, validation_freq):
    """Trains on a source of batches.

    Args:
        model: An `AutoEncoder` or `VAE`, compiled and built.
        source: See `keras_vae.training.sources`.
        validate: A function of the list of callbacks that returns losses by name, or None.
        callbacks, verbose, epochs, first_epoch, validation_freq: As in Keras's `fit`.

    Returns:
        Keras's `History`.
    """
    programs.refresh(model, training=True)
    callbacks = callback_list(
        model, callbacks, verbose, add_history=True, epochs=epochs, steps=source.steps
    )
    pace = choose_pace(model, source)
    model.stop_training = False
    logs = {}
    saver = checkpoint.of(callbacks.callbacks)
    with saver.signals() if saver else contextlib.nullcontext():
        callbacks.on_train_begin()
        first_epoch = getattr(model, "_initial_epoch", None) or first_epoch  # `BackupAndRestore`
        begin, done = (saver and saver.restore(source, callbacks)) or (first_epoch, 0)
        for epoch in range(begin, 0 if model.stop_training else epochs):
            if done:  # continued in the middle of an epoch
                step, done, logs = done, 0, model.epoch_means()
            else:
                step = 0
                model.reset_metrics()
                callbacks.on_epoch_begin(epoch)
            take = source.epoch(epoch, step)
            while step < source.steps and not model.stop_training:
                callbacks.on_train_batch_begin(step)
                steps, logs = pace.go(model, take, training=True)
                step += steps
                callbacks.on_train_batch_end(step - 1, logs)
                model.stop_training = bool(parallel.largest(model.stop_training))
                if saver:
                    saver.after_steps(epoch, step)
            if validate and is_due(epoch, validation_freq):
                logs |= {f"val_{name}": value for name, value in validate(callbacks).items()}
            callbacks.on_epoch_end(epoch, logs)
            model.stop_training = bool(parallel.largest(model.stop_training))
            last = model.stop_training or epoch + 1 == epochs
            if saver:
                saver.after_epoch(epoch, last)
            if last:
                break
    if isinstance(model.optimizer, keras.optimizers.Optimizer) and epochs > first_epoch:
        model.optimizer.finalize_variable_values(model.trainable_weights)  # applies an EMA
    callbacks.on_train_end(logs)
    return model.history


def evaluate(model, source, callbacks, verbose):
    """Returns the losses over a source of batches by name, in nats per image."""
    callbacks = callback_list(model, callbacks, verbose, epochs=1, steps=source.steps)
    pace = choose_pace(model, source)
    model.stop_evaluating, logs = False, {}
    model.reset_metrics()
    callbacks.on_test_begin()
    take, step = source.epoch(0), 0
    while step < source.steps and not model.stop_evaluating:
        callbacks.on_test_batch_begin(step)
        steps, logs = pace.go(model, take, training=False)
        step += steps
        callbacks.on_test_batch_end(step - 1, logs)
    callbacks.on_test_end(logs)
    return logs


def callback_list(model, callbacks, verbose, **arguments):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    return keras.callbacks.CallbackList(
        callbacks, add_progbar=verbose != 0, verbose=verbose, model=model, **arguments
    )


def is_due(epoch, validation_freq):
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq


class Pace:
    """The steps per execution: `steps` at first, doubled up to `most` while they are quick."""

    def __init__(self, steps, most, batch_size):
        self.steps, self.most, self.batch_size = steps, most, batch_size

    def go(self, model, take, training):
        """Runs one execution; returns its number of steps, and the means of the epoch so far."""
        started = time.perf_counter()
        block = take(self.steps)
        at_once = self.steps if block.size == self.batch_size else 1  # a smaller last batch
        model.run_steps(block, at_once, training)
        logs = model.epoch_means()  # waits for the device
        if parallel.of_first(time.perf_counter() - started) < ENOUGH_SECONDS:
            self.steps = min(2 * self.steps, self.most)
        return len(block.rows), logs


def choose_pace(model, source):
    """Returns the pace set by `compile`, or the best one on this backend."""
    if model.asked_steps:
        steps = most = model.asked_steps
    else:
        steps, most = model.best_pace(source.batch_size)
        most = min(most, max(1, int(MOST_BYTES // source.batch_bytes)))
    return Pace(min(steps, most, source.steps), min(most, source.steps), source.batch_size)
