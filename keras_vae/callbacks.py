"""What happens while `fit` runs: stop at a loss that is no number and notice what others change
(in every `fit`), and for train.py report progress, keep the best model, stop when asked."""

import contextlib
import math
import os
import signal
import sys
import time
import warnings

import keras
import numpy as np
from tqdm import tqdm

from keras_vae import programs, runs


class Progress(keras.callbacks.Callback):
    """A progress bar on a terminal, and one line an epoch everywhere; measures the speed.

    Attributes:
        images_per_second: Images trained on per second, without the first epoch (which
            compiles) and without validation; None after fewer than two epochs.
    """

    several_steps = True  # may pass between two looks, see `keras_vae.training`

    def __init__(self, images, batch_size, epochs, file=sys.stdout):
        super().__init__()
        self.images, self.batch_size, self.epochs = images, batch_size, epochs
        self.file = file
        self.images_per_second = None
        self.seconds = []  # of training in each epoch

    def on_train_begin(self, logs=None):
        print("Compiling the training step ...", file=self.file, flush=True)
        self.bar = tqdm(
            total=self.epochs * self.images,
            disable=not self.file.isatty(),
            file=self.file,
            unit=" images",
            leave=False,
            mininterval=0.2,
            smoothing=0.05,
            bar_format="{desc}{percentage:3.0f}% {bar:24} {rate_fmt}, {remaining} left",
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.trained = epoch, 0
        self.started, self.stopped = time.perf_counter(), None

    def on_train_batch_end(self, batch, logs=None):
        images = min(self.batch_size * (batch + 1), self.images)
        if not self.bar.disable and time.time() - self.bar.last_print_t >= self.bar.mininterval:
            self.bar.set_description_str(
                f"epoch {self.epoch + 1:{len(str(self.epochs))}d}/{self.epochs}  {summary(logs)}  ",
                refresh=False,
            )
        self.bar.update(images - self.trained)
        self.trained, self.logs = images, logs

    def on_test_begin(self, logs=None):
        self._stop_clock()

    def on_epoch_end(self, epoch, logs=None):
        self._stop_clock()
        self.seconds.append(self.stopped - self.started)
        if len(self.seconds) > 1:
            images = (len(self.seconds) - 2) * self.images + self.trained
            self.images_per_second = images / sum(self.seconds[1:])
        speed = self.trained / self.seconds[-1]
        left = (self.epochs - epoch - 1) * self.images / speed
        validation = {name.removeprefix("val_"): v for name, v in logs.items() if "val_" in name}
        line = f"epoch {epoch + 1:{len(str(self.epochs))}d}/{self.epochs}  {summary(logs)}"
        if validation:
            line += f"  validation {validation['loss']:.2f}"
        line += f"  {speed:,.0f} images/s, {left // 60:.0f}:{left % 60:02.0f} left"
        self.bar.write(line, file=self.file)
        self.file.flush()

    def on_train_end(self, logs=None):
        self.bar.close()

    def _stop_clock(self):
        if self.stopped is None:
            float(keras.ops.convert_to_numpy(self.logs["loss"]))  # wait for the device
            self.stopped = time.perf_counter()


def summary(logs):
    """Returns losses as one short text, in nats per image."""
    names = {"loss": "loss", "reconstruction_loss": "reconstruction", "kl_loss": "KL"}
    shown = {label: float(logs[key]) for key, label in names.items() if key in logs}
    return "  ".join(f"{label} {value:.2f}" for label, value in shown.items())


class SaveBest(keras.callbacks.Callback):
    """Writes the model to a file after each epoch that has the lowest validation loss so far.

    Attributes:
        epoch: Which epoch was saved, counted from 1; None if there was none.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.epoch, self.loss = None, math.inf

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.loss:
            runs.save(self.path, self.model)
            self.epoch, self.loss = epoch + 1, logs["val_loss"]


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `FloatingPointError` at the first loss that is infinite or not a number.

    A step's loss says how the weights were before that step, so what the last step of an epoch
    broke is seen by validation, if there is any, and otherwise at the next step. Under float16
    a step that overflowed is skipped and the next may be fine: there the validation loss is
    judged, or else the weights. Looking at each step makes Keras wait for each; run aside
    (`async_safe`), the steps would be seen out of order.
    """

    several_steps = True  # may pass between two looks, see `keras_vae.training`

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

    several_steps = True  # may pass between two looks, see `keras_vae.training`

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


class StopOnInterrupt(keras.callbacks.Callback):
    """Turns Ctrl-C into a clean stop after the current step; a second Ctrl-C ends at once.

    After training, while the results are written, the first Ctrl-C changes nothing.

    Args:
        folder: The run folder, whose unfinished files are removed before it ends at once.
        clean_up: A function to call then, too; None is nothing.

    Attributes:
        asked: Whether training was stopped by Ctrl-C.
    """

    several_steps = True  # may pass between two looks, see `keras_vae.training`

    def __init__(self, folder, clean_up=None):
        super().__init__()
        self.folder, self.clean_up = folder, clean_up
        self.asked = self.pressed = self.training = False

    def on_train_begin(self, logs=None):
        self.training = True
        signal.signal(signal.SIGINT, self._on_signal)

    def on_train_batch_end(self, batch, logs=None):
        if self.asked:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.training = False

    def _on_signal(self, number, frame):
        if self.pressed:
            runs.remove_temporary_files(self.folder)
            if self.clean_up:
                self.clean_up()
            with contextlib.suppress(OSError):  # nobody listens
                print("\nStopped at once.", file=sys.stderr, flush=True)
            os._exit(130)
        self.pressed, self.asked = True, self.training
        doing = "Stopping after this step" if self.training else "Training is over, saving"
        with contextlib.suppress(OSError):
            print(f"\n{doing}; press Ctrl-C again to stop at once.", file=sys.stderr, flush=True)
