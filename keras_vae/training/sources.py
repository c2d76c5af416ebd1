"""The sources of batches for `fit` and `evaluate`: an array, or images on disk.

A source returns the batches of several steps at once as a triple:

- the images that batches are drawn from: the complete data set, held where compiled programs can
  read it (`hold` of the backends), or only the images of these steps;
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
        weights: Weights of the images, ``(n,)``, or None.
        batch_size: Images in a batch; the last batch of an epoch may be smaller.
        seed: Seeds the order of each epoch; None keeps the order of the array.
    """

    def __init__(self, images, weights, batch_size, seed=None):
        self.images, self.weights, self.batch_size, self.seed = images, weights, batch_size, seed
        self.steps = -(-len(images) // batch_size)
        self.is_held = not isinstance(images, np.ndarray)
        # Bytes of images that a step copies.
        self.batch_bytes = 1 if self.is_held else batch_size * images[:1].nbytes

    def epoch(self, number):
        """Returns a function that returns the batches of the next steps, at most `steps`."""
        n, size, done = len(self.images), self.batch_size, 0
        order = np.arange(n)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, number)).permutation(n)

        def take(steps):
            nonlocal done
            steps = min(steps, (n - done) // size)
            batch = size if steps else n - done  # a smaller last batch is returned alone
            rows = order[done : done + max(1, steps) * batch].reshape(-1, batch)
            done += rows.size
            weights = None if self.weights is None else self.weights[rows]
            if self.is_held:
                return self.images, rows.astype("int32"), weights
            # Without shuffling a slice, since copying is faster than gathering.
            block = self.images[slice(rows[0, 0], done) if self.seed is None else rows.ravel()]
            return as_float32(block), numbered(rows), weights

        return take


class StreamSource:
    """Batches of images on disk, read ahead (`keras_vae.datasets.stream.Rows`)."""

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
                    self.ahead = batch  # a smaller last batch is returned alone
                    break
                batches.append(batch)
            left -= len(batches)
            block = as_float32(np.concatenate(batches))
            return block, numbered(np.empty((len(batches), len(batches[0])))), None

        return take


def numbered(rows):
    """Returns the numbers of these rows in a block that holds exactly them, in this order."""
    return np.arange(rows.size, dtype="int32").reshape(rows.shape)


def as_float32(images):
    """Returns float images as float32, as Keras would, and other images unchanged."""
    return images.astype("float32", copy=False) if images.dtype.kind == "f" else images


def aligned(images, limit):
    """Returns images in memory that JAX and TensorFlow can use on a CPU without a copy.

    That is a C-contiguous array that starts at a multiple of 64 bytes.

    Args:
        images: ``(n, height, width, channels)``.
        limit: How many bytes a copy may take.

    Returns:
        `images` if they are aligned, or an aligned copy; None if a copy would be too large, and for
        bool images.
    """
    images = as_float32(images)
    if images.dtype == bool:  # not every framework accepts bool memory of another
        return None
    if images.flags.c_contiguous and images.flags.writeable and images.ctypes.data % 64 == 0:
        return images
    if images.nbytes > limit:
        return None
    copy = aligned_empty(images.shape, images.dtype)
    copy[...] = images
    return copy
