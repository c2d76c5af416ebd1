"""p(x|z): what the decoder's raw outputs mean, in pixels and in nats.

A likelihood owns the decoder's last activation. It has two methods:

- ``pixels(outputs)``: the mean of p(x|z), shape ``(n, height, width, channels)``, in [0, 1];
- ``nats(x, outputs)``: ``-log p(x|z)``, shape ``(n,)``, in nats per image (summed over pixels).

Losses of different likelihoods do not compare: each has its own scale and its own constant.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class MSE:
    """Squared error, summed over pixels: ``||x - x'||^2`` with ``x' = sigmoid(outputs)``.

    Up to a constant this is a Gaussian of variance 1/2 around ``x'`` (the constant,
    ``D/2 log(pi)`` for D pixels and channels, is left out).

    Example:

    ```python
    likelihood = keras_vae.likelihoods.MSE()
    outputs = np.zeros((2, 28, 28, 1))
    likelihood.pixels(outputs)  # 0.5 everywhere
    likelihood.nats(np.ones((2, 28, 28, 1)), outputs)  # [196., 196.]
    ```
    """

    name = "mse"

    def pixels(self, outputs):
        return ops.sigmoid(outputs)

    def nats(self, x, outputs):
        return ops.sum(ops.square(ops.subtract(x, self.pixels(outputs))), axis=(1, 2, 3))

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


BY_NAME = {"mse": MSE}


def get(likelihood):
    """Returns the likelihood for a name, a saved configuration or a likelihood object.

    Args:
        likelihood: A name (``"mse"``), a serialised likelihood, or any object with the
            methods ``pixels``, ``nats`` and ``get_config``.

    Returns:
        A likelihood object.

    Raises:
        ValueError: If the name is unknown or the object lacks a method.

    Example:

    ```python
    keras_vae.likelihoods.get("mse")
    ```
    """
    if isinstance(likelihood, dict):
        likelihood = keras.saving.deserialize_keras_object(likelihood)
    if isinstance(likelihood, str) and likelihood in BY_NAME:
        return BY_NAME[likelihood]()
    if all(
        callable(getattr(likelihood, method, None)) for method in ("pixels", "nats", "get_config")
    ):
        return likelihood
    raise ValueError(
        f"Argument `likelihood` must be one of {sorted(BY_NAME)} or an object with the methods "
        f"`pixels`, `nats` and `get_config`. Received: likelihood={likelihood!r}"
    )
