"""All that can be said of a run in numbers, put together: what `evaluate` writes.

How each number is computed: `keras_vae/evaluate/`. In which words it is told: `tables.py`.
"""

import contextlib
import hashlib

from keras_vae import evaluate, latent, plots
from keras_vae.datasets import faces
from keras_vae.datasets.names import favourite
from keras_vae.datasets.stream import head
from keras_vae.evaluate import edits
from keras_vae.evaluate.judges import Judges
from keras_vae.runs import words
from keras_vae.runs.explore import CODES
from keras_vae.runs.folders import read_json

SAMPLES = 2000  # images of each kind
FEWEST = 4  # of them; an image has to have 3 neighbours
FACES = 3000  # for disentanglement, drawn apart, as many as its report uses
VERSION = 2  # of evaluation.json
LEAST_IMAGES = 5000  # training images from which on a judge is a small part of a run


def no_bar(what, total):
    """Returns something to call with each number of steps done; `tqdm(...).update` is another."""
    return lambda steps: None


def fit(run, data, judges, options, bar):
    """How well the model fits the test images, see `evaluate.fit_report`."""
    n = min(options.n, len(data.test))
    begin = bar("log p(x)", n)
    return {
        "beta": run.config.get("beta"),
        **evaluate.fit_report(
            run.model, data.test.images, options.k, n, seed=options.seed, progress=begin
        ),
    }


def latents(run, data, judges, options, bar):
    """What the latents carry, see `evaluate.latents_report`."""
    codes = run.model.encode(head(data.test.images, edits.FINAL))
    parts = codes if isinstance(codes, tuple) else (codes,)  # z_mean and z_log_var, or z
    report = evaluate.latents_report(*parts, seed=options.seed)
    settings = {name: run.config.get(name) or 0.0 for name in ("kl_warmup", "free_bits")}
    beta = run.config.get("beta")
    report["advice"] = evaluate.advice(report, 1.0 if beta is None else beta, **settings)
    return report


def edit(run, data, judges, options, bar):
    """Whether edits change what they should, see `evaluate.edit_report`."""
    if run.directions is None:
        why = "its data have no attributes, or too few images"
        if run.config.get("completed") is False:
            why = "it was stopped before it was completed"
        return missing(f"the run has no directions: {why}")
    if judges.judge is None:
        return missing("too few training images have an attribute, or lack it")
    asked = {*(options.attribute or ()), *(options.watch or ())}
    if unknown := sorted(asked - set(judges.judge.names)):
        few = "too few of the images that the judge learns from have, or lack"
        return missing(f"{few}, {', '.join(unknown)}")
    by_method = {run.directions.method: run.directions}
    if run.flow is not None:
        by_method["flow"] = run.flow
    by_method |= other_directions(run, data)
    return evaluate.edit_report(
        run.model,
        judges.judge,
        judges.without,
        by_method,
        data.validation,
        data.test,
        data.attribute_names,
        attributes=options.attribute,
        watch=options.watch,
        exclusive=data.label_names,
        chosen={name: run.edits.method(name) for name in run.edits},
        progress=bar,
    )


def other_directions(run, data):
    """Returns the directions that the other methods find, by method."""
    names = run.directions.names
    columns = [data.attribute_names.index(name) for name in names]
    codes = latent.codes_of(run.model, head(data.train.images, CODES))
    attributes, known = data.train.attributes[: len(codes), columns], data.train.known
    known = None if known is None else known[: len(codes), columns]
    methods = [method for method in latent.METHODS if method != run.directions.method]
    return {name: latent.fit_directions(codes, attributes, names, name, known) for name in methods}


def disentanglement(run, data, judges, options, bar):
    """Whether each latent is about one factor, see `evaluate.disentanglement_report`."""
    if not data.factor_names:
        return missing("the true factors of these images are not known, only those of faces are")
    drawn = faces.draw(FACES, seed=3, correlated=False)  # not the seeds of the data set
    codes = latent.codes_of(run.model, drawn.images)
    names = data.factor_names
    return evaluate.disentanglement_report(
        codes, drawn.factors, names, seed=options.seed, progress=bar("factors", len(names))
    )


def samples(run, data, judges, options, bar):
    """How much new images are like real ones, see `evaluate.sample_report`."""
    judge = judges.judge
    if judge is None:
        return missing("there are no attributes or classes that a classifier could learn")
    n = min(SAMPLES, edits.most_images(data.image_shape), len(data.test), len(data.train))
    if n < FEWEST:
        return missing(f"there are fewer than {FEWEST} test or training images")
    test = data.test.images[:n]
    made = {"reconstructions": lambda: run.model.reconstruct(test)}
    for source in run.sources:
        made[source] = lambda source=source: run.sample(n, options.seed, source=source)
    real = {"test": test, "train": data.train.images[:n]}
    progress = bar("samples", len(made))
    features = {name: judge.look(images)[1] for name, images in real.items()}
    for name, make in made.items():
        features[name] = judge.look(make())[1]
        progress(1)
    return {"judge": judge.digest, **evaluate.sample_report(features)}


def missing(why):
    return {"missing": why}


MEASURES = {
    "fit": fit,
    "latents": latents,
    "edits": edit,
    "disentanglement": disentanglement,
    "samples": samples,
}


def choose_methods(run, data, judges):
    """Returns by which method each attribute is edited best, see `evaluate.choose_methods`.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on.
        judges: The `keras_vae.evaluate.judges.Judges` of that data set.

    Returns:
        A dict from the names of attributes to methods. Empty if there is nothing to choose, or
        there are fewer than 5,000 training images, so that training a judge would take as long as
        the run: then edits go along directions.

    Example:

    ```python
    run, data = runs.load(), runs.load_data(runs.load().config)
    report.choose_methods(run, data, Judges(data))
    ```
    """
    if run.directions is None or run.flow is None or len(data.train) < LEAST_IMAGES:
        return {}
    if judges.judge is None:
        return {}
    methods = {run.directions.method: run.directions, "flow": run.flow}
    return evaluate.choose_methods(
        run.model, judges.judge, methods, data.validation, data.label_names
    )


def headline(run, data, judges):
    """Returns what train.py says of edits: one attribute, by the method that the run uses.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on.
        judges: The `keras_vae.evaluate.judges.Judges` of that data set.

    Returns:
        A dict for metrics.json: ``edit_attribute``, ``edit_method``, ``edit_strength``,
        ``edit_flip_rate``, ``edit_largest_leakage``, ``edit_leaks_into``, ``edit_identity``,
        ``edit_identity_ceiling`` and ``edit_judge``, the judge's digest; see
        `evaluate.edit_report`. Empty if there are no directions, the attribute cannot be judged,
        or there are fewer than 5,000 training images.

    Example:

    ```python
    run, data = runs.load(), runs.load_data(runs.load().config)
    report.headline(run, data, Judges(data))
    ```
    """
    if run.directions is None or len(data.train) < LEAST_IMAGES:
        return {}
    name = favourite(run.directions.names)
    if judges.judge is None or name not in judges.judge.names:
        return {}
    method = run.edits.method(name)
    numbers = evaluate.edit_report(
        run.model,
        judges.judge,
        judges.without,
        {method: run.edits},
        data.validation,
        data.test,
        data.attribute_names,
        attributes=[name],
        exclusive=data.label_names,
    )
    entry = numbers["attributes"][name]
    point = entry["methods"][method]
    # None where the judge finds the attribute in every picture that the model draws
    if not entry["measurable"] or point["flip_rate"] is None:
        return {}
    keys = ("strength", "flip_rate", "largest_leakage", "leaks_into", "identity")
    return {
        "edit_attribute": name,
        "edit_method": method,
        **{f"edit_{key}": point[key] for key in keys},
        "edit_identity_ceiling": point["identity_ceiling"],
        "edit_judge": numbers["judge"]["digest"],
    }


def check_directions(run, attribute):
    """Raises `ValueError` if the run has no directions of these attributes."""
    for name in attribute or ():
        if run.directions is not None and name not in run.directions:
            known = ", ".join(run.directions)
            raise ValueError(
                f"{run.folder} has no direction of {name!r}: too few images have it, or lack it. "
                f"It has those of: {known}"
            )


def check_data(run, data):
    """Raises `ValueError` unless the data are what the run was trained on, as far as is known.

    Data that have changed are divided in another way: images that the model has been trained on
    would be tested on.
    """
    now = {part: len(getattr(data, part)) for part in ("train", "validation", "test")}
    pairs = (
        ("images", run.config.get("images"), now),
        ("attributes", run.config.get("attribute_names"), list(data.attribute_names)),
        ("image shape", list(run.model.image_shape), list(data.image_shape)),
    )
    for what, then, found in pairs:
        if then is not None and then != found:
            raise ValueError(
                f"{run.config['dataset']} is no longer what {run.folder} was trained on: {what} "
                f"were {then}, and are {found}. It cannot be told any more which images are new "
                "to the model. Restore the data as they were, or train again"
            )


def digest_of(folder):
    """Returns a short text that is another one for another model, directions or samples."""
    content = hashlib.sha256()
    for name in ("model.keras", "directions.npz", "mixture.npz", "flow.keras"):
        with contextlib.suppress(FileNotFoundError):
            content.update((folder / name).read_bytes())
    return content.hexdigest()[:16]


def join(folder, numbers):
    """Returns new numbers together with those parts that were measured before, of this model."""
    run, before = {"version": VERSION, "model": digest_of(folder)}, {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        before = read_json(folder / "evaluation.json")
    if {key: before.get(key) for key in run} != run:
        before = {}
    kept = {
        part: before[part] for part in MEASURES if part in before and is_whole(part, before[part])
    }
    joined = {**kept, **numbers}
    return {**run, **{part: joined[part] for part in MEASURES if part in joined}}


def is_whole(part, numbers):
    """Returns whether numbers that were read can be told; a file may have been changed."""
    with contextlib.suppress(Exception):
        words.text({part: numbers})
        plots.evaluation({part: numbers})
        return True
    return False


def measure(run, data, options, bar=no_bar, told=lambda text: None):
    """Returns all that can be said of a run.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on, see `keras_vae.runs.load_data`.
        options: ``parts`` (of `MEASURES`), ``n`` and ``k`` of the log-likelihood, ``attribute``
            and ``watch`` (names, or None for all) and ``seed``: what
            `keras_vae_cli.arguments.parse_command` makes of ``evaluate``.
        bar: ``bar(what, total)`` begins a progress bar and returns its ``update``.
        told: Called with a line of text before something that takes long.

    Returns:
        A dict of numbers for JSON, one entry for each part.

    Example:

    ```python
    report.measure(run, runs.load_data(run.config), parse_command(["evaluate"]))["fit"]
    ```
    """
    judges = Judges(data, told)
    return {part: MEASURES[part](run, data, judges, options, bar) for part in options.parts}
