"""Walks through latent space: between codes, along single latents, over a grid of two latents."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np
from keras import ops

from keras_vae import checks
from keras_vae.models.vae import kl_per_latent


def interpolate(codes, steps=8, spherical=False, flow=None):
    """Returns codes on a path through the given codes, in order.

    Linear: straight lines. Spherical: the direction turns at constant speed while the length
    changes linearly; for codes of equal length this is the slerp of White 2016
    (https://arxiv.org/abs/1609.04468). With many latents, codes lie at about the same distance
    from the origin, and a straight line between two of them passes closer to it.

    With a flow, codes are mapped to its noise, interpolated there (always spherically), and
    mapped back: intermediate codes are as likely as the ends, whereas the other two paths cross
    gaps between clusters of codes.

    Args:
        codes: ``(k, latent_dim)``, two or more.
        steps: Number of codes from each to the next, including both; at least 2.
        spherical: Whether to interpolate spherically instead of linearly.
        flow: A `Flow` of the same model's codes, or None.

    Returns:
        float32 ``((k - 1) * (steps - 1) + 1, latent_dim)``, including the given codes.

    Raises:
        ValueError: If there are fewer than two codes or steps, or the flow has another number of
            latents.

    Example:

    ```python
    strip = model.decode(latent.interpolate(z[:2], steps=10, spherical=True))
    ```
    """
    codes = np.asarray(codes, "float32")
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(
            "Argument `codes` must be two or more codes, (k, latent_dim). "
            f"Received: shape={codes.shape}"
        )
    checks.check_integer("steps", steps, 0)
    if steps < 2:
        raise ValueError(f"Argument `steps` must be at least 2. Received: steps={steps}")
    if flow is None:
        path = way(codes, steps, turn if spherical else straight)
    else:
        # Attributes are left unknown: blending different attributes gives less realistic pictures.
        path = flow.codes(way(flow.noise(codes), steps, turn))
        # The flow is inverted only approximately: interpolate the errors of the given codes.
        path = path + way(codes - path[:: steps - 1], steps, straight)
    path[:: steps - 1] = codes  # exactly
    return path.astype("float32")


def way(points, steps, between):
    """Returns `steps` points from each of `points` to the next, computed by `between`."""
    shares = np.linspace(0, 1, steps)[:-1, None]
    parts = [between(start, end, shares) for start, end in pairwise(points)]
    return np.concatenate([*parts, points[-1:]])


def straight(start, end, shares):
    return (1 - shares) * start + shares * end


def turn(start, end, shares):
    """Returns codes between two: the direction turns uniformly, the length changes linearly."""
    start, end = start.astype("float64"), end.astype("float64")
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if min(lengths) < 1e-12 or len(start) == 1:
        return straight(start, end, shares)  # a zero vector, or a single latent
    u, v = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(u @ v, -1, 1))
    if angle < 1e-6:
        return straight(start, end, shares)
    sideways = v - (u @ v) * u  # orthogonal to u, in the plane of u and v
    if np.pi - angle < 1e-6:  # opposite: any plane contains both
        sideways = np.eye(len(u))[np.argmin(np.abs(u))]
        sideways = sideways - (u @ sideways) * u
    sideways /= np.linalg.norm(sideways)
    direction = np.cos(shares * angle) * u + np.sin(shares * angle) * sideways
    return straight(*lengths, shares) * direction


def order(z_mean, z_log_var=None):
    """Returns the latents in order of decreasing mean KL, or without `z_log_var` of variance.

    Args:
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``; None for a plain autoencoder.

    Returns:
        Integers ``(latent_dim,)``, counted from 0.

    Example:

    ```python
    latent.order(*model.encode(images))[:8]
    ```
    """
    return np.argsort(-carried(z_mean, z_log_var), kind="stable")


def carried(z_mean, z_log_var=None):
    """Returns the mean KL of each latent, or without `z_log_var` its variance.

    Both measure how much information about the image a latent carries. The KL is
    ``KL[q(z_j|x) || N(0, 1)]``, see `kl_of_latents`.

    Args:
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``; None for a plain autoencoder.

    Returns:
        Shape ``(latent_dim,)``; a KL is in nats per image.

    Example:

    ```python
    latent.carried(*model.encode(images)).sum()  # the kl_loss
    ```
    """
    if z_log_var is None:
        return np.asarray(z_mean, "float64").var(axis=0)
    return kl_of_latents(z_mean, z_log_var)


def kl_of_latents(z_mean, z_log_var):
    """Returns the KL of each latent to N(0, 1), averaged over images.

    ``-1/2 (1 + z_log_var - z_mean^2 - exp(z_log_var))`` (Kingma & Welling 2014,
    https://arxiv.org/abs/1312.6114, appendix B). Their sum is the model's `kl_loss`.

    Args:
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``.

    Returns:
        Shape ``(latent_dim,)``, in nats per image.

    Example:

    ```python
    latent.kl_of_latents(*model.encode(images)).sum()  # the kl_loss
    ```
    """
    kl = ops.convert_to_numpy(kl_per_latent(z_mean, z_log_var))
    return kl.mean(axis=0, dtype="float64")


def traverse(code, codes, latents=None, steps=9, reach=2.5):
    """Returns copies of a code in which one latent varies over its range.

    Args:
        code: The code to vary, ``(latent_dim,)``.
        codes: ``(n, latent_dim)`` of many images, for the mean and standard deviation.
        latents: The latents to vary, one at a time; None means all, in the `order` of `codes`.
        steps: Number of values of each latent.
        reach: Range to either side of the mean, in standard deviations.

    Returns:
        float32 ``(len(latents), steps, latent_dim)``.

    Raises:
        ValueError: If an argument is invalid or a latent does not exist.

    Example:

    ```python
    z_mean, z_log_var = model.encode(images)
    walks = latent.traverse(z_mean[0], z_mean, latent.order(z_mean, z_log_var)[:8])
    rows = [model.decode(walk) for walk in walks]
    ```
    """
    code, codes = np.asarray(code, "float32"), np.asarray(codes, "float32")
    if code.ndim != 1 or codes.ndim != 2 or codes.shape[1] != len(code):
        raise ValueError(
            "Arguments `code` and `codes` must have the shapes (latent_dim,) and (n, latent_dim). "
            f"Received: {code.shape} and {codes.shape}"
        )
    latents = order(codes) if latents is None else np.asarray(latents)
    is_integer = latents.dtype.kind in "iu" or not latents.size
    if not is_integer or latents.ndim != 1 or (latents < 0).any() or (latents >= len(code)).any():
        raise ValueError(
            f"Argument `latents` must be integers in 0..{len(code) - 1}. Received: {latents}"
        )
    checks.check_integer("steps", steps, 1)
    checks.check_number("reach", reach, low=0)
    walks = np.tile(code, (len(latents), steps, 1))
    for walk, latent in zip(walks, latents.tolist()):
        middle, deviation = codes[:, latent].mean(), codes[:, latent].std()
        walk[:, latent] = middle + deviation * np.linspace(-reach, reach, steps)
    return walks


def manifold(steps=20):
    """Returns a grid over a space of 2 latents in which all cells have equal probability.

    The values are quantiles of N(0, 1), as in figure 4 of Kingma & Welling 2014
    (https://arxiv.org/abs/1312.6114).

    Args:
        steps: Number of cells per side.

    Returns:
        float32 ``(steps * steps, 2)``, row by row from the top left: the first latent increases
        to the right, the second upwards.

    Raises:
        ValueError: If `steps` is not a positive integer.

    Example:

    ```python
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
    picture = plots.grid(model.decode(latent.manifold(20)), columns=20)
    ```
    """
    checks.check_integer("steps", steps, 1)
    quantile = NormalDist().inv_cdf
    values = np.array([quantile((step + 0.5) / steps) for step in range(steps)], "float32")
    across, up = np.meshgrid(values, values[::-1])
    return np.column_stack([across.ravel(), up.ravel()])
