"""A user's photo of any size: the model's view of it, and edits applied to it at full size.

A photo is read once, at full size or reduced to a given size. The model sees its middle, reduced
further; the change that an edit makes there is enlarged and added to the photo, which stays sharp.
"""

import math

import numpy as np
from PIL import Image, ImageOps

from keras_vae import checks
from keras_vae.datasets import pictures

__all__ = ["add", "colour_profile", "read", "seen", "view"]

FADE = 0.1  # width of the border in which a change fades out, as a share of the visible part


def read(file, longest=None, most_pixels=None):
    """Returns a photo in RGB, rotated by its EXIF entry, with white for transparency.

    Args:
        file: Path or bytes of an image file of any format and mode.
        longest: Largest length of the longer side in pixels; a larger photo is reduced. None
            keeps the full size.
        most_pixels: A photo with more pixels is rejected before it is decoded. None is the
            limit of Pillow, about 89 million.

    Returns:
        uint8 ``(height, width, 3)``.

    Raises:
        ValueError: If the file cannot be read, with the reason, or an argument is invalid.

    Example:

    ```python
    photo = photos.read("me.jpg")
    ```
    """
    for name, size in (("longest", longest), ("most_pixels", most_pixels)):
        if size is not None:
            checks.check_integer(name, size, 1)
    with pictures.opened(file, most_pixels) as image:
        if longest is not None:
            # A JPEG decodes faster at a reduced size. At twice the final size it looks the same.
            scale = 2 * longest / max(image.size)
            image.draft("RGB", [math.ceil(scale * side) for side in image.size])
        image = pictures.flatten(ImageOps.exif_transpose(image), "RGB")
        if longest is not None:
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS)  # only reduces
        return np.array(image)


def colour_profile(file):
    """Returns the ICC profile of a photo as bytes, to be saved with the result of `read`, or None.

    Phones write a profile, and without it colours look duller. A profile of another mode than RGB
    is omitted, since it does not apply to RGB pixels.

    Args:
        file: Path or bytes of an image file.

    Returns:
        Bytes, or None.

    Raises:
        ValueError: If the file cannot be read, with the reason.

    Example:

    ```python
    profile = photos.colour_profile("me.jpg")
    Image.fromarray(photos.read("me.jpg")).save("copy.png", icc_profile=profile)
    ```
    """
    with pictures.opened(file) as image:
        is_rgb = image.mode in ("RGB", "RGBA", "P")
        profile = image.info.get("icc_profile")
        return profile if is_rgb and isinstance(profile, bytes) else None


def view(photo, image_shape, resize="crop"):
    """Returns the model's view of a photo, prepared as the training images were.

    Args:
        photo: uint8 ``(height, width, 3)``.
        image_shape: The model's ``(height, width, channels)``, channels 1 (grey) or 3 (RGB).
        resize: ``"crop"`` or ``"pad"``, see `keras_vae.datasets.pictures.read`.

    Returns:
        uint8 of `image_shape`.

    Example:

    ```python
    image = photos.view(photo, model.data_shape)
    z_mean, _ = model.encode(image[None])
    ```
    """
    image = Image.fromarray(photo)
    return pictures.fit(image.convert("L") if image_shape[2] == 1 else image, image_shape, resize)


def seen(photo_shape, image_shape, resize="crop"):
    """Returns the part of a photo that the model sees, and its place in the model's image.

    Args:
        photo_shape: ``(height, width, ...)`` of the photo.
        image_shape: ``(height, width, ...)`` of the model's images.
        resize: ``"crop"``: the largest part in the middle that has the image's proportions.
            ``"pad"``: the complete photo, in the middle of the image.

    Returns:
        Two boxes ``(left, top, right, bottom)`` in pixels, not always integers: in the photo, and
        in the model's image.

    Example:

    ```python
    photos.seen((600, 800), (64, 64))  # (100.0, 0.0, 700.0, 600.0), (0, 0, 64, 64)
    ```
    """
    (height, width), (rows, columns) = photo_shape[:2], image_shape[:2]
    if resize == "pad":
        return (0, 0, width, height), pictures.inner_box((width, height), (columns, rows))
    scale = min(width / columns, height / rows)
    left, top = (width - scale * columns) / 2, (height - scale * rows) / 2
    return (left, top, width - left, height - top), (0, 0, columns, rows)


def add(photo, change, resize="crop"):
    """Returns a photo with a change added to the part that the model sees.

    The change is enlarged smoothly. It fades out at each border of that part inside the photo, so
    that the border is invisible. A change of zero leaves every pixel as it is.

    Args:
        photo: uint8 ``(height, width, 3)``.
        change: ``(height, width, channels)`` in the model's size: the values to add to pixels
            in [0, 1]. A single channel is added to all three.
        resize: ``"crop"`` or ``"pad"``, as the model sees the photo.

    Returns:
        uint8 ``(height, width, 3)``.

    Example:

    ```python
    image = photos.view(photo, model.data_shape)[None]
    after = latent.edit(model, image, directions, {"smiling": 1.5})
    photos.add(photo, (after - model.reconstruct(image))[0])
    ```
    """
    box, (left, top, right, bottom) = seen(photo.shape, change.shape, resize)
    change = 255 * np.asarray(change, "float32")[top:bottom, left:right]
    changed = photo.copy()
    # The photo's pixels that are completely inside the box, and their place in the change.
    x, y = inside(box[0], box[2]), inside(box[1], box[3])
    if not (x and y):
        return changed
    shares = np.array([x[0] - box[0], y[0] - box[1], x[-1] + 1 - box[0], y[-1] + 1 - box[1]])
    lengths = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    place = np.clip(shares / lengths, 0, 1) * np.array(change.shape[1::-1] * 2)
    weights = fade(x, photo.shape[1]), fade(y, photo.shape[0])[:, None]
    for channel in range(3):  # one at a time, in place: photos are large
        layer = Image.fromarray(change[..., channel % change.shape[2]])
        layer = np.array(layer.resize((len(x), len(y)), Image.Resampling.BICUBIC, tuple(place)))
        for weight in weights:
            layer *= weight
        part = changed[y[0] : y[-1] + 1, x[0] : x[-1] + 1, channel]
        layer += part
        part[:] = np.clip(np.rint(layer, out=layer), 0, 255, out=layer)
    return changed


def inside(start, stop):
    """Returns the range of complete pixels between two positions; ignores rounding errors."""
    return range(math.ceil(start - 1e-6), math.floor(stop + 1e-6))


def fade(pixels, length):
    """Returns a weight for each pixel of a range: 1, falling towards ends inside the photo."""
    places = (np.arange(len(pixels), dtype="float32") + 0.5) / (FADE * len(pixels))
    weights = np.ones(len(pixels), "float32")
    for is_within, distances in (
        (pixels[0] > 0, places),
        (pixels[-1] < length - 1, places[::-1]),
    ):
        if is_within:
            ramp = np.minimum(distances, 1)
            weights *= ramp * ramp * (3 - 2 * ramp)  # smooth at both ends
    return weights
