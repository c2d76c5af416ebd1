"""log p(x) of a VAE by importance sampling, a tighter bound than the ELBO."""

import itertools

import numpy as np
from keras import ops

from keras_vae.checks import check_integer
from keras_vae.models.bounds import repeated
from keras_vae.priors import LOG_2_PI
from keras_vae.training.batches import filled, in_batches


def estimates(model, x, k=100, batch_size=128, seed=0, progress=None, condition=None):
    """Returns the estimates of log p(x) and of the ELBO from the same draws of z.

    With ``w_i = p(x|z_i) p(z_i) / q(z_i|x)`` and ``z_i ~ q(z|x)``, the first is
    ``log 1/k sum_i w_i`` and the second ``1/k sum_i log w_i``, so the first is never below the
    second (Burda, Grosse & Salakhutdinov 2016, https://arxiv.org/abs/1509.00519, equation 8).

    Args:
        model: A `VAE`.
        x, k, batch_size, seed, progress, condition: See `VAE.log_likelihood`.

    Returns:
        Two NumPy float64 arrays ``(n,)``, in nats per image.

    Raises:
        ValueError: If an argument is invalid, or the likelihood is not a distribution of `x`.

    Example:

    ```python
    log_likelihood, elbo = estimates(model, images, k=100)
    ```
    """
    check_integer("k", k, 1)
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0)
    x = model._array(x)
    if not model.built:
        model.build(x.shape)
    reason = model.likelihood.why_no_distribution(x)
    if reason:
        raise ValueError(f"These data have no log-likelihood: {reason}")
    log_sums, sums = np.full(len(x), -np.inf), np.zeros(len(x))
    program, before = model.program(model._log_weights), None
    # Results are read after the next chunk is dispatched, so that the device does not wait while
    # noise is drawn.
    given = model._given(condition, len(x))
    all_chunks = chunks(model, x, k, batch_size, seed, *given)
    for rows, arrays in itertools.chain(all_chunks, [(None, None)]):
        result = program(*map(ops.convert_to_tensor, arrays)) if arrays else None
        if before:
            done, parts = before
            log_sum, total = (ops.convert_to_numpy(p)[: done.stop - done.start] for p in parts)
            log_sums[done] = np.logaddexp(log_sums[done], log_sum)
            sums[done] += total
            if progress and (rows is None or rows.start >= done.stop):
                progress(done.stop - done.start)
        before = rows and (rows, result)
    constant = model.likelihood.omitted * np.prod(model.data_shape)
    return log_sums - np.log(k) - constant, sums / k - constant


def chunks(model, x, k, batch_size, seed, *signs):
    """Yields a slice of images, and the arguments of `log_weights` for some of their samples.

    All chunks have one shape, since a new one costs a compilation: several images with all their
    samples, or one image with an equal share of them.
    """
    samples = -(-k // -(-k // batch_size))
    together = min(batch_size // samples, 1 << max(len(x) - 1, 0).bit_length())
    block = batch_size // together * together  # images to encode at once
    for first in range(0, len(x), block):
        images = x[first : first + block]
        own = [part[first : first + block] for part in signs]
        codes = in_batches(model.program(model._encode), images, batch_size, *own)
        for start in range(0, len(images), together):
            some = slice(start, min(start + together, len(images)))
            given = [filled(array[some], together) for array in (images, *codes)]
            rows = slice(first + some.start, first + some.stop)
            # A generator for each image, so that its noise is the same in every batch.
            rngs = [np.random.default_rng((seed, row)) for row in range(rows.start, rows.stop)]
            for drawn in range(0, k, samples):
                eps = np.zeros((together, samples, codes[0].shape[1]), "float32")
                for noise, rng in zip(eps, rngs):
                    rng.standard_normal(out=noise, dtype="float32")
                count = np.int32(min(samples, k - drawn))
                yield rows, (*given, eps, count, *(filled(part[some], together) for part in own))


def log_weights(model, x, z_mean, z_log_var, eps, count, *signs):
    """Returns, for each image, the log of the sum of the weights and the sum of their logs.

    Args:
        model: A `VAE`.
        x: Images ``(n, height, width, channels)``.
        z_mean: ``(n, latent_dim)``.
        z_log_var: ``(n, latent_dim)``.
        eps: Noise ``(n, samples, latent_dim)``.
        count: Number of samples that count; the others are padding.
        *signs: Nothing, or the condition ``(n, size)``.

    Returns:
        Two tensors ``(n,)``, without the constant that the likelihood omits.
    """
    logs, _ = logs_and_outputs(model, x, z_mean, z_log_var, eps, *signs)
    counts = ops.arange(ops.shape(logs)[1]) < count
    log_sum = ops.logsumexp(ops.where(counts, logs, -float("inf")), axis=1)
    return log_sum, ops.sum(ops.where(counts, logs, 0.0), axis=1)


def logs_and_outputs(model, x, z_mean, z_log_var, eps, *signs):
    """Returns ``log w_i`` ``(n, samples)`` and the decoder's outputs ``(n * samples, ...)``."""
    n, samples, latent_dim = ops.shape(eps)
    z = z_mean[:, None] + ops.exp(z_log_var / 2)[:, None] * eps
    codes = [ops.reshape(z, (-1, latent_dim)), *(repeated(part, samples) for part in signs)]
    outputs = ops.cast(model.decoder(codes if signs else codes[0], training=False), "float32")
    x = repeated(model.likelihood.data.tensor(x), samples)
    nats = model.likelihood.nats(x, outputs)
    log_q = -0.5 * ops.sum(ops.square(eps) + z_log_var[:, None] + LOG_2_PI, axis=2)
    return model.prior.log_prob(z) - log_q - ops.reshape(nats, (n, samples)), outputs


def imputed(model, x, k=100, batch_size=128, seed=0, condition=None):
    """Returns data with the expected values in place of missing ones, see `VAE.impute`."""
    check_integer("k", k, 1)
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0)
    x = model._array(x)
    if not model.built:
        model.build(x.shape)
    log_sums, means = np.full(len(x), -np.inf), np.zeros(x.shape)
    program = model.program(model._weighted_mean)
    for rows, arrays in chunks(model, x, k, batch_size, seed, *model._given(condition, len(x))):
        log_sum, mean = (
            ops.convert_to_numpy(part)[: rows.stop - rows.start]
            for part in program(*map(ops.convert_to_tensor, arrays))
        )
        before, log_sums[rows] = log_sums[rows].copy(), np.logaddexp(log_sums[rows], log_sum)
        for total, log_share in ((means[rows], before), (mean, log_sum)):
            total *= np.exp(log_share - log_sums[rows]).reshape(-1, *[1] * (x.ndim - 1))
        means[rows] += mean
    return np.where(np.isnan(x), means, x).astype("float32")


def weighted_mean(model, x, z_mean, z_log_var, eps, count, *signs):
    """Returns the log of the sum of the weights, and the mean of p(x|z) by these weights.

    Args:
        model, x, z_mean, z_log_var, eps, count, *signs: See `log_weights`.

    Returns:
        Tensors ``(n,)`` and ``(n, ...)``.
    """
    logs, outputs = logs_and_outputs(model, x, z_mean, z_log_var, eps, *signs)
    n, samples, _ = ops.shape(eps)
    logs = ops.where(ops.arange(samples) < count, logs, -float("inf"))
    means = model.likelihood.mean(outputs)
    means = ops.reshape(means, (n, samples, *means.shape[1:]))
    shares = ops.reshape(ops.softmax(logs, axis=1), (n, samples, *[1] * (len(means.shape) - 2)))
    return ops.logsumexp(logs, axis=1), ops.sum(shares * means, axis=1)


def reconstruction_losses(model, x, batch_size=128, condition=None):
    """Returns ``-log p(x|z_mean)`` of each item, NumPy float64 ``(n,)``, with all constants."""
    nats = of_items(model, model._reconstruction_nats, x, batch_size, condition)
    return nats.astype("float64") + model.likelihood.omitted * np.prod(model.data_shape)


def value_losses(model, x, batch_size=128, condition=None):
    """Returns ``-log p(x|z_mean)`` of each value, see `keras_vae.evaluate.value_losses`."""
    nats = of_items(model, model._value_nats, x, batch_size, condition)
    # One number for several values, such as the channels of a pixel, omits the constant of each.
    together = np.prod(model.data_shape) / np.prod(nats.shape[1:])
    return (nats + model.likelihood.omitted * together).astype("float32")


def of_items(model, method, x, batch_size, condition):
    """Returns what a method of the model, of data and their condition, returns for an array."""
    x = model._array(x)
    if not model.built:
        model.build(x.shape)
    return model._in_batches(method, x, batch_size, condition)
