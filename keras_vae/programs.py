"""Compiled programs and the model they were compiled from: they go when it changes.

On JAX and TensorFlow a program holds everything that was no variable when it was compiled: which
layers there are, which of them are trained, their types and settings. So each call of `fit`,
`evaluate`, `encode` and the like first looks whether those are still the same.
"""

import numpy as np

from keras_vae.trainers.adam import learning_rate, trained_variables

PLAIN = bool, int, float, str, type(None)
# What changes by itself while a model is used, and programs do not depend on.
PASSING = {"training", "built", "history"}
PASSING |= {"stop_training", "stop_evaluating", "stop_predicting"}
PASSING |= {f"{kind}_function" for kind in ("train", "test", "predict")}


def refresh(model, training=False):
    """Forgets a model's programs, Keras's too, if the model has changed since the last call.

    Args:
        model: A Keras model with a dict `_programs`.
        training: Whether it is going to be trained.

    Raises:
        ValueError: If it is, and the optimizer was set up for other weights.
    """
    sync(model)
    before, now = vars(model).get("_compiled_for"), signature(model)
    vars(model)["_compiled_for"] = Held(now)  # past Keras, which would track the parts
    if before is not None and not is_same(before.parts, now):
        model._programs.clear()
        for kind in ("train", "test", "predict"):
            if getattr(model, f"{kind}_function", None) is not None:  # a `fit` may be using it
                getattr(model, f"make_{kind}_function")(force=True)
    if training:
        check_optimizer(model)


class Held:
    """Keeps a list from Keras, which looks through a model's lists for layers to save."""

    def __init__(self, parts):
        self.parts = parts


def sync(model):
    """On JAX Keras's loop holds the variables' values during an epoch; this brings them back."""
    getattr(model, "jax_state_sync", lambda: None)()


def signature(model):
    """Returns what a model's programs depend on and do not read anew, as a flat list."""
    optimizer = getattr(model, "optimizer", None)
    optimizers = [optimizer, getattr(optimizer, "inner_optimizer", None)]
    found = [learning_rate(one) for one in optimizers]
    parts = [getattr(model, "likelihood", None), *optimizers]
    for layer in model._flatten_layers():
        parts.append(layer)
        found += [layer.trainable, layer.dtype_policy.name]
    for part in parts:
        found.append(part)
        for name, value in getattr(part, "__dict__", {}).items():
            if name[0] != "_" and name not in PASSING and is_setting(value):
                found += [name, value]
    for variable in model.variables:
        found += [variable, variable.trainable]
    return found


def is_setting(value):
    return isinstance(value, (*PLAIN, tuple, np.ndarray)) or callable(value)


def is_same(before, now):
    return len(before) == len(now) and all(
        one is other or (isinstance(one, PLAIN) and type(one) is type(other) and one == other)
        for one, other in zip(before, now)
    )


def check_optimizer(model):
    """Raises `ValueError` if other weights are to be trained than the optimizer was set up for."""
    optimizer = model.optimizer
    if not getattr(optimizer, "built", False) or has_own_step(model):
        return
    known, now = trained_variables(optimizer), model.trainable_variables
    if [id(variable) for variable in known] != [id(variable) for variable in now]:
        raise ValueError(
            "Other weights are to be trained than when the optimizer was set up "
            f"({len(known)} then, {len(now)} now, or others): layers were frozen, replaced, "
            "quantized or given weights. Call `compile` again before training"
        )


def has_own_step(model):
    """Returns whether a user's subclass takes the steps; what it trains is its own matter."""
    step = getattr(model.train_step, "__func__", model.train_step)
    return not step.__module__.startswith("keras_vae.")
