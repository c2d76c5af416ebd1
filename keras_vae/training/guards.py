"""Callbacks of every `fit`: stop at a loss that is not finite, react to changes of the model."""

import math
import warnings

import keras
import numpy as np

from keras_vae.training import programs


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `FloatingPointError` at the first loss that is infinite or NaN.

    A step computes its loss before it changes the weights. If the last step of an epoch breaks
    them, the validation loss shows it, or without validation the loss of the next step. Under
    float16 a step that overflows is skipped and the next may be fine, so there the validation
    loss is checked, or without validation the weights. Since this callback reads the loss, Keras
    waits for each step; an asynchronous one (`async_safe`) could see the steps out of order.
    """

    def __init__(self):
        super().__init__()
        self.epoch, self.skips = 0, False

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.skips = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)

    def on_train_batch_end(self, batch, logs=None):
        if not (self.skips or math.isfinite(logs["loss"])):
            step = int(number(self.model.means.good)) + 1
            self._check(f"The loss at step {step} of epoch {self.epoch + 1}", logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            self._check(f"`val_loss` of epoch {epoch + 1}", logs["val_loss"])
        elif self.skips:
            for weight in self.model.trainable_weights:
                total = np.sum(keras.ops.convert_to_numpy(weight), dtype="float64")
                self._check(f"The weight {weight.path} after epoch {epoch + 1}", total)

    def _check(self, what, value):
        if not math.isfinite(value):
            raise FloatingPointError(
                f"{what} is {float(value)}. Try a lower learning rate, gradient clipping "
                "(`clipnorm=1` in the optimizer) or float32"
            )


class Watch(keras.callbacks.Callback):
    """Refreshes programs after changes by other callbacks; warns if float16 stops all learning.

    Under ``mixed_float16`` a step whose gradients overflow changes no weight and halves the loss
    scale. A few such steps are normal.
    """

    def on_train_begin(self, logs=None):
        self.warned = False

    def on_epoch_begin(self, epoch, logs=None):
        model = self.model
        model._in_epoch = True
        programs.refresh(model, training=True)
        skips = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self.before = number(model.optimizer.iterations) if skips else None

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        model._in_epoch = False
        if self.before is None or self.warned:
            return
        if number(model.optimizer.iterations) > self.before:
            return
        self.warned = True
        warnings.warn(
            f"Nothing was learned in epoch {epoch + 1}: the gradients of every step overflowed "
            "float16, so every step was skipped. Each skipped step halves the loss scale, now "
            f"{number(model.optimizer.dynamic_scale):g}. Continue training, start with a smaller "
            "scale (`LossScaleOptimizer(optimizer, initial_scale=...)`), raise the KL weight "
            "slowly (`kl_warmup_steps`), or use mixed_bfloat16 or float32",
            stacklevel=2,
        )


def number(variable):
    """Returns the value of a variable, also of one that a strategy of TensorFlow mirrors."""
    return keras.ops.convert_to_numpy(variable).item()
