"""What a flow does with codes, as a graph of tensors; `latent.Flow` does the same with NumPy."""

import numpy as np
from keras import ops

from keras_vae.latent.flow_network import HEUN_STEPS


def codes(flow, noise, signs):
    """Returns the codes ``(n, latent_dim)`` of noise and signs of attributes, as `Flow.codes`."""
    d = flow.components
    x = integrate(flow, noise[:, :d], signs)
    if flow.latent_dim > d:
        x = ops.concatenate([x, noise[:, d:]], axis=1)
    return ops.matmul(x * flow.spread, flow.axes) + flow.middle


def changes(flow, names, z):
    """Returns what `Flow.shift` adds to codes for strength 1 of each name, ``(n, names, d)``.

    Args:
        flow: A `Flow`.
        names: Names of attributes.
        z: Codes ``(n, latent_dim)``.
    """
    d, k = flow.components, len(flow.names)
    x = ops.matmul(z - flow.middle, ops.transpose(flow.axes)) / flow.spread
    x = x[:, :d]
    own = guessed(flow, x)  # (n, k)
    noise = integrate(flow, x, own, backward=True)
    columns = [flow.names.index(name) for name in names]
    on, off, is_set = exclusive_states(flow, columns)
    has = ops.stack([own[:, column] for column in columns], axis=1)[:, :, None] > 0  # (n, m, 1)
    flips = ops.convert_to_tensor(1 - 2 * np.eye(k, dtype="float32")[columns])
    flipped = own[:, None, :] * flips  # (n, m, k)
    states = ops.where(is_set, ops.where(has, off, on), flipped)
    states = ops.concatenate([own[:, None, :], states], axis=1)  # (n, 1 + m, k)
    copies = noise[:, None, :] + 0 * states[:, :, :1]  # (n, 1 + m, d)
    ends = integrate(flow, ops.reshape(copies, (-1, d)), ops.reshape(states, (-1, k)))
    ends = ops.reshape(ends, (-1, 1 + len(names), d))
    change = (ends[:, 1:] - ends[:, :1]) * ops.where(has, -1.0, 1.0)
    return ops.matmul(change * flow.spread[:d], flow.axes[:d])


def integrate(flow, x, signs, backward=False):
    """Returns `Flow.forward` or `Flow.back` without a loop, which converters do not know."""
    step = (-1 if backward else 1) / HEUN_STEPS
    for i in range(HEUN_STEPS):
        x = flow.heun_step(x, float(backward) + step * i, step, signs)
    return x


def guessed(flow, x):
    """Returns the predicted attributes as signs: 1 for present, -1 for absent."""
    logits = flow.logits(x)
    least = 0.0
    if flow.exclusive:  # only the most probable one is present
        best = ops.max(ops.where(flow.is_exclusive, logits, -1e9), axis=1, keepdims=True)
        least = ops.where(flow.is_exclusive, best, 0.0)
    return ops.where(logits >= least, 1.0, -1.0)


def exclusive_states(flow, columns):
    """Returns the signs that switching exclusive attributes on and off sets, and which it sets."""
    k = len(flow.names)
    on, off = np.zeros((2, len(columns), k), "float32")
    is_set = np.zeros((len(columns), k), bool)
    for row, column in enumerate(columns):
        if flow.is_exclusive[column]:
            on[row, flow.is_exclusive] = -1
            on[row, column], off[row, column] = 1, -1
            is_set[row] = flow.is_exclusive
    return tuple(map(ops.convert_to_tensor, (on, off, is_set)))
