"""Fits directions, a mixture and a flow to the codes of a trained model."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks, evaluate, latent, priors
from keras_vae.datasets.attributes import counts
from keras_vae.datasets.names import first_few
from keras_vae.datasets.stream import head

CODES = 20_000  # most training codes used
VALIDATION = 2000  # most validation codes used
COMPONENTS = 32  # principal components in which sources are compared
MIN_IMAGES_PER_SIDE = 10  # images with, and images without, an attribute that gets a direction
# Codes from which on a flow is fitted, and from which on that takes long enough to announce.
FEWEST_CODES, MANY_CODES = 50, 2000


@dataclass(frozen=True)
class Found:
    """The results of `explore`; parts for which there are too few images are None.

    Attributes:
        directions: `latent.Directions` of the attributes.
        mixture: `latent.Mixture` of the codes.
        flow: `latent.Flow` from noise to the codes.
        best_source: The best source of new images, see `better`; None if there is none.
        notes: Lines to print about missing parts and unknown attribute values.
    """

    directions: latent.Directions | None = None
    mixture: latent.Mixture | None = None
    flow: latent.Flow | None = None
    best_source: str | None = None
    notes: tuple = ()


def explore(model, data, seed=0, announce=lambda text: None, seconds=None):
    """Returns directions, a mixture and a flow, fitted to the codes of training images.

    New images are sampled from the source that `better` chooses.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        seed: A non-negative integer.
        announce: Called with a line of text before a step that takes long.
        seconds: A function that returns the seconds for fitting the flow; None: as long as it
            takes.

    Returns:
        `Found`.

    Example:

    ```python
    found = explore(model, data)
    images = model.decode(found.flow.sample(16, seed=0))
    ```
    """
    codes = model.codes(head(data.train.images, CODES))  # in random order
    validation_codes = model.codes(head(data.validation.images, VALIDATION))
    directions = mixture = flow = flow_attributes = None
    names, notes = (), []
    if data.attribute_names:
        attributes = data.train.attributes[: len(codes)]
        known = checks.as_known(data.train.known, data.train.attributes.shape)[: len(codes)]
        has = (attributes & known).sum(axis=0)
        enough = np.minimum(has, known.sum(axis=0) - has) >= MIN_IMAGES_PER_SIDE
        if enough.any():
            names = tuple(np.array(data.attribute_names)[enough].tolist())
            attributes, known = attributes[:, enough], known[:, enough]
            directions = latent.fit_directions(codes, attributes, names, known=known)
            flow_attributes = np.where(known, attributes, np.nan)
            if gaps := counts(known, names):
                notes.append(
                    f"Directions fitted to {data.noun} with known values: {first_few(gaps)}"
                )
        else:
            notes.append(
                f"No directions: no attribute has {MIN_IMAGES_PER_SIDE} images with it and "
                f"{MIN_IMAGES_PER_SIDE} without it"
            )
    try:
        mixture = latent.fit_mixture(codes, validation_codes, seed=seed)
    except ValueError as error:  # for example a single image; the run is kept without a mixture
        notes.append(f"No mixture: {error}")
    exclusive = [name for name in names if name in data.label_names]
    if len(codes) >= FEWEST_CODES:
        if len(codes) >= MANY_CODES:
            announce("Fitting a flow from noise to the codes ...")
        flow = latent.fit_flow(
            codes,
            flow_attributes,
            names,
            exclusive=exclusive if len(exclusive) > 1 else (),
            seed=seed,
            seconds=seconds and seconds(),
        )
    prior = getattr(model, "prior", None)
    learned = None if isinstance(prior, priors.StandardNormal) else prior
    best = better(flow, mixture, validation_codes, seed, learned)
    return Found(directions, mixture, flow, best, tuple(notes))


def better(flow, mixture, codes, seed, prior=None):
    """Returns the flow, unless codes of another source are harder to distinguish from real ones.

    Harder by more than chance, two standard errors: on photographs flow and mixture are equal in
    this test, and images from the flow have the smaller Fréchet distance. Each source is scored by
    the accuracy of a nearest-neighbour two-sample test against the validation codes
    (`evaluate.two_sample_accuracy`). The test runs on the first 32 principal components, because
    nearest neighbours are uninformative in 256 dimensions.

    Args:
        flow: `latent.Flow`, or None.
        mixture: `latent.Mixture`, or None.
        codes: Validation codes ``(n, latent_dim)``.
        seed: Seed of the samples.
        prior: A learned `keras_vae.priors.Prior`, or None. N(0, I) is always worse.

    Returns:
        ``"flow"``, ``"mixture"`` or ``"prior"``; None if all are None.
    """
    sources = {"flow": flow, "mixture": mixture, "prior": prior}
    sources = {name: source for name, source in sources.items() if source is not None}
    if len(sources) < 2 or len(codes) < 2:
        return next(iter(sources), None)
    mean = codes.mean(axis=0)
    _, _, axes = np.linalg.svd(codes - mean, full_matrices=False)

    def project(points):
        return (points - mean) @ axes[:COMPONENTS].T

    accuracy = {
        name: evaluate.two_sample_accuracy(project(codes), project(source.sample(len(codes), seed)))
        for name, source in sources.items()
    }
    chance = 1 / np.sqrt(len(codes))
    first = next(iter(accuracy))
    best = min(accuracy, key=accuracy.get)
    return best if accuracy[best] < accuracy[first] - chance else first
