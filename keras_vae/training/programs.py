"""The compiled programs of a model, and when they are out of date.

On JAX and TensorFlow everything that is not a variable is compiled into a program: the layers,
which of them are trainable, their dtypes and settings. Each call of `fit`, `evaluate`, `encode` and
the like first checks whether any of these has changed.
"""

import numpy as np

from keras_vae.training.backends.adam import learning_rate, trained_variables

PLAIN = bool, int, float, str, type(None)
# Attributes that change during use and do not affect programs.
PASSING = {"training", "built", "history"}
PASSING |= {"stop_training", "stop_evaluating", "stop_predicting"}
PASSING |= {f"{kind}_function" for kind in ("train", "test", "predict")}


class Programs:
    """The compiled programs of one model. A plain object, so that Keras does not track them.

    Attributes:
        functions: Compiled methods of the model by name, see `AutoEncoder.program`.
        steps: Functions that run training and evaluation steps; each backend has its own keys.
        loops_are_quick: On JAX, whether to compile loops over steps; None if not known yet.
        warned: On torch, whether the user was warned that steps are not recorded.
        made_for: The `signature` of the model when the programs were compiled.
    """

    def __init__(self):
        self.made_for = None
        self.clear()

    def clear(self):
        self.functions, self.steps = {}, {}
        self.loops_are_quick, self.warned = None, False


def refresh(model, training=False):
    """Discards a model's programs, Keras's too, if the model has changed since the last call.

    Args:
        model: A Keras model with `programs`, a `Programs`.
        training: Whether it is about to be trained.

    Raises:
        ValueError: If `training` and the optimizer was built for other weights.
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
    """Returns everything that is compiled into a model's programs, as a flat list."""
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
    """Raises `ValueError` unless the optimizer was built for the trainable weights."""
    optimizer = model.optimizer
    if not getattr(optimizer, "built", False) or has_own_step(model):
        return
    known, now = trained_variables(optimizer), model.trainable_variables
    if [id(variable) for variable in known] != [id(variable) for variable in now]:
        raise ValueError(
            f"The trainable weights must be the {len(known)} that the optimizer was built for. "
            f"Received: {len(now)} weights, after layers were frozen, replaced, quantized or "
            "extended. Call `compile` again before training"
        )


def has_own_step(model):
    """Returns whether a subclass overrides the training step; it may train other weights."""
    step = getattr(model.train_step, "__func__", model.train_step)
    return not step.__module__.startswith("keras_vae.")
