"""Learning a `Flow` from the codes of training images."""

import math

import keras
import numpy as np

from keras_vae import checks
from keras_vae.latent.flow import UNKNOWN, Flow
from keras_vae.training import loop, recipes
from keras_vae.training.sources import numbered

LEAST = 10  # codes
BATCH, RATE, STEPS = 256, 2e-3, 4000
MOST_PASSES = 200  # over the codes, so that few codes are not learned by heart


def fit_flow(
    codes,
    attributes=None,
    names=(),
    exclusive=(),
    seed=0,
    steps=None,
    width=None,
    progress=None,
):
    """Returns a flow from noise to codes, trained on those of training images.

    Args:
        codes: ``(n, latent_dim)``, `z_mean` of training images, 10 or more.
        attributes: bool or 0 and 1, ``(n, number of attributes)``; NaN, in a float array, is
            unknown. None: there are none.
        names: What the attributes are called.
        exclusive: Names of those of which an image has exactly one, such as classes.
        seed: A non-negative integer, where training starts from.
        steps: Of training, with 256 codes each. By default 4,000; fewer for few codes.
        width: Of the hidden layers. By default 384 for 64 latents or fewer, 768 for 256.
        progress: ``progress(what, total)`` begins a bar and returns what to call with each
            number of steps done; or None.

    Returns:
        A `Flow`.

    Raises:
        ValueError: If an argument is unusable, or an attribute is the same in all images.

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
    checks.check_count("seed", seed)
    n, latent_dim = codes.shape
    more = math.sqrt(max(1, latent_dim / 64))  # latents want a wider network
    if steps is None:
        steps = min(STEPS, math.ceil(MOST_PASSES * n / BATCH))
    if width is None:
        width = 64 * round(6 * min(more, 3))
    checks.check_size("steps", steps)
    checks.check_size("width", width)
    flow = Flow(latent_dim, names, exclusive, n, width, seed)
    flow.middle.assign(codes.mean(axis=0))
    flow.spread.assign(np.maximum(codes.std(axis=0), 1e-6))
    if names:
        flow.table.assign(table)
    signs = np.where(table == UNKNOWN, 0, 2.0 * table - 1).astype("float32")
    rows = np.concatenate([flow._standardised(codes), signs], axis=1)
    flow.compile(recipes.make_optimizer(RATE, steps))
    flow.optimizer.build(flow.trainable_variables)
    callbacks = [Steps(progress("flow", steps))] if progress else []
    loop.fit(flow, Draws(flow.hold(rows), steps, seed), None, callbacks, 0, 1, 0, 1)
    trained = Flow.from_config(flow.get_config())  # without the optimizer
    trained.set_weights(flow.get_weights())
    return trained


class Draws:
    """A source of batches for `loop.fit`: one epoch of a number of random batches."""

    batch_size, batch_bytes = BATCH, 1

    def __init__(self, rows, steps, seed):
        self.rows, self.steps, self.seed = rows, steps, seed

    def epoch(self, number):
        rng, left = np.random.default_rng(self.seed), self.steps

        def take(steps):
            nonlocal left
            steps = min(steps, left)
            left -= steps
            rows = rng.integers(len(self.rows), size=(steps, BATCH))
            if isinstance(self.rows, np.ndarray):  # there was no room to hold them
                return self.rows[rows.ravel()], numbered(rows), None
            return self.rows, rows.astype("int32"), None

        return take


class Steps(keras.callbacks.Callback):
    """Says how many steps were just done."""

    def __init__(self, told):
        super().__init__()
        self.told, self.done = told, 0

    def on_train_batch_end(self, batch, logs=None):
        self.told(batch + 1 - self.done)
        self.done = batch + 1


def check(codes, attributes, names, exclusive):
    """Returns the attributes as a table of uint8: 0, 1 and `UNKNOWN`; or raises `ValueError`."""
    if codes.ndim != 2 or len(codes) < LEAST or not codes.shape[1] or not np.isfinite(codes).all():
        raise ValueError(
            f"Argument `codes` must be finite, (n, latent_dim), {LEAST} or more. "
            f"Received: shape={codes.shape}"
        )
    attributes = np.zeros((len(codes), 0)) if attributes is None else np.asarray(attributes)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError(
            f"Argument `names` must be text, and name nothing twice. Received: {names}"
        )
    if attributes.shape != (len(codes), len(names)):
        raise ValueError(
            f"Argument `attributes` must have the shape (n, number of names), here "
            f"{(len(codes), len(names))}. Received: shape={attributes.shape}"
        )
    unknown = np.isnan(attributes) if attributes.dtype.kind == "f" else np.zeros((), bool)
    if not (np.isin(attributes, (0, 1)) | unknown).all():
        raise ValueError(
            "Argument `attributes` must hold only True and False, or 0 and 1, or NaN for unknown"
        )
    table = np.where(unknown, UNKNOWN, attributes).astype("uint8")
    for name, column in zip(names, table.T):
        if not (column == 0).any() or not (column == 1).any():
            raise ValueError(
                f"The attribute {name!r} is the same in all {len(codes)} images, so that there is "
                "nothing to learn of it"
            )
    if len(exclusive) == 1 or not set(exclusive) <= set(names):
        raise ValueError(
            f"Argument `exclusive` must be two or more of: {', '.join(names)}. "
            f"Received: exclusive={exclusive}"
        )
    group = table[:, np.isin(names, exclusive)] if exclusive else table[:, :0]
    if ((group == 1).sum(axis=1) > 1).any():  # none: a class too rare to be among the names
        raise ValueError(
            f"Each image must have no more than one of the attributes {', '.join(exclusive)}"
        )
    return table
