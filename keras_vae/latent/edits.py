"""Edits and arithmetic: ``z_new = z_orig + a * z_diff``."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks
from keras_vae.images import to_float
from keras_vae.latent.directions import Directions, index_of
from keras_vae.latent.flow import Flow
from keras_vae.latent.switches import Switches, moved


@dataclass(frozen=True, eq=False)
class Edits:
    """The method of editing each attribute: along its direction, by the flow or the condition.

    Attributes:
        directions: `Directions`.
        flow: A `Flow` for the same attributes, or None.
        methods: The method of each attribute by name: ``"flow"``, ``"condition"`` or the method of
            the directions, which is the default.
        switches: `Switches` of a model with a condition, or None.

    Example:

    ```python
    edits = run.edits
    edits.method("smiling")  # "flow"
    z_new = z + edits.shift({"smiling": 1, "eyeglasses": -0.5}, z)
    ```
    """

    directions: Directions
    flow: Flow | None = None
    methods: dict | None = None
    switches: Switches | None = None

    @property
    def names(self):
        """The names of the attributes."""
        return self.directions.names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    @property
    def columns(self):
        """The number of columns of `shift`."""
        size = 0 if self.switches is None else len(self.switches)
        return self.directions.vectors.shape[1] + size

    def method(self, name):
        """Returns the method by which an attribute is edited.

        Args:
            name: The attribute.

        Returns:
            A text, one of the values of `methods` or the method of the directions.

        Example:

        ```python
        run.edits.method("smiling")  # "flow"
        ```
        """
        method = (self.methods or {}).get(name)
        can_flow = self.flow is not None
        can_switch = self.switches is not None and name in self.switches.names
        possible = {"flow": can_flow, "condition": can_switch}.get(method, False)
        return method if possible else self.directions.method

    def shift(self, strengths, codes):
        """Returns the vectors to add to codes to change attributes, by `moved`.

        Args:
            strengths: Amount of each attribute to add, by name.
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, latent_dim)``, with more columns for a model with a condition, see
            `Switches.shift`.

        Raises:
            ValueError: If a name is unknown or a strength is not a finite number.

        Example:

        ```python
        z_new = latent.moved(z, run.edits.shift({"smiling": 1}, z))
        ```
        """
        parts = {"flow": {}, "condition": {}}
        straight = {}
        for name, strength in strengths.items():
            parts.get(self.method(name), straight)[name] = strength
        shift = np.broadcast_to(self.directions.shift(straight), np.shape(codes))
        if parts["flow"]:
            shift = shift + self.flow.shift(parts["flow"], codes)
        if self.switches is not None:
            shift = moved(shift, self.switches.shift(parts["condition"], codes))
        return shift


def codes_of(model, x, batch_size=128):
    """Returns the codes of images, `z_mean` (`z` of a plain autoencoder); codes are unchanged.

    Args:
        model: A `VAE` or `AutoEncoder`.
        x: Images ``(n, height, width, channels)`` or codes ``(n, latent_dim)``.
        batch_size: Images to process at once.

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
        return model.codes(x, batch_size)
    codes = np.asarray(x, "float32")
    if codes.ndim != 2 or codes.shape[1] != (model.latent_dim or codes.shape[1]):
        raise ValueError(
            "Expected images (n, height, width, channels) or codes (n, "
            f"{model.latent_dim}). Received: shape={codes.shape}"
        )
    return codes


def edit(model, images, directions, strengths, keep_detail=False, batch_size=128):
    """Returns images with attributes changed: ``decode(moved(z, directions.shift(strengths, z)))``.

    Args:
        model: A `VAE` or `AutoEncoder`.
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1]; or, without
            `keep_detail`, codes ``(n, latent_dim)``.
        directions: `Directions` of the model's latent space, a `Flow` from noise to it, the
            `Switches` of its condition, or `Edits`.
        strengths: Amount of each attribute to add, by name; 0 gives the reconstruction. With
            `Directions`, 1 is the distance between the mean codes with and without the
            attribute; with a `Flow`, that between the image with and without it; with `Switches`,
            1 is the condition that it is present.
        keep_detail: Whether to add only the change caused by the edit to the original images, so
            that they stay sharp, see `with_detail`.
        batch_size: Images to process at once.

    Returns:
        NumPy float32 images of the same shape, pixels in [0, 1].

    Raises:
        ValueError: If an attribute is unknown, or the shape of images or directions does not
            match the model.

    Example:

    ```python
    happy = latent.edit(model, images, directions, {"smiling": 1.5, "eyeglasses": -1})
    ```
    """
    z = codes_of(model, images, batch_size)
    shift, size = directions.shift(strengths, z), getattr(model.condition, "size", 0)
    if shift.shape[-1] not in (z.shape[1], z.shape[1] + size):
        raise ValueError(
            f"Argument `directions` must have {z.shape[1]} latents, like the model. "
            f"Received: directions with {shift.shape[-1]}"
        )
    after = model.decode(moved(z, shift), batch_size)
    if not keep_detail:
        return after
    return with_detail(images, model.decode(z, batch_size), after)


def with_detail(images, before, after):
    """Returns images plus the change caused by an edit: ``x + after - before``.

    A decoder's output is smooth, and so is the difference of two outputs; adding it preserves
    details that the decoder cannot reconstruct.

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
            "Arguments `images`, `before` and `after` must have the same shape. Received: "
            f"{images.shape}, {before.shape} and {after.shape}"
        )
    return np.clip(to_float(images) + (after - before), 0, 1)


def group(attributes, names, wanted, known=None):
    """Returns the group of images that are known to have some attributes and lack others.

    Args:
        attributes: bool ``(n, number of attributes)``.
        names: Names of the attributes.
        wanted: True or False for each required attribute, by name.
        known: bool, of the shape of `attributes`: which values are known; None means all.

    Returns:
        bool ``(n,)``, True for the images of the group.

    Raises:
        ValueError: If an argument is invalid, a name is unknown or the group is empty.

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
        column = index_of(name, names)
        rows &= known[:, column] & (attributes[:, column] == bool(has))
    if not rows.any():
        what = ", ".join(name if has else f"not {name}" for name, has in wanted.items())
        raise ValueError(f"There is no image in the group: {what}")
    return rows


def arithmetic(model, a, b, c, strength=1.0, batch_size=128):
    """Returns codes of ``C + strength * (mean(A) - mean(B))``.

    "Smiling woman - neutral woman + neutral man", with means of codes as in Radford et al. 2016
    (https://arxiv.org/abs/1511.06434, section 6.3.2). `group` selects images by attributes.

    Args:
        model: A `VAE` or `AutoEncoder`.
        a: Group to add: images or codes, one or more.
        b: Group to subtract: images or codes, one or more.
        c: Images or codes to change.
        strength: Multiple of the difference to add.
        batch_size: Images to process at once.

    Returns:
        NumPy float32 codes ``(len(c), latent_dim)``, for `model.decode`.

    Raises:
        ValueError: If a group is empty or its shape does not match the model.

    Example:

    ```python
    has = faces.train.attributes[:, faces.attribute_names.index("smiling")]
    smiling, neutral = faces.train.images[has], faces.train.images[~has]
    pictures = model.decode(latent.arithmetic(model, smiling, neutral, images))
    ```
    """
    checks.check_number("strength", strength)
    a, b, c = (codes_of(model, x, batch_size) for x in (a, b, c))
    for name, codes in (("a", a), ("b", b)):
        if len(codes) == 0:
            raise ValueError(f"Argument `{name}` must hold at least one image or code")
    return c + np.float32(strength) * (a.mean(axis=0) - b.mean(axis=0))
