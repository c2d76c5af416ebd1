"""Pictures in and out: from a visitor's file to an array, from an array to HTML.

Results are sent as data URIs within the page's messages: while a slider moves, no file is written
and no further request is needed.
"""

import base64
import functools
import html
import io

import numpy as np
from PIL import Image

from keras_vae import photos, plots

MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
LONGEST = 768  # pixels; photos with a longer side are shrunk
SMALL = 20_000  # pixels; up to this size pictures are sent as PNG, without loss


@functools.lru_cache(32)  # a moving slider reads one file many times; a path is a content hash
def read(path):
    """Returns a visitor's picture as a photo, a read-only uint8 ``(height, width, 3)``.

    Raises:
        ValueError: If there is no picture, or it cannot be used; the message has the reason.
    """
    if path is None:
        raise ValueError("No picture yet. Choose or upload one")
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError:
        raise ValueError("The picture has been removed. Choose or upload it again") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"The picture is larger than {MOST_BYTES / 1e6:g} MB")
    try:
        photo = photos.read(content, longest=LONGEST, most_pixels=MOST_PIXELS)
    except ValueError as error:
        raise ValueError(f"The picture cannot be used: {error}") from None
    photo.flags.writeable = False
    return photo


def to_photo(image):
    """Returns an image of the model as a photo."""
    return np.broadcast_to(image, (*image.shape[:2], 3))


def encode(image):
    """Returns the content of a picture file and its format: PNG if small, otherwise JPEG."""
    file = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    kind = "png" if picture.width * picture.height <= SMALL else "jpeg"
    picture.save(file, kind, quality=93, subsampling=0)
    return file.getvalue(), kind


def uri(content, kind):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def shown(image, caption, download=None):
    """Returns HTML of a picture with a caption and, given a file name, a download link."""
    return framed(*encode(image), caption, download)


def framed(content, kind, caption, download=None):
    source, text = uri(content, kind), html.escape(caption)
    link = ""
    if download:
        link = f' <a href="{source}" download="{download}.{kind}">Download</a>'
    return (
        f'<figure class="picture"><img src="{source}" alt="{text}">'
        f"<figcaption>{text}{link}</figcaption></figure>"
    )


def strip(images, labels, caption):
    """Returns HTML of pictures side by side with a label below each."""
    content, kind = encode(plots.grid(images, len(images)))
    cells = "".join(f"<span>{html.escape(label)}</span>" for label in labels)
    text = html.escape(caption)
    return (
        f'<figure class="strip"><img src="{uri(content, kind)}" alt="{text}">'
        f'<div class="labels">{cells}</div><figcaption>{text}</figcaption></figure>'
    )


def note(text):
    return f'<p class="note">{html.escape(text)}</p>'


def signed(value):
    return f"{value:+g}".replace("-", "−") if value else "0"
