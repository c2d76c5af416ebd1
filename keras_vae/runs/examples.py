"""Test images and codes that go with a run, so that it can be shown where the data are not."""

import math
from dataclasses import dataclass

import numpy as np

from keras_vae import checks, latent
from keras_vae.datasets.names import favourite, short
from keras_vae.datasets.stream import head
from keras_vae.latent.files import read_arrays

IMAGES, MOST_BYTES = 48, 8_000_000  # the images kept, and fewer if they are large
CODES = 5000  # in a map of the latent space
COLOURS = 20  # classes at most that a map tells apart

TYPES = {
    "images": "uint8",
    "codes": "float32",
    "carried": "float32",
    "attribute_means": "float32",
}


@dataclass(frozen=True, eq=False)
class Examples:
    """Some test images with what is known of them, and the codes of more; `collect` makes it.

    Attributes:
        images: uint8 ``(m, height, width, channels)``, the first test images.
        attributes: bool ``(m, number of attributes)``, False where nothing is known.
        attribute_names: What the attributes are called.
        attribute_means: float32 ``(number of attributes, 2, latent_dim)``, the mean of the codes
            of images without and with each attribute; zeros where there are none.
        attribute_counts: int ``(number of attributes, 2)``, of how many codes each is the mean.
        codes: float32 ``(n, latent_dim)``, n of at least m: `z_mean` (of a plain autoencoder
            `z`) of test images, of which the first m are `images`.
        carried: float32 ``(latent_dim,)``, what each latent carries, see `latent.carried`.
        groups: int ``(n,)``, the group of each code, an index into `group_names`.
        group_names: What the groups are called.
        title: What the groups are, such as ``"by label"``.
        known: bool ``(m, number of attributes)``, which of the attributes' values are known. None
            if all are.
    """

    images: np.ndarray
    attributes: np.ndarray
    attribute_names: tuple
    attribute_means: np.ndarray
    attribute_counts: np.ndarray
    codes: np.ndarray
    carried: np.ndarray
    groups: np.ndarray
    group_names: tuple
    title: str
    known: np.ndarray | None = None

    def save(self, path):
        """Writes an ``.npz`` file of plain arrays, each under the name of the attribute."""
        texts = ("attribute_names", "group_names", "title")
        arrays = {name: np.array(getattr(self, name), str) for name in texts}  # also if empty
        arrays = {name: array for name, array in (vars(self) | arrays).items() if array is not None}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Returns what `save` wrote, or raises `ValueError`; nothing in the file is executed."""
        arrays = read_arrays(
            path,
            numbers=(*TYPES, "groups", "attribute_counts"),
            texts=("attribute_names", "group_names", "title"),
            truths=("attributes",),
            optional=("known",),
        )
        for name, kind in TYPES.items():
            if arrays[name].dtype != kind:
                raise ValueError(f"{name!r} is {arrays[name].dtype}; expected {kind}")
        check_shapes(**arrays)
        groups, count = arrays["groups"], len(arrays["group_names"])
        if groups.dtype.kind == "f" or groups.min() < 0 or groups.max() >= count:
            raise ValueError(f"'groups' holds something else than whole numbers below {count}")
        counts = arrays["attribute_counts"]
        if counts.dtype.kind == "f" or (counts < 0).any():
            raise ValueError("'attribute_counts' holds something else than whole numbers from 0 on")
        arrays |= {"groups": groups.astype(int), "attribute_counts": counts.astype(int)}
        for name in ("attribute_names", "group_names"):
            arrays[name] = tuple(arrays[name].tolist())
        return cls(**arrays | {"title": str(arrays["title"])})


def check_shapes(images, codes, title, attribute_names, group_names, **others):
    """Raises `ValueError` unless the arrays fit together."""
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"it holds images of shape {images.shape}")
    if codes.ndim != 2 or len(codes) < len(images) or 0 in codes.shape:
        raise ValueError(f"it holds {len(images)} images and codes of shape {codes.shape}")
    if title.ndim != 0 or attribute_names.ndim != 1 or group_names.ndim != 1:
        raise ValueError("it holds names that are no lists")
    if len(set(attribute_names.tolist())) != len(attribute_names):
        raise ValueError("it names an attribute twice")
    count = len(attribute_names)
    for name, shape in (
        ("attributes", (len(images), count)),
        ("known", (len(images), count)),
        ("attribute_means", (count, 2, codes.shape[1])),
        ("attribute_counts", (count, 2)),
        ("carried", codes.shape[1:]),
        ("groups", codes.shape[:1]),
    ):
        if name in others and others[name].shape != shape:
            raise ValueError(f"{name!r} has the shape {others[name].shape}; expected {shape}")


def collect(model, data):
    """Returns what to show of the test images, wherever the run goes.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on, in memory or streamed.

    Returns:
        `Examples`: up to 48 images, fewer if they are more than 8 MB, and up to 5,000 codes.

    Example:

    ```python
    examples.collect(model, data).save("examples.npz")
    ```
    """
    test = data.test
    m = min(IMAGES, max(1, MOST_BYTES // math.prod(test.images.shape[1:])))
    images = np.asarray(test.images[:m])
    codes = model.encode(head(test.images, CODES))
    parts = codes if isinstance(codes, tuple) else (codes,)  # z_mean and z_log_var, or z
    attributes = np.zeros((len(parts[0]), 0), bool)
    if data.attribute_names:
        attributes = test.attributes[: len(parts[0])].astype(bool)
    known = None if test.known is None else test.known[: len(parts[0])]
    means, counts = attribute_means(parts[0], attributes, known)
    group, group_names, title = groups(data)
    return Examples(
        images=images,
        attributes=attributes[:m],
        attribute_names=tuple(data.attribute_names),
        attribute_means=means,
        attribute_counts=counts,
        codes=parts[0],
        # What float32 cannot hold could not be read again.
        carried=np.minimum(latent.carried(*parts), checks.LARGEST / 2).astype("float32"),
        groups=group,
        group_names=tuple(group_names),
        title=title,
        known=None if known is None else known[:m],
    )


def attribute_means(codes, attributes, known=None):
    """Returns the mean code without and with each attribute, and of how many codes it is."""
    known = checks.as_known(known, attributes.shape)
    sides = np.stack([known & ~attributes, known & attributes], axis=-1)  # (n, attributes, 2)
    counts = sides.sum(axis=0)
    means = np.einsum("nks,nd->ksd", sides.astype("float64"), codes.astype("float64"))
    means /= np.maximum(counts, 1)[..., None]
    return means.astype("float32"), counts


def groups(data, most=CODES):
    """Returns what to colour codes by: the group of each image, the groups' names, and a title."""
    if 0 < len(data.label_names) <= COLOURS:
        labels, names = np.asarray(data.test.labels[:most]), tuple(data.label_names)
        if labels.min() < 0:  # what TFDS has where there is none
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
            title += f", known of {known.sum():,} of {len(known):,}"
        return has, names, title
    return np.zeros(len(data.test), int)[:most], ("all",), "no groups known"
