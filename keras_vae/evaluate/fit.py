"""How well a model fits images that it has not seen."""

import math

import numpy as np

from keras_vae.checks import check_size
from keras_vae.datasets.stream import head
from keras_vae.evaluate.latents import active_units
from keras_vae.models import importance

CHUNK = 1000  # images that are in memory as floats at once
PICTURES = 2000  # images whose pictures `fit_report` judges, for SSIM is slow
MOST_PSNR = 100.0  # dB, of a picture without an error, so that the mean stays a number
SSIM_WINDOW = 11  # pixels


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
    if images.dtype != np.uint8 or why_no_likelihood(model, images):
        return None
    values, likelihood = math.prod(images.shape[1:]), model.likelihood
    binary = likelihood.values == "binary"
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


def why_no_likelihood(model, images):
    """Returns in words why the model gives these images no log p(x), or None if it does."""
    if not hasattr(model, "sampling"):
        return "a plain autoencoder has no p(z), hence no p(x)"
    return model.likelihood.why_no_distribution(images)


def fit_report(model, images, k=100, n=500, batch_size=128, seed=0, progress=None):
    """Returns all that says how well a model fits images that it has not seen.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]: an array,
            or images of a streamed data set.
        k: How many draws of z for each image the log-likelihood takes.
        n: How many images it takes, at most: the first ones.
        batch_size: How many images to work on at once; the numbers do not depend on it.
        seed: A non-negative integer, for the draws of z.
        progress: Called with the number of images whose log-likelihood was just finished.

    Returns:
        A dict of plain numbers: those of `test_metrics`; ``test_psnr`` (see `psnr`) and
        ``test_ssim`` (see `ssim`) of ``reconstruct``, over the first 2,000 images at most; and
        ``log_likelihood``, the mean of `VAE.log_likelihood` in nats per image, higher is
        better. If there is one: ``log_likelihood_standard_error`` of this mean over images
        (None of a single image), ``log_likelihood_images`` and ``log_likelihood_samples``, how
        many there were, and ``log_likelihood_elbo``, the mean ELBO of the same images, draws
        and constants, which is never higher; the gap is how far q(z|x) is from p(z|x), as far
        as k draws can tell. Otherwise ``log_likelihood`` is None and
        ``log_likelihood_missing`` says why.

    Raises:
        ValueError: If there are no images, they do not fit the model, or an argument is
            unusable.

    Example:

    ```python
    fit_report(model, images, k=100)["log_likelihood"]
    ```
    """
    check_size("k", k)
    check_size("n", n)
    numbers = test_metrics(model, images, batch_size)
    numbers.update(picture_quality(model, head(images, PICTURES), batch_size))
    some = head(images, n)
    reason = why_no_likelihood(model, some)
    if reason:
        return {**numbers, "log_likelihood": None, "log_likelihood_missing": reason}
    nats, elbo = importance.estimates(model, some, k, batch_size, seed, progress)
    error = float(np.std(nats, ddof=1) / math.sqrt(len(nats))) if len(nats) > 1 else None
    return {
        **numbers,
        "log_likelihood": float(np.mean(nats)),
        "log_likelihood_standard_error": error,
        "log_likelihood_elbo": float(np.mean(elbo)),
        "log_likelihood_images": len(nats),
        "log_likelihood_samples": int(k),
    }


def picture_quality(model, images, batch_size=128):
    """Returns ``test_psnr`` and ``test_ssim`` of what `reconstruct` makes of images."""
    sums = {"test_psnr": 0.0, "test_ssim": 0.0}
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK]
        pictures = model.reconstruct(x, batch_size)
        for name, measure in (("test_psnr", psnr), ("test_ssim", ssim)):
            mean = measure(x, pictures)
            sums[name] = None if mean is None else sums[name] + len(x) * mean
    return {name: None if s is None else s / len(images) for name, s in sums.items()}


def mean_squared_error(images, pictures):
    """Returns the mean of ``(x - x')^2`` over images, pixels and channels, pixels in [0, 1]."""
    return float(np.mean(squared_errors(images, pictures)))


def psnr(images, pictures):
    """Returns the peak signal-to-noise ratio, the mean over images of ``10 log10(1 / MSE)``.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        pictures: What was made of them, of the same shape; also uint8 or float.

    Returns:
        A float, in dB, higher is better. A picture without an error counts as 100 dB, and none
        counts as more.

    Raises:
        ValueError: If there are no images, or the shapes differ.

    Example:

    ```python
    psnr(images, model.reconstruct(images))
    ```
    """
    check_pairs(images, pictures)
    errors = np.maximum(squared_errors(images, pictures), 10 ** (-MOST_PSNR / 10))
    return float(np.mean(-10 * np.log10(errors)))


def ssim(images, pictures):
    """Returns the structural similarity, the mean over images.

    With the settings of Wang, Bovik, Sheikh & Simoncelli 2004 (Image Quality Assessment: From
    Error Visibility to Structural Similarity, https://doi.org/10.1109/TIP.2003.819861): a
    Gaussian window of 11 pixels with a standard deviation of 1.5. The mean over channels.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        pictures: What was made of them, of the same shape; also uint8 or float.

    Returns:
        A float of at most 1, which only equal pictures have; None if the images are smaller
        than the window.

    Raises:
        ValueError: If there are no images, or the shapes differ.

    Example:

    ```python
    ssim(images, model.reconstruct(images))
    ```
    """
    check_pairs(images, pictures)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        return None
    from skimage.metrics import structural_similarity  # here, for it is slow to import

    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    total = 0.0
    for image, picture in zip(images, pictures):
        total += structural_similarity(
            floats(image), floats(picture), data_range=1.0, channel_axis=-1, **settings
        )
    return float(total / len(images))


def check_pairs(images, pictures):
    """Raises `ValueError` unless there are as many pictures as images, of the same shape."""
    if len(images) == 0 or len(images.shape) != 4 or images.shape != pictures.shape:
        raise ValueError(
            "Expected `images` and `pictures` of one shape (n, height, width, channels), at "
            f"least one. Received: {tuple(images.shape)} and {tuple(pictures.shape)}"
        )


def squared_errors(images, pictures):
    """Returns the mean of ``(x - x')^2`` of each image, ``(n,)``; one after the other."""
    pairs = zip(images, pictures)
    return np.array([np.mean((floats(image) - floats(picture)) ** 2) for image, picture in pairs])


def floats(image):
    """Returns an image of integers, floats or bool as float64 in [0, 1]."""
    return image / 255 if image.dtype.kind in "iu" else image.astype("float64")
