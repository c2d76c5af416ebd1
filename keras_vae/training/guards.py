"""Callbacks of every `fit`: stop at a loss that is not finite, notice changes of the model."""

import math
import warnings

import keras
import numpy as np

from keras_vae.training import programs


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `FloatingPointError` at the first loss that is infinite or not a number.

    A step's loss says how the weights were before that step, so what the last step of an epoch
    broke is seen by validation, if there is any, and otherwise at the next step. Under float16
    a step that overflowed is skipped and the next may be fine: there the validation loss is
    judged, or else the weights. Looking at each step makes Keras wait for each; run aside
    (`async_safe`), the steps would be seen out of order.
    """

    def __init__(self):
        super().__init__()
        self.epoch, self.skips = 0, False

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.skips = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)

    def on_train_batch_end(self, batch, logs=None):
        if not (self.skips or math.isfinite(logs["loss"])):
            step = int(self.model.means.good) + 1
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
    """Notices what callbacks before it change in the model; warns if float16 stops all learning.

    Under ``mixed_float16`` a step whose gradients overflow changes no weight and halves the scale
    of the loss, which is in order for some steps of a training.
    """

    def on_train_begin(self, logs=None):
        self.warned = False

    def on_epoch_begin(self, epoch, logs=None):
        model = self.model
        model._in_epoch = True
        programs.refresh(model, training=True)
        skips = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self.before = int(model.optimizer.iterations) if skips else None

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        model._in_epoch = False
        if self.before is None or self.warned or int(model.optimizer.iterations) > self.before:
            return
        self.warned = True
        warnings.warn(
            f"Nothing was learned in epoch {epoch + 1}: the gradients overflowed float16 in each "
            "step, so each was skipped. Every skipped step halves the scale of the loss, now "
            f"{float(model.optimizer.dynamic_scale):g}: train on, begin with a smaller one "
            "(`LossScaleOptimizer(optimizer, initial_scale=...)`), raise the KL's weight slowly "
            "(`kl_warmup_steps`), or use mixed_bfloat16 or float32",
            stacklevel=2,
        )
