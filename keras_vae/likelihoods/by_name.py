"""The likelihoods that can be chosen by name."""

from keras_vae import pieces
from keras_vae.likelihoods.base import Likelihood
from keras_vae.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from keras_vae.likelihoods.counts import NegativeBinomial, Poisson
from keras_vae.likelihoods.gaussian import MSE, Gaussian, Laplace, PixelGaussian
from keras_vae.likelihoods.logistic import DiscretizedLogistic, LogisticMixture
from keras_vae.likelihoods.reals import Categorical, Normal, StudentT

OF_PIXELS = {
    "mse": MSE,
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "continuous_bernoulli": ContinuousBernoulli,
    "discretized_logistic": DiscretizedLogistic,
    "logistic_mixture": LogisticMixture,
    "pixel_gaussian": PixelGaussian,
}
OF_VALUES = {
    "normal": Normal,
    "student_t": StudentT,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
BY_NAME = OF_PIXELS | OF_VALUES


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
