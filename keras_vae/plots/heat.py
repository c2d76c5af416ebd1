"""Heat maps: where in an image a model finds it unusual."""

import numpy as np
from PIL import Image

from keras_vae.images import to_uint8
from keras_vae.plots.canvas import grid

SIDE = 256  # pixels; the longer side of each picture, at least about


def heat_maps(images, reconstructions, nats):
    """Returns a picture for each image: the image, its reconstruction, and the nats of each pixel.

    One scale of colours, from the median to the highest nats, serves all images, so that they can
    be compared.

    Args:
        images: ``(n, height, width, channels)``, uint8 in 0..255 or float in [0, 1].
        reconstructions: The same shape.
        nats: Of `keras_vae.evaluate.value_losses`, ``(n, height, width, channels)``.

    Returns:
        A list of n Pillow images.

    Example:

    ```python
    nats = keras_vae.evaluate.value_losses(model, images)
    keras_vae.plots.heat_maps(images, model.reconstruct(images), nats)[0].save("where.png")
    ```
    """
    from matplotlib import colormaps

    heat = np.asarray(nats).sum(axis=-1)
    low, high = np.median(heat), np.percentile(heat, 99.8)
    heat = ((heat - low) / max(high - low, 1e-6)).clip(0, 1)
    colours = colormaps["inferno"](heat)[..., :3]
    shape = (*heat.shape, 3)
    parts = [as_uint8(part) for part in (images, reconstructions, colours)]
    triples = np.stack([np.broadcast_to(part, shape) for part in parts], axis=1)
    scale = max(1, round(SIDE / max(heat.shape[1:])))
    made = []
    for triple in triples:
        picture = Image.fromarray(grid(triple, 3))
        size = [scale * side for side in picture.size]
        made.append(picture.resize(size, Image.Resampling.NEAREST))
    return made


def as_uint8(images):
    return to_uint8(images) if images.dtype.kind == "f" else images
