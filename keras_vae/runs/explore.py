"""What is found out about the latent space of a trained model, from the codes of its images."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks, evaluate, latent
from keras_vae.datasets.attributes import counts
from keras_vae.datasets.names import first_few
from keras_vae.datasets.stream import head

CODES = 20_000  # images to learn from
VALIDATION = 2000  # codes to choose by
COMPONENTS = 32  # principal ones, to tell codes apart by
LEAST_IMAGES = 10  # with an attribute and without, for a direction to mean something
FEWEST_CODES, MANY_CODES = 50, 2000  # for a flow, and for one that takes long


@dataclass(frozen=True)
class Found:
    """What `explore` found; what the images are too few for is None.

    Attributes:
        directions: `latent.Directions` of the attributes.
        mixture: `latent.Mixture` of the codes.
        flow: `latent.Flow` from noise to the codes.
        best_source: What new images come from, ``"flow"`` or ``"mixture"``; None without both.
        notes: Sentences on what is missing, or is known of some images only.
    """

    directions: latent.Directions | None = None
    mixture: latent.Mixture | None = None
    flow: latent.Flow | None = None
    best_source: str | None = None
    notes: tuple = ()


def explore(model, data, seed=0, told=lambda text: None):
    """Returns directions, a mixture and a flow, fitted to the codes of training images.

    Samples come from the flow or the mixture, whichever is harder to tell from validation codes,
    see `better`.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        seed: A non-negative integer.
        told: Called with a line of text before something that takes long.

    Returns:
        `Found`.

    Example:

    ```python
    found = explore(model, data)
    images = model.decode(found.flow.sample(16, seed=0))
    ```
    """
    codes = latent.codes_of(model, head(data.train.images, CODES))  # in random order
    validation_codes = latent.codes_of(model, head(data.validation.images, VALIDATION))
    directions = mixture = flow = shown = None
    names, notes = (), []
    if data.attribute_names:
        attributes = data.train.attributes[: len(codes)]
        known = checks.as_known(data.train.known, data.train.attributes.shape)[: len(codes)]
        has = (attributes & known).sum(axis=0)
        enough = np.minimum(has, known.sum(axis=0) - has) >= LEAST_IMAGES
        if enough.any():
            names = tuple(np.array(data.attribute_names)[enough].tolist())
            attributes, known = attributes[:, enough], known[:, enough]
            directions = latent.fit_directions(codes, attributes, names, known=known)
            shown = np.where(known, attributes, np.nan)
            if gaps := counts(known, names):
                notes.append(f"Directions of images of which it is known: {first_few(gaps)}")
        else:
            least = f"{LEAST_IMAGES} images with it and without it"
            notes.append(f"No directions: no attribute has {least}")
    try:
        mixture = latent.fit_mixture(codes, validation_codes, seed=seed)
    except ValueError as error:  # such as a single image; the run is worth keeping all the same
        notes.append(f"No mixture: {error}")
    exclusive = [name for name in names if name in data.label_names]
    if len(codes) >= FEWEST_CODES:
        if len(codes) >= MANY_CODES:
            told("Learning a flow from noise to the codes ...")
        flow = latent.fit_flow(
            codes,
            shown,
            names,
            exclusive=exclusive if len(exclusive) > 1 else (),
            seed=seed,
        )
    best = better(flow, mixture, validation_codes, seed)
    return Found(directions, mixture, flow, best, tuple(notes))


def better(flow, mixture, codes, seed):
    """Returns which gives codes more like those of validation images; None without either.

    That is the one that nearest neighbours tell less well from them, see
    `evaluate.two_sample_accuracy`, along the 32 directions in which codes vary most: in all of
    256 latents, neighbours say nothing any more.
    """
    there = {"flow": flow, "mixture": mixture}
    there = {name: source for name, source in there.items() if source is not None}
    if len(there) < 2 or len(codes) < 2:
        return next(iter(there), None)
    middle = codes.mean(axis=0)
    _, _, axes = np.linalg.svd(codes - middle, full_matrices=False)

    def seen(some):
        return (some - middle) @ axes[:COMPONENTS].T

    told_apart = {
        name: evaluate.two_sample_accuracy(seen(codes), seen(source.sample(len(codes), seed)))
        for name, source in there.items()
    }
    return min(told_apart, key=told_apart.get)
