"""Images that stay on disk: read in batches while the model trains, so that memory stays flat."""

import copy
import functools

import numpy as np

from keras_vae.datasets.source import read_options

WITHOUT_END = 2**50  # batches
AT_ONCE = 4096  # images


class Rows:
    """Some images of an ``.npy`` file: the first axis is indexed like an array's.

    `fit`, `evaluate`, `predict` and `encode` of the package's models take them in place of an
    array and hold some batches in memory at a time.

    Args:
        path: The file.
        rows: Which of its images, in which order.
        seed: What the order of training starts from.

    Example:

    ```python
    images = keras_vae.datasets.load("celeb_a", memory=0).train.images
    images[:16]  # a NumPy array
    model.fit(images, batch_size=128)
    ```
    """

    def __init__(self, path, rows, seed=0):
        self.rows, self.seed = rows, seed
        self.orders = 0  # how many streams in random order there have been
        # Kept open: the file can be read to the end even if the cache is cleared meanwhile.
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
            raise IndexError("images that stay on disk have one index; take the rest of an array")
        # A map of its own for each batch: what was read through it counts as memory of this
        # process only until the map is gone.
        images = np.asarray(np.memmap(self.file, mode="r", **self._whole))
        rows = self.rows[index]
        return images[rows] if np.ndim(rows) else images[rows].copy()

    def __array__(self, dtype=None, copy=None):
        return self.to_memory().astype(dtype or self.dtype, copy=False)

    def to_memory(self):
        """Returns the images as an array; they are read from front to back, once."""
        images = np.empty(self.shape, self.dtype)
        order = np.argsort(self.rows)
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            images[some] = self[some]
        return images

    def stream(self, batch_size, shuffle=False, first_epoch=0):
        """Returns the images as a stream without an end, read ahead in parallel by grain.

        Args:
            batch_size: Images in a batch; the last one of an epoch may be smaller.
            shuffle: Whether the order is random, another one in each epoch and at each call.
                The same seed and the same calls give the same order on every backend.
            first_epoch: The number of the first epoch.

        Returns:
            A `grain.IterDataset` of uint8 ``(batch, height, width, channels)``.
        """
        import grain

        steps = -(-len(self) // batch_size)
        call, self.orders = self.orders, self.orders + shuffle

        @functools.lru_cache(2)
        def order(epoch):
            # NumPy's, since grain's own shuffle of a small set leaves runs such as 29, 30, 31.
            return np.random.default_rng((self.seed, call, epoch)).permutation(len(self))

        def batch(number):
            epoch, step = divmod(number, steps)
            part = slice(step * batch_size, (step + 1) * batch_size)
            return self[order(first_epoch + epoch)[part] if shuffle else part]

        return grain.MapDataset.range(WITHOUT_END).map(batch).to_iter_dataset(read_options())


def head(images, n):
    """Returns the first n images: of an array a view, of `Rows` others that stay on disk."""
    if not isinstance(images, Rows):
        return images[:n]
    first = copy.copy(images)  # of the same open file
    first.rows = images.rows[:n]
    first.shape = (len(first.rows), *images.shape[1:])
    return first
