"""Do edits change what they should, and nothing else? Judged by classifiers of real images.

An edit is compared with the *unedited reconstruction*, so that what the model cannot draw anyway
is not counted as the edit's doing.
"""

import math

import numpy as np

from keras_vae import checks, latent
from keras_vae.evaluate.intervals import wilson

STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
MEASURABLE = 0.85  # balanced accuracy that the judge needs
ENOUGH = 0.95  # flip rate at which an edit need not be stronger
CURVE = 500  # images for each point of a curve
FINAL = 2000  # test images for the numbers at the chosen strength
CHOOSING = 200  # validation images that say which method is best
MOST_VALUES = 100_000_000  # pixels and channels of them: larger images are fewer
GROUP = 10  # images with an attribute and without, for leakage into it to count
SHORT = ("flip_rate", "largest_leakage", "leaks_into", "identity")  # of each point of a curve


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
    """Returns how well edits work: for each attribute, direction method and strength.

    For each attribute the strength is chosen on the validation images, see `choose`, and what
    it does is reported on test images. Images whose reconstruction the judge finds without the
    attribute get more of it; with those that have it the mirror is measured, as much less. What
    the numbers are: see `score`. With `keep_detail` edited photos are compared with the photos.

    Args:
        model: A `VAE` or `AutoEncoder`.
        judge: A `Classifier` of real images, see `accuracy_of`.
        identity_of: Function from the name of an attribute to a `Classifier` that was trained on
            all attributes but that one; None leaves identity out.
        directions: What edits by method: `latent.Directions`, a `latent.Flow` or
            `latent.Edits`. The first one is the default.
        validation: A `keras_vae.datasets.Split` with attributes.
        test: Another one.
        names: What the attributes of both are called.
        attributes: Names of the attributes to edit; None is all measurable ones. Those that
            are named are edited all the same, and ``measurable`` says that they are not.
        watch: Names of the attributes whose leakage counts; None is all measurable ones.
        exclusive: Names of attributes of which an image has one, such as classes. What becomes
            a 3 must cease to be an 8: leakage between them does not count, and identity, which
            would be that of another class, is left out.
        chosen: The method that the run uses for an attribute, by name, where that is not the
            default. This one is measured with `keep_detail`, too.
        progress: ``progress(what, total)`` begins a bar and returns what to call with each
            number of steps done; or None.

    Returns:
        A dict of numbers for JSON: ``judge``, its ``digest`` and, for each attribute, its
        balanced accuracy; ``images``, how many were used; ``attributes``, for each edited one and
        each method the strength, the numbers there and the ``curve``, and ``method``, the one
        that the run uses.

    Raises:
        ValueError: If `attributes` or `watch` names one that the judge does not know.

    Example:

    ```python
    judge = train_classifier(data.train.images, data.train.attributes, names)
    edit_report(model, judge, None, {"regression": directions}, data.validation, data.test, names)
    ```
    """
    for name in (*(attributes or ()), *(watch or ())):
        if name not in judge.names:
            raise ValueError(
                f"The judge does not know the attribute {name!r}; too few images may have it, or "
                f"lack it. It knows: {', '.join(judge.names)}"
            )
    most = most_images(test.images.shape[1:])
    validation, test = validation[: min(CURVE, most)], test[: min(FINAL, most)]
    sides = {
        "test": Side(model, judge, test.images),
        "validation": Side(model, judge, validation.images),
        "curve": Side(model, judge, test.images[:CURVE], among=test.images),
    }
    accuracy = accuracy_of(sides["test"], test.attributes, names, test.known)
    measurable = [name for name in judge.names if accuracy[name]["measurable"]]
    watched = [name for name in judge.names if name in (measurable if watch is None else watch)]
    first = next(iter(directions))
    wanted = measurable if attributes is None else attributes
    edited = [name for name in directions[first].names if name in wanted and name in judge.names]
    begin = progress or (lambda what, total: lambda steps: None)
    done = begin("edits", len(edited) * (1 + len(directions) * (2 * len(STRENGTHS) + 1)))
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
    """Returns by which method each attribute is edited best, by a judge of validation images.

    The best is the one with the largest flip rate, less the largest leakage, less what is lost
    of identity, each method at the strength that `choose` takes. Who it is says the judge
    itself: a network for each attribute, as in `edit_report`, would take minutes.

    Args:
        model: A `VAE` or `AutoEncoder`.
        judge: A `Classifier` of real images.
        methods: What edits by method, see `edit_report`; the first is the default.
        validation: A `keras_vae.datasets.Split`.
        exclusive: Names of attributes of which an image has one, such as classes.
        images: How many of the validation images to use.

    Returns:
        A dict from the name of each attribute that the judge knows to a method.

    Example:

    ```python
    choose_methods(model, judge, {"discriminant": directions, "flow": flow}, data.validation)
    ```
    """
    side = Side(model, judge, validation.images[: min(images, most_images(model.image_shape))])
    side.recognise(judge)
    chosen = {}
    for name in next(iter(methods.values())).names:
        if name not in judge.names:
            continue
        classes = exclusive if name in exclusive else ()
        watched = [other for other in judge.names if other not in classes]
        worths = {}
        for method, edits in methods.items():
            unit = edits.shift({name: 1.0}, side.z)
            curve = [side.score(name, strength * unit, watched) for strength in STRENGTHS[:4]]
            worths[method] = worth(curve[choose(curve)])
        chosen[name] = max(worths, key=worths.get)  # the first of equals
    return chosen


def measure(sides, name, edits, watched, keep_detail, done):
    """Returns what edits do to one attribute: at the best strength, and at all."""
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
    """Some images with all that is known of them before they are edited."""

    def __init__(self, model, judge, images, among=None):
        self.model, self.judge, self.images = model, judge, np.asarray(images)
        self.among = self.images if among is None else among  # begins with `images`
        self.z = latent.codes_of(model, self.images)
        self.reconstructions = model.decode(self.z)
        self.logits = judge.logits(self.reconstructions)
        self.photo_logits = judge.logits(self.images)

    def recognise(self, identity):
        """Sets by which network images are told apart; None leaves identity out."""
        self.identity = identity
        if identity:
            self.originals = identity.look(self.among)[0]
            self.own = self.recognised(self.reconstructions)

    def recognised(self, pictures):
        """Returns which pictures' nearest original is their own, bool ``(n,)``; or None."""
        if self.identity is None:
            return None
        layouts = self.identity.look(pictures)[0]
        return recognised(layouts, self.originals, np.arange(len(layouts)))

    def score(self, name, shift, watched, keep_detail=False):
        """Returns `score` of codes moved by `shift`, away from what the judge sees now.

        ``shift`` is ``(n, latent_dim)``, what gives more of the attribute.
        """
        before = self.photo_logits if keep_detail else self.logits
        has = before[:, self.judge.names.index(name)] > 0
        pictures = self.model.decode(self.z + np.where(has, -1, 1)[:, None] * shift)
        unedited = self.own if self.identity else None
        if keep_detail:
            pictures = latent.with_detail(self.images, self.reconstructions, pictures)
            unedited = self.identity and np.ones(len(has), bool)  # the photos themselves
        own, after = self.recognised(pictures), self.judge.logits(pictures)

        def part(rows):
            known = () if own is None else (own[rows], unedited[rows])
            names = self.judge.names
            return score(before[rows], after[rows], names, name, *known, watched=watched)

        return {**part(~has), "mirror": part(has)}


def score(before, after, names, name, own=None, unedited=None, watched=None):
    """Returns what an edit did to some pictures, by a judge's logits before and after.

    *Flip rate*: the share whose verdict on the edited attribute changed. *Leakage*: for each
    other attribute the share whose verdict on it changed, averaged over those judged with it
    and without it before (a group of none is left out), and the mean signed change of the
    logit. *Identity*: the share that is still recognised. With 95 % intervals: Wilson's, for
    leakage combined from those of the two groups (Newcombe 1998, "Interval estimation for the
    difference between independent proportions", method 10); they know nothing of the largest
    having been picked.

    Args:
        before: ``(n, number of attributes)``, of the unedited reconstructions.
        after: The same of the edited ones.
        names: The attributes of the logits.
        name: The one that was edited.
        own: bool ``(n,)``, which edited pictures are recognised; or None.
        unedited: bool ``(n,)``, which are before the edit; or None.
        watched: Names of the attributes whose leakage counts as the largest; None is all. Those
            are left out that fewer than 10 pictures were judged with, or without.

    Returns:
        A dict: ``n``; ``flip_rate``, ``largest_leakage`` and ``identity``, each in [0, 1] and
        with its interval, or None if there is nothing to count; ``identity_ceiling``, the share
        recognised before the edit; ``leaks_into``, which attribute has the largest leakage;
        ``leakage`` and ``logit_change`` by attribute.

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
        if (watched is None or names[m] in watched) and min(sizes[m], n - sizes[m]) >= GROUP
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
    """Returns the mean over both groups of the share that changed, and its interval."""
    groups = [changed[was == side] for side in (False, True) if (was == side).any()]
    shares = [group.mean() for group in groups]
    share = float(np.mean(shares))
    bounds = [wilson(int(group.sum()), len(group)) for group in groups]
    below = math.hypot(*(p - low for p, (low, _) in zip(shares, bounds))) / len(groups)
    above = math.hypot(*(high - p for p, (_, high) in zip(shares, bounds))) / len(groups)
    return share, (max(0.0, share - below), min(1.0, share + above))


def recognised(layouts, originals, rows):
    """Returns which pictures' nearest neighbour among the originals is their own.

    Args:
        layouts: ``(n, d)``, what `Classifier.look` says of pictures first.
        originals: ``(m, d)``, the same of all originals.
        rows: Which original each picture is of, ``(n,)``.

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
    """Returns which point of a curve is best: an index.

    The weakest edit with a flip rate of 0.95 or more. If there is none, the one with the best
    flip rate, less the largest leakage, less what is lost of identity.

    Args:
        curve: What `score` gave for growing strengths.

    Returns:
        An index into `curve`.

    Example:

    ```python
    choose([{"flip_rate": 0.9, "largest_leakage": 0.1, "identity": None}])  # 0
    ```
    """
    enough = [i for i, point in enumerate(curve) if (point["flip_rate"] or 0) >= ENOUGH]
    return enough[0] if enough else max(range(len(curve)), key=lambda i: worth(curve[i]))


def worth(point):
    """Returns an edit's flip rate, less its largest leakage, less what is lost of identity."""
    lost = 0 if point["identity"] is None else point["identity_ceiling"] - point["identity"]
    return (point["flip_rate"] or 0) - (point["largest_leakage"] or 0) - lost


def most_images(image_shape):
    """Returns how many images of a shape may be in memory as floats."""
    return max(1, MOST_VALUES // math.prod(image_shape))


def accuracy_of(side, attributes, names, known=None):
    """Returns the judge's balanced accuracy on images and on their reconstructions, by name.

    Args:
        side: A `Side`, of some images, a model and a judge.
        attributes: What the images truly show, bool ``(n, number of attributes)``.
        names: What those are called.
        known: bool, of the shape of `attributes`: which of them are known; None is all.

    Returns:
        For each attribute that the judge knows a dict of ``photos`` and ``reconstructions``
        (None if all images have it, or none), and ``measurable``, whether that on photos is 0.85
        or more. If only that on reconstructions is below, the model does not draw the
        attribute well, or draws in a way that misleads the judge: then read with care. Where
        the attribute is not known of all images, ``known`` is of how many it is.

    Example:

    ```python
    side = Side(run.model, judge, data.test.images)
    accuracy_of(side, data.test.attributes, data.attribute_names)["smiling"]["measurable"]
    ```
    """
    seen = {"photos": side.photo_logits > 0, "reconstructions": side.logits > 0}
    known = checks.as_known(known, np.shape(attributes))
    accuracy = {}
    for m, name in enumerate(side.judge.names):
        column = list(names).index(name)
        rows = known[:, column]
        has = attributes[rows, column].astype(bool)
        entry = {what: balanced_accuracy(says[rows, m], has) for what, says in seen.items()}
        accuracy[name] = {**entry, "measurable": (entry["photos"] or 0) >= MEASURABLE}
        if not rows.all():
            accuracy[name]["known"] = int(rows.sum())
    return accuracy


def balanced_accuracy(says, has):
    """Returns the mean of the shares that are right in either group; None without both groups."""
    says, has = np.asarray(says, bool), np.asarray(has, bool)
    if has.all() or not has.any():
        return None
    return float((says[has].mean() + (~says[~has]).mean()) / 2)
