"""Reads picture files as arrays: any format, size and mode that Pillow reads."""

import io
import math

import numpy as np
from PIL import Image, ImageOps

WIDE_MODES = ("I;16", "I;16L", "I;16B", "I", "F")  # more than 8 bits, one channel
# Not raster images, or read by starting another program.
NOT_READ = ("EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR")


def read(file, image_shape, resize):
    """Returns a picture as an array of a given shape.

    It is rotated according to its EXIF orientation; transparent areas become white; an
    animation is represented by its first frame.

    Args:
        file: Path or bytes of a picture file.
        image_shape: ``(height, width, channels)``, channels 1 (grey) or 3 (RGB).
        resize: ``"crop"`` fills the shape and crops two sides; ``"pad"`` keeps the complete
            picture and adds black borders.

    Returns:
        uint8 ``(height, width, channels)``.

    Raises:
        ValueError: If the file cannot be read, with the reason.

    Example:

    ```python
    image = pictures.read("photo.jpg", (64, 64, 3), "crop")
    ```
    """
    height, width, channels = image_shape
    mode = "L" if channels == 1 else "RGB"
    with opened(file) as image:
        # Pillow decodes a JPEG faster at a half, a quarter or an eighth of its size.
        image.draft(mode, (2 * max(width, height), 2 * max(width, height)))
        return fit(flatten(ImageOps.exif_transpose(image), mode), image_shape, resize)


def fit(image, image_shape, resize):
    """Returns a Pillow image or an array of pixels as an array of a given shape, as in `read`."""
    height, width, channels = image_shape
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., 0] if channels == 1 else image)
    if image.size != (width, height):
        how = ImageOps.fit if resize == "crop" else pad
        image = how(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image_shape)


def endings():
    """Returns the extensions of readable files, such as ``".png"``."""
    readable = formats()
    return {end for end, kind in Image.registered_extensions().items() if kind in readable}


def formats():
    Image.init()
    return [kind for kind in Image.ID if kind not in NOT_READ]


def look(file):
    """Returns ``(height, width, channels)`` of a picture without decoding it."""
    with opened(file) as image:
        width, height = image.size
        # EXIF orientations that rotate by 90 degrees; for a TIFF Pillow's size is rotated already.
        if image.getexif().get(0x0112) in (5, 6, 7, 8) and image.format != "TIFF":
            width, height = height, width
        is_grey = image.mode in ("1", "L", "LA", *WIDE_MODES)
        return height, width, 1 if is_grey else 3


def pad(image, size, method):
    """Returns the complete picture, resized to fit, in the middle of a black one of that size."""
    left, top, right, bottom = inner_box(image.size, size)
    padded = Image.new(image.mode, size)
    padded.paste(image.resize((right - left, bottom - top), method), (left, top))
    return padded


def inner_box(image_size, size):
    """Returns where `pad` puts a picture: left, top, right, bottom. Sizes are width, height."""
    scale = min(size[0] / image_size[0], size[1] / image_size[1])
    inner = [max(1, round(side * scale)) for side in image_size]  # at least one pixel
    left, top = ((a - b) // 2 for a, b in zip(size, inner))
    return left, top, left + inner[0], top + inner[1]


class opened:
    """Opens a picture; any error in the block becomes a `ValueError` with the reason.

    A picture with more than `most_pixels`, or more than Pillow allows, is refused before it is
    decoded.
    """

    def __init__(self, file, most_pixels=None):
        self.file = io.BytesIO(file) if isinstance(file, bytes) else file
        self.most_pixels = min(most_pixels or math.inf, Image.MAX_IMAGE_PIXELS)

    def __enter__(self):
        try:
            self.image = Image.open(self.file, formats=formats())
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(reason(error)) from None
        width, height = self.image.size
        if width * height > self.most_pixels:
            self.image.close()
            raise ValueError(f"refused: {width} x {height} pixels, more than {self.most_pixels:,}")
        return self.image

    def __exit__(self, kind, error, traceback):
        self.image.close()
        # Pillow's decoders raise many types of error on damaged files.
        if isinstance(error, Exception) and not isinstance(error, MemoryError):
            raise ValueError(reason(error)) from None


def reason(error):
    """Returns a short reason why a picture cannot be read."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a supported format"
    if isinstance(error, Image.DecompressionBombError):
        return f"refused: more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"broken: {str(error) or type(error).__name__}"


def flatten(image, mode):
    """Returns the picture as 8-bit grey (``"L"``) or ``"RGB"``, on a white background."""
    if image.mode in WIDE_MODES:
        transparent = image.info.get("transparency")
        values = np.asarray(image, "float64")
        image = Image.fromarray(to_8_bit(values, image.mode))
        if transparent is not None:
            image.putalpha(Image.fromarray(np.uint8(255) * (values != transparent)))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def to_8_bit(values, mode):
    """Returns 16-bit grey values, or floats in [0, 1], scaled to 0..255."""
    highest = 1 if mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= highest):
        raise ValueError(f"values from {low:g} to {high:g}; expected 0 to {highest}")
    return np.round(values * (255 / highest)).astype("uint8")
