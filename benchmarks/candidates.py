"""The recipes that `networks.py` compares, as plain data, and functions that build their models.

A candidate is the data set's BASE, the recipe of train.py, with some settings changed; `network`
is replaced completely. Each answers one question, so that a difference has a single cause.
"""

import json

import keras

import keras_vae
from keras_vae.training import recipes


def patches(*widths, **options):
    return {"network": {"kind": "patches", "widths": list(widths), "straight": True, **options}}


def mlp(*hidden, straight=True):
    return {"network": {"kind": "mlp", "hidden": list(hidden), "straight": straight}}


def conv(*filters, straight=True, **options):
    return {"network": {"kind": "conv", "filters": list(filters), "straight": straight, **options}}


# Settings shared by all data sets.
SHARED = {
    "batch_size": 128,
    "beta_2": 0.98,
    "ema": None,  # momentum of averaged weights, which are then evaluated
    "augment": False,
}


def as_train_does(kind, **others):
    """Returns the settings of a candidate that is train.py's default for such data."""
    defaults = recipes.DEFAULTS[kind]
    network = defaults[defaults["network"]]
    build = {"patches": patches, "mlp": mlp, "conv": conv}[defaults["network"]]
    return {
        **SHARED,
        **build(*network["widths"], straight=network["straight"]),
        "likelihood": defaults["likelihood"],
        "latent_dim": defaults["latent_dim"],
        "learning_rate": network["learning_rate"],
        **others,
    }


BASE = {
    "mnist": as_train_does("mnist"),
    "faces": as_train_does("faces"),
    "celeb_a": as_train_does("photographs", augment=True),
}
DEFAULT = "default"

# Attributes for which edits of the finalists are measured.
EDITED = {"mnist": ["8"], "faces": ["smiling", "eyeglasses"], "celeb_a": ["Smiling", "Male"]}

# Settings that affect the speed; candidates that agree in these share a calibration.
TIMED = ("network", "likelihood", "latent_dim", "batch_size", "ema", "augment")

# Questions that do not depend on the data set.
TRAINING = {
    DEFAULT: ("The recipe of train.py", {}),
    "rate x2": ("A higher peak learning rate?", {"rate": 2.0}),
    "rate x0.5": ("A lower peak learning rate?", {"rate": 0.5}),
    "averaged": ("Averaged weights?", {"ema": 0.99}),
    "beta_2 0.999": ("Keras's default of beta_2?", {"beta_2": 0.999}),
    "batch 64": ("More, smaller steps?", {"batch_size": 64, "rate": 0.7}),
    "batch 256": ("Fewer updates by Adam per image?", {"batch_size": 256, "rate": 1.4}),
    "mse": ("Another likelihood, by bits per dimension?", {"likelihood": "mse"}),
    "half as many latents": ("Fewer latents?", {"latents": 0.5}),
    "twice as many latents": ("More latents?", {"latents": 2}),
}
PICTURES = {
    "patches 512-32-128": ("Patches with separate weights?", patches(512, 32, 128)),
    "patches 384-24-64": ("Fewer weights, for more steps?", patches(384, 24, 64)),
    "patches 768-48-128": ("More weights?", patches(768, 48, 128)),
    "patches of 16": ("Larger patches?", patches(512, 64, 256, patch=16)),
    "patches alone": ("Without the straight path?", patches(512, 32, 128, straight=False)),
    "mlp 384": ("A dense network?", mlp(384)),
    "mlp 384 alone": ("Without the straight path?", mlp(384, straight=False)),
    "conv 64": ("Convolutions?", conv(64)),
    "conv 64 alone": ("Without the straight path?", conv(64, straight=False)),
}

CANDIDATES = {
    "mnist": {
        **TRAINING,
        "mlp 512-512": ("Wider?", mlp(512, 512)),
        "mlp 768": ("One layer, wide?", mlp(768)),
        "mlp alone": ("Without the straight path?", mlp(384, 384, straight=False)),
        "patches 384-16-48": ("Patches?", patches(384, 16, 48)),
        "conv 48": ("Convolutions?", conv(48)),
    },
    "faces": {**TRAINING, **PICTURES},
    "celeb_a": {**TRAINING, **PICTURES, "not mirrored": ("No mirroring?", {"augment": False})},
}


def settings_of(dataset, name):
    """Returns all settings of a candidate, a dict that JSON can hold."""
    changes = dict(CANDIDATES[dataset][name][1])
    rate, latents = changes.pop("rate", 1.0), changes.pop("latents", 1)  # relative to the base
    settings = BASE[dataset] | changes
    settings["learning_rate"] *= rate
    settings["latent_dim"] = round(settings["latent_dim"] * latents)
    return settings


def timed_part(settings):
    """Returns a string that is equal for settings with the same speed."""
    return json.dumps({name: settings[name] for name in TIMED}, sort_keys=True)


def build_model(settings, images, seed):
    """Returns a `VAE` with these settings, for training images."""
    network = dict(settings["network"])
    builder = getattr(keras_vae, f"build_{network.pop('kind')}")
    pixel_mean = images[:1000].mean(axis=0) / 255  # as train.py does
    parts = builder(
        images.shape[1:],
        settings["latent_dim"],
        activation="silu",
        pixel_mean=pixel_mean,
        **network,
    )
    mirror = None
    if settings["augment"]:
        mirror = keras.layers.RandomFlip("horizontal", seed=seed, dtype="float32")
    return keras_vae.VAE(*parts, settings["likelihood"], augmentation=mirror, seed=seed)


def make_optimizer(settings, steps):
    """Returns train.py's optimizer with some of its settings changed."""
    config = recipes.make_optimizer(settings["learning_rate"], steps).get_config()
    config["beta_2"] = settings["beta_2"]
    if settings["ema"]:
        # At its end `fit` replaces the weights by their averages, which are then evaluated.
        config |= {"use_ema": True, "ema_momentum": settings["ema"]}
    return keras.optimizers.Adam.from_config(config)
