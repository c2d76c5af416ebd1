"""Use of the latents: active units, mutual information with the images, and advice."""

import math

import numpy as np

from keras_vae.checks import check_integer, check_number
from keras_vae.latent import kl_of_latents
from keras_vae.priors import StandardNormal
from keras_vae.training.batches import in_batches

ACTIVE = 0.01  # variance of z_mean above which a latent is active
IMAGES = 5000  # most images of `elbo_surgery`, which compares all pairs
ROWS = 500  # images that it compares with all others at once
NEAR_CAP = 0.1  # nats
FEW = 0.25  # share of collapsed latents that is harmless
NAMED = 10  # latents that a sentence names individually


def active_units(z_mean, threshold=ACTIVE):
    """Returns the number of active latents: those whose ``z_mean`` has a variance above 0.01.

    The definition of Burda, Grosse and Salakhutdinov 2016 (https://arxiv.org/abs/1509.00519),
    section 5.2.

    Args:
        z_mean: ``(n, latent_dim)``.
        threshold: The variance to exceed.

    Returns:
        An integer in 0..latent_dim.

    Example:

    ```python
    evaluate.active_units(np.zeros((10, 4)))  # 0
    ```
    """
    return int(np.sum(are_active(z_mean, threshold)))


def are_active(z_mean, threshold=ACTIVE):
    """Returns whether each latent is an active unit, ``(latent_dim,)``."""
    return np.var(z_mean, axis=0) > threshold


def latents_report(z_mean, z_log_var=None, seed=0, prior=None):
    """Returns which latents are active, their KL, and the parts of the KL.

    Args:
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``; None for a plain autoencoder.
        seed: A non-negative integer, for the draws of `elbo_surgery`.
        prior: The model's `keras_vae.priors.Prior`; None is N(0, I).

    Returns:
        A dict of plain numbers and lists: ``latent_dim``; ``active_units``, see
        `active_units`; ``collapsed``, the numbers of the other latents, counted from 1 as in
        the pictures ("z 1"). With `z_log_var` also ``kl``, the mean KL of each latent to
        N(0, 1), and the results of `elbo_surgery`, in nats per image. ``kl_loss`` is the sum of
        these KL; with another prior it is the mean KL to that, estimated by one draw.

    Raises:
        ValueError: If there are no codes, or the shapes differ.

    Example:

    ```python
    evaluate.latents_report(*model.encode(images))["collapsed"]  # e.g. [3, 7]
    ```
    """
    check_codes(z_mean, z_log_var)
    report = {
        "latent_dim": int(z_mean.shape[1]),
        "active_units": active_units(z_mean),
        "collapsed": (1 + np.flatnonzero(~are_active(z_mean))).tolist(),
    }
    if z_log_var is None:
        return report
    kl = kl_of_latents(z_mean, z_log_var)
    surgery = elbo_surgery(z_mean, z_log_var, seed, prior)
    kl_loss = float(kl.sum())
    if is_learned(prior):
        kl_loss = surgery["mutual_information"] + surgery["kl_aggregate_posterior"]
    return {**report, "kl": kl.tolist(), "kl_loss": kl_loss, **surgery}


def is_learned(prior):
    """Returns whether a prior is not N(0, I), which None stands for."""
    return prior is not None and not isinstance(prior, StandardNormal)


def elbo_surgery(z_mean, z_log_var, seed=0, prior=None):
    """Returns the two parts of the KL: mutual information, and the mismatch of q(z) and p(z).

    ``mean KL[q(z|x) || p(z)] = MI + KL[q(z) || p(z)]`` with ``q(z)`` the mean of all
    ``q(z|x)`` (Hoffman & Johnson 2016, ELBO surgery: yet another way to carve up the
    variational evidence lower bound, http://approximateinference.org/accepted/HoffmanJohnson2016.pdf).
    MI, the mutual information between the index of an image and its code, is the mean of
    ``log q(z|x_n) - log q(z)``, with one draw of z for each image. The second part explains why
    samples from p(z) look worse than reconstructions.

    Args:
        z_mean: ``(n, latent_dim)``; the first 5,000 rows are used.
        z_log_var: ``(n, latent_dim)``.
        seed: A non-negative integer.
        prior: The model's `keras_vae.priors.Prior`; None is N(0, I).

    Returns:
        A dict of plain numbers, in nats: ``mutual_information``, clipped to its possible range,
        from 0 to the mean KL and to ``mutual_information_cap``, which is log n, the entropy of
        the index. ``mutual_information_is_capped``, whether it is within 0.1 of log n; if so,
        each code identifies its image, and the number is only a lower bound of the mutual
        information for more images. ``kl_aggregate_posterior``, the KL of q(z): the mean KL of
        these images minus the mutual information (an upper bound if that is capped).
        ``elbo_surgery_images``, the number of images used.

    Raises:
        ValueError: If there are no codes, or the shapes differ.

    Example:

    ```python
    evaluate.elbo_surgery(np.zeros((10, 4)), np.zeros((10, 4)))["mutual_information"]  # 0.0
    ```
    """
    check_codes(z_mean, z_log_var, needs_both=True)
    check_integer("seed", seed, 0)
    mean, log_var = (np.asarray(part[:IMAGES], "float64") for part in (z_mean, z_log_var))
    kl, cap = float(kl_of_latents(mean, log_var).sum()), math.log(len(mean))
    eps = np.random.default_rng(seed).standard_normal(mean.shape)
    own = -0.5 * np.sum(eps**2 + log_var, axis=1)  # log q(z_n|x_n), here and below without 2 pi
    if is_learned(prior):
        z = (mean + np.exp(log_var / 2) * eps).astype("float32")
        log_p = in_batches(prior.log_prob, z, ROWS)
        kl = float(np.mean(own - mean.shape[1] / 2 * math.log(2 * math.pi) - log_p))
    # Distances do not depend on the origin; centred codes lose the fewest digits.
    mean = mean - mean.mean(axis=0)
    z = mean + np.exp(log_var / 2) * eps
    precision = np.exp(-log_var)
    constant = -0.5 * np.sum(mean**2 * precision + log_var, axis=1)
    excess = []  # log q(z_n|x_n) - log q(z_n)
    for start in range(0, len(z), ROWS):
        some = z[start : start + ROWS]
        logs = (mean * precision) @ some.T - 0.5 * precision @ (some**2).T + constant[:, None]
        rows = np.arange(len(some))
        logs[start + rows, rows] = own[start + rows]
        logs -= own[start + rows]
        top = logs.max(axis=0)
        excess.append(cap - top - np.log(np.sum(np.exp(logs - top), axis=0)))
    information = float(np.clip(np.mean(np.concatenate(excess)), 0, min(cap, kl)))
    return {
        "mutual_information": information,
        "mutual_information_cap": cap,
        "mutual_information_is_capped": information > cap - NEAR_CAP,
        "kl_aggregate_posterior": kl - information,
        "elbo_surgery_images": len(mean),
    }


def advice(report, beta=1.0, kl_warmup=0.0, free_bits=0.0):
    """Returns advice about collapsed latents.

    Args:
        report: A result of `latents_report`.
        beta: The weight of the KL in training.
        kl_warmup: Number of epochs over which the weight increased.
        free_bits: Free nats for each latent in training.

    Returns:
        A list of sentences; empty if all latents are active.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    evaluate.advice(evaluate.latents_report(*model.encode(images)), beta=4.0)
    ```
    """
    for name, value in (("beta", beta), ("kl_warmup", kl_warmup), ("free_bits", free_bits)):
        check_number(name, value, low=0)
    collapsed, latents = report["collapsed"], report["latent_dim"]
    if not collapsed:
        return []
    if len(collapsed) == latents:
        found = (
            "The decoder ignores the code: all latents have collapsed, and all pictures look alike."
        )
    else:
        have = "has" if len(collapsed) == 1 else "have"
        found = (
            f"{len(collapsed)} of {latents} latents {have} collapsed: {names(collapsed)}. Their "
            "mean is about the same for every image."
        )
    if len(collapsed) <= FEW * latents:
        return [found, "A few collapsed latents are harmless: the decoder ignores them."]
    if "kl" not in report:
        return [found, "Try longer training or fewer latents (`--latent-dim`)."]
    return [found, f"Try {remedies(beta, kl_warmup, free_bits)}."]


def names(latents):
    """Returns a list of latents for a sentence: ``z 1, z 4 and z 7``."""
    words = [f"z {latent}" for latent in latents]
    if len(words) > NAMED:
        words = [*words[: NAMED - 1], f"{len(words) - NAMED + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def remedies(beta, kl_warmup, free_bits):
    """Returns remedies for collapsed latents, given the settings used in training."""
    ways = [
        f"a {'longer ' if kl_warmup else ''}warm-up of the KL (`--kl-warmup`)",
        f"{'more ' if free_bits else ''}free bits (`--free-bits`)",
        f"a `--beta` below {beta:g}" if beta else None,
        "a smaller decoder",
    ]
    return ", ".join(filter(None, ways)) + ", or fewer latents (`--latent-dim`)"


def check_codes(z_mean, z_log_var, needs_both=False):
    """Raises `ValueError` unless these are the codes of one image or more."""
    shapes = [getattr(part, "shape", None) for part in (z_mean, z_log_var)]
    fits = shapes[0] == shapes[1] or (z_log_var is None and not needs_both)
    if not fits or len(shapes[0] or ()) != 2 or 0 in shapes[0]:
        raise ValueError(
            "Arguments `z_mean` and `z_log_var` must have the same shape (n, latent_dim), with at "
            f"least one row. Received: {' and '.join(map(str, shapes))}"
        )
