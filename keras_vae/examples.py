"""What a run keeps of its test set, so that the demo can show it where the data are not."""

from dataclasses import dataclass, fields

import numpy as np

from keras_vae import latent
from keras_vae.datasets.stream import head
from keras_vae.latent.files import read_arrays

IMAGES, MOST_BYTES = 48, 8e6  # that many, fewer if they are large
CODES = 5000


@dataclass(frozen=True, eq=False)
class Examples:
    """Test images, and codes of more of them; `collect` makes it.

    Attributes:
        images: The first test images, uint8 ``(m, height, width, channels)``.
        attributes: bool ``(m, number of attributes)``.
        attribute_names: What the attributes are called.
        codes: Codes of the first test images, those of `images` before the others: `z_mean`, of
            a plain autoencoder `z`; float32 ``(n, latent_dim)``.
        carried: What each latent carries, float32 ``(latent_dim,)``: its KL in nats per image, of
            a plain autoencoder its variance.
        groups: Group of each code ``(n,)``, an index into `group_names`.
        group_names: What the groups are called.
        title: What the groups are.
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
        """Writes an ``.npz`` file of plain arrays, one for each part."""
        arrays = {part.name: np.array(getattr(self, part.name)) for part in fields(self)}
        for name in ("attribute_names", "group_names"):
            arrays[name] = np.array(getattr(self, name), dtype=str)  # also if there are none
        arrays["attributes"] = arrays["attributes"].astype("uint8")
        np.savez_compressed(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Returns what `save` wrote, or raises `ValueError`; nothing in the file is executed."""
        texts = ("attribute_names", "group_names", "title")
        numbers = [part.name for part in fields(cls) if part.name not in texts]
        parts = read_arrays(path, numbers, texts)
        images, attributes, codes = (parts[name] for name in ("images", "attributes", "codes"))
        groups, carried = parts["groups"], parts["carried"]
        names, group_names = (tuple(parts[name].ravel().tolist()) for name in texts[:2])
        fits = (
            (images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in (1, 3))
            and attributes.shape == (len(images), len(names))
            and np.isin(attributes, (0, 1)).all()
            and codes.ndim == 2
            and 0 < len(images) <= len(codes)
            and carried.shape == codes.shape[1:]
            and (groups.shape == codes.shape[:1] and groups.dtype.kind in "iu")
            and (groups.min() >= 0 and groups.max() < len(group_names))
        )
        if not fits:
            raise ValueError("it holds arrays that do not fit together")
        return cls(
            images,
            attributes.astype(bool),
            names,
            codes.astype("float32"),
            carried.astype("float32"),
            groups.astype("int64"),
            group_names,
            str(parts["title"]),
        )


def collect(model, data):
    """Returns what there is to show of a test set.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.

    Returns:
        `Examples`.

    Example:

    ```python
    examples.collect(model, faces).save("examples.npz")
    ```
    """
    test, names = data.test, tuple(data.attribute_names)
    size = np.prod(data.image_shape)
    images = np.asarray(test.images[: int(np.clip(MOST_BYTES // size, 1, IMAGES))])
    codes = model.encode(head(test.images, CODES))
    parts = codes if isinstance(codes, tuple) else (codes,)  # z_mean and z_log_var, or z
    z = parts[0]
    carried = latent.kl_of_latents(*parts) if len(parts) == 2 else z.var(axis=0)
    has = np.zeros((len(images), 0), bool)
    if names:
        has = np.asarray(test.attributes[: len(images)]).astype(bool)
    shown, group_names, title = groups(data)
    return Examples(
        images,
        has,
        names,
        z,
        carried.astype("float32"),
        np.asarray(shown, "int64"),
        tuple(group_names),
        title,
    )


def favourite(names):
    """Returns the attribute to show where none was asked for: a smile, or else the first."""
    return next((name for name in names if name.lower() == "smiling"), names[0])


def groups(data, most=CODES):
    """Returns what to colour codes by: the group of each image, the groups' names, and a title."""
    if 0 < len(data.label_names) <= 20:
        return data.test.labels[:most], data.label_names, "by label"
    if data.attribute_names:
        name = favourite(data.attribute_names)
        has = data.test.attributes[:most, data.attribute_names.index(name)].astype(int)
        name = " ".join(name.split())
        return has, [f"not {name}", name], f"by {name!r}"
    return np.zeros(len(data.test), int)[:most], ["all"], "no groups known"
