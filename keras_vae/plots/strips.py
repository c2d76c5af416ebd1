"""Pictures made of images: what the data are, what the model draws, what its latent space does."""

from itertools import pairwise

import numpy as np

from keras_vae.datasets.names import short
from keras_vae.images import to_float
from keras_vae.plots.canvas import canvas, grid, starts

GAP = 2  # pixels between images
WHAT = "z + a · z_diff, decoded; a is above, 0 gives the reconstruction"


def data(images, columns=12):
    """Returns a grid of training images, as the model sees them.

    Args:
        images: ``(n, height, width, channels)``, pixels in [0, 1] or uint8.
        columns: Images in a row.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.data(faces.train.images[:48])
    ```
    """
    height, width, channels = images.shape[1:]
    colour = "grey" if channels == 1 else "in colour"
    title = f"Training images, as the model sees them: {height} x {width}, {colour}"
    return canvas(grid(images, fitting(columns, images)), title)


def samples(images, columns=12, title="Samples: new images, decoded from z ~ N(0, I)"):
    """Returns a grid of images, as large as they allow and without gaps to speak of.

    Args:
        images: ``(n, height, width, channels)``, pixels in [0, 1] or uint8; or a dict of several
            such by what to call them, which come one below the other.
        columns: Images in a row.
        title: What stands above.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.samples(model.sample(48)).savefig("samples.png")
    ```
    """
    if not isinstance(images, dict):
        return canvas(grid(images, columns), title)
    blocks = {name: whole_rows(to_float(part), columns) for name, part in images.items()}
    picture, places = stacked(list(blocks.values()), columns)
    return canvas(picture, title, rows=list(zip(places, blocks)))


def reconstructions(images, pictures, columns=12):
    """Returns pairs of rows: images above, the same images as the model draws them below.

    Args:
        images: The originals ``(n, height, width, channels)``, pixels in [0, 1] or uint8.
        pictures: What `reconstruct` made of them, the same shape.
        columns: Images in a row.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.reconstructions(images, model.reconstruct(images))
    ```
    """
    images, pictures, columns = to_float(images), to_float(pictures), fitting(columns, images)
    rows = []
    for start in range(0, len(images), columns):
        for part in (images, pictures):
            rows.append(whole_rows(part[start : start + columns], columns))
    picture = grid(np.concatenate(rows), columns, GAP, wide_rows=range(2, len(rows), 2))
    title = "Test images in the upper row of each pair, their reconstruction below"
    return canvas(picture, title)


def edits(blocks, strengths):
    """Returns images with less and more of an attribute, each in a row beside the original.

    Args:
        blocks: By name of the attribute, the pair of the original images
            ``(n, height, width, channels)`` and the edited ones, ``(n, len(strengths), height,
            width, channels)``; pixels in [0, 1] or uint8.
        strengths: How far each column goes.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    edited = [latent.edit(model, images, directions, {"smiling": a}) for a in (-1, 0, 1)]
    plots.edits({"smiling": (images, np.stack(edited, axis=1))}, (-1, 0, 1))
    ```
    """
    columns = 1 + len(strengths)
    rows = [
        np.concatenate([to_float(images)[:, None], to_float(pictures)], axis=1).reshape(
            -1, *images.shape[1:]
        )
        for images, pictures in blocks.values()
    ]
    picture, places = stacked(rows, columns, wide_columns=(1,))
    labels = above(rows[0].shape[2], ["original", *map(signed, strengths)], wide=(1,))
    if len(blocks) > 1:
        return canvas(
            picture, f"Less and more: {WHAT}", labels, list(zip(places, map(short, blocks)))
        )
    (name,) = blocks
    return canvas(picture, f"Less and more of {short(name)!r}: {WHAT}", labels)


def interpolation(first, last, between, way="straight through latent space"):
    """Returns strips from one image to another, with the originals at both ends.

    Args:
        first: Where each strip starts, ``(n, height, width, channels)``.
        last: Where it ends, the same shape.
        between: What is drawn on the way, reconstructions of both included,
            ``(n, steps, height, width, channels)``; all pixels in [0, 1] or uint8.
        way: By which way, for the title.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    strip = model.decode(latent.interpolate(z[:2], steps=8))
    plots.interpolation(images[:1], images[1:2], strip[None])
    ```
    """
    ends = [to_float(images)[:, None] for images in (first, last)]
    images = np.concatenate([ends[0], to_float(between), ends[1]], axis=1)
    columns = images.shape[1]
    wide = (1, columns - 1)
    picture = grid(images.reshape(-1, *images.shape[2:]), columns, GAP, wide_columns=wide)
    shares = [f"{share:.0%}" for share in np.linspace(0, 1, columns - 2)]
    labels = above(images.shape[3], ["original", *shares, "original"], wide)
    return canvas(picture, f"From one test image to another, {way}", labels)


def traversal(pictures, names, values):
    """Returns what single latents do, one in each row.

    Args:
        pictures: ``(n, steps, height, width, channels)``, pixels in [0, 1].
        names: What to call each row.
        values: What to write above each column.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    walks = latent.traverse(z_mean[0], z_mean, [4, 2])
    plots.traversal(np.stack([model.decode(walk) for walk in walks]), ["z 5", "z 3"], range(9))
    ```
    """
    pictures = to_float(pictures)
    n, steps, height, width, _ = pictures.shape
    picture = grid(pictures.reshape(-1, *pictures.shape[2:]), steps, GAP)
    return canvas(
        picture,
        "One latent at a time, the ones that carry most; above, standard deviations from the mean",
        above(width, list(map(signed, values))),
        list(zip(starts(n, height, GAP) + height / 2, names)),
    )


def manifold(pictures):
    """Returns what codes of 2 latents stand for, over the whole plane, see `latent.manifold`.

    Args:
        pictures: ``(n, height, width, channels)``, n a square number; pixels in [0, 1].

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.manifold(model.decode(keras_vae.latent.manifold(20)))
    ```
    """
    title = (
        "The latent space: z 1 to the right, z 2 upwards, each cell equally likely under N(0, I)"
    )
    return canvas(grid(pictures, round(len(pictures) ** 0.5), gap=0), title)


def fitting(columns, images, least=4):
    """Returns how many columns to use: no more than there are images."""
    return min(columns, max(len(images), least))


def whole_rows(images, columns):
    """Returns images followed by white ones, so that the last row is full."""
    missing = -len(images) % columns
    return np.concatenate([images, np.ones((missing, *images.shape[1:]))])


def stacked(blocks, columns, wide_columns=()):
    """Returns one grid of several, one below the other, and the middle pixel of each."""
    heights = [len(block) // columns for block in blocks]
    firsts = np.cumsum([0, *heights])
    picture = grid(np.concatenate(blocks), columns, GAP, firsts[1:-1], wide_columns)
    height = blocks[0].shape[1]
    tops = starts(firsts[-1], height, GAP, firsts[1:-1])
    return picture, [(tops[a] + tops[b - 1] + height) / 2 for a, b in pairwise(firsts)]


def above(width, texts, wide=()):
    """Returns what to write above the columns of a grid, for `canvas`."""
    return list(zip(starts(len(texts), width, GAP, wide) + width / 2, texts))


def signed(value):
    return f"{value:+g}" if value else "0"
