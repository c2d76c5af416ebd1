"""How well a model fits unseen images."""

import math

import numpy as np

from keras_vae.checks import check_integer
from keras_vae.datasets.stream import head
from keras_vae.evaluate.latents import active_units
from keras_vae.images import to_float
from keras_vae.likelihoods.data import Pixels
from keras_vae.models import importance

CHUNK = 1000  # images converted to floats at once
PICTURES = 2000  # images for PSNR and SSIM in `fit_report`; SSIM is slow
MOST_PSNR = 100.0  # dB, the PSNR of an exact picture, so that the mean is finite
SSIM_WINDOW = 11  # pixels


def test_metrics(model, images, batch_size=128, condition=None):
    """Returns the metrics of a model on unseen images.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]: an array,
            or `keras_vae.datasets.stream.Rows`. Or other data that the model takes.
        batch_size: Images to process at once; the numbers do not depend on it.
        condition: For a model with a condition, the labels or attributes of the images, as `y` of
            `fit`; None if they are not known.

    Returns:
        A dict. In nats per image: ``test_loss``, ``test_reconstruction_loss`` and, for a VAE,
        ``test_kl_loss`` and ``test_elbo``, which is ``-(reconstruction_loss + kl_loss)`` for any
        beta (higher is better; constants that the loss omits are omitted here). These are
        comparable for the same likelihood only. Of images, and comparable across likelihoods:
        ``test_mse``, the squared error of ``reconstruct`` per pixel and channel, pixels in [0, 1],
        and, for a VAE, ``bits_per_dim``, see `bits_per_dim`; None if undefined. Also, for a VAE,
        ``active_units``, see `active_units`.

    Raises:
        ValueError: If there are no images, or their shape does not match the model.

    Example:

    ```python
    evaluate.test_metrics(model, images)["test_mse"]
    ```
    """
    if len(images) == 0:
        raise ValueError("Argument `images` must hold at least one image. Received: none")
    losses = model.evaluate(images, condition, batch_size, verbose=0, return_dict=True)
    numbers = {
        f"test_{name}": float(losses[name])
        for name in ("loss", "reconstruction_loss", "kl_loss")
        if name in losses
    }
    are_pixels = isinstance(model.likelihood.data, Pixels)
    if are_pixels:
        squared_error = 0.0
        for start in range(0, len(images), CHUNK):
            some = slice(start, start + CHUNK)
            x = images[some]
            pictures = model.reconstruct(x, batch_size, part_of(condition, some))
            squared_error += len(x) * mean_squared_error(x, pictures)
        numbers["test_mse"] = squared_error / len(images)
    if "kl_loss" in losses:
        numbers["test_elbo"] = -(losses["reconstruction_loss"] + losses["kl_loss"])
        if are_pixels:
            numbers["bits_per_dim"] = bits_per_dim(model, images, batch_size, condition)
        z_mean, _ = model.encode(images, batch_size, condition)
        numbers["active_units"] = active_units(z_mean)
    return numbers


def bits_per_dim(model, images, batch_size=128, condition=None):
    """Returns an upper bound of the bits per pixel and channel of uint8 images.

    This is the negative ELBO (one draw of z) of uniformly dequantised images, ``(x + u) / 256``
    with u uniform in [0, 1), including all constants of the likelihood: an upper bound of
    ``-log2 P(x) / D`` (Theis, van den Oord & Bethge 2016, https://arxiv.org/abs/1511.01844,
    section 3.1). A uniform distribution over pixel values needs 8 bits. A likelihood of the 256
    levels, and a binary one of purely black and white images, needs no dequantisation.

    Args:
        model: A compiled `VAE`.
        images: uint8 ``(n, height, width, channels)``.
        batch_size: Images to process at once.
        condition: See `test_metrics`.

    Returns:
        A float; or None if the likelihood is not a distribution of these pixels (such as Bernoulli
        for grey pixels), the images are not uint8, or the model is not a VAE.

    Example:

    ```python
    evaluate.bits_per_dim(model, images)
    ```
    """
    if images.dtype != np.uint8 or why_no_likelihood(model, images):
        return None
    values, likelihood = math.prod(images.shape[1:]), model.likelihood
    dequantised = likelihood.values == "continuous"
    rng = np.random.default_rng(0)
    nats = 0.0
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK]
        if dequantised:
            x = ((x + rng.random(x.shape, "float32")) / 256).clip(0, 1)
        y = part_of(condition, slice(start, start + CHUNK))
        losses = model.evaluate(x, y, batch_size, verbose=0, return_dict=True)
        nats += len(x) * (losses["reconstruction_loss"] + losses["kl_loss"])
    bits = (nats / len(images) / values + likelihood.omitted) / math.log(2)
    return float(bits + 8 if dequantised else bits)


def why_no_likelihood(model, images):
    """Returns the reason why log p(x) of these images is undefined, or None if it is defined."""
    if not model.has_prior:
        return "a plain autoencoder has no p(z), hence no p(x)"
    return model.likelihood.why_no_distribution(images)


def part_of(condition, rows):
    """Returns the condition of some images, or None."""
    return None if condition is None else condition[rows]


def fit_report(model, images, k=100, n=500, batch_size=128, seed=0, progress=None, condition=None):
    """Returns the metrics, picture quality and log-likelihood of a model on unseen images.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]: an array,
            or images of a streamed data set.
        k: Number of draws of z for the log-likelihood of each image.
        n: Most images for the log-likelihood; the first n are used.
        batch_size: Images to process at once; the numbers do not depend on it.
        seed: A non-negative integer, for the draws of z.
        progress: Called with the number of images whose log-likelihood was just computed.
        condition: See `test_metrics`.

    Returns:
        A dict of plain numbers: those of `test_metrics`; of images ``test_psnr`` (see `psnr`) and
        ``test_ssim`` (see `ssim`) of ``reconstruct``, over at most 2,000 images; and
        ``log_likelihood``, the mean of `VAE.log_likelihood` in nats per image (higher is
        better). If it is defined, also ``log_likelihood_standard_error`` of this mean over images
        (None for a single image), ``log_likelihood_images`` and ``log_likelihood_samples``, the
        numbers of images and draws, and ``log_likelihood_elbo``, the mean ELBO with the same
        images, draws and constants. The ELBO is never higher; the gap estimates
        KL[q(z|x) || p(z|x)], limited by the number of draws. Otherwise ``log_likelihood`` is None
        and ``log_likelihood_missing`` is the reason.

    Raises:
        ValueError: If there are no images, their shape does not match the model, or an argument
            is invalid.

    Example:

    ```python
    evaluate.fit_report(model, images, k=100)["log_likelihood"]
    ```
    """
    check_integer("k", k, 1)
    check_integer("n", n, 1)
    numbers = test_metrics(model, images, batch_size, condition)
    first = part_of(condition, slice(PICTURES))
    if "test_mse" in numbers:
        numbers.update(picture_quality(model, head(images, PICTURES), batch_size, first))
    some = head(images, n)
    reason = why_no_likelihood(model, some)
    if reason:
        return {**numbers, "log_likelihood": None, "log_likelihood_missing": reason}
    first = part_of(condition, slice(n))
    nats, elbo = importance.estimates(model, some, k, batch_size, seed, progress, first)
    error = float(np.std(nats, ddof=1) / math.sqrt(len(nats))) if len(nats) > 1 else None
    return {
        **numbers,
        "log_likelihood": float(np.mean(nats)),
        "log_likelihood_standard_error": error,
        "log_likelihood_elbo": float(np.mean(elbo)),
        "log_likelihood_images": len(nats),
        "log_likelihood_samples": int(k),
    }


def picture_quality(model, images, batch_size=128, condition=None):
    """Returns ``test_psnr`` and ``test_ssim`` of the reconstructions of images."""
    sums = {"test_psnr": 0.0, "test_ssim": 0.0}
    for start in range(0, len(images), CHUNK):
        some = slice(start, start + CHUNK)
        x = images[some]
        pictures = model.reconstruct(x, batch_size, part_of(condition, some))
        for name, measure in (("test_psnr", psnr), ("test_ssim", ssim)):
            mean = measure(x, pictures)
            sums[name] = None if mean is None else sums[name] + len(x) * mean
    return {name: None if s is None else s / len(images) for name, s in sums.items()}


def mean_squared_error(images, pictures):
    """Returns the mean of ``(x - x')^2`` over images, pixels and channels.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        pictures: Their reconstructions, of the same shape; also uint8 or float.

    Returns:
        A float, for pixels in [0, 1].

    Raises:
        ValueError: If the shapes differ.

    Example:

    ```python
    evaluate.mean_squared_error(np.zeros((2, 8, 8, 1)), np.full((2, 8, 8, 1), 0.5))  # 0.25
    ```
    """
    return float(np.mean(squared_errors(images, pictures)))


def psnr(images, pictures):
    """Returns the peak signal-to-noise ratio, the mean over images of ``10 log10(1 / MSE)``.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        pictures: Their reconstructions, of the same shape; also uint8 or float.

    Returns:
        A float, in dB, higher is better. The PSNR of each picture is limited to 100 dB.

    Raises:
        ValueError: If there are no images, or the shapes differ.

    Example:

    ```python
    evaluate.psnr(images, model.reconstruct(images))
    ```
    """
    check_pairs(images, pictures)
    errors = np.maximum(squared_errors(images, pictures), 10 ** (-MOST_PSNR / 10))
    return float(np.mean(-10 * np.log10(errors)))


def ssim(images, pictures):
    """Returns the structural similarity (SSIM), the mean over images and channels.

    The settings are those of Wang, Bovik, Sheikh & Simoncelli 2004 (Image Quality Assessment: From
    Error Visibility to Structural Similarity, https://doi.org/10.1109/TIP.2003.819861): a
    Gaussian window of 11 pixels with a standard deviation of 1.5.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        pictures: Their reconstructions, of the same shape; also uint8 or float.

    Returns:
        A float of at most 1, reached only by identical pictures; None if the images are smaller
        than the window.

    Raises:
        ValueError: If there are no images, or the shapes differ.

    Example:

    ```python
    evaluate.ssim(images, model.reconstruct(images))
    ```
    """
    check_pairs(images, pictures)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        return None
    from skimage.metrics import structural_similarity  # slow to import

    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    total = 0.0
    for image, picture in zip(images, pictures):
        total += structural_similarity(
            floats(image), floats(picture), data_range=1.0, channel_axis=-1, **settings
        )
    return float(total / len(images))


def check_pairs(images, pictures):
    """Raises `ValueError` unless both have the same shape and there is at least one image."""
    if len(images) == 0 or len(images.shape) != 4 or images.shape != pictures.shape:
        raise ValueError(
            "Arguments `images` and `pictures` must have the same shape (n, height, width, "
            "channels), with at least one image. "
            f"Received: {tuple(images.shape)} and {tuple(pictures.shape)}"
        )


def squared_errors(images, pictures):
    """Returns the mean of ``(x - x')^2`` of each image, ``(n,)``, one by one to save memory."""
    pairs = zip(images, pictures)
    return np.array([np.mean((floats(image) - floats(picture)) ** 2) for image, picture in pairs])


def floats(image):
    """Returns pixels in [0, 1] as float64, so that sums of squares keep their digits."""
    return to_float(image).astype("float64")
