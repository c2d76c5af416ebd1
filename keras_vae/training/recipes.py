"""The default settings of train.py, chosen by short trainings, and its optimizer."""

import math

import keras
from keras import ops

__all__ = ["WarmUpAndCosine", "make_optimizer"]

# Chosen on validation images after one to three minutes of training on two CPU cores, see
# docs/benchmarks/index.md. Settings that depend on the network are under its name; networks other
# than the default "network" were tuned less, and those of sprites not at all. Data sets other than
# faces and sprites use the settings of mnist if their images are small and grey, otherwise those of
# photographs. "images" is the number of training images over all epochs.
DEFAULTS = {
    "faces": {
        "network": "patches",
        "likelihood": "gaussian",
        "latent_dim": 64,
        "activation": "silu",
        "patches": {
            "widths": [512, 32, 128],
            "straight": True,
            "epochs": 16,
            "learning_rate": 4e-3,
        },
        "mlp": {"widths": [384], "straight": True, "epochs": 16, "learning_rate": 3e-3},
        "conv": {"widths": [64], "straight": True, "epochs": 8, "learning_rate": 4e-3},
    },
    "mnist": {
        "network": "mlp",
        "likelihood": "gaussian",
        "latent_dim": 32,
        "activation": "silu",
        "patches": {"widths": [384, 16, 48], "straight": True, "epochs": 10, "learning_rate": 4e-3},
        "mlp": {"widths": [384, 384], "straight": True, "epochs": 20, "learning_rate": 4e-3},
        "conv": {"widths": [48], "straight": True, "epochs": 7, "learning_rate": 6e-3},
    },
    "sprites": {
        "network": "conv",
        "likelihood": "bernoulli",
        "latent_dim": 10,
        "activation": "silu",
        "patches": {"widths": [128, 16, 32], "straight": False, "epochs": 8, "learning_rate": 4e-3},
        "mlp": {"widths": [256, 128], "straight": False, "epochs": 10, "learning_rate": 3e-3},
        "conv": {"widths": [16], "straight": False, "epochs": 8, "learning_rate": 4e-3},
    },
    "photographs": {
        "network": "conv",
        "likelihood": "gaussian",
        "latent_dim": 256,
        "activation": "silu",
        "patches": {
            "widths": [512, 32, 128],
            "straight": True,
            "images": 130_000,
            "learning_rate": 4e-3,
        },
        "mlp": {"widths": [512], "straight": True, "images": 130_000, "learning_rate": 2e-3},
        "conv": {"widths": [64], "straight": True, "images": 130_000, "learning_rate": 4e-3},
    },
    "values": {  # tables and arrays of numbers
        "network": "mlp",
        "likelihood": "normal",
        "latent_dim": 8,
        "activation": "silu",
        "mlp": {"widths": [128, 128], "straight": True, "images": 300_000, "learning_rate": 2e-3},
        "conv": {"widths": [48], "straight": True, "images": 300_000, "learning_rate": 2e-3},
    },
}
NETWORKS = ("patches", "mlp", "conv")
MOST_EPOCHS, MOST_EPOCHS_OF_VALUES = 50, 300

# With --minutes: what replaces the settings above, by the minutes of training on two CPU cores from
# which it is better. "epochs" is the most that may help; "images_per_second" the speed on those two
# cores with JAX, which tells what the minutes of another machine are worth.
WITH_TIME = {
    "faces": {
        0: {"images_per_second": 1200, "epochs": 200},
        4: {
            "network": "patches",
            "widths": [768, 48, 192],
            "latent_dim": 96,
            "images_per_second": 800,
            "epochs": 200,
        },
    },
    "mnist": {
        0: {"images_per_second": 12000, "epochs": 200},
    },
    "sprites": {
        0: {"epochs": 200},
    },
    "photographs": {
        0: {"images_per_second": 850, "epochs": 100},
        2: {
            "network": "conv",
            "widths": [64],
            "latent_dim": 512,
            "images_per_second": 500,
            "epochs": 100,
        },
    },
    "values": {
        0: {"epochs": 2000},
    },
}


def settings_for(dataset, image_shape, images, network=None, minutes=None, pixels=True):
    """Returns the default settings for a data set.

    Args:
        dataset: Its name or path; only ``"faces"`` and ``"sprites"`` have settings of their own.
        image_shape: ``(height, width, channels)``, or the shape of other data.
        images: The number of training images.
        network: ``"patches"``, ``"mlp"`` or ``"conv"``; None selects the default.
        minutes: Time for training on two CPU cores; None for the defaults, which take one to three.
        pixels: Whether the data are images.

    Returns:
        A dict with ``network``, ``widths``, ``straight``, ``activation``, ``latent_dim``,
        ``likelihood``, ``epochs`` and ``learning_rate``. With `minutes`, ``epochs`` is the most
        that helps, and there is ``images_per_second``, the training speed on two CPU cores, if it
        is known.

    Example:

    ```python
    settings_for("celeb_a", (64, 64, 3), images=7000)["network"]  # "conv"
    ```
    """
    *sides, channels = image_shape
    kind = "mnist" if channels == 1 and max(sides, default=0) <= 32 else "photographs"
    kind = dataset if dataset in ("faces", "sprites") else kind if pixels else "values"
    settings = dict(DEFAULTS[kind])
    networks = {name: settings.pop(name) for name in NETWORKS if name in settings}
    better = {}
    if minutes is not None:
        better = max(row for row in WITH_TIME[kind].items() if row[0] <= max(0, minutes))[1]
    name = network or better.get("network", settings["network"])
    if name not in networks:
        raise ValueError(f"--network {name} is for images; expected mlp or conv")
    settings |= networks[name] | {"network": name}
    if "images" in settings:
        epochs = round(settings.pop("images") / images)
        most = MOST_EPOCHS if pixels else MOST_EPOCHS_OF_VALUES
        settings["epochs"] = min(max(epochs, 1), most)
    if minutes is not None:
        is_for_it = name == better.get("network", DEFAULTS[kind]["network"])
        settings |= better if is_for_it else {"epochs": better["epochs"]}
    settings["latent_dim"] = min(settings["latent_dim"], max(1, math.prod(image_shape) // 2))
    return settings


def make_optimizer(learning_rate, steps=None):
    """Returns Adam with a learning rate that warms up and then falls to 0 along a cosine.

    It averages squared gradients over few steps (``beta_2=0.98``), which suits runs of a few
    thousand steps.

    Args:
        learning_rate: The peak, reached after a twentieth of the steps.
        steps: Total number of training steps; None keeps the rate constant, to be set by
            `keras_vae.training.clock.FollowClock`.

    Returns:
        A Keras optimizer.

    Example:

    ```python
    from keras_vae.training.recipes import make_optimizer

    model.compile(make_optimizer(2e-3, steps=1000))
    ```
    """
    if steps is not None:
        learning_rate = WarmUpAndCosine(learning_rate, max(1, steps // 20), steps)
    return keras.optimizers.Adam(learning_rate, beta_2=0.98)


@keras.saving.register_keras_serializable(package="keras_vae")
class WarmUpAndCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly and then falls to 0 along a cosine.

    Keras's `CosineDecay` computes the same with four times as many operations, which torch runs
    one by one in each step.

    Args:
        peak: The highest learning rate; the first is a twentieth of it.
        warmup: Number of steps during which it rises.
        steps: Total number of steps.

    Example:

    ```python
    from keras_vae.training.recipes import WarmUpAndCosine

    schedule = WarmUpAndCosine(1e-3, warmup=50, steps=1000)
    schedule(50)  # 0.001
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
