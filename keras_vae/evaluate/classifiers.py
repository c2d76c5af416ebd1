"""Classifiers that say what a picture shows, trained on real images: the judges of edits.

A judge must not have learned what the model may have learned, that attributes go together. So
each attribute is trained with weights of its own, under which the others say as little about it
as the data allow. It must judge photos and a model's smooth drawings alike, so it sees its images
blurred, too.
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

SIDE = 64  # larger images are shrunk to about that
FEATURES = 64
MOST = 10_000  # images to train on, and fewer if they are large
MOST_BYTES = 500_000_000
PICTURES = 40_000  # to learn from in all epochs together
BATCH = 128
LEAST = 10  # images with an attribute and without, for it to be learned
EFFECTIVE = 0.7  # share of a group's images that its weights must leave in effect
SMALLEST = 8  # images that are blurred in training
PENALTIES = (0.1, 0.3, 1, 3, 10, 30)


@dataclass(frozen=True, eq=False)
class Classifier:
    """Says which attributes pictures show; `train_classifier` makes it.

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
        """Returns all that the network says of pictures.

        Args:
            images: ``(n, height, width, channels)``, uint8 or float pixels in [0, 1].
            batch_size: How many to work on at once.

        Returns:
            NumPy float32: ``layout`` ``(n, d)``, its last map of the picture, of length 1, by
            which a picture can be told from thousands; ``features`` ``(n, 64)``, what the
            verdicts are made from; and ``logits`` ``(n, number of attributes)``, above 0 where
            the picture shows the attribute.
        """
        return in_batches(self.program, np.asarray(images), batch_size)

    def logits(self, images, batch_size=256):
        """Returns the last of what `look` returns."""
        return self.look(images, batch_size)[2]

    @cached_property
    def digest(self):
        """A short text that is another one for another classifier."""
        content = hashlib.sha256("\n".join(self.names).encode())
        for weight in self.network.get_weights():
            content.update(np.ascontiguousarray(weight).tobytes())
        return content.hexdigest()[:16]


def train_classifier(images, attributes, names, seed=0, pictures=PICTURES, known=None):
    """Returns a classifier of attributes, trained on real images.

    Half of the weight is on images that have an attribute, and half on those that lack it; for
    the rest see `balanced_weights`. Values that are not known have no weight.

    Args:
        images: uint8 ``(n, height, width, channels)``; in memory or streamed, the first 10,000.
        attributes: bool ``(n, number of attributes)``.
        names: What they are called. Those that fewer than 10 images are known to have, or to lack,
            are left out.
        seed: Of the weights and the order of the images.
        pictures: How many to learn from in all epochs together.
        known: bool, of the shape of `attributes`: which of them are known; None is all.

    Returns:
        A `Classifier`, or None if no attribute is left.

    Example:

    ```python
    judge = train_classifier(data.train.images, data.train.attributes, data.attribute_names)
    ```
    """
    images, attributes, names, known = usable(images, attributes, names, known)
    if not names:
        return None
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")  # whatever the model is trained in
    random.seed(seed)  # where Keras takes the seeds of weights and dropout from
    rng = np.random.default_rng(seed)
    try:
        network = build_network(images.shape[1:], len(names))
        trained = keras.Model(network.input, network.output[2])
        epochs = max(1, round(pictures / len(images)))
        steps = epochs * -(-len(images) // BATCH)
        trained.compile(make_optimizer(3e-3, steps), weighted_cross_entropy)
        targets = np.concatenate([attributes, balanced_weights(attributes, known)], axis=1)
        for _ in range(epochs):  # in an order of its own, the same on every backend
            order = rng.permutation(len(images))
            some = images[order], targets[order].astype("float32")
            trained.fit(*some, batch_size=BATCH, shuffle=False, verbose=0)
    finally:
        random.setstate(state)
        keras.config.set_dtype_policy(policy)
    return Classifier(network, names)


def usable(images, attributes, names, known=None):
    """Returns the images to train on, the attributes that can be learned, their names, and which
    of their values are known."""
    n = min(MOST, max(1, MOST_BYTES // max(1, math.prod(images.shape[1:]))))
    known = checks.as_known(known, np.shape(attributes))[:n]
    attributes = np.asarray(attributes[:n], bool) & known
    has = attributes.sum(axis=0)
    kept = np.flatnonzero(np.minimum(has, known.sum(axis=0) - has) >= LEAST)
    some = attributes[:, kept], tuple(names[j] for j in kept), known[:, kept]
    return np.asarray(images[:n]), *some


def build_network(image_shape, outputs):
    """Returns a small network from pixels in 0..255 to ``(layout, features, logits)``.

    It looks at squares of pixels, then at 2x2 neighbours, then at 2x2 of those, each by a dense
    layer: nothing but products of matrices, which train twice as quickly on a CPU as
    convolutions, and judge as well.
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
    # Without a seed of its own it would draw from torch's global generator there.
    x = layers.Dropout(0.3, seed=random.randint(1, 10**9))(x)
    features = normalise_and_activate(layers.Dense(FEATURES)(x), "silu")
    return keras.Model(images, [layout, features, layers.Dense(outputs, name="logits")(features)])


def squares(x, side):
    """Returns maps ``(n, h, w, c)`` cut into squares: ``(n, h / side, w / side, side^2 c)``."""
    height, width, count = x.shape[1] // side, x.shape[2] // side, x.shape[3]
    x = layers.Reshape((height, side, width, side, count))(x)
    return layers.Reshape((height, width, side**2 * count))(layers.Permute((1, 3, 2, 4, 5))(x))


@keras.saving.register_keras_serializable(package="keras_vae")
class Blur(layers.Layer):
    """Blurs images in training, each by another amount, from not at all to like a VAE's."""

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
    """Returns images under the binomial filter 1 4 6 4 1 in both directions, `reach` apart."""
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
    """Returns the cross-entropy of each image; targets are truths, then weights, side by side."""
    count = logits.shape[-1]
    truths, weights = targets[:, :count], targets[:, count:]
    return ops.mean(weights * (ops.softplus(logits) - truths * logits), axis=-1)


def balanced_weights(attributes, known=None):
    """Returns weights under which each attribute says little about the others.

    For each attribute, those that have it and those that lack it are weighted so that all other
    attributes are about as frequent in either group as in all images: entropy balancing
    (Hainmueller 2012, https://doi.org/10.1093/pan/mpr025) with a ridge penalty, the smallest of
    0.1 to 30 that leaves an effective sample size (Kish) of 0.7 of the group. Each group has
    half of the weight.

    Args:
        attributes: bool ``(n, number of attributes)``, none of them the same in all rows.
        known: bool, the same shape: which of them are known; None is all. Of the others, what is
            not known counts as the mean.

    Returns:
        float64 ``(n, number of attributes)``, 0 where nothing is known; the mean of each column
        is 1.

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
    with threadpool_limits(1, "blas"):  # small products: threads would wait for each other
        for j in range(count):
            others = np.delete(standard, j, axis=1)
            for rows in (attributes[:, j] & known[:, j], ~attributes[:, j] & known[:, j]):
                weights[rows, j] = n / 2 * balanced(others[rows])
    return weights


def balanced(others):
    """Returns weights of some images, in sum 1, that bring the mean of columns near to 0."""
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
