"""Data sets by name. `load` gives train, validation and test images as uint8 arrays.

Validation steers the training, test is for the final numbers only.
"""

from dataclasses import dataclass

import numpy as np

TFDS_NAMES = ("mnist",)
NAMES = ("faces", *TFDS_NAMES)


@dataclass(frozen=True)
class Split:
    """Some images and what is known of them.

    Attributes:
        images: uint8 ``(n, height, width, channels)``, pixels in 0..255.
        labels: Class of each image ``(n,)``, an index into `Dataset.label_names`; or None.
        attributes: bool ``(n, number of attributes)``, a column for each of
            `Dataset.attribute_names`; or None.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """Returns the split with only these rows (a slice or an array of indices)."""
        parts = (self.images, self.labels, self.attributes)
        return Split(*(None if part is None else part[rows] for part in parts))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test `Split`, and the names of labels and attributes."""

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple = ()
    attribute_names: tuple = ()

    @property
    def image_shape(self):
        return self.train.images.shape[1:]


def load(name, limit=None, seed=0):
    """Returns a data set.

    Args:
        name: One of `NAMES`: ``"faces"`` is drawn by the package, ``"mnist"`` comes from TFDS.
        limit: If given, keep at most that many images for training and as many for
            validation, picked after the shuffle. The test images always stay the same.
        seed: Shuffles the images that are not for testing before they are split into train
            and validation.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: If the name is unknown, the limit is unusable or the data cannot be had.

    Example:

    ```python
    faces = keras_vae.datasets.load("faces", limit=1000)
    faces.train.images.shape  # (1000, 64, 64, 3)
    ```
    """
    if name not in NAMES:
        raise ValueError(f"Unknown data set {name!r}. There are: {', '.join(NAMES)}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError(f"Argument `limit` must be a positive integer. Received: limit={limit!r}")
    if name == "faces":
        from keras_vae.datasets import faces as source
    else:
        from keras_vae.datasets import tfds as source

    def split(size):
        """Which of `size` images to train on and which to validate on."""
        order = np.random.default_rng(seed).permutation(size)
        return order[size // 10 :][:limit], order[: size // 10][:limit]

    return source.read(name, split)
