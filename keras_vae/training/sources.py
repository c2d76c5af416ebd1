"""The sources of batches for `fit` and `evaluate`: an array, or images on disk.

A source returns the batches of several steps at once as a `Block`.
"""

import typing

import numpy as np

from keras_vae.datasets.stream import order
from keras_vae.images import aligned_empty


class Block(typing.NamedTuple):
    """The batches of several steps.

    Attributes:
        images: The images that batches are drawn from: the complete data set, held where compiled
            programs can read it (`hold` of the backends), or only the images of these steps.
        rows: int32 ``(steps, rows)``: which of these images form each batch, or the part of it
            that this process reads.
        labels: ``(steps, rows, ...)``, or None; of a model with a condition.
        weights: ``(steps, rows)``, or None.
        size: Images in each batch, those of other processes included.
    """

    images: object
    rows: np.ndarray
    labels: np.ndarray | None
    weights: np.ndarray | None
    size: int


def all_rows(size):
    """Returns which rows of a batch this process reads: all of them."""
    return slice(0, size)


class ArraySource:
    """Batches of an array, in an order drawn by NumPy: the same on every backend.

    Args:
        images: ``(n, height, width, channels)``: a NumPy array, or what `hold` returned for one.
        labels: Labels of the images, ``(n, ...)``, or None.
        weights: Weights of the images, ``(n,)``, or None.
        batch_size: Images in a batch; the last batch of an epoch may be smaller.
        seed: Seeds the order of each epoch; None keeps the order of the array.
        part: A function of the size of a batch that returns the slice of it to read.
    """

    def __init__(self, images, labels, weights, batch_size, seed=None, part=all_rows):
        self.images, self.labels, self.weights = images, labels, weights
        self.batch_size, self.seed, self.part = batch_size, seed, part
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
            rows = rows[:, self.part(batch)]
            columns = [None if c is None else c[rows] for c in (self.labels, self.weights)]
            if self.is_held:
                return Block(self.images, rows.astype("int32"), *columns, batch)
            # Without shuffling a slice, since copying is faster than gathering.
            in_order = self.seed is None and rows.shape[1] == batch
            block = self.images[slice(rows[0, 0], done) if in_order else rows.ravel()]
            return Block(as_float32(block), numbered(rows), *columns, batch)

        return take


class StreamSource:
    """Batches of images on disk, read ahead (`keras_vae.datasets.stream.Rows`).

    Args:
        images, labels, batch_size, seed, part: As those of `ArraySource`.
    """

    def __init__(self, images, labels, batch_size, seed=None, part=all_rows):
        self.images, self.labels, self.part = images, labels, part
        self.batch_size, self.seed = batch_size, seed
        self.steps = -(-len(images) // batch_size)
        self.batch_bytes = batch_size * images[:1].nbytes
        self.batches, self.next = None, None  # next: the number of a batch

    def epoch(self, number, done=0):
        first, left = number * self.steps + done, self.steps - done
        labels = None if self.labels is None else self.in_order(self.labels, number)
        done *= self.batch_size  # from here on a number of images
        last = len(self.images) - (self.steps - 1) * self.batch_size  # size of the last batch
        if self.next != first:
            self.batches = iter(self.images.stream(self.batch_size, self.seed, first, self.part))
            self.next = first

        def take(steps):
            nonlocal left, done
            size, full = self.batch_size, left - (last < self.batch_size)
            if full < 1:  # a smaller last batch is returned alone
                size, full = last, 1
            batches = [next(self.batches) for _ in range(min(steps, full))]
            left -= len(batches)
            self.next += len(batches)
            start, done = done, done + len(batches) * size
            column = None
            if labels is not None:
                column = labels[start:done].reshape(-1, size, *labels.shape[1:])
                column = column[:, self.part(size)]
            block = as_float32(np.concatenate(batches))
            rows = numbered(np.empty((len(batches), len(batches[0]))))
            return Block(block, rows, column, None, size)

        return take

    def in_order(self, column, epoch):
        """Returns a column of the images in the order in which an epoch streams them."""
        return column if self.seed is None else column[order(self.seed, epoch, len(column))]


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
