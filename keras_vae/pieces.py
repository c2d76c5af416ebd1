"""The exchangeable pieces of a model: its likelihood, and of a `VAE` prior, bound and penalty."""

import keras

__all__ = ["Piece"]


class Piece(keras.layers.Layer):
    """Base class of likelihoods, priors, bounds and penalties.

    A piece is a Keras layer: variables made with `add_weight` are trained, saved and loaded with
    the model, and `get_config` says how it was made. It computes in float32 under any policy. An
    attribute that is set later, ``model.likelihood.scale = 2.0``, takes effect with the next call
    of `fit`, `evaluate` and the like, and within `fit` with the next epoch. After a change inside
    a list or an array, call `compile`.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Scaled(keras_vae.likelihoods.Likelihood):
        def __init__(self, scale=1.0, **kwargs):
            super().__init__(**kwargs)
            self.scale = float(scale)

        def value_nats(self, x, outputs):
            return self.scale * keras.ops.square(x - self.mean(outputs))

        def get_config(self):
            return {**super().get_config(), "scale": self.scale}

    model = keras_vae.VAE(encoder, decoder, Scaled(2.0))
    model.likelihood.scale = 3.0
    ```
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.built = True  # variables are made in the constructor


def get(argument, value, kind, by_name):
    """Returns a piece: the object itself, or the one of this name.

    Args:
        argument: The name of the argument, for the message.
        value: A name, or an object of `kind`.
        kind: The class that the piece must have.
        by_name: The classes that can be chosen by name.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(value, str) and value in by_name:
        return by_name[value]()
    if isinstance(value, kind):
        return value
    module = kind.__module__.removesuffix(".base")
    public = f"keras_vae.{module.split('.')[-1]}.{kind.__name__}"
    raise ValueError(
        f"Argument `{argument}` must be one of {sorted(by_name)} or a `{public}`. "
        f"Received: {argument}={value!r}"
    )
