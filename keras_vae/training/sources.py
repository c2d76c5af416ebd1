"""The sources of batches for `fit` and `evaluate`: an array, or images on disk.

A source returns the batches of several steps at once as a triple:

- the images that batches are drawn from: the complete data set, held where compiled programs can
  read it (`hold` of the backends), or only the images of these steps;
- ``rows``, int32 ``(steps, batch)``: which of these images form each batch;
- weights ``(steps, batch)``, or None.
"""

import numpy as np

from keras_vae.datasets.stream import order
from keras_vae.images import aligned_empty


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

    def epoch(self, number, done=0):
        """Returns a function that returns the batches of the next steps, at most `steps`.

        Args:
            number: The epoch, counted from 0.
            done: How many of its steps to omit.
        """
        n, size = len(self.images), self.batch_size
        ordered = np.arange(n) if self.seed is None else order(self.seed, number, n)
        done *= size  # from here on a number of images

        def take(steps):
            nonlocal done
            steps = min(steps, (n - done) // size)
            batch = size if steps else n - done  # a smaller last batch is returned alone
            rows = ordered[done : done + max(1, steps) * batch].reshape(-1, batch)
            done += rows.size
            weights = None if self.weights is None else self.weights[rows]
            if self.is_held:
                return self.images, rows.astype("int32"), weights
            # Without shuffling a slice, since copying is faster than gathering.
            block = self.images[slice(rows[0, 0], done) if self.seed is None else rows.ravel()]
            return as_float32(block), numbered(rows), weights

        return take


class StreamSource:
    """Batches of images on disk, read ahead (`keras_vae.datasets.stream.Rows`).

    Args:
        images, batch_size, seed: As those of `ArraySource`.
    """

    def __init__(self, images, batch_size, seed=None):
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.steps = -(-len(images) // batch_size)
        self.batch_bytes = batch_size * images[:1].nbytes
        self.batches, self.ahead, self.next = None, None, None  # next: the number of a batch

    def epoch(self, number, done=0):
        first, left = number * self.steps + done, self.steps - done
        if self.next != first:
            self.batches = iter(self.images.stream(self.batch_size, self.seed, first))
            self.ahead, self.next = None, first

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
            self.next += len(batches)
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
