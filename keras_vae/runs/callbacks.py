"""Callbacks of train.py: report progress, keep the best model, stop on Ctrl-C."""

import contextlib
import math
import os
import signal
import sys
import time

import keras
from tqdm import tqdm

from keras_vae.atomic import remove_temporary_files
from keras_vae.runs import files

MOST_LINES = 40


class Progress(keras.callbacks.Callback):
    """Shows a progress bar on a terminal, prints a line after each epoch, measures the speed.

    Of more than 40 epochs it prints only some, evenly spaced.

    Args:
        images: Number of training images.
        batch_size: Images per step.
        epochs: Number of epochs, at most.
        clock: The `FollowClock` that ends training, or None.
        file: Where to write; None is the standard output.
        noun: What the items are called.

    Attributes:
        images_per_second: Training images per second, excluding validation and the first epoch,
            which compiles; None before the second epoch ends.
        total_seconds: Time of the training so far, including validation.
    """

    def __init__(self, images, batch_size, epochs, clock=None, file=None, noun="images"):
        super().__init__()
        self.noun, self.every = noun, 1 if clock else -(-epochs // MOST_LINES)
        self.images, self.batch_size, self.epochs, self.clock = images, batch_size, epochs, clock
        self.file = file or sys.stdout
        self.images_per_second = None
        self.seconds = []  # training time of each epoch
        self.total_seconds, self.counted = 0.0, time.perf_counter()
        self.bar = None

    def get_state(self):
        """Returns what a `Checkpoint` saves: durations, since the clock of a process is its own."""
        self._count()
        names = "images_per_second", "seconds", "total_seconds", "epoch", "trained", "logs"
        end = time.perf_counter() if self.stopped is None else self.stopped
        return {name: getattr(self, name) for name in names} | {"spent": end - self.started}

    def set_state(self, state):
        state = dict(state)
        self.started, self.stopped = time.perf_counter() - state.pop("spent"), None
        vars(self).update(state)
        if not self.clock:
            self.bar.update(self.epoch * self.images + self.trained)
        done = self.epoch + (self.trained == self.images)
        print(f"Continuing with epoch {done + 1} ...", file=self.file, flush=True)

    def _count(self):
        now = time.perf_counter()
        self.total_seconds += now - self.counted
        self.counted = now

    def on_train_begin(self, logs=None):
        self.counted = time.perf_counter()
        print("Compiling the training step ...", file=self.file, flush=True)
        rate = "" if self.clock else "{rate_fmt}, "  # with a clock the bar counts seconds
        self.bar = tqdm(
            total=round(self.clock.seconds) if self.clock else self.epochs * self.images,
            disable=not self.file.isatty(),
            file=self.file,
            unit=f" {self.noun}",
            leave=False,
            mininterval=0.2,
            smoothing=0.05,
            bar_format=f"{{desc}}{{percentage:3.0f}}% {{bar:24}} {rate}{{remaining}} left",
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.trained = epoch, 0
        self.started, self.stopped = time.perf_counter(), None

    def on_train_batch_end(self, batch, logs=None):
        images = min(self.batch_size * (batch + 1), self.images)
        if not self.bar.disable and time.time() - self.bar.last_print_t >= self.bar.mininterval:
            self.bar.set_description_str(f"{self._name()}  {summary(logs)}  ", refresh=False)
        if self.clock:
            images_or_seconds = self.bar.total - round(self.clock.seconds_left) - self.bar.n
        else:
            images_or_seconds = images - self.trained
        self.bar.update(images_or_seconds)
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
        if self.clock:
            left = min(left, self.clock.seconds_left)
        validation = {name.removeprefix("val_"): v for name, v in logs.items() if "val_" in name}
        line = f"{self._name()}  {summary(logs)}"
        if validation:
            line += f"  validation {validation['loss']:.2f}"
        line += f"  {speed:,.0f} {self.noun}/s, {left // 60:.0f}:{left % 60:02.0f} left"
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            self.bar.write(line, file=self.file)
            self.file.flush()

    def on_train_end(self, logs=None):
        if self.bar is not None:  # Ctrl-C may come before training begins
            self._count()
            self.bar.close()

    def _name(self):
        of = "" if self.clock else f"/{self.epochs}"
        return f"epoch {self.epoch + 1:{len(str(self.epochs))}d}{of}"

    def _stop_clock(self):
        if self.stopped is None:
            float(keras.ops.convert_to_numpy(self.logs["loss"]))  # waits for the device
            self.stopped = time.perf_counter()


def summary(logs):
    """Returns the losses on one line, in nats per image."""
    names = {"loss": "loss", "reconstruction_loss": "reconstruction", "kl_loss": "KL"}
    losses = {label: float(logs[key]) for key, label in names.items() if key in logs}
    return "  ".join(f"{label} {value:.2f}" for label, value in losses.items())


class SaveBest(keras.callbacks.Callback):
    """Saves the model after each epoch with the lowest validation loss so far.

    Attributes:
        epoch: The epoch of the saved model, counted from 1; None if none was saved.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.epoch, self.loss = None, math.inf

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.loss:
            files.save(self.path, self.model)
            self.epoch, self.loss = epoch + 1, logs["val_loss"]


class StopOnInterrupt(keras.callbacks.Callback):
    """Stops training after the current step on Ctrl-C; a second Ctrl-C ends the process at once.

    After training, while results are written, the first Ctrl-C is ignored.

    Args:
        folder: The run folder; its temporary files are removed before the process ends at once.
        checkpoint: The `Checkpoint` of the training; it raises `KeyboardInterrupt` after the step.
        clean_up: A function called before the process ends at once, or None.
    """

    def __init__(self, folder, checkpoint, clean_up=None):
        super().__init__()
        self.folder, self.checkpoint, self.clean_up = folder, checkpoint, clean_up
        self.pressed = self.training = False

    def on_train_begin(self, logs=None):
        self.training = True
        signal.signal(signal.SIGINT, self._on_signal)

    def on_train_end(self, logs=None):
        self.training = False

    def _on_signal(self, number, frame):
        if self.pressed:
            remove_temporary_files(self.folder)
            if self.clean_up:
                self.clean_up()
            with contextlib.suppress(OSError):  # stderr may be closed
                print("\nStopped at once.", file=sys.stderr, flush=True)
            os._exit(130)
        self.pressed = True
        if self.training:
            self.checkpoint.stop(KeyboardInterrupt())
        doing = (
            "Stopping after this step" if self.training else "Training has ended, saving results"
        )
        with contextlib.suppress(OSError):
            print(f"\n{doing}; press Ctrl-C again to stop at once.", file=sys.stderr, flush=True)
