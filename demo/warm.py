"""Compiles the page's programs ahead of requests: each batch size costs a compilation."""

import numpy as np


def first(actions):
    """Compiles what the page needs to open: an edit, new images, and an interpolation."""
    photo = np.zeros((*actions.image_shape[:2], 3), "uint8")
    if actions.edits is not None:
        actions.edit(photo, {actions.attributes[0]: 1})
    if actions.run.sources:
        actions.sample()
    actions.interpolate(photo, photo)


def rest(actions):
    """Compiles the other batch sizes to which `decode` pads the batches of requests."""
    for size in (1, 2, 4, 8, 16, 32, 64):
        actions.model.decode(np.zeros((size, actions.model.latent_dim), "float32"))
