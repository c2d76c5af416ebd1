"""How unusual each item is: scores for the detection of anomalies."""

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.models import importance


def anomaly_scores(
    model, x, reference, k=100, batch_size=128, seed=0, condition=None, reference_condition=None
):
    """Returns three scores for each item; the higher, the more unusual.

    - ``negative_log_likelihood``: ``-log p(x)``. The measure in theory, and the usual choice for
      tables. Of images it says little about another kind of image: a model of clothes finds digits
      more likely than clothes, since their pixels are mostly black (Nalisnick et al. 2019,
      https://arxiv.org/abs/1810.09136).
    - ``reconstruction_loss``: ``-log p(x|z_mean)``: what the model cannot draw. It disregards
      whether the code is usual.
    - ``atypicality``: ``|-log p(x) - mean of -log p of the reference|``. Also high for data that
      are too likely to be typical (after Nalisnick et al. 2019,
      https://arxiv.org/abs/1906.02994).

    Args:
        model: A `VAE`.
        x: Data ``(n, ...)`` that the model takes.
        reference: Usual data that the model was not trained on, such as the validation data:
            their mean is what is typical.
        k: Number of draws of z for each item, see `VAE.log_likelihood`.
        batch_size: How many codes to decode at once.
        seed: A non-negative integer.
        condition, reference_condition: What is known about `x` and about `reference`, for a model
            with a condition, see `VAE.encode`.

    Returns:
        A dict of NumPy float64 arrays ``(n,)``, in nats.

    Raises:
        ValueError: If an argument is invalid, or if log p(x) is not defined.

    Example:

    ```python
    scores = anomaly_scores(model, test_rows, validation_rows)
    suspicious = np.argsort(scores["negative_log_likelihood"])[-10:]
    ```
    """
    check_integer("batch_size", batch_size, 1)
    if not model.has_prior:
        raise ValueError("Argument `model` must be a `VAE`: a plain autoencoder has no p(x)")
    if len(reference) == 0:
        raise ValueError("Argument `reference` must hold at least one item. Received: none")
    settings = k, batch_size, seed, None
    surprise = -model.log_likelihood(x, *settings, condition)
    usual = -model.log_likelihood(reference, *settings, reference_condition).mean()
    return {
        "negative_log_likelihood": surprise,
        "reconstruction_loss": importance.reconstruction_losses(model, x, batch_size, condition),
        "atypicality": np.abs(surprise - usual),
    }
