"""The pictures of a run: what is shown of a model, by the file that it goes into."""

import numpy as np

from keras_vae import latent, plots
from keras_vae.datasets.stream import head
from keras_vae.examples import CODES, groups
from keras_vae.names import favourite

STRENGTHS = (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)
LATENTS = 8  # rows of the traversal


def figures(model, data, history, directions=None, mixture=None, attributes=(), seed=0):
    """Returns figures of what a trained model does with test images and its latent space.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        history: Keras's ``history.history``.
        directions: `latent.Directions`, or None.
        mixture: `latent.Mixture`, or None.
        attributes: Which ones ``arithmetic.png`` shows; none is `names.favourite`.
        seed: Of the samples.

    Returns:
        A dict of matplotlib `Figure` by file name; see `keras_vae.runs.FILES`.

    Example:

    ```python
    for name, figure in gallery.figures(model, data, history).items():
        figure.savefig(name)
    ```
    """
    test = data.test
    images = test.images[:36]
    codes = model.encode(head(test.images, CODES))
    parts = codes if isinstance(codes, tuple) else (codes,)  # z_mean and z_log_var, or z
    z = parts[0]
    shown = {
        "history.png": plots.history(history),
        "reconstructions.png": plots.reconstructions(images, model.reconstruct(images)),
        "latent_map.png": plots.latent_map(z, *groups(data)),
        "latents.png": plots.latents(*parts),
        "traversal.png": traversal(model, z, latent.order(*parts)[:LATENTS], parts[1:]),
    }
    if len(images) > 1:
        shown["interpolation.png"] = interpolation(model, images)
    if model.latent_dim == 2 and hasattr(model, "sampling"):
        shown["manifold.png"] = plots.manifold(model.decode(latent.manifold(20)))
    if directions is not None:
        names = attributes or (favourite(directions.names),)
        shown["arithmetic.png"] = arithmetic(model, data, directions, names)
    if (samples := draw(model, mixture, seed)) is not None:
        shown["samples.png"] = samples
    return shown


def draw(model, mixture, seed, n=48):
    """Returns samples, from the prior and from the mixture where there are both, or None."""
    blocks = {}
    if hasattr(model, "sampling"):  # a plain autoencoder has no prior
        blocks["prior N(0, I)"] = model.sample(n, seed=seed)
    if mixture is not None:
        blocks["mixture"] = model.decode(mixture.sample(n, seed=seed))
    title = "Samples: new images, decoded from z ~ N(0, I) and from Gaussians fitted to the codes"
    if len(blocks) == 1:
        (name,) = blocks
        title = f"Samples: new images, decoded from z ~ {name}"
    return plots.samples(blocks, title=title) if blocks else None


def arithmetic(model, data, directions, names):
    """Returns test images with less and more of some attributes."""
    blocks = {}
    for name in names:
        has = data.test.attributes[:, data.attribute_names.index(name)]
        without, some = (4, 2) if len(names) == 1 else (2, 1)
        rows = np.sort(np.r_[np.flatnonzero(~has)[:without], np.flatnonzero(has)[:some]])
        images = data.test.images[rows]
        edited = [latent.edit(model, images, directions, {name: a}) for a in STRENGTHS]
        blocks[name] = images, np.stack(edited, axis=1)
    return plots.edits(blocks, STRENGTHS)


def interpolation(model, images, pairs=6, steps=8):
    """Returns the ways from test image to test image."""
    images = images[: 2 * min(pairs, len(images) // 2)]
    ends = latent.codes_of(model, images).reshape(-1, 2, model.latent_dim)
    between = np.stack([model.decode(latent.interpolate(pair, steps)) for pair in ends])
    return plots.interpolation(images[::2], images[1::2], between)


def traversal(model, z, latents, z_log_var):
    """Returns what single latents do to the first test image, those that carry most first."""
    reach, steps = 2.5, 11
    walks = latent.traverse(z[0], z, latents, steps, reach)
    names = [f"z {j + 1}" for j in latents]
    if z_log_var:
        nats = latent.kl_of_latents(z, *z_log_var)
        names = [f"z {j + 1}\n{nats[j]:.1f} nats" for j in latents]
    decoded = np.stack([model.decode(walk) for walk in walks])
    return plots.traversal(decoded, names, np.linspace(-reach, reach, steps))
