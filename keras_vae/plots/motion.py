"""Animations: a few frames, played forwards and then backwards."""

import io

import numpy as np
from PIL import Image

from keras_vae.images import to_uint8

HOLD, STEP = 600, 90  # milliseconds of the first and the last frame, and of each one between


def animation(frames, kind="gif", side=0):
    """Returns the content of an animated picture.

    Args:
        frames: ``(n, height, width, channels)`` of at least two, uint8 in 0..255 or float in
            [0, 1], with 1 or 3 channels.
        kind: ``"gif"`` or ``"webp"``. A GIF has 256 colours per frame; a WebP has all, and is
            smaller.
        side: Frames whose longer side is shorter than this many pixels are enlarged by a whole
            number.

    Returns:
        Bytes of the file.

    Example:

    ```python
    images = run.model.decode(latent.interpolate(z[:2], steps=12, flow=run.flow))
    Path("morph.gif").write_bytes(keras_vae.plots.animation(images, side=256))
    ```
    """
    frames = np.asarray(frames)
    if frames.dtype.kind == "f":
        frames = to_uint8(frames)
    pictures = [Image.fromarray(np.broadcast_to(frame, (*frame.shape[:2], 3))) for frame in frames]
    scale = max(1, round(side / max(pictures[0].size)))
    if scale > 1:
        size = [scale * length for length in pictures[0].size]
        pictures = [picture.resize(size, Image.Resampling.BICUBIC) for picture in pictures]
    between = [STEP] * (len(pictures) - 2)
    file = io.BytesIO()
    pictures[0].save(
        file,
        kind,
        save_all=True,
        append_images=[*pictures[1:], *pictures[-2:0:-1]],
        duration=[HOLD, *between, HOLD, *between],
        loop=0,
        **({"quality": 90} if kind == "webp" else {}),
    )
    return file.getvalue()
