"""How unusual each item is, and where: scores for the detection of anomalies."""

import numbers

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.models import importance


def anomaly_scores(
    model, x, reference, k=100, batch_size=128, seed=0, condition=None, reference_condition=None
):
    """Returns three scores for each item; the higher, the more unusual.

    - ``negative_log_likelihood``: ``-log p(x)``. The measure in theory, and the usual choice for
      tables. Of images it depends on the likelihood: with one of levels, such as
      `DiscretizedLogistic`, a model of clothes finds digits more likely than clothes (Nalisnick et
      al. 2019, https://arxiv.org/abs/1810.09136); with `Gaussian` it does not.
    - ``reconstruction_loss``: ``-log p(x|z_mean)``: what the model cannot draw. It disregards
      whether the code is usual.
    - ``atypicality``: ``|-log p(x) - mean of -log p of the reference|``. Also high for data that
      are too likely to be typical (after Nalisnick et al. 2019,
      https://arxiv.org/abs/1906.02994).

    Args:
        model: A `VAE`.
        x: Data ``(n, ...)`` that the model takes.
        reference: Usual data that the model was not trained on, such as the validation data: the
            mean of their -log p is what is typical. Or this mean, a number.
        k: Number of draws of z for each item, see `VAE.log_likelihood`.
        batch_size: How many codes to decode at once.
        seed: A non-negative integer.
        condition: What is known about `x`, for a model with a condition, see `VAE.encode`.
        reference_condition: The same about `reference`.

    Returns:
        A dict of NumPy float64 arrays ``(n,)``, in nats.

    Raises:
        ValueError: If an argument is invalid, or if log p(x) is not defined.

    Example:

    ```python
    scores = evaluate.anomaly_scores(model, images, reference=faces.validation.images)
    most_unusual = np.argsort(scores["negative_log_likelihood"])[-10:]
    ```
    """
    check_integer("batch_size", batch_size, 1)
    if not model.has_prior:
        raise ValueError("Argument `model` must be a `VAE`: a plain autoencoder has no p(x)")
    is_number = isinstance(reference, numbers.Real)
    if not is_number and len(reference) == 0:
        raise ValueError("Argument `reference` must hold at least one item. Received: none")
    settings = k, batch_size, seed, None
    surprise = -model.log_likelihood(x, *settings, condition)
    usual = reference
    if not is_number:
        usual = -model.log_likelihood(reference, *settings, reference_condition).mean()
    return {
        "negative_log_likelihood": surprise,
        "reconstruction_loss": importance.reconstruction_losses(model, x, batch_size, condition),
        "atypicality": np.abs(surprise - usual),
    }


def value_losses(model, x, batch_size=128, condition=None):
    """Returns ``-log p(x|z_mean)`` of each value: where an item is unusual.

    It is meant for heat maps: the pixels of an image, or the columns of a row, that the model
    cannot reconstruct. The values of an item add up to its ``reconstruction_loss`` in
    `anomaly_scores`. Densities may be above 1, so nats may be negative.

    Args:
        model: A `VAE` or an `AutoEncoder`.
        x: Data ``(n, ...)`` that the model takes.
        batch_size: How many items to process at once.
        condition: What is known about the items, for a model with a condition, see `VAE.encode`.

    Returns:
        NumPy float32, of the shape of `x`, in nats per value, including the constant that the loss
        omits; 0 where a value is missing. A likelihood under which the channels of a pixel depend
        on each other (`LogisticMixture`) has one number for each pixel, ``(n, height, width, 1)``.
        Of a category, the nats are in the column that holds its one.

    Raises:
        ValueError: If an argument is invalid, or the data do not fit the model.
        NotImplementedError: If the likelihood is one of your own that does not define
            `value_nats`.

    Example:

    ```python
    images = np.random.rand(8, 28, 28, 1)
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2), "gaussian")
    nats = evaluate.value_losses(model, images)  # (8, 28, 28, 1)
    heat_map = nats[0].sum(axis=-1)  # (28, 28), over the channels
    ```
    """
    return importance.value_losses(model, x, batch_size, condition)
