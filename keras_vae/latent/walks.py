"""Walks through latent space: from code to code, along single latents, over the plane."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np

from keras_vae import checks


def interpolate(codes, steps=8, spherical=False, flow=None):
    """Returns codes on the way from one code to the next, and on to the others.

    Linear: a straight line. Spherical: the direction turns at constant speed while the length
    changes evenly, which for codes of one length is the slerp of White 2016
    (https://arxiv.org/abs/1609.04468). In a space of many latents codes lie at about the same
    distance from the origin, and a straight line between two of them passes closer to it.

    With a flow codes are taken back to its noise, turned into each other there (always
    spherical), and brought forward: what lies on the way is as likely as the ends, where both
    other ways cross the gaps between the clouds of codes.

    Args:
        codes: ``(k, latent_dim)``, two or more.
        steps: Codes on the way from each to the next, both included; at least 2.
        spherical: Whether to turn instead of cutting straight through.
        flow: A `Flow` of these codes, or None.

    Returns:
        float32 ``((k - 1) * (steps - 1) + 1, latent_dim)``; every given code is among them.

    Raises:
        ValueError: If there are fewer than two codes or steps, or the flow is one of others.

    Example:

    ```python
    strip = model.decode(latent.interpolate(z[:2], steps=10, spherical=True))
    ```
    """
    codes = np.asarray(codes, "float32")
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(
            f"Argument `codes` must be two or more, (k, latent_dim). Received: shape={codes.shape}"
        )
    checks.check_count("steps", steps)
    if steps < 2:
        raise ValueError(f"Argument `steps` must be at least 2. Received: steps={steps}")
    if flow is None:
        path = way(codes, steps, turn if spherical else straight)
    else:
        # Nothing is said of attributes: between different ones, blended attributes lead to
        # pictures further from real ones.
        path = flow.codes(way(flow.noise(codes), steps, turn))
        # There and back is not quite the same: what is missing at the ends is spread.
        path = path + way(codes - path[:: steps - 1], steps, straight)
    path[:: steps - 1] = codes  # to the last bit
    return path.astype("float32")


def way(points, steps, between):
    """Returns points on the way from each to the next, see `interpolate`."""
    shares = np.linspace(0, 1, steps)[:-1, None]
    parts = [between(start, end, shares) for start, end in pairwise(points)]
    return np.concatenate([*parts, points[-1:]])


def straight(start, end, shares):
    return (1 - shares) * start + shares * end


def turn(start, end, shares):
    """Returns codes between two: the direction turns, the length changes evenly."""
    start, end = start.astype("float64"), end.astype("float64")
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if min(lengths) < 1e-12 or len(start) == 1:
        return straight(start, end, shares)  # no direction, or none to turn through
    u, v = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(u @ v, -1, 1))
    if angle < 1e-6:
        return straight(start, end, shares)
    sideways = v - (u @ v) * u  # at a right angle to u, in the plane of u and v
    if np.pi - angle < 1e-6:  # opposite: any plane will do
        sideways = np.eye(len(u))[np.argmin(np.abs(u))]
        sideways = sideways - (u @ sideways) * u
    sideways /= np.linalg.norm(sideways)
    direction = np.cos(shares * angle) * u + np.sin(shares * angle) * sideways
    return straight(*lengths, shares) * direction


def order(z_mean, z_log_var=None):
    """Returns the latents from the one that carries most to the one that carries least.

    Args:
        z_mean: ``(n, latent_dim)`` of some images.
        z_log_var: ``(n, latent_dim)``; a plain autoencoder has none.

    Returns:
        Integers ``(latent_dim,)``: by mean KL, or without `z_log_var` by variance.

    Example:

    ```python
    latent.order(*model.encode(images))[:8]
    ```
    """
    return np.argsort(-carried(z_mean, z_log_var), kind="stable")


def carried(z_mean, z_log_var=None):
    """Returns what each latent carries: its mean KL, or without `z_log_var` its variance.

    Args:
        z_mean: ``(n, latent_dim)`` of some images.
        z_log_var: ``(n, latent_dim)``; a plain autoencoder has none.

    Returns:
        Shape ``(latent_dim,)``; a KL in nats per image.

    Example:

    ```python
    latent.carried(*model.encode(images)).sum()  # the kl_loss
    ```
    """
    if z_log_var is None:
        return np.asarray(z_mean, "float64").var(axis=0)
    return kl_of_latents(z_mean, z_log_var)


def kl_of_latents(z_mean, z_log_var):
    """Returns the KL of each latent to N(0, 1), the mean over images.

    The terms of the model's `kl_loss`, see `keras_vae.models.vae.gaussian_kl`, one by one.

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
    z_mean, z_log_var = np.asarray(z_mean, "float64"), np.asarray(z_log_var, "float64")
    return np.mean(-0.5 * (1 + z_log_var - z_mean**2 - np.exp(z_log_var)), axis=0)


def traverse(code, codes, latents=None, steps=9, reach=2.5):
    """Returns a code with single latents moved through the range that they have.

    Args:
        code: Where to start, ``(latent_dim,)``.
        codes: ``(n, latent_dim)`` of many images, for mean and standard deviation.
        latents: Which latents to move, one after the other; None is all, by `order` of `codes`.
        steps: How many values each takes.
        reach: How many standard deviations to go from the mean to either side.

    Returns:
        float32 ``(len(latents), steps, latent_dim)``.

    Raises:
        ValueError: If a latent does not exist.

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
            "Expected `code` (latent_dim,) and `codes` (n, latent_dim). Received: "
            f"{code.shape} and {codes.shape}"
        )
    latents = order(codes) if latents is None else np.asarray(latents)
    is_integer = latents.dtype.kind in "iu" or not latents.size
    if not is_integer or latents.ndim != 1 or (latents < 0).any() or (latents >= len(code)).any():
        raise ValueError(
            f"Argument `latents` must be integers in 0..{len(code) - 1}. Received: {latents}"
        )
    checks.check_size("steps", steps)
    checks.check_number("reach", reach)
    walks = np.tile(code, (len(latents), steps, 1))
    for walk, latent in zip(walks, latents.tolist()):
        middle, deviation = codes[:, latent].mean(), codes[:, latent].std()
        walk[:, latent] = middle + deviation * np.linspace(-reach, reach, steps)
    return walks


def manifold(steps=20):
    """Returns a grid over a space of 2 latents in which each cell is equally likely.

    The values are quantiles of N(0, 1), as in figure 4 of Kingma & Welling 2014
    (https://arxiv.org/abs/1312.6114).

    Args:
        steps: Cells a side.

    Returns:
        float32 ``(steps * steps, 2)``, row by row from the top left: the first latent grows to
        the right, the second upwards.

    Example:

    ```python
    picture = plots.grid(model.decode(latent.manifold(20)), columns=20)
    ```
    """
    checks.check_size("steps", steps)
    quantile = NormalDist().inv_cdf
    values = np.array([quantile((step + 0.5) / steps) for step in range(steps)], "float32")
    across, up = np.meshgrid(values, values[::-1])
    return np.column_stack([across.ravel(), up.ravel()])
