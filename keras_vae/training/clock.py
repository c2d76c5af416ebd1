"""Training for a given time instead of a given number of steps."""

import math
import time

import keras
import numpy as np

from keras_vae import parallel
from keras_vae.checks import check_integer, check_number

__all__ = ["FollowClock"]

WARM_UP = 0.05  # share of the time in which the learning rate rises


class FollowClock(keras.callbacks.Callback):
    """Ends training after a given time, with a learning rate that follows the clock.

    The rate rises from a twentieth of its peak and then falls to 0 along a cosine, as that of
    `recipes.WarmUpAndCosine` does over a number of steps. So training ends at a low rate on every
    machine, and also if other programs slow it down. The first execution, which compiles, counts
    as time, but the rate rises only after it. A training that continues from a `Checkpoint` has the
    time that was left then.

    Args:
        peak: The highest learning rate.
        seconds: Time until training ends, a positive number.
        most_steps: End after this many steps even if there is time left; the rate follows
            whichever is nearer to its end. None: no limit.

    Attributes:
        steps: Number of steps so far.
        share: The share of the training that is done, from 0 to 1.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    from keras_vae.training.clock import FollowClock

    model.compile("adam")
    model.fit(images, epochs=10_000, callbacks=[FollowClock(4e-3, seconds=60)])
    ```
    """

    now = staticmethod(time.monotonic)

    def __init__(self, peak, seconds, most_steps=None):
        super().__init__()
        check_number("peak", peak, above=0)
        check_number("seconds", seconds, above=0)
        check_integer("most_steps", most_steps, 1, optional=True)
        self.peak, self.seconds, self.most_steps = peak, seconds, most_steps
        self.steps, self.share = 0, 0.0

    @property
    def seconds_left(self):
        return max(0.0, self.end - self.now())

    def get_state(self):
        """Returns what a `Checkpoint` saves: times are relative, since clocks differ."""
        now = self.now()
        return {
            "seconds_left": self.end - now,
            "seconds_compiled": None if self.compiled is None else now - self.compiled,
            **{name: vars(self).get(name) for name in ("steps", "before", "share")},
        }

    def set_state(self, state):
        now, state = self.now(), dict(state)
        self.end = now + state.pop("seconds_left")
        compiled = state.pop("seconds_compiled")
        self.compiled = None if compiled is None else now - compiled
        vars(self).update(state)

    def on_train_begin(self, logs=None):
        self.end, self.compiled = self.now() + self.seconds, None
        self._set_rate()

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps = self.before + batch + 1
        if self.compiled is None:
            self.compiled = self.now()
        left = self.seconds_left
        self.share = 1 - left / max(left, self.end - self.compiled) if left else 1.0
        if self.most_steps:
            self.share = max(self.share, min(1.0, self.steps / self.most_steps))
        self.share = parallel.of_first(self.share)  # clocks differ
        self._set_rate()
        if self.share == 1:
            self.model.stop_training = True

    def _set_rate(self):
        if self.share < WARM_UP:
            rate = 0.05 + 0.95 * self.share / WARM_UP
        else:
            rate = (1 + math.cos(math.pi * (self.share - WARM_UP) / (1 - WARM_UP))) / 2
        self.model.optimizer.learning_rate = self.peak * rate


def first_steps(model, images, batch_size, seconds=2.0):
    """Trains for a few seconds, and returns the number of images per second.

    The first execution, which compiles, does not count: the speed is that of the median execution.

    Args:
        model: A compiled `AutoEncoder` or `VAE`.
        images: The training images.
        batch_size: Images per step.
        seconds: Time to measure, after the first execution.

    Returns:
        A float.

    Example:

    ```python
    first_steps(model, faces.train.images, batch_size=128)  # 2400.0
    ```
    """
    watch = Stopwatch(seconds)
    model.fit(images, batch_size=batch_size, epochs=10**6, callbacks=[watch], verbose=0)
    return batch_size * float(np.median(watch.speeds))


class Stopwatch(keras.callbacks.Callback):
    """Measures the steps per second of each execution but the first, and ends training."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.speeds, self.until = seconds, [], None

    def on_train_batch_begin(self, batch, logs=None):
        self.first, self.started = batch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self.until is None:
            self.until = now + self.seconds
            return
        self.speeds.append((batch + 1 - self.first) / (now - self.started))
        if now > self.until:
            self.model.stop_training = True
