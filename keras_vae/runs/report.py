"""Evaluates a run: the content of evaluation.json.

The metrics are computed in `keras_vae/evaluate/`; `words.py` prints them.
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
from keras_vae.runs.config import condition_of
from keras_vae.runs.explore import CODES
from keras_vae.start.folders import read_json

SAMPLES = 2000  # most images of each kind
MIN_SAMPLES = 4  # precision and recall need 3 neighbours of each image
KNOWN = 3000  # images with known factors for disentanglement, as many as its report uses
VERSION = 2  # of evaluation.json
MIN_TRAINING_IMAGES = 5000  # with fewer, training a judge would take as long as the run


def no_bar(what, total):
    """Returns a function of the number of steps done that shows nothing, unlike `tqdm.update`."""
    return lambda steps: None


def fit(run, data, judges, options, bar):
    """Measures how well the model fits the test images, by `evaluate.fit_report`."""
    n = min(options.n, len(data.test))
    begin = bar("log p(x)", n)
    return {
        "beta": run.config.get("beta"),
        "noun": data.noun,
        **evaluate.fit_report(
            run.model,
            data.test.images,
            options.k,
            n,
            seed=options.seed,
            progress=begin,
            condition=condition_of(run.model, data, data.test),
        ),
    }


def latents(run, data, judges, options, bar):
    """Measures the information in the latents, by `evaluate.latents_report`."""
    codes = run.model.posterior(head(data.test.images, edits.FINAL))
    report = evaluate.latents_report(
        *codes, seed=options.seed, prior=getattr(run.model, "prior", None)
    )
    settings = {name: run.config.get(name) or 0.0 for name in ("kl_warmup", "free_bits")}
    beta = run.config.get("beta")
    report["advice"] = evaluate.advice(report, 1.0 if beta is None else beta, **settings)
    return report


def edit(run, data, judges, options, bar):
    """Measures whether edits change their attribute and nothing else, by `evaluate.edit_report`."""
    if run.directions is None:
        why = "its data have no attributes, or too few images"
        if run.config.get("completed") is False:
            why = "it was stopped before it was completed"
        return missing(f"the run has no directions: {why}")
    if judges.judge is None:
        return missing("too few training images have an attribute, or lack it")
    requested = {*(options.attribute or ()), *(options.watch or ())}
    if unknown := sorted(requested - set(judges.judge.names)):
        return missing(f"too few of the judge's images have, or lack, {', '.join(unknown)}")
    return evaluate.edit_report(
        run.model,
        judges.judge,
        judges.without,
        editors(run) | other_directions(run, data),
        data.validation,
        data.test,
        data.attribute_names,
        attributes=options.attribute,
        watch=options.watch,
        exclusive=data.label_names,
        chosen={name: run.edits.method(name) for name in run.edits},
        progress=bar,
    )


def editors(run):
    """Returns the editors of a run by method, the default first."""
    found = {run.directions.method: run.directions, "flow": run.flow, "condition": run.switches}
    return {method: editor for method, editor in found.items() if editor is not None}


def other_directions(run, data):
    """Returns the directions fitted by the methods that the run does not use, by method."""
    names = run.directions.names
    columns = [data.attribute_names.index(name) for name in names]
    codes = latent.codes_of(run.model, head(data.train.images, CODES))
    attributes, known = data.train.attributes[: len(codes), columns], data.train.known
    known = None if known is None else known[: len(codes), columns]
    methods = [method for method in latent.METHODS if method != run.directions.method]
    return {name: latent.fit_directions(codes, attributes, names, name, known) for name in methods}


def disentanglement(run, data, judges, options, bar):
    """Measures whether each latent encodes one factor, by `evaluate.disentanglement_report`."""
    if not data.factor_names:
        return missing("only the images of the data sets faces and sprites have known factors")
    drawn = data.test[:KNOWN]
    if data.name == "faces":  # whose factors are correlated; not with the seeds of the data set
        drawn = faces.draw(KNOWN, seed=3, correlated=False)
    codes = latent.codes_of(run.model, drawn.images)
    names = data.factor_names
    return evaluate.disentanglement_report(
        codes, drawn.factors, names, seed=options.seed, progress=bar("factors", len(names))
    )


def samples(run, data, judges, options, bar):
    """Measures how similar new images are to real ones, by `evaluate.sample_report`."""
    judge = judges.judge
    if judge is None:
        return missing("there are no attributes or classes for a classifier to learn")
    n = min(SAMPLES, edits.most_images(data.image_shape), len(data.test), len(data.train))
    if n < MIN_SAMPLES:
        return missing(f"there are fewer than {MIN_SAMPLES} test or training images")
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


OF_IMAGES = ("edits", "samples")


def choose_methods(run, data, judges):
    """Returns the best edit method of each attribute, by `evaluate.choose_methods`.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on.
        judges: The `keras_vae.evaluate.judges.Judges` of that data set.

    Returns:
        A dict of methods by attribute. Empty, so that all edits use the default, if the run has no
        directions or nothing else, no attribute can be judged, or there are fewer than 5,000
        training images: training a judge would take as long as the run.

    Example:

    ```python
    run, data = runs.load(), runs.load_data(runs.load().config)
    report.choose_methods(run, data, Judges(data))
    ```
    """
    if run.directions is None or len(data.train) < MIN_TRAINING_IMAGES:
        return {}
    methods = editors(run)
    if len(methods) == 1 or judges.judge is None:
        return {}
    return evaluate.choose_methods(
        run.model, judges.judge, methods, data.validation, data.label_names
    )


def headline(run, data, judges):
    """Returns the quality of edits that train.py reports: one attribute, by the run's method.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on.
        judges: The `keras_vae.evaluate.judges.Judges` of that data set.

    Returns:
        A dict for metrics.json: ``edit_attribute``, ``edit_method``, ``edit_strength``,
        ``edit_flip_rate``, ``edit_largest_leakage``, ``edit_leaks_into``, ``edit_identity``,
        ``edit_identity_ceiling`` and ``edit_judge``, the judge's digest; `evaluate.edit_report`
        defines them. Empty if there are no directions, the attribute cannot be judged, or there
        are fewer than 5,000 training images.

    Example:

    ```python
    run, data = runs.load(), runs.load_data(runs.load().config)
    report.headline(run, data, Judges(data))
    ```
    """
    if run.directions is None or len(data.train) < MIN_TRAINING_IMAGES:
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
    # None if the judge finds the attribute in every reconstruction.
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
    """Raises `ValueError` if the run has directions, but not of all these attributes."""
    for name in attribute or ():
        if run.directions is not None and name not in run.directions:
            known = ", ".join(run.directions)
            raise ValueError(
                f"{run.folder} has no direction for {name!r}: too few images have it, or lack it. "
                f"It has directions for: {known}"
            )


def check_data(run, data):
    """Raises `ValueError` if the data differ from what config.json says of the training data.

    The split of changed data is different, so the test images could include training images.
    """
    now = {part: len(getattr(data, part)) for part in ("train", "validation", "test")}
    pairs = (
        ("images", run.config.get("images"), now),
        ("attributes", run.config.get("attribute_names"), list(data.attribute_names)),
        ("image shape", list(run.model.data_shape), list(data.image_shape)),
    )
    for what, then, found in pairs:
        if then is not None and then != found:
            raise ValueError(
                f"{run.config['dataset']} has changed since {run.folder} was trained, so the test "
                f"images may include training images. Expected {what}: {then}. Received: {found}. "
                "Restore the data, or train again"
            )


def digest_of(folder):
    """Returns a digest of all files of a run that evaluation.json depends on."""
    content = hashlib.sha256()
    for name in ("model.keras", "directions.npz", "mixture.npz", "flow.keras"):
        with contextlib.suppress(FileNotFoundError):
            content.update((folder / name).read_bytes())
    return content.hexdigest()[:16]


def join(folder, numbers):
    """Returns new numbers merged with the earlier numbers of other parts of the same model."""
    run, before = {"version": VERSION, "model": digest_of(folder)}, {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        before = read_json(folder / "evaluation.json")
    if {key: before.get(key) for key in run} != run:
        before = {}
    kept = {
        part: before[part] for part in MEASURES if part in before and is_valid(part, before[part])
    }
    joined = {**kept, **numbers}
    return {**run, **{part: joined[part] for part in MEASURES if part in joined}}


def is_valid(part, numbers):
    """Returns True if numbers read from a file, which may be damaged, can be shown."""
    with contextlib.suppress(Exception):
        words.text({part: numbers})
        plots.evaluation({part: numbers})
        return True
    return False


def measure(run, data, options, bar=no_bar, announce=lambda text: None):
    """Returns the evaluation of a run.

    Args:
        run: A `keras_vae.runs.Run`.
        data: The data set it was trained on, from `keras_vae.runs.load_data`.
        options: An object with ``parts`` (of `MEASURES`), ``n`` and ``k`` of the log-likelihood,
            ``attribute`` and ``watch`` (names, or None for all) and ``seed``, such as
            ``keras_vae.commands.main.parse(["evaluate"])``.
        bar: ``bar(what, total)`` starts a progress bar and returns its ``update``.
        announce: Called with a line of text before a step that takes long.

    Returns:
        A dict of numbers for JSON, one entry for each part.

    Example:

    ```python
    options = keras_vae.commands.main.parse(["evaluate"])
    report.measure(run, runs.load_data(run.config), options)["fit"]
    ```
    """
    judges, numbers = Judges(data, announce), {}
    for part in options.parts:
        if part in OF_IMAGES and not data.is_of_images:
            numbers[part] = missing(
                f"it is measured by a judge of images, and these are {data.noun}"
            )
        else:
            numbers[part] = MEASURES[part](run, data, judges, options, bar)
    return numbers
