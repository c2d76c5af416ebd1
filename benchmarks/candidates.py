"""Which recipes `networks.py` compares, as plain data, and how one becomes a model.

A candidate is the data set's BASE with some settings changed; `network` is replaced as a whole.
Each answers one question, so that a difference can be laid to one thing. BASE is what train.py did
before the search; what it does now is among the candidates.
"""

import json

import keras
import numpy as np
from blocks import build
from keras import ops

import keras_vae
from keras_vae import recipe
from keras_vae.likelihoods import Gaussian

# What every data set shares.
SHARED = {
    "batch_size": 128,
    "schedule": "cosine",  # or "linear" to zero, or "constant"; each after a warm-up
    "beta_2": 0.98,
    "ema": None,  # momentum of the averaged weights that are evaluated
    "start_at_mean": False,  # the decoder's last bias draws the mean image at first, not grey
    "centre": False,  # the encoder sees differences to the mean image, not to a mean shade
    "log_var": -3,  # bias of z_log_var at first
    "augment": False,
}
BASE = {
    "mnist": SHARED
    | {
        "network": {"kind": "mlp", "hidden": [512, 512], "activation": "relu"},
        "likelihood": "mse",
        "latent_dim": 16,
        "learning_rate": 4e-3,
    },
    "faces": SHARED
    | {
        "network": {"kind": "mlp", "hidden": [256], "activation": "silu"},
        "likelihood": "gaussian",
        "latent_dim": 64,
        "learning_rate": 3e-3,
    },
    "celeb_a": SHARED
    | {
        "network": {"kind": "conv", "filters": [64], "patch": 8, "activation": "silu"},
        "likelihood": "gaussian",
        "latent_dim": 64,
        "learning_rate": 4e-3,
        "augment": True,
    },
}
DEFAULT = "default"

# Attributes whose edits are measured, of the finalists.
EDITED = {"mnist": ["8"], "faces": ["smiling", "eyeglasses"], "celeb_a": ["Smiling", "Male"]}

# What decides the speed; the rest shares a calibration.
TIMED = ("network", "likelihood", "latent_dim", "batch_size", "ema", "augment")


def mlp(*hidden, activation="silu"):
    return {"network": {"kind": "mlp", "hidden": list(hidden), "activation": activation}}


def conv(*filters, patch=8, activation="silu"):
    network = {"kind": "conv", "filters": list(filters), "patch": patch, "activation": activation}
    return {"network": network}


def blocks(width, reader="dense", writer="dense", **options):
    network = {"kind": "blocks", "width": width, "reader": reader, "writer": writer}
    return {"network": network | options}


# Questions that do not depend on the data set.
TRAINING = {
    "rate x2": ("Is a higher peak better?", {"rate": 2.0}),
    "rate x0.5": ("Is a lower one?", {"rate": 0.5}),
    "linear": ("Does the rate's way down matter?", {"schedule": "linear"}),
    "constant, averaged": (
        "Can averaged weights replace it?",
        {"schedule": "constant", "rate": 0.5, "ema": 0.99},
    ),
    "beta_2 0.999": ("As long as Keras's default?", {"beta_2": 0.999}),
    "batch 64": ("More steps?", {"batch_size": 64, "rate": 0.7}),
    "batch 256": ("Fewer, with less of Adam for each image?", {"batch_size": 256, "rate": 1.4}),
    "mean start": ("Is it worth to begin at the mean image?", {"start_at_mean": True}),
}

CANDIDATES = {
    "mnist": {
        DEFAULT: ("What train.py did before", {}),
        **TRAINING,
        "mlp 384-384": ("Narrower, for more steps?", mlp(384, 384, activation="relu")),
        "mlp 768-768": ("Wider?", mlp(768, 768, activation="relu")),
        "mlp 768": ("One layer, wide?", mlp(768, activation="relu")),
        "mlp 384-384-384": ("Deeper?", mlp(384, 384, 384, activation="relu")),
        "silu": ("The activation?", mlp(512, 512)),
        "gelu": ("The activation?", mlp(512, 512, activation="gelu")),
        "residual 512": ("Residual blocks?", blocks(512, residual=1, activation="relu")),
        "residual 384 x2": ("Narrower and more of them?", blocks(384, residual=2)),
        "gated 384": ("Gated ones?", blocks(384, residual=1, gated=True)),
        "half size": ("Need the encoder see every pixel?", blocks(512, shrink=2, residual=1)),
        "patches 4": (
            "Shared weights for patches, then a hidden layer on all?",
            blocks(512, "patches", "patches", patch=4, channels=32),
        ),
        "mixer 4": (
            "Do patches have to talk?",
            blocks(256, "patches", "patches", patch=4, channels=32, mixers=1),
        ),
        "conv 48": ("train.py's convolutions", conv(48, patch=4) | {"rate": 1.5}),
        "variance 1": ("More noise in the codes at first?", {"log_var": -1}),
        "32 latents": ("More latents?", {"latent_dim": 32}),
        "gaussian": ("The likelihood, by bits per dimension", {"likelihood": "gaussian"}),
        "384-384 silu, mean start": (
            "Do these add up?",
            blocks([384, 384]) | {"start_at_mean": True},
        ),
        "384-384 silu, mean start, centred": (
            "Need the encoder see what all images share?",
            blocks([384, 384]) | {"start_at_mean": True, "centre": True},
        ),
        "384-384 silu, mean start, centred, averaged": (
            "And averaged weights?",
            blocks([384, 384])
            | {"start_at_mean": True, "centre": True}
            | {"schedule": "constant", "rate": 0.5, "ema": 0.99},
        ),
        "half size, 512-512 silu, mean start, centred": (
            "Spend what half the size saves on width?",
            blocks([512, 512], shrink=2) | {"start_at_mean": True, "centre": True},
        ),
    },
    "faces": {
        DEFAULT: ("What train.py did before", {}),
        **TRAINING,
        "mlp 384": ("Wider?", mlp(384)),
        "mlp 512": ("Wider still?", mlp(512)),
        "mlp 256-256": ("Deeper?", mlp(256, 256)),
        "relu": ("The activation?", mlp(256, activation="relu")),
        "residual 256 x2": ("Residual blocks?", blocks(256, residual=2)),
        "gated 256": ("Gated ones?", blocks(256, residual=1, gated=True)),
        "half size": ("Need the encoder see every pixel?", blocks(256, shrink=2)),
        "half size, residual 384": ("Spend that on width?", blocks(384, shrink=2, residual=1)),
        "quarter size": ("Or even fewer?", blocks(256, shrink=4)),
        "half size in and out": ("The decoder, too?", blocks(384, writer="half", shrink=2)),
        "half size, mean start": (
            "Do the two add up?",
            blocks(256, shrink=2) | {"start_at_mean": True},
        ),
        "half in and out, mean start": (
            "And the three?",
            blocks(384, writer="half", shrink=2) | {"start_at_mean": True},
        ),
        "rank 64": ("Need the first and last layer all of their rank?", blocks(256, rank=64)),
        "half size, mean start, centred": (
            "Need the encoder see what all images share?",
            blocks(256, shrink=2) | {"start_at_mean": True, "centre": True},
        ),
        "half size 384, mean start, centred": (
            "Wider?",
            blocks(384, shrink=2) | {"start_at_mean": True, "centre": True},
        ),
        "half size 384, mean start": (
            "The same without?",
            blocks(384, shrink=2) | {"start_at_mean": True},
        ),
        "half size, grey detail, mean start": (
            "Colours at half the size, and grey detail?",
            blocks(256, writer="detail", shrink=2) | {"start_at_mean": True},
        ),
        "conv 64": ("train.py's convolutions", conv(64) | {"rate": 1.33}),
        "32 latents": ("Fewer latents?", {"latent_dim": 32}),
        "128 latents": ("More?", {"latent_dim": 128}),
        "mse": ("The likelihood, by bits per dimension", {"likelihood": "mse"}),
        "gaussian per pixel": ("A variance for each pixel?", {"likelihood": "pixel gaussian"}),
    },
    "celeb_a": {
        DEFAULT: ("What train.py did before", {}),
        **TRAINING,
        "conv 48": ("Narrower?", conv(48)),
        "conv 32-64": ("Smaller patches, and halved once?", conv(32, 64, patch=4)),
        "patch reader": (
            "Products for the encoder's convolution, a hidden layer on all?",
            blocks(256, "patches", "conv"),
        ),
        "resize": ("Enlarge and convolve, not sub-pixels?", blocks(256, "patches", "resize")),
        "patches 8": (
            "No look at the patches around?",
            blocks(256, "patches", "patches", channels=32),
        ),
        "patches 8, 64": (
            "More channels for that?",
            blocks(384, "patches", "patches", channels=64),
        ),
        "mixer 8": (
            "Or a look at all of them?",
            blocks(256, "patches", "patches", channels=32, mixers=1),
        ),
        "mlp 256": ("train.py's network of faces", mlp(256) | {"rate": 0.5}),
        "half size": ("Need its encoder see every pixel?", blocks(256, shrink=2) | {"rate": 0.5}),
        "half size, residual 384": (
            "Spend that on width?",
            blocks(384, shrink=2, residual=1) | {"rate": 0.5},
        ),
        "half size in and out": (
            "The decoder, too?",
            blocks(384, writer="half", shrink=2) | {"rate": 0.5},
        ),
        "half in and out, mean start": (
            "And from the mean image?",
            blocks(384, writer="half", shrink=2) | {"rate": 0.5, "start_at_mean": True},
        ),
        "half size, mean start": (
            "With every pixel of the output?",
            blocks(256, shrink=2) | {"rate": 0.5, "start_at_mean": True},
        ),
        "half size, mean start, centred": (
            "Need the encoder see what all images share?",
            blocks(256, shrink=2) | {"rate": 0.5, "start_at_mean": True, "centre": True},
        ),
        "half size 384, mean start, centred": (
            "Wider?",
            blocks(384, shrink=2) | {"rate": 0.5, "start_at_mean": True, "centre": True},
        ),
        "half size, grey detail, mean start": (
            "Colours at half the size, and grey detail?",
            blocks(256, writer="detail", shrink=2) | {"rate": 0.5, "start_at_mean": True},
        ),
        "32 latents": ("Fewer latents?", {"latent_dim": 32}),
        "128 latents": ("More?", {"latent_dim": 128}),
        "256 latents": ("Many more?", {"latent_dim": 256}),
        "mse": ("The likelihood, by bits per dimension", {"likelihood": "mse"}),
        "gaussian per pixel": ("A variance for each pixel?", {"likelihood": "pixel gaussian"}),
    },
}


def settings_of(dataset, name):
    """Returns all settings of a candidate, a dict that JSON can hold."""
    changes = dict(CANDIDATES[dataset][name][1])
    rate = changes.pop("rate", 1.0)  # relative to the base's
    settings = BASE[dataset] | changes
    return settings | {"learning_rate": settings["learning_rate"] * rate}


def timed_part(settings):
    """Returns a text that is the same for settings of the same speed."""
    return json.dumps({name: settings[name] for name in TIMED}, sort_keys=True)


def build_model(settings, images, seed):
    """Returns the `VAE` of some settings, for training images."""
    network = dict(settings["network"])
    kind = network.pop("kind")
    builder = {"mlp": keras_vae.build_mlp, "conv": keras_vae.build_conv, "blocks": build}[kind]
    pixel_mean = float(images[:1000].mean() / 255)  # as train.py does
    if settings["centre"]:
        pixel_mean = images[:1000].mean(axis=0) / 255
    shape = images.shape[1:]
    parts = builder(shape, settings["latent_dim"], pixel_mean=pixel_mean, **network)
    encoder, decoder = parts
    bias = encoder.get_layer("z_log_var").bias
    bias.assign(np.full(bias.shape, settings["log_var"], "float32"))
    if settings["start_at_mean"]:
        draw_at_first(decoder, images[:1000].mean(axis=0) / 255)
    elif kind != "blocks":  # which start from grey; the package's builders, from `pixel_mean`
        draw_at_first(decoder, np.full(shape, 0.5))
    likelihood = settings["likelihood"]
    if likelihood == "pixel gaussian":
        likelihood = PixelGaussian(shape)
    mirror = None
    if settings["augment"]:
        mirror = keras.layers.RandomFlip("horizontal", seed=seed, dtype="float32")
    return keras_vae.VAE(encoder, decoder, likelihood, augmentation=mirror, seed=seed)


def draw_at_first(decoder, image):
    """Sets the last bias to the logits of an image, or of as much of it as the bias can draw."""
    last = next(layer for layer in decoder.layers[::-1] if getattr(layer, "bias", None) is not None)
    bias, (height, width, channels) = last.bias, image.shape
    if isinstance(last, keras.layers.Conv2D):  # a patch, the same everywhere: the mean of all
        patch = round((bias.shape[0] / channels) ** 0.5)
        rows, columns = height // patch, width // patch
        image = image.reshape(rows, patch, columns, patch, channels).mean(axis=(0, 2))
    elif bias.shape[0] != image.size:  # half the size
        image = image.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))
    mean = np.clip(image.reshape(-1), 0.01, 0.99)
    bias.assign(np.log(mean / (1 - mean)).astype("float32"))


def make_optimizer(settings, steps):
    """Returns train.py's optimizer with some of its settings changed."""
    peak, shape = settings["learning_rate"], settings["schedule"]
    config = recipe.make_optimizer(peak, steps).get_config()
    config["beta_2"] = settings["beta_2"]
    if shape != "cosine":
        config["learning_rate"] = WarmUp(peak, steps, shape)
    if settings["ema"]:
        # fit ends by putting the averaged weights in place, so that they are evaluated
        config |= {"use_ema": True, "ema_momentum": settings["ema"]}
    return keras.optimizers.Adam.from_config(config)


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises over a twentieth of the steps, as the cosine does; then falls to zero along a line,
    or stays."""

    def __init__(self, peak, steps, shape):
        self.peak, self.steps, self.shape = peak, steps, shape

    def __call__(self, step):
        step, rise = ops.cast(step, "float32"), max(1, self.steps // 20)
        up = ops.minimum((step + 1) / rise, 1.0)
        left = ops.maximum(1 - (step - rise) / max(1, self.steps - rise), 0.0)
        return self.peak * up * (ops.minimum(left, 1.0) if self.shape == "linear" else 1.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "shape": self.shape}


@keras.saving.register_keras_serializable(package="benchmarks")
class PixelGaussian(Gaussian):
    """`Gaussian` with a learned variance for each pixel and channel instead of one for all."""

    name = "pixel gaussian"

    def __init__(self, image_shape, variance=0.5):
        super().__init__(variance)
        first = np.full(tuple(image_shape), variance, "float32")
        self.variance = keras.Variable(first, trainable=False, autocast=False, name="variance")
        self.weights = (self.variance, self.updates)
        self.config = {"image_shape": list(image_shape), "variance": float(variance)}

    def nats(self, x, outputs):
        squares = ops.square(x - self.pixels(outputs))
        v = self.variance
        return ops.sum(ops.log(2 * np.pi * v) / 2 + squares / (2 * v), axis=(1, 2, 3))

    def update(self, x, outputs, sample_weight=None):
        squares = ops.mean(ops.square(x - self.pixels(outputs)), axis=0)
        before = ops.convert_to_tensor(self.variance)
        rate = ops.maximum(self.RATE, 1 / (self.updates + 1))
        after = before + rate * (ops.stop_gradient(squares) - before)
        self.variance.assign(ops.maximum(after, self.LEAST))
        self.updates.assign_add(1.0)
