"""Test images and codes that go with a run, so that it can be shown where the data are not."""

import math
from dataclasses import dataclass

import numpy as np

from keras_vae import checks, latent
from keras_vae.datasets.stream import head
from keras_vae.latent.files import read_arrays
from keras_vae.names import favourite, short

IMAGES, MOST_BYTES = 48, 8_000_000  # the images kept, and fewer if they are large
CODES = 5000  # in a map of the latent space
COLOURS = 20  # classes at most that a map tells apart

TYPES = {"images": "uint8", "codes": "float32", "carried": "float32"}


@dataclass(frozen=True, eq=False)
class Examples:
    """Some test images with what is known of them, and the codes of more; `collect` makes it.

    Attributes:
        images: uint8 ``(m, height, width, channels)``, the first test images.
        attributes: bool ``(m, number of attributes)``.
        attribute_names: What the attributes are called.
        codes: float32 ``(n, latent_dim)``, n of at least m: `z_mean` (of a plain autoencoder
            `z`) of test images, of which the first m are `images`.
        carried: float32 ``(latent_dim,)``, what each latent carries, see `latent.carried`.
        groups: int ``(n,)``, the group of each code, an index into `group_names`.
        group_names: What the groups are called.
        title: What the groups are, such as ``"by label"``.
    """

    images: np.ndarray
    attributes: np.ndarray
    attribute_names: tuple
    codes: np.ndarray
    carried: np.ndarray
    groups: np.ndarray
    group_names: tuple
    title: str

    def save(self, path):
        """Writes an ``.npz`` file of plain arrays, each under the name of the attribute."""
        texts = ("attribute_names", "group_names", "title")
        arrays = {name: np.array(getattr(self, name), str) for name in texts}  # also if empty
        np.savez(path, allow_pickle=False, **(vars(self) | arrays))

    @classmethod
    def load(cls, path):
        """Returns what `save` wrote, or raises `ValueError`; nothing in the file is executed."""
        arrays = read_arrays(
            path,
            numbers=("images", "codes", "carried", "groups"),
            texts=("attribute_names", "group_names", "title"),
            truths=("attributes",),
        )
        for name, kind in TYPES.items():
            if arrays[name].dtype != kind:
                raise ValueError(f"{name!r} is {arrays[name].dtype}; expected {kind}")
        check_shapes(**arrays)
        groups, count = arrays["groups"], len(arrays["group_names"])
        if groups.dtype.kind == "f" or groups.min() < 0 or groups.max() >= count:
            raise ValueError(f"'groups' holds something else than whole numbers below {count}")
        arrays["groups"] = groups.astype(int)
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
    for name, shape in (
        ("attributes", (len(images), len(attribute_names))),
        ("carried", codes.shape[1:]),
        ("groups", codes.shape[:1]),
    ):
        if others[name].shape != shape:
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
    attributes = np.zeros((len(images), 0), bool)
    if data.attribute_names:
        attributes = test.attributes[: len(images)].astype(bool)
    group, group_names, title = groups(data)
    return Examples(
        images=images,
        attributes=attributes,
        attribute_names=tuple(data.attribute_names),
        codes=parts[0],
        # What float32 cannot hold could not be read again.
        carried=np.minimum(latent.carried(*parts), checks.LARGEST / 2).astype("float32"),
        groups=group,
        group_names=tuple(group_names),
        title=title,
    )


def groups(data, most=CODES):
    """Returns what to colour codes by: the group of each image, the groups' names, and a title."""
    if 0 < len(data.label_names) <= COLOURS:
        labels, names = np.asarray(data.test.labels[:most]), tuple(data.label_names)
        if labels.min() < 0:  # what TFDS has where there is none
            labels, names = np.where(labels < 0, len(names), labels), (*names, "no label")
        return labels, names, "by label"
    if data.attribute_names:
        name = favourite(data.attribute_names)
        has = data.test.attributes[:most, data.attribute_names.index(name)].astype(int)
        name = short(name)
        return has, (f"not {name}", name), f"by {name!r}"
    return np.zeros(len(data.test), int)[:most], ("all",), "no groups known"
