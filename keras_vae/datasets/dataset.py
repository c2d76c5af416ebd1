"""What `datasets.load` gives: images to train, to validate and to test on."""

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Split:
    """Some images and what is known of them.

    Attributes:
        images: uint8 ``(n, height, width, channels)``, pixels in 0..255: an array, or of a
            streamed set a `keras_vae.datasets.stream.Rows`, which reads what it is indexed by.
        labels: Class of each image ``(n,)``, an index into `Dataset.label_names`; or None.
        attributes: bool ``(n, number of attributes)``, a column for each of
            `Dataset.attribute_names`, False where nothing is known; or None.
        factors: float32 ``(n, number of factors)``, what a drawn image was drawn from, a column
            for each of `Dataset.factor_names`; or None.
        known: bool ``(n, number of attributes)``, which of the attributes' values are known. None
            if all are.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    factors: np.ndarray | None = None
    known: np.ndarray | None = None

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """Returns the split with only these rows (a slice or an array of indices), in memory."""
        parts = (self.images, self.labels, self.attributes, self.factors, self.known)
        return Split(*(None if part is None else part[rows] for part in parts))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test `Split`, and the names of labels, attributes and factors.

    Attributes:
        streamed: Whether the images stay on disk.
        skipped: Why files could not be used, by file.
        unused: Why columns are no attributes, by column.
        cuts: Where scores were cut in two, by attribute.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple = ()
    attribute_names: tuple = ()
    factor_names: tuple = ()
    streamed: bool = False
    skipped: dict = field(default_factory=dict)
    unused: dict = field(default_factory=dict)
    cuts: dict = field(default_factory=dict)

    @property
    def image_shape(self):
        return tuple(self.train.images.shape[1:])

    @property
    def nbytes(self):
        """Bytes of all images."""
        splits = (self.train, self.validation, self.test)
        return sum(math.prod(split.images.shape) for split in splits)
