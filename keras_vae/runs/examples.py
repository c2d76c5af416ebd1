"""Test images and codes stored with a run, so that the demo does not need the data set."""

import math
from dataclasses import dataclass

import numpy as np

from keras_vae import checks, latent
from keras_vae.datasets.names import favourite, short
from keras_vae.datasets.stream import head
from keras_vae.latent.files import read_arrays

IMAGES, MOST_BYTES = 48, 8_000_000  # limits of the stored images
CODES = 5000  # most points in a map of the latent space
COLOURS = 20  # most classes that a map shows in different colours

TYPES = {
    "images": ("uint8", "float32"),
    "codes": "float32",
    "carried": "float32",
    "attribute_means": "float32",
}


@dataclass(frozen=True, eq=False)
class Examples:
    """Test images with their attributes, and the codes of more test images; made by `collect`.

    Attributes:
        images: uint8 ``(m, height, width, channels)``, the first test images, or other data,
            float32 ``(m, ...)``, NaN where missing.
        attributes: bool ``(m, number of attributes)``, False where the value is unknown.
        attribute_names: Names of the attributes.
        attribute_means: float32 ``(number of attributes, 2, latent_dim)``, the mean code of the
            images without and with each attribute; zeros where there are no such images.
        attribute_counts: int ``(number of attributes, 2)``, the number of codes in each mean.
        codes: float32 ``(n, latent_dim)``, n >= m: `z_mean` (`z` of a plain autoencoder) of the
            first n test images; the first m rows are the codes of `images`.
        carried: float32 ``(latent_dim,)``, the information in each latent (`latent.carried`).
        colours: int ``(n,)``, the colour of each code on the map, an index into `colour_names`.
        colour_names: The names of the colours.
        title: What the colours show, such as ``"by label"``.
        known: bool ``(m, number of attributes)``, True where the value of the attribute is known;
            None if all values are.
    """

    images: np.ndarray
    attributes: np.ndarray
    attribute_names: tuple
    attribute_means: np.ndarray
    attribute_counts: np.ndarray
    codes: np.ndarray
    carried: np.ndarray
    colours: np.ndarray
    colour_names: tuple
    title: str
    known: np.ndarray | None = None

    def save(self, path):
        """Writes an ``.npz`` file with one plain array for each attribute of this class."""
        texts = ("attribute_names", "colour_names", "title")
        # An empty tuple would otherwise become an array of floats.
        arrays = {name: np.array(getattr(self, name), str) for name in texts}
        arrays = {name: array for name, array in (vars(self) | arrays).items() if array is not None}
        np.savez_compressed(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Reads a file that `save` wrote, without executing anything in it.

        Raises:
            ValueError: If the file is damaged, or an array has the wrong type, shape or values.
        """
        arrays = read_arrays(
            path,
            numbers=(*TYPES, "colours", "attribute_counts"),
            gaps=("images",),
            texts=("attribute_names", "colour_names", "title"),
            truths=("attributes",),
            optional=("known",),
        )
        for name, kind in TYPES.items():
            kinds = (kind,) if isinstance(kind, str) else kind
            if arrays[name].dtype not in kinds:
                expected = " or ".join(kinds)
                raise ValueError(
                    f"expected {name!r} to be {expected}, received {arrays[name].dtype}"
                )
        check_shapes(**arrays)
        colours, count = arrays["colours"], len(arrays["colour_names"])
        if colours.dtype.kind == "f" or colours.min() < 0 or colours.max() >= count:
            raise ValueError(f"expected 'colours' to hold indices of the {count} 'colour_names'")
        counts = arrays["attribute_counts"]
        if counts.dtype.kind == "f" or (counts < 0).any():
            raise ValueError("expected 'attribute_counts' to hold whole numbers of at least 0")
        arrays |= {"colours": colours.astype(int), "attribute_counts": counts.astype(int)}
        for name in ("attribute_names", "colour_names"):
            arrays[name] = tuple(arrays[name].tolist())
        return cls(**arrays | {"title": str(arrays["title"])})


def check_shapes(images, codes, title, attribute_names, colour_names, **others):
    """Raises `ValueError` unless the arrays fit together."""
    if (images.dtype == "uint8" and images.ndim != 4) or images.ndim < 2 or 0 in images.shape:
        raise ValueError(
            f"expected 'images' of shape (m, height, width, channels), received {images.shape}"
        )
    if codes.ndim != 2 or len(codes) < len(images) or 0 in codes.shape:
        raise ValueError(
            f"expected 'codes' of shape (n, latent_dim) with n >= {len(images)}, the number of "
            f"images, received {codes.shape}"
        )
    if title.ndim != 0 or attribute_names.ndim != 1 or colour_names.ndim != 1:
        raise ValueError(
            "expected 'title' to be one string, 'attribute_names' and 'colour_names' to be lists"
        )
    if len(set(attribute_names.tolist())) != len(attribute_names):
        raise ValueError("expected 'attribute_names' without duplicates")
    count = len(attribute_names)
    for name, shape in (
        ("attributes", (len(images), count)),
        ("known", (len(images), count)),
        ("attribute_means", (count, 2, codes.shape[1])),
        ("attribute_counts", (count, 2)),
        ("carried", codes.shape[1:]),
        ("colours", codes.shape[:1]),
    ):
        if name in others and others[name].shape != shape:
            raise ValueError(f"expected {name!r} of shape {shape}, received {others[name].shape}")


def collect(model, data):
    """Returns the test images and codes to store with a run.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on, in memory or streamed.

    Returns:
        `Examples`: up to 48 images (of other data up to 5,000 items), fewer if they are more than
        8 MB, and up to 5,000 codes.

    Example:

    ```python
    examples.collect(model, data).save("examples.npz")
    ```
    """
    test = data.test
    size = math.prod(test.images.shape[1:]) * test.images.dtype.itemsize
    m = min(IMAGES if data.is_of_images else CODES, max(1, MOST_BYTES // size))
    images = np.asarray(test.images[:m])
    codes, z_log_var = model.posterior(head(test.images, CODES))
    attributes = np.zeros((len(codes), 0), bool)
    if data.attribute_names:
        attributes = test.attributes[: len(codes)].astype(bool)
    known = None if test.known is None else test.known[: len(codes)]
    means, counts = attribute_means(codes, attributes, known)
    colours, colour_names, title = colouring(data)
    return Examples(
        images=images,
        attributes=attributes[:m],
        attribute_names=tuple(data.attribute_names),
        attribute_means=means,
        attribute_counts=counts,
        codes=codes,
        # `load` rejects values close to the largest float32.
        carried=np.minimum(latent.carried(codes, z_log_var), checks.LARGEST / 2).astype("float32"),
        colours=colours,
        colour_names=tuple(colour_names),
        title=title,
        known=None if known is None else known[:m],
    )


def attribute_means(codes, attributes, known=None):
    """Returns the mean code without and with each attribute, and the number of codes in it."""
    known = checks.as_known(known, attributes.shape)
    sides = np.stack([known & ~attributes, known & attributes], axis=-1)  # (n, attributes, 2)
    counts = sides.sum(axis=0)
    means = np.einsum("nks,nd->ksd", sides.astype("float64"), codes.astype("float64"))
    means /= np.maximum(counts, 1)[..., None]
    return means.astype("float32"), counts


def colouring(data, most=CODES):
    """Returns the colouring of a map of codes: an index for each image, names, and a title."""
    if 0 < len(data.label_names) <= COLOURS:
        labels, names = np.asarray(data.test.labels[:most]), tuple(data.label_names)
        if labels.min() < 0:  # TFDS marks images without a label by -1
            labels, names = np.where(labels < 0, len(names), labels), (*names, "no label")
        return labels, names, "by label"
    if data.attribute_names:
        name = favourite(data.attribute_names)
        column = data.attribute_names.index(name)
        has = data.test.attributes[:most, column].astype(int)
        name = short(name)
        names, title = (f"not {name}", name), f"by {name!r}"
        if data.test.known is not None:
            known = data.test.known[:most, column]
            has, names = np.where(known, has, 2), (*names, "unknown")
            title += f", known for {known.sum():,} of {len(known):,}"
        return has, names, title
    return np.zeros(len(data.test), int)[:most], ("all",), "without labels"
