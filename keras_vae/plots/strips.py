"""Figures made of images: data, samples, reconstructions, edits, walks through latent space."""

from itertools import pairwise

import numpy as np

from keras_vae.datasets.names import short
from keras_vae.images import to_float
from keras_vae.plots.canvas import canvas, grid, starts

GAP = 2  # pixels between images
FORMULA = "decode(z + a · z_diff), a above each column; a = 0 is the reconstruction"


def data(images, columns=12):
    """Returns a figure of training images at the model's size.

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
    title = f"Training images at the model's size: {height} x {width}, {colour}"
    return canvas(grid(images, fitting(columns, images)), title)


def samples(images, columns=12, title="Samples: new images, decoded from z ~ N(0, I)"):
    """Returns a figure of new images.

    Args:
        images: ``(n, height, width, channels)``, pixels in [0, 1] or uint8; or a dict of such
            arrays by label, shown one below the other.
        columns: Images in a row.
        title: The title of the figure.

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
    """Returns a figure of pairs of rows: images above, their reconstructions below.

    Args:
        images: The originals ``(n, height, width, channels)``, pixels in [0, 1] or uint8.
        pictures: Their reconstructions, of the same shape.
        columns: Images in a row.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.reconstructions(images, model.reconstruct(images))
    ```
    """
    title = "Test images in the upper row of each pair, their reconstructions in the lower row"
    return canvas(in_pairs(images, pictures, columns), title)


def in_pairs(images, pictures, columns):
    """Returns a picture of pairs of rows, pixels in [0, 1]; see `reconstructions`."""
    images, pictures, columns = to_float(images), to_float(pictures), fitting(columns, images)
    rows = []
    for start in range(0, len(images), columns):
        for part in (images, pictures):
            rows.append(whole_rows(part[start : start + columns], columns))
    return grid(np.concatenate(rows), columns, GAP, wide_rows=range(2, len(rows), 2))


def edits(blocks, strengths):
    """Returns a figure of images with less and more of an attribute, one image in each row.

    Args:
        blocks: By name of the attribute, a pair of the original images
            ``(n, height, width, channels)`` and the edited ones, ``(n, len(strengths), height,
            width, channels)``; pixels in [0, 1] or uint8.
        strengths: The strength of the edit in each column.

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
            picture, f"Less and more: {FORMULA}", labels, list(zip(places, map(short, blocks)))
        )
    (name,) = blocks
    return canvas(picture, f"Less and more of {short(name)!r}: {FORMULA}", labels)


def interpolation(first, last, between, way="on a straight line between their codes"):
    """Returns a figure of interpolations, each between two images at the ends of a row.

    Args:
        first: The first image of each row, ``(n, height, width, channels)``.
        last: The last image of each row, of the same shape.
        between: The decoded steps from the first to the last reconstruction,
            ``(n, steps, height, width, channels)``; all pixels in [0, 1] or uint8.
        way: The path of the interpolation, for the title.

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
    return canvas(picture, f"Interpolation of test images {way}", labels)


def traversal(pictures, names, values):
    """Returns a figure in which one latent varies in each row.

    Args:
        pictures: ``(n, steps, height, width, channels)``, pixels in [0, 1].
        names: Label of each row.
        values: Number above each column.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    walks = latent.traverse(z_mean[0], z_mean, [2, 0])
    plots.traversal(np.stack([model.decode(walk) for walk in walks]), ["z 3", "z 1"], range(9))
    ```
    """
    pictures = to_float(pictures)
    n, steps, height, width, _ = pictures.shape
    picture = grid(pictures.reshape(-1, *pictures.shape[2:]), steps, GAP)
    return canvas(
        picture,
        "One latent varies in each row, by the number of standard deviations above each column",
        above(width, list(map(signed, values))),
        list(zip(starts(n, height, GAP) + height / 2, names)),
    )


def manifold(pictures):
    """Returns a figure of images decoded over a plane of 2 latents, from `latent.manifold`.

    Args:
        pictures: ``(n, height, width, channels)``, n a square number; pixels in [0, 1].

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
    plots.manifold(model.decode(latent.manifold(20)))
    ```
    """
    title = (
        "Latent space: z 1 to the right, z 2 upwards; all cells are equally likely under N(0, I)"
    )
    return canvas(grid(pictures, round(len(pictures) ** 0.5), gap=0), title)


def fitting(columns, images, least=4):
    """Returns the number of columns: no more than images, except up to `least`."""
    return min(columns, max(len(images), least))


def whole_rows(images, columns):
    """Returns images padded with white images to full rows."""
    missing = -len(images) % columns
    return np.concatenate([images, np.ones((missing, *images.shape[1:]))])


def stacked(blocks, columns, wide_columns=()):
    """Returns a grid of blocks, one below the other, and the middle pixel of each block."""
    heights = [len(block) // columns for block in blocks]
    firsts = np.cumsum([0, *heights])
    picture = grid(np.concatenate(blocks), columns, GAP, firsts[1:-1], wide_columns)
    height = blocks[0].shape[1]
    tops = starts(firsts[-1], height, GAP, firsts[1:-1])
    return picture, [(tops[a] + tops[b - 1] + height) / 2 for a, b in pairwise(firsts)]


def above(width, texts, wide=()):
    """Returns texts above the columns of a grid, for `canvas`."""
    return list(zip(starts(len(texts), width, GAP, wide) + width / 2, texts))


def signed(value):
    return f"{value:+g}" if value else "0"
