"""The result of `datasets.load`: images, or other data, for training, validation and testing."""

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Split:
    """Images, or rows of other data, with their labels, attributes and factors.

    ``len(split)`` is their number, and ``split[:100]`` a split of some rows, in memory.

    Attributes:
        images: uint8 ``(n, height, width, channels)``, pixels in 0..255: an array, or in a
            streamed set a `keras_vae.datasets.stream.Rows`, which reads images when indexed. Of
            data that are no images float32 ``(n, ...)``, NaN where a value is missing.
        labels: Class of each image ``(n,)``, an index into `Dataset.label_names`; or None.
        attributes: bool ``(n, number of attributes)``, a column for each of
            `Dataset.attribute_names`, False where unknown; or None.
        factors: float32 ``(n, number of factors)``, the factors each image was drawn from, a
            column for each of `Dataset.factor_names`; or None.
        known: bool ``(n, number of attributes)``, which attribute values are known. None if all
            are.

    Example:

    ```python
    few = faces.test[:10]
    few.images[few.attributes[:, faces.attribute_names.index("smiling")]]
    ```
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    factors: np.ndarray | None = None
    known: np.ndarray | None = None

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """Returns a split of these rows only (a slice or an array of indices), in memory."""
        columns = (self.images, self.labels, self.attributes, self.factors, self.known)
        return Split(*(None if column is None else column[rows] for column in columns))


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test `Split`, and the names of labels, attributes and factors.

    Attributes:
        name: What the data set is called.
        train: The `Split` to train a model on.
        validation: The `Split` that guides training.
        test: The `Split` for the final numbers.
        label_names: Names of the classes.
        attribute_names: Names of the attributes.
        factor_names: Names of the factors.
        streamed: Whether the images stay on disk.
        skipped: For each file that could not be used, the reason.
        unused: For each column that is not an attribute, the reason.
        cuts: For each attribute made from scores, the threshold.
        table: The `keras_vae.tables.Table` of rows of a table; otherwise None.

    Example:

    ```python
    train, validation, test = (datasets.faces.draw(n, seed=n) for n in (60, 30, 10))
    data = datasets.Dataset(
        "my faces", train, validation, test, attribute_names=datasets.faces.ATTRIBUTES
    )
    data.image_shape  # (64, 64, 3)
    ```
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
    table: object = None

    @property
    def image_shape(self):
        """The shape of an item, for images ``(height, width, channels)``."""
        return tuple(self.train.images.shape[1:])

    @property
    def is_of_images(self):
        """Whether the data are images, and not rows of a table or other numbers."""
        return self.train.images.dtype == np.uint8

    @property
    def noun(self):
        """What the items are called: images, rows of a table, or items."""
        return "images" if self.is_of_images else "rows" if self.table else "items"

    @property
    def nbytes(self):
        """Bytes of all images."""
        images = [split.images for split in (self.train, self.validation, self.test)]
        return sum(math.prod(some.shape) * some.dtype.itemsize for some in images)
