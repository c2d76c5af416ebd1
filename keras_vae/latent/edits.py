"""Edits and arithmetic: ``z_new = z_orig + a * z_diff``."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks
from keras_vae.latent.directions import Directions
from keras_vae.latent.flow import Flow


@dataclass(frozen=True, eq=False)
class Edits:
    """How to edit each attribute: along its direction, or by the flow.

    Attributes:
        directions: `Directions`.
        flow: `Flow` that knows the same attributes; None is none.
        methods: The method of each attribute by name, ``"flow"`` or that of the directions.
            Those that are not named go along their direction.

    Example:

    ```python
    edits = run.edits
    edits.method("smiling")  # "flow"
    z_new = z + edits.shift({"smiling": 1, "beard": -0.5}, z)
    ```
    """

    directions: Directions
    flow: Flow | None = None
    methods: dict | None = None

    @property
    def names(self):
        return self.directions.names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def method(self, name):
        """Returns by which method an attribute is edited."""
        by_flow = self.flow is not None and (self.methods or {}).get(name) == "flow"
        return "flow" if by_flow else self.directions.method

    def shift(self, strengths, codes):
        """Returns what to add to codes, float32 ``(n, latent_dim)``.

        Args:
            strengths: How much more of each attribute, by name.
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, latent_dim)``.

        Raises:
            ValueError: If a name is unknown or a strength is not a finite number.

        Example:

        ```python
        z_new = z + run.edits.shift({"smiling": 1}, z)
        ```
        """
        by_flow = {name: a for name, a in strengths.items() if self.method(name) == "flow"}
        straight = {name: a for name, a in strengths.items() if name not in by_flow}
        shift = np.broadcast_to(self.directions.shift(straight), np.shape(codes))
        return shift + self.flow.shift(by_flow, codes) if by_flow else shift


def codes_of(model, x, batch_size=128):
    """Returns codes: of images `z_mean` (of a plain autoencoder `z`), of codes the codes.

    Args:
        model: A `VAE` or `AutoEncoder`.
        x: Images ``(n, height, width, channels)`` or codes ``(n, latent_dim)``.
        batch_size: How many images to work on at once.

    Returns:
        NumPy float32 ``(n, latent_dim)``.

    Raises:
        ValueError: If `x` is neither.

    Example:

    ```python
    z = latent.codes_of(model, images)
    ```
    """
    if len(getattr(x, "shape", ()) or np.shape(x)) == 4:
        codes = model.encode(x, batch_size)
        return codes[0] if isinstance(codes, tuple) else codes
    codes = np.asarray(x, "float32")
    if codes.ndim != 2 or codes.shape[1] != (model.latent_dim or codes.shape[1]):
        raise ValueError(
            "Expected images (n, height, width, channels) or codes (n, "
            f"{model.latent_dim}). Received: shape={codes.shape}"
        )
    return codes


def edit(model, images, directions, strengths, keep_detail=False, batch_size=128):
    """Returns images with attributes changed: ``decode(z + directions.shift(strengths, z))``.

    Args:
        model: A `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]; or, without
            `keep_detail`, codes ``(n, latent_dim)``.
        directions: `Directions` of the model's latent space, a `Flow` from noise to it, or
            `Edits`.
        strengths: How far to go for each attribute, by name; 0 gives the reconstruction. 1 is
            the distance between those that have it and those that do not, with a `Flow` that
            between the image with it and without.
        keep_detail: Whether to add only what the edit changes to the images themselves, so
            that they stay sharp, see `with_detail`.
        batch_size: How many images to work on at once.

    Returns:
        NumPy float32 images of the same shape, pixels in [0, 1].

    Raises:
        ValueError: If an attribute is unknown, or images or directions do not fit the model.

    Example:

    ```python
    happy = latent.edit(model, images, directions, {"smiling": 1.5, "eyeglasses": -1})
    ```
    """
    z = codes_of(model, images, batch_size)
    shift = directions.shift(strengths, z)
    if shift.shape[-1] != z.shape[1]:
        raise ValueError(
            f"Argument `directions` must be of {z.shape[1]} latents, as the model has. "
            f"Received: directions of {shift.shape[-1]}"
        )
    after = model.decode(z + shift, batch_size)
    if not keep_detail:
        return after
    return with_detail(images, model.decode(z, batch_size), after)


def with_detail(images, before, after):
    """Returns images with what an edit changed added to them: ``x + after - before``.

    A decoder draws smoothly; the difference of two of its pictures is smooth, too, and leaves
    alone what it cannot draw.

    Args:
        images: The originals ``(n, height, width, channels)``, uint8 or float in [0, 1].
        before: Their reconstructions, pixels in [0, 1].
        after: The edited reconstructions, pixels in [0, 1].

    Returns:
        NumPy float32 images of the same shape, clipped to [0, 1].

    Raises:
        ValueError: If the shapes differ.

    Example:

    ```python
    z = latent.codes_of(model, images)
    after = model.decode(z + 1.5 * directions["smiling"])
    sharp = latent.with_detail(images, model.decode(z), after)
    ```
    """
    images = np.asarray(images)
    before, after = np.asarray(before, "float32"), np.asarray(after, "float32")
    if images.shape != before.shape or images.shape != after.shape:
        raise ValueError(
            f"Images and pictures must have one shape. Received: {images.shape}, "
            f"{before.shape} and {after.shape}"
        )
    pixels = images / np.float32(255) if images.dtype.kind in "iu" else images.astype("float32")
    return np.clip(pixels + (after - before), 0, 1)


def group(attributes, names, wanted, known=None):
    """Returns which images are known to have some attributes, and to lack others.

    Args:
        attributes: bool ``(n, number of attributes)``.
        names: What the attributes are called.
        wanted: True or False for each attribute that matters, by name.
        known: bool, of the shape of `attributes`: which of them are known; None is all.

    Returns:
        bool ``(n,)``.

    Raises:
        ValueError: If an argument is unusable, a name is unknown or no image is such.

    Example:

    ```python
    z, test = latent.codes_of(model, faces.test.images), faces.test
    wanted = {"smiling": False}
    sad = z[latent.group(test.attributes, faces.attribute_names, wanted, test.known)]
    ```
    """
    names, attributes = list(names), np.asarray(attributes)
    if attributes.ndim != 2 or attributes.shape[1] != len(names):
        raise ValueError(
            f"Argument `attributes` must have the shape (n, number of names), here (n, "
            f"{len(names)}). Received: shape={attributes.shape}"
        )
    known = checks.as_known(known, attributes.shape)
    if not np.isin(attributes[known], (0, 1)).all():
        raise ValueError("Argument `attributes` must hold only True and False, or 0 and 1")
    attributes = attributes.astype(bool)
    rows = np.ones(len(attributes), bool)
    for name, has in wanted.items():
        if name not in names:
            raise ValueError(f"There is no attribute {name!r}. There are: {', '.join(names)}")
        column = names.index(name)
        rows &= known[:, column] & (attributes[:, column] == bool(has))
    if not rows.any():
        what = ", ".join(name if has else f"not {name}" for name, has in wanted.items())
        raise ValueError(f"There is no image of the group: {what}")
    return rows


def arithmetic(model, a, b, c, strength=1.0, batch_size=128):
    """Returns codes of ``C + strength * (mean(A) - mean(B))``.

    "Smiling woman - neutral woman + neutral man": the means are taken of codes, as by Radford
    et al. 2016 (https://arxiv.org/abs/1511.06434, section 6.3.2). For groups of attributes see
    `group`.

    Args:
        model: A `VAE` or `AutoEncoder`.
        a: What to add: images or codes, as many as you like.
        b: What to take away: images or codes.
        c: Where to start: images or codes.
        strength: How much of the difference to add.
        batch_size: How many images to work on at once.

    Returns:
        NumPy float32 codes ``(len(c), latent_dim)``; decode them to see them.

    Raises:
        ValueError: If a group is empty or does not fit the model.

    Example:

    ```python
    pictures = model.decode(latent.arithmetic(model, smiling, neutral, images))
    ```
    """
    checks.check_finite("strength", strength)
    a, b, c = (codes_of(model, x, batch_size) for x in (a, b, c))
    for name, codes in (("a", a), ("b", b)):
        if len(codes) == 0:
            raise ValueError(f"Argument `{name}` must hold at least one image or code")
    return c + np.float32(strength) * (a.mean(axis=0) - b.mean(axis=0))
