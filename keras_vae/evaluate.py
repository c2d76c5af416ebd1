"""What a model is worth, in numbers: model and arrays in, numbers out."""

import numpy as np


def test_metrics(model, images, batch_size=128):
    """Returns the numbers that describe a model on images it has not seen.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        batch_size: How many images to work on at once; the numbers do not depend on it.

    Returns:
        A dict of floats: ``test_loss``, ``test_reconstruction_loss`` and ``test_kl_loss`` (a
        VAE's), in nats per image; ``test_mse``, the squared error of ``reconstruct`` per pixel
        and channel, pixels in [0, 1]; ``active_units`` (a VAE's), see `active_units`.

    Example:

    ```python
    test_metrics(model, images)["test_mse"]
    ```
    """
    losses = model.evaluate(images, batch_size=batch_size, verbose=0, return_dict=True)
    numbers = {f"test_{name}": float(value) for name, value in losses.items()}
    numbers["test_mse"] = mean_squared_error(images, model.reconstruct(images, batch_size))
    if "kl_loss" in losses:
        z_mean, _ = model.encode(images, batch_size)
        numbers["active_units"] = active_units(z_mean)
    return numbers


def mean_squared_error(images, pictures):
    """Returns the mean of ``(x - x')^2`` over images, pixels and channels, pixels in [0, 1]."""
    total = 0.0
    for image, picture in zip(images, pictures):
        pixels = image / 255 if image.dtype == np.uint8 else image.astype("float64")
        total += np.mean((pixels - picture) ** 2)
    return float(total / len(images))


def active_units(z_mean, threshold=0.01):
    """Returns how many latents carry something: variance of ``z_mean`` over images above 0.01.

    The definition of Burda, Grosse and Salakhutdinov 2016 (https://arxiv.org/abs/1509.00519),
    section 5.2.

    Args:
        z_mean: ``(n, latent_dim)``.
        threshold: The variance to exceed.

    Returns:
        An integer in 0..latent_dim.

    Example:

    ```python
    active_units(np.zeros((10, 4)))  # 0
    ```
    """
    return int(np.sum(np.var(z_mean, axis=0) > threshold))
