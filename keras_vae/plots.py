"""Pictures of what a model does. Each function returns a matplotlib figure; none shows it."""

import numpy as np
from matplotlib.figure import Figure

DPI = 150
INK = "#333333"


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
    return canvas(grid(images, columns), title)


def samples(images, columns=12):
    """Returns a grid of images, as large as they allow and without gaps to speak of.

    Args:
        images: ``(n, height, width, channels)``, pixels in [0, 1] or uint8.
        columns: Images in a row.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.samples(model.sample(48)).savefig("samples.png")
    ```
    """
    return canvas(grid(images, columns), "Samples: new images, decoded from z ~ N(0, I)")


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
    images, pictures = to_float(images), to_float(pictures)
    rows = []
    for start in range(0, len(images), columns):
        rows += [images[start : start + columns], pictures[start : start + columns]]
    rows = [np.concatenate([row, np.ones((columns - len(row), *row.shape[1:]))]) for row in rows]
    picture = grid(np.concatenate(rows), columns, pair_gap=True)
    title = "Test images in the upper row of each pair, their reconstruction below"
    return canvas(picture, title)


def latent(codes, groups, names, title):
    """Returns a map of codes, coloured by group; more than 2 latents are projected (PCA).

    Args:
        codes: ``(n, latent_dim)``.
        groups: Group of each code ``(n,)``, an index into `names`.
        names: What the groups are called.
        title: What the colours show.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.latent(z_mean, labels, ["zero", "one"], "coloured by digit")
    ```
    """
    points, labels = project(codes)
    figure = Figure(figsize=(7, 5.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    colours = distinct_colours(len(names))
    # In random order, so that no group hides another.
    order = np.random.default_rng(0).permutation(len(points))
    colour_of_point = np.array(colours)[groups[order]]
    axes.scatter(*points[order].T, s=7, c=colour_of_point, alpha=0.75, linewidths=0)
    if len(names) > 1:
        handles = [axes.scatter([], [], s=30, color=colour) for colour in colours]
        labels_of = [printable(name) for name in names]
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        axes.legend(handles, labels_of, **place, frameon=False, fontsize=9)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_title(
        f"Latent space: z_mean of the test images, {printable(title)}",
        loc="left",
        fontsize=10,
        color=INK,
    )
    axes.set_aspect("equal", "datalim")
    tidy(axes)
    return figure


def history(history):
    """Returns the losses over the epochs, training and validation.

    Args:
        history: Keras's ``history.history``.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.history(model.fit(images, validation_data=(others,)).history)
    ```
    """
    names = [name for name in ("loss", "reconstruction_loss", "kl_loss") if name in history]
    figure = Figure(figsize=(3.4 * len(names), 2.9), dpi=DPI, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for key, label, colour in (
            (name, "train", "#9aa5b1"),
            (f"val_{name}", "validation", "#c2410c"),
        ):
            if key in history:
                epochs = np.arange(1, len(history[key]) + 1)
                axes.plot(
                    epochs, history[key], label=label, color=colour, lw=1.8, marker="o", ms=2.5
                )
        axes.set_title(name, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        tidy(axes)
    figure.axes[0].set_ylabel("nats per image")
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


# What the pictures are made of.


def to_float(images):
    """Returns images as float pixels in [0, 1]."""
    return images / 255 if images.dtype == np.uint8 else np.asarray(images)


def grid(images, columns, gap=2, pair_gap=False):
    """Returns one picture ``(height, width, 3)`` of many, row by row on white.

    With `pair_gap`, rows come in pairs with more space between pairs than within one.
    """
    images = to_float(images)
    images = np.broadcast_to(images, (*images.shape[:3], 3))
    n, height, width, _ = images.shape
    rows = -(-n // columns)
    extra = [gap * 2 * (row // 2) if pair_gap else 0 for row in range(rows)]
    shape = (rows * (height + gap) - gap + extra[-1], columns * (width + gap) - gap, 3)
    picture = np.ones(shape)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap) + extra[row], column * (width + gap)
        picture[top : top + height, left : left + width] = image
    return picture


def canvas(picture, title, width=8.0, margin=0.32):
    """Returns a figure that the picture fills, with the title above it; sizes are in inches."""
    height = width * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(width, height + margin), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, height / (height + margin)))
    small = picture.shape[1] < width * DPI  # pixels larger than the screen's stay crisp
    axes.imshow(picture, interpolation="nearest" if small else "antialiased")
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    return figure


def project(codes):
    """Returns codes as points in the plane and the names of its axes: themselves, or PCA."""
    codes = np.asarray(codes, "float64")
    if codes.shape[1] == 1:
        return np.column_stack([codes, np.zeros(len(codes))]), ("z 1", "")
    if codes.shape[1] == 2:
        return codes, ("z 1", "z 2")
    centred = codes - codes.mean(axis=0)
    _, scale, directions = np.linalg.svd(centred, full_matrices=False)
    share = scale[:2] ** 2 / max(np.sum(scale**2), 1e-12)
    names = [
        f"principal component {i + 1} ({part:.0%} of variance)" for i, part in enumerate(share)
    ]
    return centred @ directions[:2].T, names


def distinct_colours(count):
    from matplotlib import colormaps

    if count == 2:
        return [(0.33, 0.45, 0.62, 1.0), (0.93, 0.49, 0.19, 1.0)]
    return [colormaps["tab10" if count <= 10 else "tab20"](index % 20) for index in range(count)]


def printable(name):
    """Returns a text that matplotlib can draw and takes for no formula."""
    return name.encode(errors="replace").decode().replace("$", r"\$")


def tidy(axes):
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(alpha=0.2, lw=0.6)
