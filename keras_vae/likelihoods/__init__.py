"""p(x|z): converts the decoder's raw outputs to pixels, and to a loss in nats.

A likelihood includes the decoder's last activation. To add one, write a class with `nats` and, if
the defaults do not fit, `pixels` (a sigmoid), `update` (does nothing), `output_channels` (those of
the images) and `get_config`. See `keras_vae.pieces.Piece` for its variables and attributes.

```python
@keras.saving.register_keras_serializable(package="mine")
class L1(keras_vae.likelihoods.Likelihood):
    def nats(self, x, outputs):
        return keras.ops.sum(keras.ops.abs(x - self.pixels(outputs)), axis=(1, 2, 3))

model = keras_vae.VAE(encoder, decoder, likelihood=L1())
```

Losses of different likelihoods are not comparable: scales differ, and some omit a constant.
Across likelihoods compare ``test_mse`` and ``bits_per_dim``, see `keras_vae.evaluate`.
"""

from keras_vae import pieces
from keras_vae.likelihoods.base import Likelihood
from keras_vae.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from keras_vae.likelihoods.gaussian import MSE, Gaussian, Laplace, PixelGaussian
from keras_vae.likelihoods.logistic import DiscretizedLogistic, LogisticMixture

__all__ = [
    "BY_NAME",
    "MSE",
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "LogisticMixture",
    "PixelGaussian",
    "get",
]

BY_NAME = {
    "mse": MSE,
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "continuous_bernoulli": ContinuousBernoulli,
    "discretized_logistic": DiscretizedLogistic,
    "logistic_mixture": LogisticMixture,
    "pixel_gaussian": PixelGaussian,
}


def get(likelihood):
    """Returns the likelihood of this name, or the object itself.

    Args:
        likelihood: A name in `BY_NAME`, such as ``"mse"`` or ``"gaussian"``, or a `Likelihood`.

    Returns:
        A `Likelihood`.

    Raises:
        ValueError: If it is neither.

    Example:

    ```python
    keras_vae.likelihoods.get("gaussian")
    ```
    """
    return pieces.get("likelihood", likelihood, Likelihood, BY_NAME)
