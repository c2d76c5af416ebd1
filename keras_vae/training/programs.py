"""The compiled programs of a model, and when they are out of date.

On JAX and TensorFlow a program holds everything that was not a variable when it was compiled: the
layers, which of them are trained, their types and settings. Each call of `fit`, `evaluate`,
`encode` and the like first checks whether these are still the same.
"""

import numpy as np

from keras_vae.training.backends.adam import learning_rate, trained_variables

PLAIN = bool, int, float, str, type(None)
# Attributes that change while a model is used, and that programs do not depend on.
PASSING = {"training", "built", "history"}
PASSING |= {"stop_training", "stop_evaluating", "stop_predicting"}
PASSING |= {f"{kind}_function" for kind in ("train", "test", "predict")}


class Programs:
    """The compiled programs of one model. It is a plain object, so Keras does not look inside.

    Attributes:
        functions: Methods of the model, compiled, by name, see `AutoEncoder.program`.
        steps: What takes training and evaluation steps; the keys are the backend's.
        loops_are_quick: On JAX, whether a loop over steps may be compiled; None if not known yet.
        warned: Whether the user was told why steps are not recorded, on torch.
        made_for: The `signature` of the model that the programs were compiled from.
    """

    def __init__(self):
        self.made_for = None
        self.clear()

    def clear(self):
        self.functions, self.steps = {}, {}
        self.loops_are_quick, self.warned = None, False


def refresh(model, training=False):
    """Drops a model's programs, Keras's too, if the model has changed since the last call.

    Args:
        model: A Keras model with `programs`, a `Programs`.
        training: Whether it is about to be trained.

    Raises:
        ValueError: If it is, and the optimizer was built for other weights.
    """
    sync(model)
    before, now = model.programs.made_for, signature(model)
    model.programs.made_for = now
    if before is not None and not is_same(before, now):
        model.programs.clear()
        for kind in ("train", "test", "predict"):
            if getattr(model, f"{kind}_function", None) is not None:  # a `fit` may be using it
                getattr(model, f"make_{kind}_function")(force=True)
    if training:
        check_optimizer(model)


def sync(model):
    """Writes values back to the variables; on JAX, Keras's loop holds them during an epoch."""
    getattr(model, "jax_state_sync", lambda: None)()


def signature(model):
    """Returns what was compiled into a model's programs, as a flat list."""
    optimizer = getattr(model, "optimizer", None)
    parts = [optimizer, getattr(optimizer, "inner_optimizer", None)]
    found = [learning_rate(part) for part in parts]
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
    """Raises `ValueError` unless the optimizer was built for the weights that are trainable."""
    optimizer = model.optimizer
    if not getattr(optimizer, "built", False) or has_own_step(model):
        return
    known, now = trained_variables(optimizer), model.trainable_variables
    if [id(variable) for variable in known] != [id(variable) for variable in now]:
        raise ValueError(
            f"The trainable weights are not those that the optimizer was built for ({len(known)} "
            f"then, {len(now)} now): layers were frozen, replaced, quantized or given weights. "
            "Call `compile` again before training"
        )


def has_own_step(model):
    """Returns whether a subclass overrides the training step; it may train other weights."""
    step = getattr(model.train_step, "__func__", model.train_step)
    return not step.__module__.startswith("keras_vae.")
