"""How well a model fits images that it has not seen."""

import math

import numpy as np

from keras_vae.evaluate.latents import active_units

CHUNK = 1000  # images that are in memory as floats at once


def test_metrics(model, images, batch_size=128):
    """Returns the numbers that describe a model on images it has not seen.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]: an array,
            or what gives arrays when it is sliced, as the images of a streamed data set do.
        batch_size: How many images to work on at once; the numbers do not depend on it.

    Returns:
        A dict. In nats per image: ``test_loss``, ``test_reconstruction_loss`` and, of a VAE,
        ``test_kl_loss`` and ``test_elbo``, which is ``-(reconstruction_loss + kl_loss)``
        whatever the beta (higher is better; the likelihood's constant is left out where the
        loss leaves it out). These compare within one likelihood only. To compare across
        likelihoods: ``test_mse``, the squared error of ``reconstruct`` per pixel and channel,
        pixels in [0, 1], and, of a VAE, ``bits_per_dim``, see `bits_per_dim`; None where there
        is none. Last ``active_units``, of a VAE, see `active_units`.

    Raises:
        ValueError: If there are no images, or they do not fit the model.

    Example:

    ```python
    test_metrics(model, images)["test_mse"]
    ```
    """
    if len(images) == 0:
        raise ValueError("Argument `images` must hold at least one image. Received: none")
    losses = model.evaluate(images, batch_size=batch_size, verbose=0, return_dict=True)
    numbers = {
        f"test_{name}": float(losses[name])
        for name in ("loss", "reconstruction_loss", "kl_loss")
        if name in losses
    }
    squared_error = 0.0
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK]
        squared_error += len(x) * mean_squared_error(x, model.reconstruct(x, batch_size))
    numbers["test_mse"] = squared_error / len(images)
    if "kl_loss" in losses:
        numbers["test_elbo"] = -(losses["reconstruction_loss"] + losses["kl_loss"])
        numbers["bits_per_dim"] = bits_per_dim(model, images, batch_size)
        z_mean, _ = model.encode(images, batch_size)
        numbers["active_units"] = active_units(z_mean)
    return numbers


def bits_per_dim(model, images, batch_size=128):
    """Returns how many bits the model needs for a pixel and channel of uint8 images, at most.

    The negative ELBO (of one draw of z) of uniformly dequantised images, ``(x + u) / 256`` with
    u uniform in [0, 1), with the likelihood's whole constant: an upper bound of
    ``-log2 P(x) / D`` (Theis, van den Oord & Bethge 2016, https://arxiv.org/abs/1511.01844,
    section 3.1). A model that knows nothing needs 8. The ELBO of a binary likelihood is used
    as it is, if the images have no grey.

    Args:
        model: A compiled `VAE`.
        images: uint8 ``(n, height, width, channels)``.
        batch_size: How many images to work on at once.

    Returns:
        A float; or None if the likelihood is no distribution of these pixels, such as
        Bernoulli's of grey ones, if the images are not uint8, or if the model is no VAE.

    Example:

    ```python
    bits_per_dim(model, images)
    ```
    """
    values, likelihood = math.prod(images.shape[1:]), model.likelihood
    binary = likelihood.values == "binary" and set(np.unique(images)) <= {0, 255}
    is_known = likelihood.values == "continuous" or binary
    has_elbo = hasattr(model, "sampling")  # a plain autoencoder has none
    if not (is_known and has_elbo and images.dtype == np.uint8):
        return None
    rng = np.random.default_rng(0)
    nats = 0.0
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK]
        if not binary:
            x = ((x + rng.random(x.shape, "float32")) / 256).clip(0, 1)
        losses = model.evaluate(x, batch_size=batch_size, verbose=0, return_dict=True)
        nats += len(x) * (losses["reconstruction_loss"] + losses["kl_loss"])
    bits = (nats / len(images) / values + likelihood.omitted) / math.log(2)
    return float(bits if binary else bits + 8)


def mean_squared_error(images, pictures):
    """Returns the mean of ``(x - x')^2`` over images, pixels and channels, pixels in [0, 1]."""
    total = 0.0
    for image, picture in zip(images, pictures):
        pixels = image / 255 if image.dtype == np.uint8 else image.astype("float64")
        total += np.mean((pixels - picture) ** 2)
    return float(total / len(images))
