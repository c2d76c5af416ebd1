"""Where `fit` and `evaluate` take their batches from: an array, or images that stay on disk.

A source returns the batches of several steps at once as a triple:

- the images that batches are taken from: all of the data set, held where compiled programs can
  read them (`hold` of the backends), or else just those of these steps;
- ``rows``, int32 ``(steps, batch)``: which of these images form each batch;
- weights ``(steps, batch)``, or None.
"""

import numpy as np

from keras_vae.images import aligned_empty
from keras_vae.training import inputs


class ArraySource:
    """Batches of an array, in an order drawn by NumPy: the same on every backend.

    Args:
        images: ``(n, height, width, channels)``: a NumPy array, or what `hold` returned for one.
        weights: Of the images, ``(n,)``, or None.
        batch_size: The last batch of an epoch may be smaller.
        seed: Seeds the order of each epoch; None keeps the order of the array.
    """

    def __init__(self, images, weights, batch_size, seed=None):
        self.images, self.weights, self.batch_size, self.seed = images, weights, batch_size, seed
        self.steps = -(-len(images) // batch_size)
        self.is_held = not isinstance(images, np.ndarray)
        # What a step copies.
        self.batch_bytes = 1 if self.is_held else batch_size * images[:1].nbytes

    def epoch(self, number):
        """Returns a function that returns the batches of up to so many next steps."""
        n, size, done = len(self.images), self.batch_size, 0
        order = np.arange(n)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, number)).permutation(n)

        def take(steps):
            nonlocal done
            steps = min(steps, (n - done) // size)
            batch = size if steps else n - done  # the rest at the end is a step of its own
            rows = order[done : done + max(1, steps) * batch].reshape(-1, batch)
            done += rows.size
            weights = None if self.weights is None else self.weights[rows]
            if self.is_held:
                return self.images, rows.astype("int32"), weights
            # A slice where the order is the array's: copying is quicker than gathering.
            block = self.images[slice(rows[0, 0], done) if self.seed is None else rows.ravel()]
            return as_float32(block), numbered(rows), weights

        return take


class StreamSource:
    """Batches of images on disk, read ahead (`keras_vae.datasets.stream.Rows`)."""

    is_held = False

    def __init__(self, images, batch_size, shuffle=False, first_epoch=0):
        stream, self.steps = inputs.stream(images, batch_size, shuffle, first_epoch)
        self.batch_size, self.batches, self.ahead = batch_size, iter(stream), None
        self.batch_bytes = batch_size * images[:1].nbytes

    def epoch(self, number):
        left = self.steps

        def take(steps):
            nonlocal left
            batches = []
            for _ in range(min(steps, left)):
                batch = next(self.batches) if self.ahead is None else self.ahead
                self.ahead = None
                if batches and len(batch) != len(batches[0]):
                    self.ahead = batch  # the smaller one at the end is a step of its own
                    break
                batches.append(batch)
            left -= len(batches)
            block = as_float32(np.concatenate(batches))
            return block, numbered(np.empty((len(batches), len(batches[0])))), None

        return take


def numbered(rows):
    """Returns the rows of a block that holds only these images, in their order."""
    return np.arange(rows.size, dtype="int32").reshape(rows.shape)


def as_float32(images):
    """Returns images with floats as float32, the type that Keras would convert them to."""
    return images.astype("float32", copy=False) if images.dtype.kind == "f" else images


def aligned(images, limit):
    """Returns images in memory that JAX and TensorFlow on a CPU can use without copying it.

    That is a C-contiguous array that begins at a multiple of 64 bytes.

    Args:
        images: ``(n, height, width, channels)``.
        limit: The most bytes that a copy may have.

    Returns:
        `images` if they lie so, a copy, or None if that would be too large.
    """
    images = as_float32(images)
    if images.dtype == bool:  # not every framework takes it from another
        return None
    if images.flags.c_contiguous and images.flags.writeable and images.ctypes.data % 64 == 0:
        return images
    if images.nbytes > limit:
        return None
    copy = aligned_empty(images.shape, images.dtype)
    copy[...] = images
    return copy
