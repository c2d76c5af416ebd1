"""Measures whether edits change their attribute and nothing else, by classifiers of real images.

An edit is compared with the *unedited reconstruction*, so that reconstruction errors are not
attributed to the edit.
"""

import math

import numpy as np

from keras_vae import checks, latent
from keras_vae.evaluate.intervals import balanced_accuracy, wilson

STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
MEASURABLE = 0.85  # balanced accuracy of the judge above which an attribute is measurable
ENOUGH = 0.95  # flip rate above which an edit need not be stronger
CURVE = 500  # images for each point of a curve
FINAL = 2000  # test images for the numbers at the chosen strength
CHOOSING = 400  # validation images for choosing a method
MOST_VALUES = 100_000_000  # pixels times channels of all images; limits the number of large ones
LEAST_PER_SIDE = 10  # images with an attribute, and without, needed to count leakage into it
SHORT = ("flip_rate", "largest_leakage", "leaks_into", "identity")  # in each point of a curve


def edit_report(
    model,
    judge,
    identity_of,
    directions,
    validation,
    test,
    names,
    attributes=None,
    watch=None,
    exclusive=(),
    chosen=None,
    progress=None,
):
    """Returns the effects of edits for each attribute, method and strength.

    For each attribute the strength is chosen on the validation images (see `choose`), and its
    effects are measured on test images. If the judge finds that a reconstruction lacks the
    attribute, it is added; images with the attribute are edited the opposite way and reported
    separately as ``mirror``. `score` defines the numbers. With `keep_detail`, edited photos are
    compared with the original photos.

    Args:
        model: A `VAE` or `AutoEncoder`.
        judge: A `Classifier` of real images.
        identity_of: Function from the name of an attribute to a `Classifier` that was trained on
            all other attributes; None skips identity.
        directions: Editors by method: `latent.Directions`, a `latent.Flow`, `latent.Switches` or
            `latent.Edits`. The first is the default and has all attributes.
        validation: A `keras_vae.datasets.Split` with attributes.
        test: A `keras_vae.datasets.Split` with attributes.
        names: Names of the attributes of both splits.
        attributes: Names of the attributes to edit; None means all measurable ones. Named
            attributes are edited even if ``measurable`` is False for them.
        watch: Names of the attributes whose leakage counts; None means all measurable ones.
        exclusive: Names of mutually exclusive attributes, such as classes. An 8 that becomes a 3
            is no longer an 8, so leakage between them does not count, and identity, which
            changes with the class, is not measured.
        chosen: For each attribute that does not use the default, the name of its method in the
            run. The run's method is also measured with `keep_detail`.
        progress: ``progress(what, total)`` starts a progress bar and returns a function, which is
            called with the number of steps done; or None.

    Returns:
        A dict of numbers for JSON: ``judge``, its ``digest`` and its balanced accuracy on each
        attribute; ``images``, the numbers of images used; ``watched``, names of attributes; and
        ``attributes``, for each edited attribute the ``method`` of the run and, for each method,
        the chosen strength, the numbers at that strength and the ``curve``.

    Raises:
        ValueError: If the judge does not know an attribute in `attributes` or `watch`.

    Example:

    ```python
    names, editors = data.attribute_names, {"regression": directions}
    splits = data.validation, data.test
    report = evaluate.edit_report(
        model, judge, None, editors, *splits, names, attributes=["smiling"]
    )
    report["attributes"]["smiling"]["method"]  # "regression"
    ```
    """
    for name in (*(attributes or ()), *(watch or ())):
        if name not in judge.names:
            raise ValueError(
                f"The judge does not know the attribute {name!r}; too few images may have or lack "
                f"it. It knows: {', '.join(judge.names)}"
            )
    most = most_images(test.images.shape[1:])
    validation, test = validation[: min(CURVE, most)], test[: min(FINAL, most)]
    sides = {
        "test": Side(model, judge, test.images),
        "validation": Side(model, judge, validation.images),
        "curve": Side(model, judge, test.images[:CURVE], candidates=test.images),
    }
    accuracy = accuracy_of(sides["test"], test.attributes, names, test.known)
    measurable = [name for name in judge.names if accuracy[name]["measurable"]]
    watched = [name for name in judge.names if name in (measurable if watch is None else watch)]
    first = next(iter(directions))
    wanted = measurable if attributes is None else attributes
    edited = [name for name in directions[first].names if name in wanted and name in judge.names]
    begin = progress or (lambda what, total: lambda steps: None)
    measured = sum(name in edits.names for edits in directions.values() for name in edited)
    done = begin("edits", len(edited) + measured * (2 * len(STRENGTHS) + 1))
    report = {}
    for name in edited:
        classes = exclusive if name in exclusive else ()
        identity = identity_of(name) if identity_of and not classes else None
        counted = [other for other in watched if other not in classes]
        for side in sides.values():
            side.recognise(identity)
        done(1)
        methods = {}
        for method, edits in directions.items():
            if name not in edits.names:
                continue
            detail = method == (chosen or {}).get(name, first)
            methods[method] = measure(sides, name, edits, counted, detail, done)
        report[name] = {
            "measurable": accuracy[name]["measurable"],
            "method": (chosen or {}).get(name, first),
            "identity_digest": identity and identity.digest,
            "methods": methods,
        }
    return {
        "judge": {"digest": judge.digest, "balanced_accuracy": accuracy},
        "images": {"validation": len(validation), "curve": len(test[:CURVE]), "test": len(test)},
        "watched": watched,
        "attributes": report,
    }


def choose_methods(model, judge, methods, validation, exclusive=(), images=CHOOSING):
    """Returns the best method of editing each attribute, measured on validation images.

    The best method has the largest flip rate minus the largest leakage minus the loss of identity,
    each method at the strength that `choose` selects. The judge itself measures identity, because
    training a separate network for each attribute, as in `edit_report`, would take minutes.

    Args:
        model: A `VAE` or `AutoEncoder`.
        judge: A `Classifier` of real images.
        methods: Editors by method, as in `edit_report`; the first is the default.
        validation: A `keras_vae.datasets.Split`.
        exclusive: Names of mutually exclusive attributes, such as classes.
        images: Number of validation images to use.

    Returns:
        A dict from the name of each attribute that the judge knows to a method.

    Example:

    ```python
    editors = {"discriminant": directions, "flow": flow}
    evaluate.choose_methods(model, judge, editors, data.validation)
    ```
    """
    side = Side(model, judge, validation.images[: min(images, most_images(model.data_shape))])
    side.recognise(judge)
    chosen = {}
    for name in next(iter(methods.values())).names:
        if name not in judge.names:
            continue
        classes = exclusive if name in exclusive else ()
        watched = [other for other in judge.names if other not in classes]
        qualities = {}
        for method, edits in methods.items():
            if name not in edits.names:
                continue
            unit = edits.shift({name: 1.0}, side.z)
            curve = [side.score(name, strength * unit, watched) for strength in STRENGTHS[1:4]]
            qualities[method] = quality(curve[choose(curve)])
        chosen[name] = max(qualities, key=qualities.get)  # the first if several are equal
    return chosen


def measure(sides, name, edits, watched, keep_detail, done):
    """Returns the effects of editing one attribute, at the best strength and as a curve."""
    units = {part: edits.shift({name: 1.0}, side.z) for part, side in sides.items()}
    curves = {"validation": [], "curve": []}
    for part, curve in curves.items():
        for strength in STRENGTHS:
            curve.append(sides[part].score(name, strength * units[part], watched))
            done(1)
    strength = STRENGTHS[choose(curves["validation"])]
    shift = strength * units["test"]
    numbers = {"strength": strength, **sides["test"].score(name, shift, watched)}
    if keep_detail:
        numbers["keep_detail"] = sides["test"].score(name, shift, watched, keep_detail=True)
    numbers["curve"] = [
        {"strength": strength, **{key: point[key] for key in SHORT}}
        for strength, point in zip(STRENGTHS, curves["curve"])
    ]
    done(1)
    return numbers


class Side:
    """Images with their codes, reconstructions and logits before an edit.

    Identity is recognised among the `candidates`, which begin with the images.
    """

    def __init__(self, model, judge, images, candidates=None):
        self.model, self.judge, self.images = model, judge, np.asarray(images)
        self.candidates = self.images if candidates is None else candidates
        self.z = latent.codes_of(model, self.images)
        self.reconstructions = model.decode(self.z)
        self.logits = judge.logits(self.reconstructions)
        self.photo_logits = judge.logits(self.images)

    def recognise(self, identity):
        """Sets the `Classifier` that recognises images; None skips identity."""
        self.identity = identity
        if identity:
            self.originals = identity.look(self.candidates)[0]
            self.own = self.recognised(self.reconstructions)

    def recognised(self, pictures):
        """Returns whether each picture is closest to its own original, bool ``(n,)``; or None."""
        if self.identity is None:
            return None
        layouts = self.identity.look(pictures)[0]
        return recognised(layouts, self.originals, np.arange(len(layouts)))

    def score(self, name, shift, watched, keep_detail=False):
        """Returns the `score` of adding the attribute where absent, and removing it where present.

        ``shift``, of an editor, is the change of the codes that adds the attribute.
        """
        before = self.photo_logits if keep_detail else self.logits
        has = before[:, self.judge.names.index(name)] > 0
        pictures = self.model.decode(latent.moved(self.z, np.where(has, -1, 1)[:, None] * shift))
        unedited = self.own if self.identity else None
        if keep_detail:
            pictures = latent.with_detail(self.images, self.reconstructions, pictures)
            unedited = self.identity and np.ones(len(has), bool)  # photos are recognised
        own, after = self.recognised(pictures), self.judge.logits(pictures)

        def score_of(rows):
            identities = () if own is None else (own[rows], unedited[rows])
            names = self.judge.names
            return score(before[rows], after[rows], names, name, *identities, watched=watched)

        return {**score_of(~has), "mirror": score_of(has)}


def score(before, after, names, name, own=None, unedited=None, watched=None):
    """Returns the effects of an edit on pictures, from a judge's logits before and after.

    *Flip rate*: the share of pictures for which the verdict on the edited attribute changed.
    *Leakage*: for each other attribute, the share for which the verdict on it changed, averaged
    over pictures judged with it and without it before (a side without pictures is skipped), and
    the mean signed change of the logit. *Identity*: the share that is still recognised.
    The 95 % intervals are Wilson's; those of leakage combine the intervals of the two sides
    (Newcombe 1998, "Interval estimation for the difference between independent proportions",
    method 10). The interval of the largest leakage is not corrected for the selection.

    Args:
        before: ``(n, number of attributes)``, logits of the unedited reconstructions.
        after: ``(n, number of attributes)``, logits of the edited reconstructions.
        names: Names of the attributes.
        name: Name of the edited attribute.
        own: bool ``(n,)``, which edited pictures are recognised; or None.
        unedited: bool ``(n,)``, which pictures are recognised before the edit; or None.
        watched: Names of the attributes that count for the largest leakage; None means all.
            Attributes that fewer than 10 pictures have, or fewer than 10 lack, do not count.

    Returns:
        A dict: ``n``; ``flip_rate``, ``largest_leakage`` and ``identity``, each in [0, 1] and
        with its interval, or None if undefined; ``identity_ceiling``, the share recognised
        before the edit; ``leaks_into``, the attribute with the largest leakage; ``leakage`` and
        ``logit_change`` by attribute.

    Example:

    ```python
    score(np.array([[-1.0]]), np.array([[1.0]]), ["smiling"], "smiling")["flip_rate"]  # 1.0
    ```
    """
    before, after, names = np.asarray(before), np.asarray(after), list(names)
    j, n = names.index(name), len(before)
    was, changed = before > 0, (after > 0) != (before > 0)
    others = [other for other in range(len(names)) if other != j]
    leaks = {names[m]: group_mean(changed[:, m], was[:, m]) for m in others} if n else {}
    sizes = was.sum(axis=0)
    counted = [
        names[m]
        for m in others
        if (watched is None or names[m] in watched)
        and min(sizes[m], n - sizes[m]) >= LEAST_PER_SIDE
    ]
    worst = max(counted, key=lambda other: leaks[other][0], default=None)
    moves = (after - before).mean(axis=0) if n else []
    flips = int(changed[:, j].sum())
    return {
        "n": n,
        "flip_rate": flips / n if n else None,
        "flip_rate_interval": wilson(flips, n) if n else None,
        "largest_leakage": leaks[worst][0] if worst else None,
        "largest_leakage_interval": leaks[worst][1] if worst else None,
        "leaks_into": worst,
        "identity": float(np.mean(own)) if n and own is not None else None,
        "identity_interval": wilson(int(np.sum(own)), n) if n and own is not None else None,
        "identity_ceiling": float(np.mean(unedited)) if n and unedited is not None else None,
        "leakage": {other: leak for other, (leak, _) in leaks.items()},
        "logit_change": {names[m]: float(moves[m]) for m in range(len(names))} if n else {},
    }


def group_mean(changed, was):
    """Returns the share that changed, averaged over both values of `was`, and its interval."""
    sides = [changed[was == side] for side in (False, True) if (was == side).any()]
    shares = [side.mean() for side in sides]
    share = float(np.mean(shares))
    bounds = [wilson(int(side.sum()), len(side)) for side in sides]
    below = math.hypot(*(p - low for p, (low, _) in zip(shares, bounds))) / len(sides)
    above = math.hypot(*(high - p for p, (_, high) in zip(shares, bounds))) / len(sides)
    return share, (max(0.0, share - below), min(1.0, share + above))


def recognised(layouts, originals, rows):
    """Returns whether the nearest neighbour of each picture among the originals is its own.

    Args:
        layouts: ``(n, d)``, layouts of pictures by `Classifier.look`.
        originals: ``(m, d)``, layouts of all originals.
        rows: For each picture the row of its original, ``(n,)``.

    Returns:
        bool ``(n,)``.

    Example:

    ```python
    recognised(np.eye(3), np.eye(3), [0, 1, 2])  # all True
    ```
    """
    distances = np.sum(originals**2, axis=1) - 2 * layouts @ originals.T
    return distances.argmin(axis=1) == np.asarray(rows)


def choose(curve):
    """Returns the index of the best point of a curve.

    This is the weakest edit with a flip rate of 0.95 or more; without such an edit, the one with
    the highest flip rate minus the largest leakage minus the loss of identity.

    Args:
        curve: Results of `score` for increasing strengths.

    Returns:
        An index into `curve`.

    Example:

    ```python
    choose([{"flip_rate": 0.9, "largest_leakage": 0.1, "identity": None}])  # 0
    ```
    """
    enough = [i for i, point in enumerate(curve) if (point["flip_rate"] or 0) >= ENOUGH]
    return enough[0] if enough else max(range(len(curve)), key=lambda i: quality(curve[i]))


def quality(point):
    """Returns an edit's flip rate minus its largest leakage minus the loss of identity."""
    lost = 0 if point["identity"] is None else point["identity_ceiling"] - point["identity"]
    return (point["flip_rate"] or 0) - (point["largest_leakage"] or 0) - lost


def most_images(image_shape):
    """Returns the largest number of images of a shape to hold in memory as floats."""
    return max(1, MOST_VALUES // math.prod(image_shape))


def accuracy_of(side, attributes, names, known=None):
    """Returns the judge's balanced accuracy on images and on their reconstructions, by name.

    Args:
        side: A `Side`.
        attributes: The true attributes, bool ``(n, number of attributes)``.
        names: Names of the attributes.
        known: bool, of the shape of `attributes`: which values are known; None means all.

    Returns:
        For each attribute that the judge knows, a dict of the accuracy on ``photos`` and on
        ``reconstructions`` (None if all images have it, or none), and ``measurable``, whether
        that on photos is 0.85 or more. If only that on reconstructions is lower, the model
        reconstructs the attribute poorly or in a way that misleads the judge, so interpret the
        results with care. ``known`` is the number of images whose value is known, if not all.

    Example:

    ```python
    side = Side(run.model, judge, data.test.images)
    accuracy_of(side, data.test.attributes, data.attribute_names)["smiling"]["measurable"]
    ```
    """
    verdicts = {"photos": side.photo_logits > 0, "reconstructions": side.logits > 0}
    known = checks.as_known(known, np.shape(attributes))
    accuracy = {}
    for m, name in enumerate(side.judge.names):
        column = list(names).index(name)
        rows = known[:, column]
        has = attributes[rows, column].astype(bool)
        entry = {
            what: balanced_accuracy(verdict[rows, m], has) for what, verdict in verdicts.items()
        }
        accuracy[name] = {**entry, "measurable": (entry["photos"] or 0) >= MEASURABLE}
        if not rows.all():
            accuracy[name]["known"] = int(rows.sum())
    return accuracy
