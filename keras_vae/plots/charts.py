"""Charts of losses, latents and codes."""

import numpy as np

from keras_vae import latent
from keras_vae.datasets.names import short
from keras_vae.plots.canvas import DPI, INK, WIDTH, Figure, printable

ACCENT = "#c2410c"
CENTRAL_90 = 1.645  # 90 % of N(0, 1) lie within this many standard deviations of the mean
MOST_NUMBERED = 16  # most latents whose numbers fit on the axis


def latent_map(codes, colours, names, title, noun="images"):
    """Returns a coloured map of codes; codes of more than 2 latents are projected by PCA.

    Args:
        codes: ``(n, latent_dim)``.
        colours: The colour of each code ``(n,)``, an index into `names`.
        names: Names of the colours, for the legend.
        title: What the colours show.
        noun: What the items are called.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    colours = faces.train.attributes[:, faces.attribute_names.index("smiling")].astype(int)
    plots.latent_map(z_mean, colours, ["not smiling", "smiling"], "coloured by 'smiling'")
    ```
    """
    points, labels = project(codes)
    figure = Figure(figsize=(7, 5.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    palette = distinct_colours(len(names))
    # In random order, so that no colour hides another.
    order = np.random.default_rng(0).permutation(len(points))
    colour_of_point = np.array(palette)[colours[order]]
    axes.scatter(*points[order].T, s=7, c=colour_of_point, alpha=0.75, linewidths=0)
    if len(names) > 1:
        handles = [axes.scatter([], [], s=30, color=colour) for colour in palette]
        labels_of = [printable(short(name)) for name in names]
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        axes.legend(handles, labels_of, **place, frameon=False, fontsize=9)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_title(
        f"Latent space: codes of the test {noun}, {printable(title)}",
        loc="left",
        fontsize=10,
        color=INK,
    )
    axes.set_aspect("equal", "datalim")
    tidy(axes)
    return figure


def history(history, noun="images"):
    """Returns a chart of the training and validation losses by epoch.

    Args:
        history: Keras's ``history.history``.
        noun: What the items are called.

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
            (f"val_{name}", "validation", ACCENT),
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
    figure.axes[0].set_ylabel(f"nats per {noun[:-1]}")
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


def latents(z_mean, z_log_var=None, most=64, noun="images"):
    """Returns a chart of the information in each latent, and of its values against the prior.

    Left: the KL of each latent, largest first (the variance for a plain autoencoder, which has
    no `z_log_var`). Right: the distribution of its values, in the same order, with the range of
    the central 90 % of N(0, 1).

    Args:
        z_mean: ``(n, latent_dim)`` of test images.
        z_log_var: ``(n, latent_dim)``, or None.
        most: The largest number of latents to show.
        noun: What the items are called.

    Returns:
        A matplotlib `Figure`.

    Example:

    ```python
    keras_vae.plots.latents(*model.encode(images))
    ```
    """
    ranks = latent.order(z_mean, z_log_var)[:most]
    carried = latent.carried(z_mean, z_log_var)
    measure, left_title, codes = "variance", "variance of each latent", z_mean
    if z_log_var is not None:
        measure, left_title = "KL", f"KL of each latent: {carried.sum():.4g} nats in all"
        noise = np.random.default_rng(0).standard_normal(z_mean.shape)
        codes = z_mean + np.exp(z_log_var / 2) * noise  # as in training
    figure = Figure(figsize=(WIDTH, 2.9), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    places = np.arange(1, len(ranks) + 1)
    left.bar(places, carried[ranks], width=0.85, color=ACCENT)
    if len(ranks) < z_mean.shape[1]:
        left_title += f", {len(ranks)} of {z_mean.shape[1]} shown"
    left.set_title(left_title, loc="left", fontsize=10, color=INK)
    reach = np.percentile(np.abs(codes[:, ranks]), 99.5)
    reach = max(reach, 3.0 if z_log_var is not None else 1e-3)
    edges = np.linspace(-reach, reach, 61)
    density = np.stack([np.histogram(codes[:, j], edges)[0] for j in ranks], axis=1)
    right.imshow(
        density / np.maximum(density.max(axis=0), 1),
        cmap="Blues",
        aspect="auto",
        origin="lower",
        extent=(0.5, len(ranks) + 0.5, -reach, reach),
        interpolation="nearest",
    )
    title = f"z of the test {noun}"
    if z_log_var is not None:  # a plain autoencoder has no prior
        title += "; dashed: 90 % of N(0, 1)"
        for value in (-CENTRAL_90, CENTRAL_90):
            right.axhline(value, color=ACCENT, lw=1.2, ls="--")
    right.set_title(title, loc="left", fontsize=10, color=INK)
    for axes in (left, right):
        axes.set_xlim(0.4, len(ranks) + 0.6)
        label = f"latents, largest {measure} first"
        if len(ranks) <= MOST_NUMBERED:
            label = f"number of the latent, largest {measure} first"
            axes.set_xticks(places, ranks + 1)
        else:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(label, fontsize=9, color=INK)
        tidy(axes)
    right.grid(False)
    return figure


def project(codes):
    """Returns codes projected onto their `plane`, and the names of its axes.

    Args:
        codes: ``(n, latent_dim)``.

    Returns:
        NumPy float64 ``(n, 2)``, and the two names.

    Example:

    ```python
    points, names = plots.project(z_mean)
    ```
    """
    origin, axes, names = plane(codes)
    return (np.asarray(codes, "float64") - origin) @ axes, names


def plane(codes):
    """Returns the plane in which codes vary most.

    With up to 2 latents it is the latent space itself, otherwise the first two principal
    components (PCA).

    Args:
        codes: ``(n, latent_dim)``.

    Returns:
        The code at the origin of the plane ``(latent_dim,)``, its axes ``(latent_dim, 2)`` and
        their names.

    Example:

    ```python
    origin, axes, names = plots.plane(z_mean)
    points = (z_mean - origin) @ axes
    ```
    """
    codes = np.asarray(codes, "float64")
    size = codes.shape[1]
    if size <= 2:
        return np.zeros(size), np.eye(size, 2), ("z 1", "z 2" if size == 2 else "")
    origin = codes.mean(axis=0)
    variances, directions = np.linalg.eigh((codes - origin).T @ (codes - origin))  # ascending
    share = variances[:-3:-1] / max(variances.sum(), 1e-12)
    names = [
        f"principal component {i + 1} ({part:.0%} of variance)" for i, part in enumerate(share)
    ]
    return origin, directions[:, :-3:-1], names


def distinct_colours(count):
    from matplotlib import colormaps

    if count == 2:
        return [(0.33, 0.45, 0.62, 1.0), (0.93, 0.49, 0.19, 1.0)]
    return [colormaps["tab10" if count <= 10 else "tab20"](index % 20) for index in range(count)]


def tidy(axes):
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(alpha=0.2, lw=0.6)
