"""Where `fit` and `evaluate` take their batches from: an array, or images that stay on disk.

A source hands out blocks ``(steps, batch, height, width, channels)`` for several steps at once, so
that memory holds the data once and a few batches more.
"""

import numpy as np

from keras_vae.training import inputs


class ArraySource:
    """Batches of an array, in an order of NumPy's: the same on every backend.

    Args:
        images: ``(n, height, width, channels)``.
        weights: Of the images, ``(n,)``, or None.
        batch_size: The last batch of an epoch may be smaller.
        seed: What the order of each epoch starts from, or None: as they are.
    """

    def __init__(self, images, weights, batch_size, seed=None):
        self.images, self.weights, self.batch_size, self.seed = images, weights, batch_size, seed
        self.steps = -(-len(images) // batch_size)
        self.batch_bytes = batch_size * images[:1].nbytes

    def epoch(self, number):
        """Returns a function that gives the next block, of up to so many steps, and weights."""
        n, size, done = len(self.images), self.batch_size, 0
        order = None
        if self.seed is not None:
            order = np.random.default_rng((self.seed, number)).permutation(n)

        def take(steps):
            nonlocal done
            steps = min(steps, (n - done) // size)
            batch = size if steps else n - done  # what is left at the end is a step by itself
            steps = max(1, steps)
            part = slice(done, done + steps * batch)
            rows = part if order is None else order[part]
            done = part.stop
            return tuple(
                None if array is None else as_block(array[rows], steps)
                for array in (self.images, self.weights)
            )

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
                    self.ahead = batch  # the smaller one at the end is a step by itself
                    break
                batches.append(batch)
            left -= len(batches)
            return as_block(np.concatenate(batches), len(batches)), None

        return take


def as_block(rows, steps):
    """Returns ``(steps, batch, ...)``; floats as float32, which is what Keras would make them."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
        rows = rows.astype("float32", copy=False)
    return rows.reshape(steps, len(rows) // steps, *rows.shape[1:])
