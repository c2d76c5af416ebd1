"""Training a `Flow` on the codes of training images."""

import math

import keras
import numpy as np

from keras_vae import checks
from keras_vae.latent.directions import check_names
from keras_vae.latent.flow import UNKNOWN, Flow
from keras_vae.training import loop, recipes
from keras_vae.training.clock import FollowClock
from keras_vae.training.sources import Block, numbered

LEAST = 10  # codes needed for training
BATCH, RATE, STEPS = 256, 2e-3, 4000
FEWEST, SHARE = 64, 0.9  # components: at least so many, and with this share of the variance
SMALLEST = 1e-6  # standard deviation
MOST_PASSES = 200  # passes over the codes, to avoid overfitting a small number of codes


def fit_flow(
    codes,
    attributes=None,
    names=(),
    exclusive=(),
    seed=0,
    steps=None,
    width=None,
    seconds=None,
    progress=None,
):
    """Returns a flow from noise to codes, trained on the codes of training images.

    Args:
        codes: ``(n, latent_dim)``, `z_mean` of training images, 10 or more.
        attributes: bool or 0 and 1, ``(n, number of attributes)``; NaN, in a float array, means
            unknown. None means no attributes.
        names: Names of the attributes.
        exclusive: Names of mutually exclusive attributes, such as classes: each image has exactly
            one of them.
        seed: A non-negative integer, for initial weights and training.
        steps: Training steps, with 256 codes each. By default 4,000; fewer for few codes, at most
            8,000 with `seconds`.
        width: Width of the hidden layers. By default 384 for up to 64 latents, 768 for 256.
        seconds: End after this time, even if there are steps left; None: no limit.
        progress: ``progress(what, total)`` starts a progress bar and returns a function, which is
            called with the number of steps done; or None.

    Returns:
        A `Flow`.

    Raises:
        ValueError: If an argument is invalid, or an attribute has the same value in all images.

    Example:

    ```python
    z_mean, _ = model.encode(faces.train.images)
    flow = latent.fit_flow(z_mean, faces.train.attributes, faces.attribute_names)
    model.decode(flow.sample(16))
    ```
    """
    names, exclusive = (() if isinstance(some, str) else tuple(some) for some in (names, exclusive))
    codes = np.asarray(codes, "float32")
    table = check(codes, attributes, names, exclusive)
    checks.check_integer("seed", seed, 0)
    n, latent_dim = codes.shape
    middle, spread, axes = principal_axes(codes)
    components = enough(spread)
    factor = math.sqrt(max(1, components / 64))  # more components need a wider network
    if steps is None:
        most = STEPS if seconds is None else 2 * STEPS  # more time than the default takes
        steps = min(most, math.ceil(MOST_PASSES * n / BATCH))
    if width is None:
        width = 64 * round(6 * min(factor, 3))
    checks.check_integer("steps", steps, 1)
    checks.check_integer("width", width, 1)
    flow = Flow(latent_dim, names, exclusive, n, components, width, seed)
    flow.middle.assign(middle)
    flow.spread.assign(spread)
    flow.axes.assign(axes)
    if names:
        flow.table.assign(table)
    signs = np.where(table == UNKNOWN, 0, 2.0 * table - 1).astype("float32")
    rows = np.concatenate([flow._standardised(codes)[:, :components], signs], axis=1)
    flow.compile(recipes.make_optimizer(RATE, None if seconds else steps))
    flow.optimizer.build(flow.trainable_variables)
    callbacks = [Steps(progress("flow", steps))] if progress else []
    if seconds is not None:
        callbacks += [FollowClock(RATE, seconds, steps)]
    loop.fit(flow, Draws(flow.hold(rows), steps, seed), None, callbacks, 0, 1, 0, 1)
    trained = Flow.from_config(flow.get_config())  # without the optimizer
    trained.set_weights(flow.get_weights())
    return trained


def principal_axes(codes):
    """Returns the mean of codes, and standard deviations and axes of principal components."""
    middle = codes.mean(axis=0, dtype="float64")
    covariance = (codes - middle).T @ (codes - middle) / len(codes)
    variances, vectors = np.linalg.eigh(covariance)  # the smallest first
    spread = np.sqrt(np.maximum(variances[::-1], SMALLEST**2))
    return middle, spread, vectors.T[::-1]


def enough(spread):
    """Returns the number of principal components that hold most of the variance of the codes."""
    shares = np.cumsum(spread**2) / np.sum(spread**2)
    return max(min(len(spread), FEWEST), int(np.searchsorted(shares, SHARE)) + 1)


class Draws:
    """A source of batches for `loop.fit`: a single epoch of random batches, from its beginning."""

    batch_size, batch_bytes = BATCH, 1

    def __init__(self, rows, steps, seed):
        self.rows, self.steps, self.seed = rows, steps, seed

    def epoch(self, number, done=0):
        rng, left = np.random.default_rng(self.seed), self.steps

        def take(steps):
            nonlocal left
            steps = min(steps, left)
            left -= steps
            rows = rng.integers(len(self.rows), size=(steps, BATCH))
            if isinstance(self.rows, np.ndarray):  # there was no room to hold them
                return Block(self.rows[rows.ravel()], numbered(rows), None, None, BATCH)
            return Block(self.rows, rows.astype("int32"), None, None, BATCH)

        return take


class Steps(keras.callbacks.Callback):
    """Reports the number of steps done since the last call."""

    def __init__(self, report):
        super().__init__()
        self.report, self.done = report, 0

    def on_train_batch_end(self, batch, logs=None):
        self.report(batch + 1 - self.done)
        self.done = batch + 1


def check(codes, attributes, names, exclusive):
    """Returns the attributes as a table of uint8: 0, 1 and `UNKNOWN`; or raises `ValueError`."""
    if codes.ndim != 2 or len(codes) < LEAST or not codes.shape[1] or not np.isfinite(codes).all():
        raise ValueError(
            f"Argument `codes` must be finite, (n, latent_dim), with {LEAST} or more rows. "
            f"Received: shape={codes.shape}"
        )
    attributes = np.zeros((len(codes), 0)) if attributes is None else np.asarray(attributes)
    check_names(names, attributes, len(codes))
    unknown = np.isnan(attributes) if attributes.dtype.kind == "f" else np.zeros((), bool)
    if not (np.isin(attributes, (0, 1)) | unknown).all():
        raise ValueError(
            "Argument `attributes` must hold only True and False, or 0 and 1, or NaN for unknown"
        )
    table = np.where(unknown, UNKNOWN, attributes).astype("uint8")
    for name, column in zip(names, table.T):
        if not (column == 0).any() or not (column == 1).any():
            raise ValueError(
                f"The attribute {name!r} is the same in all {len(codes)} images. Training needs "
                "images with the attribute and images without it"
            )
    if len(exclusive) == 1 or not set(exclusive) <= set(names):
        raise ValueError(
            f"Argument `exclusive` must be two or more of: {', '.join(names)}. "
            f"Received: exclusive={exclusive}"
        )
    classes = table[:, np.isin(names, exclusive)] if exclusive else table[:, :0]
    # An image may have none of them: its class may be too rare to be among the names.
    if ((classes == 1).sum(axis=1) > 1).any():
        raise ValueError(
            f"Each image must have no more than one of the attributes {', '.join(exclusive)}"
        )
    return table
