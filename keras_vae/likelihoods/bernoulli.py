"""Likelihoods that are trained on logits: of binary pixels, and of pixels between 0 and 1."""

import keras
from keras import ops

from keras_vae.likelihoods.base import Likelihood

NEAR_ZERO = 0.1  # logits for which a series is used


@keras.saving.register_keras_serializable(package="keras_vae")
class Bernoulli(Likelihood):
    """Each pixel is 1 with probability ``sigmoid(outputs)``: for images of zeros and ones.

    The negative log-likelihood is the binary cross-entropy, ``log(1 + exp(l)) - x l``. It is
    computed from the logits l that the decoder returns, so that confident outputs keep their
    gradient. It can be trained on grey pixels, but is not a density of them, and its minimum is not
    0 (Loaiza-Ganem & Cunningham 2019, https://arxiv.org/abs/1907.06845); `ContinuousBernoulli` is
    one. Its losses are not comparable with those of other likelihoods.

    Example:

    ```python
    likelihood = keras_vae.likelihoods.Bernoulli()
    likelihood.nats(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))  # [4 log(2)]
    ```
    """

    values = "binary"

    def value_nats(self, x, outputs):
        return cross_entropy(x, outputs)


@keras.saving.register_keras_serializable(package="keras_vae")
class ContinuousBernoulli(Likelihood):
    """A density of pixels in [0, 1]: the Bernoulli's expression with the constant it lacks.

    ``p(x) = C(l) p^x (1-p)^(1-x)`` with ``p = sigmoid(l)`` of the outputs l and
    ``C(l) = l / tanh(l / 2)`` (Loaiza-Ganem & Cunningham 2019, https://arxiv.org/abs/1907.06845,
    equation 9, in logits). It suits pixels that are mostly black or white. Its mean is not p but
    ``1 / (1 - exp(-l)) - 1 / l``, which `mean` returns: at ``p = 0.9`` it is 0.66.

    Example:

    ```python
    model = keras_vae.VAE(encoder, decoder, likelihood="continuous_bernoulli")
    ```
    """

    values = "continuous"

    def mean(self, outputs):
        outputs = ops.convert_to_tensor(outputs)
        small, safe = split_near_zero(outputs)
        return ops.where(
            small, 0.5 + outputs / 12 - outputs**3 / 720, ops.sigmoid(safe) + excess(safe)
        )

    def value_nats(self, x, outputs):
        outputs = ops.convert_to_tensor(outputs)
        small, safe = split_near_zero(outputs)
        series = ops.log(2.0) + ops.square(outputs) / 12
        log_constant = ops.where(small, series, ops.log(safe / ops.tanh(safe / 2)))
        return cross_entropy(x, outputs) - log_constant


def excess(logits):
    """Returns the mean of a continuous Bernoulli minus the probability of the Bernoulli."""
    p = ops.sigmoid(logits)
    # 1 / (1 - exp(-l)) = p / (2 p - 1) = p / tanh(l / 2)
    return p / ops.tanh(logits / 2) - 1 / logits - p


def split_near_zero(logits):
    """Returns where logits are near 0, and logits that are not, without gradients that are NaN."""
    small = ops.abs(logits) < NEAR_ZERO
    return small, ops.where(small, 1.0, logits)


def cross_entropy(x, logits):
    """Returns the binary cross-entropy of each pixel, in nats."""
    return ops.softplus(logits) - ops.multiply(x, logits)
