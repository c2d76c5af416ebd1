"""Access to private attributes of Keras optimizers, and the check whether Adam may be fused.

Names with an underscore are Keras's own and may change between versions. Only this file uses them.
"""

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
    # On torch Keras replaces Adam by a subclass of the same name.
    kind = type(optimizer)
    is_adam = isinstance(optimizer, keras.optimizers.Adam) and kind.__name__ == "Adam"
    return (
        is_adam
        and kind.__module__.startswith("keras.")
        and not any(getattr(optimizer, name, None) for name in extras)
    )


def can_be_fused(optimizer, variables):
    """Returns whether the framework's fused Adam takes the same step for these variables."""
    return is_plain_adam(optimizer) and all(
        variable.dtype == "float32"
        and variable.constraint is None
        and not getattr(variable, "overwrite_with_gradient", False)
        for variable in variables
    )


def moments(optimizer, variables):
    """Returns Adam's variables for the first and second moments of the gradients, in this order.

    Args:
        optimizer: A built `keras.optimizers.Adam`.
        variables: Variables that it trains.

    Returns:
        Two lists of Keras variables, each as long as `variables`.
    """
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    momentums, velocities = optimizer._momentums, optimizer._velocities
    return [momentums[i] for i in indices], [velocities[i] for i in indices]


def trained_variables(optimizer):
    """Returns the variables that a built optimizer was built for."""
    return optimizer._trainable_variables


def learning_rate(optimizer):
    """Returns the variable or the schedule of the learning rate, or None without one.

    The public attribute returns the rate of the current step.
    """
    return getattr(optimizer, "_learning_rate", None)
