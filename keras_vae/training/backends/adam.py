"""When Keras's Adam may be replaced by the framework's own fused one, which gives the same."""

import keras


def is_plain_adam(optimizer):
    """Returns whether a step of this optimizer is Adam's update and nothing else."""
    extras = (
        "weight_decay",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "loss_scale_factor",
        "gradient_accumulation_steps",
        "amsgrad",
    )
    # On torch Keras puts a class of its own, of the same name, over Adam.
    kind = type(optimizer)
    is_adam = isinstance(optimizer, keras.optimizers.Adam) and kind.__name__ == "Adam"
    return (
        is_adam
        and kind.__module__.startswith("keras.")
        and not any(getattr(optimizer, name, None) for name in extras)
    )


def can_be_fused(optimizer, variables):
    """Returns whether Adam's update is all that happens to these variables in a step."""
    return is_plain_adam(optimizer) and all(
        variable.dtype == "float32"
        and variable.constraint is None
        and not getattr(variable, "overwrite_with_gradient", False)
        for variable in variables
    )
