"""How train.py optimises: what measured best for these networks, for use elsewhere too."""

import math

import keras
from keras import ops


def make_optimizer(learning_rate, steps):
    """Returns Adam with a learning rate that warms up and then falls to 0 along a cosine.

    Its memory of squared gradients is short (``beta_2=0.98``), which suits runs of a few
    thousand steps.

    Args:
        learning_rate: The highest one, reached after a twentieth of the steps.
        steps: How many steps training takes in all.

    Returns:
        A Keras optimizer.

    Example:

    ```python
    model.compile(make_optimizer(2e-3, steps=1000))
    ```
    """
    schedule = WarmUpAndCosine(learning_rate, max(1, steps // 20), steps)
    return keras.optimizers.Adam(schedule, beta_2=0.98)


@keras.saving.register_keras_serializable(package="keras_vae")
class WarmUpAndCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a line and then falls to 0 along a cosine.

    Keras's `CosineDecay` is the same in four times as many operations, which torch takes one by
    one in each step.

    Args:
        peak: The highest learning rate; the first is a twentieth of it.
        warmup: How many steps it rises.
        steps: How many steps there are in all.

    Example:

    ```python
    schedule = WarmUpAndCosine(1e-3, warmup=50, steps=1000)
    float(schedule(50))  # 1e-3
    ```
    """

    def __init__(self, peak, warmup, steps):
        self.peak, self.warmup = float(peak), int(warmup)
        self.steps = max(int(steps), self.warmup + 1)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = (0.05 + 0.95 * step / self.warmup) * self.peak
        share = ops.minimum((step - self.warmup) / (self.steps - self.warmup), 1.0)
        return ops.where(step < self.warmup, rising, self.peak / 2 * (1 + ops.cos(math.pi * share)))

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}
