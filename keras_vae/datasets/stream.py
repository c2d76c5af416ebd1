"""Images that stay on disk and are read in batches during training, with constant memory."""

import copy
import functools

import numpy as np

from keras_vae.datasets.source import read_options
from keras_vae.images import aligned_empty

WITHOUT_END = 2**50  # number of batches of an endless stream
AT_ONCE = 4096  # images copied at once


class Rows:
    """Images of an ``.npy`` file, indexed along the first axis like an array.

    `fit`, `evaluate`, `predict` and `encode` of the package's models accept them in place of an
    array, and hold only a few batches in memory.

    Args:
        path: Path of the file.
        rows: Indices of the images, in order.

    Example:

    ```python
    images = keras_vae.datasets.load("celeb_a", memory=0).train.images
    images[:16]  # a NumPy array
    model.fit(images, batch_size=128)
    ```
    """

    def __init__(self, path, rows):
        self.rows = rows
        # Kept open, so that the file remains readable if the cache is cleared meanwhile.
        self.file = open(path, "rb")  # noqa: SIM115
        array = np.load(path, mmap_mode="r")
        if not array.flags.c_contiguous:
            raise ValueError(f"{path} is in Fortran order; images on disk must be in C order")
        self.shape, self.dtype = (len(rows), *array.shape[1:]), array.dtype
        self._whole = {"dtype": array.dtype, "offset": array.offset, "shape": array.shape}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, tuple):
            raise IndexError("images on disk take one index; index the resulting array further")
        # A new memory map for each batch: pages read through a map count as memory of this
        # process until the map is closed.
        images = np.asarray(np.memmap(self.file, mode="r", **self._whole))
        rows = self.rows[index]
        return images[rows] if np.ndim(rows) else images[rows].copy()

    def __array__(self, dtype=None, copy=None):
        return self.to_memory().astype(dtype or self.dtype, copy=False)

    def to_memory(self):
        """Returns the images as an array; the file is read once, from front to back."""
        images = aligned_empty(self.shape, self.dtype)
        order = np.argsort(self.rows)
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            images[some] = self[some]
        return images

    def stream(self, batch_size, seed=None, first=0, part=None):
        """Returns the images as an endless stream, read ahead in parallel by grain.

        Args:
            batch_size: Images in a batch; the last batch of an epoch may be smaller.
            seed: Seeds the order of each epoch, see `order`; None keeps the order of the images.
            first: Number of the first batch, counted from the beginning of the first epoch.
            part: A function of the size of a batch that returns which slice of it to read; None
                reads all of it.

        Returns:
            A `grain.IterDataset` of uint8 ``(batch, height, width, channels)``.
        """
        import grain

        steps = -(-len(self) // batch_size)

        @functools.lru_cache(2)
        def order_of(epoch):
            return order(seed, epoch, len(self))

        def batch(number):
            epoch, step = divmod(number, steps)
            start, stop = step * batch_size, min((step + 1) * batch_size, len(self))
            if part is not None:
                own = part(stop - start)
                start, stop = start + own.start, start + own.stop
            return self[slice(start, stop) if seed is None else order_of(epoch)[start:stop]]

        numbers = grain.MapDataset.range(first, WITHOUT_END)
        return numbers.map(batch).to_iter_dataset(read_options())


def order(seed, epoch, n):
    """Returns the order of `n` images in an epoch, a function of seed and epoch.

    NumPy's permutation, since grain's shuffle of a small set leaves runs such as 29, 30, 31.
    """
    return np.random.default_rng((seed, epoch)).permutation(n)


def head(images, n):
    """Returns the first n images: a view of an array, or `Rows` if they stay on disk."""
    if not isinstance(images, Rows):
        return images[:n]
    first = copy.copy(images)  # shares the open file
    first.rows = images.rows[:n]
    first.shape = (len(first.rows), *images.shape[1:])
    return first
