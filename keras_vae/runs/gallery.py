"""The figures of a run, by file name."""

import numpy as np

from keras_vae import checks, latent, plots
from keras_vae.datasets.names import favourite
from keras_vae.datasets.stream import head
from keras_vae.priors import StandardNormal
from keras_vae.runs.examples import CODES, colouring

STRENGTHS = (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)
LATENTS = 8  # rows of the traversal


def figures(run, data, history, attributes=(), seed=0):
    """Returns figures of a trained model: reconstructions, samples, edits, latent space, losses.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        history: Keras's ``history.history``.
        attributes: Attributes in ``arithmetic.png``; if empty, the one of `names.favourite`.
        seed: Seed of the samples.

    Returns:
        A dict of matplotlib `Figure` by file name, as in `keras_vae.runs.FILES`.

    Example:

    ```python
    for name, figure in gallery.figures(run, data, history).items():
        figure.savefig(name)
    ```
    """
    model, test = run.model, data.test
    images = test.images[:36]
    z, z_log_var = model.posterior(head(test.images, CODES))
    by_file = {
        "history.png": plots.history(history),
        "reconstructions.png": plots.reconstructions(images, model.reconstruct(images)),
        "latent_map.png": plots.latent_map(z, *colouring(data)),
        "latents.png": plots.latents(z, z_log_var),
        "traversal.png": traversal(model, z, latent.order(z, z_log_var)[:LATENTS], z_log_var),
    }
    if len(images) > 1:
        by_file["interpolation.png"] = interpolation(model, images, run.flow)
    if model.latent_dim == 2 and isinstance(getattr(model, "prior", None), StandardNormal):
        by_file["manifold.png"] = plots.manifold(model.decode(latent.manifold(20)))
    if run.edits is not None:
        names = attributes or (favourite(run.edits.names),)
        by_file["arithmetic.png"] = arithmetic(model, data, run.edits, names)
    if run.sources:
        by_file["samples.png"] = samples(run, seed)
    return by_file


def samples(run, seed):
    """Returns a figure of new images: 48 from the best source of a run, 24 from each other."""
    best, *others = run.sources
    counts = {best: 48, **{source: 24 for source in others}}
    names = {source: source for source in run.sources}
    if "prior" in names:
        prior = run.model.prior
        is_learned = not isinstance(prior, StandardNormal)
        names["prior"] = f"prior ({prior.title})" if is_learned else f"prior {prior.title}"
    blocks = {
        names[source]: run.sample(n, seed=seed, source=source) for source, n in counts.items()
    }
    title = f"Samples: new images decoded from codes of the {names[best]}"
    if others:
        rest = " and the ".join(names[source] for source in others)
        title += f"; for comparison, from the {rest}"
    return plots.samples(blocks, title=title)


def arithmetic(model, data, edits, names):
    """Returns a figure of test images with less and more of each attribute."""
    blocks = {}
    for name in names:
        column = data.attribute_names.index(name)
        known = checks.as_known(data.test.known, data.test.attributes.shape)[:, column]
        has = data.test.attributes[:, column]
        lacking, having = np.flatnonzero(known & ~has), np.flatnonzero(known & has)
        without, some = (4, 2) if len(names) == 1 else (2, 1)
        rows = np.sort(np.r_[lacking[:without], having[:some]])
        images = data.test.images[rows]
        edited = [latent.edit(model, images, edits, {name: a}) for a in STRENGTHS]
        blocks[name] = images, np.stack(edited, axis=1)
    return plots.edits(blocks, STRENGTHS)


def interpolation(model, images, flow=None, pairs=6, steps=8):
    """Returns a figure of interpolations between test images, through the flow if there is one."""
    images = images[: 2 * min(pairs, len(images) // 2)]
    ends = latent.codes_of(model, images).reshape(-1, 2, model.latent_dim)
    between = [model.decode(latent.interpolate(pair, steps, flow=flow)) for pair in ends]
    way = "on a straight line between their codes"
    if flow is not None:
        way = "in the noise space of the flow"
    return plots.interpolation(images[::2], images[1::2], np.stack(between), way)


def traversal(model, z, latents, z_log_var):
    """Returns a figure of the first test image as single latents vary, most informative first."""
    reach, steps = 2.5, 11
    walks = latent.traverse(z[0], z, latents, steps, reach)
    names = [f"z {j + 1}" for j in latents]
    if z_log_var is not None:
        nats = latent.kl_of_latents(z, z_log_var)
        names = [f"z {j + 1}\n{nats[j]:.1f} nats" for j in latents]
    decoded = np.stack([model.decode(walk) for walk in walks])
    return plots.traversal(decoded, names, np.linspace(-reach, reach, steps))
