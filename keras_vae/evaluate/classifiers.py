"""Classifiers of attributes, trained on real images: the judges of edits.

A model may have learned that attributes are correlated, and its judge must not have learned the
same. So each attribute is trained with its own sample weights, which remove its correlation with
the others as far as the data allow. A judge must treat photos and a model's smooth reconstructions
alike, so some of its training images are blurred.
"""

import hashlib
import math
import random
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from keras import layers, ops

from keras_vae import checks
from keras_vae.images import to_pixels
from keras_vae.networks import normalise_and_activate
from keras_vae.training.backends import without_gradient
from keras_vae.training.batches import in_batches
from keras_vae.training.recipes import make_optimizer

SIDE = 64  # side in pixels to which larger images are reduced, approximately
FEATURES = 64
MOST = 10_000  # images to train on, fewer if they exceed MOST_BYTES
MOST_BYTES = 500_000_000
PICTURES = 40_000  # images processed over all epochs
BATCH = 128
LEAST = 10  # images with the attribute, and without it, needed to learn it
EFFECTIVE = 0.7  # smallest effective sample size of a weighted class, as a share of its size
SMALLEST = 8  # side in pixels below which images are not blurred
PENALTIES = (0.1, 0.3, 1, 3, 10, 30)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A classifier of attributes, returned by `train_classifier`.

    Attributes:
        network: Keras model, images ``(n, height, width, channels)``, pixels in 0..255, to
            ``(layout, features, logits)``.
        names: The attribute of each logit.

    Example:

    ```python
    judge.logits(images) > 0  # bool (n, number of attributes)
    ```
    """

    network: keras.Model
    names: tuple

    @cached_property
    def program(self):
        return without_gradient(self.network, lambda x: self.network(255 * to_pixels(x)))

    def look(self, images, batch_size=256):
        """Returns the outputs of the network for images.

        Args:
            images: ``(n, height, width, channels)``, uint8 or float pixels in [0, 1].
            batch_size: Images to process at once.

        Returns:
            NumPy float32: ``layout`` ``(n, d)``, the last spatial map, normalised to length 1,
            which identifies a picture among thousands; ``features`` ``(n, 64)``, the input of the
            last layer; and ``logits`` ``(n, number of attributes)``, above 0 where the picture
            has the attribute.

        Example:

        ```python
        layout, features, logits = judge.look(images)
        ```
        """
        return in_batches(self.program, np.asarray(images), batch_size)

    def logits(self, images, batch_size=256):
        """Returns the logits only, the last output of `look`.

        Args:
            images: ``(n, height, width, channels)``, uint8 or float pixels in [0, 1].
            batch_size: Images to process at once.

        Returns:
            NumPy float32 ``(n, number of attributes)``, above 0 where the picture has the
            attribute.

        Example:

        ```python
        has = judge.logits(images) > 0
        ```
        """
        return self.look(images, batch_size)[2]

    @cached_property
    def digest(self):
        """A short hash of the names and weights."""
        content = hashlib.sha256("\n".join(self.names).encode())
        for weight in self.network.get_weights():
            content.update(np.ascontiguousarray(weight).tobytes())
        return content.hexdigest()[:16]


def train_classifier(images, attributes, names, seed=0, pictures=PICTURES, known=None):
    """Returns a classifier of attributes, trained on real images.

    For each attribute, images with and without it have half of the total weight each;
    `balanced_weights` describes the weights within each half. Unknown values have weight 0.

    Args:
        images: uint8 ``(n, height, width, channels)``, in memory or streamed; at most the first
            10,000 are used.
        attributes: bool ``(n, number of attributes)``.
        names: Names of the attributes. An attribute is skipped if fewer than 10 images are known
            to have it, or fewer than 10 are known to lack it.
        seed: Determines the initial weights and the order of the images.
        pictures: Number of images to process over all epochs.
        known: bool, of the shape of `attributes`: which values are known; None means all.

    Returns:
        A `Classifier`, or None if no attribute can be learned.

    Example:

    ```python
    train, names = data.train, data.attribute_names
    judge = evaluate.train_classifier(train.images, train.attributes, names)
    ```
    """
    images, attributes, names, known = usable(images, attributes, names, known)
    if not names:
        return None
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")  # independent of the model's policy
    random.seed(seed)  # Keras draws the seeds of weights and dropout from this generator
    rng = np.random.default_rng(seed)
    try:
        network = build_network(images.shape[1:], len(names))
        trained = keras.Model(network.input, network.output[2])
        epochs = max(1, round(pictures / len(images)))
        steps = epochs * -(-len(images) // BATCH)
        trained.compile(make_optimizer(3e-3, steps), weighted_cross_entropy)
        targets = np.concatenate([attributes, balanced_weights(attributes, known)], axis=1)
        for _ in range(epochs):  # shuffled here, to have the same order on every backend
            order = rng.permutation(len(images))
            some = images[order], targets[order].astype("float32")
            trained.fit(*some, batch_size=BATCH, shuffle=False, verbose=0)
    finally:
        random.setstate(state)
        keras.config.set_dtype_policy(policy)
    return Classifier(network, names)


def usable(images, attributes, names, known=None):
    """Returns images, attributes, names and known values to train on, without rare attributes."""
    n = min(MOST, max(1, MOST_BYTES // max(1, math.prod(images.shape[1:]))))
    known = checks.as_known(known, np.shape(attributes))[:n]
    attributes = np.asarray(attributes[:n], bool) & known
    has = attributes.sum(axis=0)
    kept = np.flatnonzero(np.minimum(has, known.sum(axis=0) - has) >= LEAST)
    some = attributes[:, kept], tuple(names[j] for j in kept), known[:, kept]
    return np.asarray(images[:n]), *some


def build_network(image_shape, outputs):
    """Returns a small network from pixels in 0..255 to ``(layout, features, logits)``.

    Dense layers on patches of pixels, then on blocks of 2x2 patches, then on 2x2 of those blocks.
    On a CPU these matrix products train twice as fast as convolutions, at the same accuracy.
    """
    x = images = keras.Input(tuple(map(int, image_shape)), name="image")
    shrink = max(1, max(image_shape[:2]) // SIDE)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink, padding="same", data_format="channels_last")(x)
    x = layers.Rescaling(1 / 127.5, -1)(Blur()(x))
    patch = max(1, round(min(x.shape[1:3]) / 16))
    height, width = (-side % (4 * patch) for side in x.shape[1:3])
    x = layers.ZeroPadding2D(((0, height), (0, width)), data_format="channels_last")(x)
    for side, count in ((patch, 64), (2, 128), (2, 192)):
        x = normalise_and_activate(layers.Dense(count)(squares(x, side)), "silu")
    x = layers.Flatten()(x)
    layout = layers.UnitNormalization(name="layout")(x)
    # Without an explicit seed, dropout on torch would use torch's global generator.
    x = layers.Dropout(0.3, seed=random.randint(1, 10**9))(x)
    features = normalise_and_activate(layers.Dense(FEATURES)(x), "silu")
    return keras.Model(images, [layout, features, layers.Dense(outputs, name="logits")(features)])


def squares(x, side):
    """Returns maps ``(n, h, w, c)`` as squares, ``(n, h / side, w / side, side^2 c)``."""
    height, width, count = x.shape[1] // side, x.shape[2] // side, x.shape[3]
    x = layers.Reshape((height, side, width, side, count))(x)
    return layers.Reshape((height, width, side**2 * count))(layers.Permute((1, 3, 2, 4, 5))(x))


@keras.saving.register_keras_serializable(package="keras_vae")
class Blur(layers.Layer):
    """Blurs images in training, each by a random amount: from none to that of a VAE's output."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator()

    def call(self, x, training=False):
        side = min(x.shape[1:3])
        if not training or side < SMALLEST:
            return x
        wide = max(1, side // 32)
        amount = keras.random.uniform((ops.shape(x)[0], 1, 1, 1), -1, 3, seed=self.seeds)
        for step, reach in enumerate((1, wide, wide)):
            share = ops.clip(amount - step, 0, 1)
            x = x + share * (blurred(x, reach) - x)
        return x


def blurred(x, reach):
    """Returns images filtered by 1 4 6 4 1 in both directions, with taps `reach` pixels apart."""
    for axis in (1, 2):
        margin = [(0, 0)] * 4
        margin[axis] = (2 * reach, 2 * reach)
        padded = ops.pad(x, margin, mode="symmetric")
        total = 0.0
        for step, weight in enumerate((1, 4, 6, 4, 1)):
            part = slice(step * reach, step * reach + x.shape[axis])
            total += weight / 16 * (padded[:, part] if axis == 1 else padded[:, :, part])
        x = total
    return x


def weighted_cross_entropy(targets, logits):
    """Returns the cross-entropy of each image; `targets` are labels and weights, concatenated."""
    count = logits.shape[-1]
    truths, weights = targets[:, :count], targets[:, count:]
    return ops.mean(weights * (ops.softplus(logits) - truths * logits), axis=-1)


def balanced_weights(attributes, known=None):
    """Returns sample weights under which each attribute is nearly uncorrelated with the others.

    For each attribute, the images with it and those without it are weighted so that every other
    attribute is about as frequent among them as among all images: entropy balancing
    (Hainmueller 2012, https://doi.org/10.1093/pan/mpr025) with a ridge penalty, the smallest of
    0.1 to 30 that keeps an effective sample size (Kish) of 0.7 times the number of images. Images
    with and without the attribute have half of the total weight each.

    Args:
        attributes: bool ``(n, number of attributes)``, none constant over all rows.
        known: bool, the same shape: which values are known; None means all. Unknown values of
            the other attributes are replaced by the mean.

    Returns:
        float64 ``(n, number of attributes)``, 0 where unknown; the mean of each column is 1.

    Example:

    ```python
    weights = balanced_weights(attributes)
    np.average(attributes, axis=0, weights=weights[:, 0] * attributes[:, 0])
    ```
    """
    from threadpoolctl import threadpool_limits

    n, count = attributes.shape
    known = checks.as_known(known, attributes.shape)
    share = (attributes & known).sum(axis=0) / known.sum(axis=0)
    standard = np.where(known, attributes - share, 0) / np.sqrt(share * (1 - share))
    weights = np.zeros((n, count))
    with threadpool_limits(1, "blas"):  # threads only slow down such small products
        for j in range(count):
            others = np.delete(standard, j, axis=1)
            for rows in (attributes[:, j] & known[:, j], ~attributes[:, j] & known[:, j]):
                weights[rows, j] = n / 2 * balanced(others[rows])
    return weights


def balanced(others):
    """Returns weights with sum 1 under which the mean of each column is close to 0."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp, softmax

    for penalty in PENALTIES:

        def dual(slopes, penalty=penalty):
            scores = others @ slopes
            value = logsumexp(scores) + penalty / 2 * slopes @ slopes
            return value, softmax(scores) @ others + penalty * slopes

        start = np.zeros(others.shape[1])
        weights = softmax(others @ minimize(dual, start, jac=True, method="L-BFGS-B").x)
        if 1 / np.sum(weights**2) >= EFFECTIVE * len(weights):
            break
    return weights
