"""Compiles the page's programs ahead of requests: each batch size costs a compilation."""

import numpy as np

from keras_vae.demo.rows import Rows


def first(actions):
    """Compiles what the page needs to open: an edit, new images, and an interpolation."""
    if actions.run.table:
        return of_table(actions)
    photo = np.zeros((*actions.image_shape[:2], 3), "uint8")
    if actions.edits is not None:
        actions.edit(photo, {actions.attributes[0]: 1})
    if actions.run.sources:
        actions.sample()
    actions.interpolate(photo, photo)


def of_table(actions):
    """The same for a run of a table: what is said of a row, also of one with missing cells."""
    rows = Rows(actions.run)
    row = rows.row([""] * len(rows.names))
    rows.expected(row), rows.surprise(row), rows.total(row), rows.neighbours(row)
    if actions.run.sources:
        actions.values(1)


def rest(actions):
    """Compiles the other batch sizes to which `decode` pads the batches of requests."""
    for size in (1, 2, 4, 8, 16, 32, 64):
        actions.model.decode(np.zeros((size, actions.model.latent_dim), "float32"))
