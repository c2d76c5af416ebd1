"""Disentanglement: how closely single latents correspond to single known factors.

Codes are the ``z_mean`` of images, ``(n, latent_dim)``. Factors are the known variables that
generated the images, ``(n, factors)``: a column with two values is boolean, any other continuous.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_vae import checks
from keras_vae.evaluate.intervals import balanced_accuracy

BINS = 20  # of equal width, over the range of a latent or of a continuous factor
ROWS = 3000  # most rows of a report, because the trees are slow
LEAST = 30  # rows; scores of fewer rows are noise
HELD_OUT = 3  # every third row is held out for scoring
RARE = 3  # rows that must differ from a factor's commonest value, so that one is held out
# Few small trees, each fitted to a part of the rows: `dci` says how this affects the scores.
TREES = {"n_estimators": 80, "max_depth": 3, "learning_rate": 0.1, "subsample": 0.25}


def disentanglement_report(codes, factors, factor_names, seed=0, progress=None):
    """Returns three disentanglement scores: MIG, DCI and SAP, overall and for each factor.

    All scores use the same rows: 3,000 drawn with `seed`, or all if there are fewer. `dci` and
    `sap` divide them into rows for fitting and rows for scoring.

    Args:
        codes: ``z_mean`` of the images, ``(n, latent_dim)``, n of 30 or more.
        factors: Factors of the images, ``(n, factors)``, numbers or booleans.
        factor_names: A name for each column of `factors`.
        seed: A non-negative integer, for choosing and dividing the rows and for the trees.
        progress: Called with 1 after each factor, including skipped ones.

    Returns:
        A dict of plain numbers and lists. All scores are without a unit, higher is better:
        ``mig``, see `mutual_information_gap`; ``dci_disentanglement``, ``dci_completeness``,
        ``dci_informativeness_r2`` (None without continuous factors) and
        ``dci_informativeness_accuracy`` (None without boolean ones), see `dci`; ``sap``, see
        `sap`. ``images``, the number of rows used. ``factors``, for each factor a dict of its
        ``name``, its ``kind`` ("continuous" or "boolean"), its own ``mig``,
        ``informativeness`` (R^2 or balanced accuracy, depending on the kind), ``completeness``
        and ``sap``, and ``latent``, the latent with the highest mutual information, counted from
        1 as in the pictures ("z 1"). ``left_out``, the names of skipped factors, which do not
        vary: fewer than 3 of the rows differ from the commonest value.

    Raises:
        ValueError: If the arrays are not codes and factors as described, the number of names
            differs, no factor varies, or the seed is invalid.

    Example:

    ```python
    draw = np.random.default_rng(0).random
    evaluate.disentanglement_report(draw((300, 4)), draw((300, 2)), ("size", "hue"))["mig"]
    ```
    """
    checks.check_integer("seed", seed, 0)
    codes, factors = check_pair(codes, factors)
    names = list(map(str, factor_names))
    if len(names) != factors.shape[1]:
        raise ValueError(
            f"Argument `factor_names` must name {factors.shape[1]} factors. Received: {names}"
        )
    rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:ROWS])
    codes, factors = codes[rows], factors[rows]
    kept = np.array([varies(column) for column in factors.T])
    factors = check_factors(factors[:, kept])
    if progress:
        for _ in np.flatnonzero(~kept):
            progress(1)
    gaps = mutual_information_gap(codes, factors)
    trees = dci(codes, factors, seed, progress)
    lines = sap(codes, factors, seed)
    columns = {
        "name": [name for name, keep in zip(names, kept) if keep],
        "kind": ["boolean" if is_boolean(column) else "continuous" for column in factors.T],
        "mig": gaps["per_factor"],
        "latent": gaps["latents"],
        "informativeness": trees["informativeness_per_factor"],
        "completeness": trees["completeness_per_factor"],
        "sap": lines["per_factor"],
    }
    return {
        "mig": gaps["mig"],
        "dci_disentanglement": trees["disentanglement"],
        "dci_completeness": trees["completeness"],
        "dci_informativeness_r2": trees["informativeness_r2"],
        "dci_informativeness_accuracy": trees["informativeness_accuracy"],
        "sap": lines["sap"],
        "images": len(rows),
        "factors": [dict(zip(columns, values)) for values in zip(*columns.values())],
        "left_out": [name for name, keep in zip(names, kept) if not keep],
    }


def mutual_information_gap(codes, factors):
    """Returns the mutual information gap (MIG).

    For each factor ``(I(z_1; v) - I(z_2; v)) / H(v)``, with z_1 and z_2 the two latents of the
    highest mutual information I with the factor v, and H its entropy; the score is the mean
    over factors (Chen et al. 2018, https://arxiv.org/abs/1802.04942). As in Locatello et al. 2019
    (https://arxiv.org/abs/1811.12359), I and H are estimated from counts: ``z_mean`` is divided
    into 20 bins of equal width from its lowest to its highest value, as are continuous factors;
    boolean factors are used as they are. With few rows, counting overestimates I by about
    361 / 2n nats for 20 by 20 bins, equally for all latents. If there is only one latent, the
    second I is 0.

    Args:
        codes: ``(n, latent_dim)``, n of 30 or more.
        factors: ``(n, factors)``, each of which varies.

    Returns:
        A dict: ``mig``, in [0, 1], without a unit; ``per_factor``, the list of the scores of
        each factor; ``latents``, the list of each factor's z_1, counted from 1 (the first if
        several are equal).

    Raises:
        ValueError: If the arrays are not codes and factors as described.

    Example:

    ```python
    factors = np.random.default_rng(0).random((1000, 2))
    evaluate.mutual_information_gap(factors, factors)["mig"]  # 0.9 or more
    ```
    """
    codes, factors = check_pair(codes, factors)
    factors = check_factors(factors)
    binned = bins(codes)
    gaps, latents = [], []
    for column in factors.T:
        values = np.unique(column, return_inverse=True)[1] if is_boolean(column) else bins(column)
        information = mutual_information(binned, values)
        gaps.append(gap(information, nothing=0) / entropy(np.bincount(values) / len(values)))
        latents.append(int(np.argmax(information)) + 1)
    return {"mig": float(np.mean(gaps)), "per_factor": list(map(float, gaps)), "latents": latents}


def dci(codes, factors, seed=0, progress=None):
    """Returns disentanglement, completeness and informativeness.

    The scores of Eastwood & Williams 2018 (A framework for the quantitative evaluation of
    disentangled representations, https://openreview.net/forum?id=By-7dz-AZ). For each factor,
    gradient-boosted trees predict it from all L latents: a regressor the continuous ones, a
    classifier with balanced weights the boolean ones. With ``R_lf`` the importance of latent l
    for factor f, which sums to 1 over latents, and F factors:

    - disentanglement: the mean over latents of ``1 - H_F(R_lf / sum_f R_lf)``, H_F being the
      entropy in base F, weighted by ``sum_f R_lf``. It is 1 if each latent that is used predicts
      only one factor.
    - completeness: the mean over factors of ``1 - H_L(R_lf)``, the entropy in base L. It is 1 if
      each factor is in one latent, and 1 - log 2 / log L if it is in two equally.
    - informativeness, on the third of the rows held out from the trees: R^2 of continuous
      factors (1 - squared error / variance, at least 0), and balanced accuracy of boolean factors
      (0.5 by chance).

    The entropy in base 1 is taken as 0. Importances sum to 1 even for a factor that the codes do
    not contain, and it has the same weight as the others, so the first two scores mean little if
    informativeness is low.

    The trees are small because many are needed: 80 of depth 3, each fitted to a quarter of the
    rows. This affects factors that are mixtures of many latents: for 28 factors in linear
    mixtures of 64 latents, 50, 80 and 100 trees had R^2 of 0.74, 0.80 and 0.83 and a
    disentanglement of 0.33, 0.29 and 0.27. If each factor had its own latent, all scores were
    0.97 or more. So compare scores only for the same trees and similar numbers of rows.

    Args:
        codes: ``(n, latent_dim)``, n of 30 or more. All rows are used; 3,000 are enough.
        factors: ``(n, factors)``, each of which varies.
        seed: A non-negative integer, for dividing the rows and for the trees.
        progress: Called with 1 after each factor.

    Returns:
        A dict of numbers in [0, 1], without a unit: ``disentanglement``, ``completeness``,
        ``informativeness_r2``, the mean over continuous factors, and
        ``informativeness_accuracy``, the mean over boolean factors (each None without such
        factors); and the lists ``completeness_per_factor`` and ``informativeness_per_factor``.

    Raises:
        ValueError: If the arrays are not codes and factors as described, or the seed is invalid.

    Example:

    ```python
    factors = np.random.default_rng(0).random((300, 2))
    evaluate.dci(factors, factors)["disentanglement"]  # close to 1
    ```
    """
    checks.check_integer("seed", seed, 0)
    codes, factors = check_pair(codes, factors)
    factors = check_factors(factors)
    # If two latents split equally well, trees choose by position. Sorting the latents by their
    # values makes the scores independent of their numbering.
    order = np.lexsort(codes)
    # Trees compute in float32 and treat values less than 1e-7 apart as equal.
    codes = scaled(codes)[:, order].astype("float32")
    importances, informativeness = [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for importance, score in pool.map(lambda f: grow(codes, f, seed), factors.T):
            importances.append(importance)
            informativeness.append(float(score))
            if progress:
                progress(1)
    importances = np.array(importances)  # (factors, latents)
    completeness = [concentration(row) for row in importances]
    purity = [concentration(column) for column in importances.T]
    weight = importances.sum(axis=0)
    boolean = [is_boolean(column) for column in factors.T]
    accuracies = [score for score, yes in zip(informativeness, boolean) if yes]
    squares = [score for score, yes in zip(informativeness, boolean) if not yes]
    return {
        "disentanglement": float(weight @ purity / max(weight.sum(), 1e-12)),
        "completeness": float(np.mean(completeness)),
        "informativeness_r2": float(np.mean(squares)) if squares else None,
        "informativeness_accuracy": float(np.mean(accuracies)) if accuracies else None,
        "completeness_per_factor": completeness,
        "informativeness_per_factor": informativeness,
    }


def sap(codes, factors, seed=0):
    """Returns the separated attribute predictability (SAP).

    Each latent alone predicts each factor. The score of a factor is the gap between the two
    latents that predict it best; SAP is the mean over factors (Kumar et al. 2018,
    https://arxiv.org/abs/1711.00848). The prediction of a continuous factor is scored by R^2 of
    the linear fit, the squared correlation over all rows. A boolean factor is predicted by a
    threshold and scored by balanced accuracy: the threshold and its direction are fitted on two
    thirds of the rows, and the score is computed on the others. A single latent is compared with
    a constant, which has an R^2 of 0 and an accuracy of 0.5. So the gap is at most 0.5 for a
    boolean factor and 1 for a continuous one.

    Args:
        codes: ``(n, latent_dim)``, n of 30 or more.
        factors: ``(n, factors)``, each of which varies.
        seed: A non-negative integer, for dividing the rows.

    Returns:
        A dict: ``sap``, in [0, 1], without a unit, and ``per_factor``, the list of the scores of
        each factor.

    Raises:
        ValueError: If the arrays are not codes and factors as described, or the seed is invalid.

    Example:

    ```python
    factors = np.random.default_rng(0).random((1000, 2))
    evaluate.sap(factors, factors)["sap"]  # close to 1
    ```
    """
    checks.check_integer("seed", seed, 0)
    codes, factors = check_pair(codes, factors)
    factors = check_factors(factors)
    gaps = []
    for column in factors.T:
        if is_boolean(column):
            gaps.append(gap(threshold_accuracies(codes, column, seed), nothing=0.5))
        else:
            gaps.append(gap(square_correlations(codes, column), nothing=0))
    return {"sap": float(np.mean(gaps)), "per_factor": list(map(float, gaps))}


def gap(scores, nothing):
    """Returns the highest score minus the second highest; of a single score minus `nothing`."""
    second, first = np.sort(scores if len(scores) > 1 else [nothing, *scores])[-2:]
    return first - second


def scaled(columns):
    """Returns each column scaled from its range to [0, 1]; a constant column becomes 0."""
    # Halved first, because the difference of two large floats may overflow.
    low, high = columns.min(axis=0) / 2, columns.max(axis=0) / 2
    return (columns / 2 - low) / np.where(high > low, high - low, 1)


def bins(columns):
    """Returns the number of the bin of each value; 0 in a constant column."""
    return np.minimum(scaled(columns) * BINS, BINS - 1).astype(int)


def mutual_information(binned, values):
    """Returns the mutual information of each latent's bins and `values`, ``(latents,)`` nats."""
    n, latents = binned.shape
    kinds = values.max() + 1
    cells = (np.arange(latents) * BINS + binned) * kinds + values[:, None]
    counts = np.bincount(cells.ravel(), minlength=latents * BINS * kinds)
    joint = counts.reshape(latents, BINS, kinds) / n
    both = entropy(joint.reshape(latents, -1))
    return np.maximum(entropy(joint.sum(axis=2)) + entropy(joint.sum(axis=1)) - both, 0)


def entropy(shares):
    """Returns the entropy over the last axis, in nats."""
    from scipy.special import entr

    return entr(shares).sum(axis=-1)


def concentration(weights):
    """Returns 1 minus the entropy of normalised weights, in base their number; 0 if all are 0."""
    total = weights.sum()
    if total <= 0:
        return 0.0
    if len(weights) == 1:
        return 1.0
    return max(0.0, float(1 - entropy(weights / total) / np.log(len(weights))))


def grow(codes, factor, seed):
    """Fits trees; returns the importance of each latent ``(latents,)`` and the held-out score."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    fit, held_out = split(factor, seed)
    settings = {**TREES, "random_state": seed % 2**32}  # scikit-learn takes 32 bits
    if is_boolean(factor):
        truth = factor == factor.max()
        weights = np.where(truth[fit], 1 / truth[fit].mean(), 1 / (~truth[fit]).mean())
        trees = GradientBoostingClassifier(**settings).fit(codes[fit], truth[fit], weights)
        score = balanced_accuracy(trees.predict(codes[held_out]), truth[held_out])
    else:
        values = scaled(factor) / scaled(factor).std()
        trees = GradientBoostingRegressor(**settings).fit(codes[fit], values[fit])
        error = np.mean((trees.predict(codes[held_out]) - values[held_out]) ** 2)
        score = max(0.0, 1 - error / max(np.var(values[held_out]), 1e-12))
    # Rounding can produce importances of -1e-20 if the trees predict perfectly.
    importance = np.maximum(trees.feature_importances_, 0)
    return importance / max(importance.sum(), 1e-12), score


def split(factor, seed):
    """Returns the numbers of the rows for fitting, two thirds, and of the held-out rows.

    Rows are sorted by the factor, equal values in random order, and every third is held out. So
    both parts have the same distribution, and three rows of a rare value are enough.
    """
    order = np.random.default_rng(seed).permutation(len(factor))
    order = order[np.argsort(factor[order], kind="stable")]
    held_out = np.arange(len(order)) % HELD_OUT == HELD_OUT - 1
    return order[~held_out], order[held_out]


def threshold_accuracies(codes, factor, seed):
    """Returns the balanced accuracy of the best threshold of each latent, ``(latents,)``."""
    truth = factor == factor.max()
    fit, held_out = split(factor, seed)
    accuracies = []
    for latent in codes.T:
        threshold, above = best_threshold(latent[fit], truth[fit])
        predicted = (latent[held_out] > threshold) == above
        accuracies.append(balanced_accuracy(predicted, truth[held_out]))
    return accuracies


def best_threshold(latent, truth):
    """Returns the threshold that best predicts `truth`, and whether true values lie above it."""
    order = np.argsort(latent)
    latent, truth = latent[order], truth[order]
    # At each value, the share of false rows at or below it minus the share of true rows.
    excess = np.cumsum(~truth) / np.sum(~truth) - np.cumsum(truth) / np.sum(truth)
    ends = np.flatnonzero(latent[:-1] < latent[1:])  # a threshold cannot separate equal values
    if len(ends) == 0:
        return latent[0], True
    end = ends[np.argmax(np.abs(excess[ends]))]
    return latent[end] / 2 + latent[end + 1] / 2, bool(excess[end] > 0)


def square_correlations(codes, factor):
    """Returns the squared correlation of each latent with a factor; 0 for a constant latent."""
    codes, factor = scaled(codes), scaled(factor)  # squares could overflow or vanish otherwise
    varies = codes.max(axis=0) > 0
    codes, factor = codes - codes.mean(axis=0), factor - factor.mean()
    squares = (factor @ codes) ** 2 / np.where(varies, np.sum(codes**2, axis=0), 1)
    return np.where(varies, np.minimum(squares / np.sum(factor**2), 1), 0)


def is_boolean(factor):
    return len(np.unique(factor)) == 2


def varies(factor):
    """Returns whether enough rows differ from the commonest value for fitting and scoring."""
    counts = np.unique(factor, return_counts=True)[1]
    return len(factor) - counts.max() >= RARE


def check_factors(factors):
    """Returns the factors, or raises `ValueError` unless there is at least one and each varies."""
    constant = [i for i, column in enumerate(factors.T) if not varies(column)]
    if constant or factors.shape[1] == 0:
        which = f"columns {constant} that do not" if constant else "none that varies"
        raise ValueError(
            f"Argument `factors` must vary: {RARE} or more rows must differ from the commonest "
            f"value. Received: {which}"
        )
    return factors


def check_pair(codes, factors):
    """Returns both as float64, or raises `ValueError` unless they are finite and match."""
    codes, factors = np.asarray(codes, "float64"), np.asarray(factors, "float64")
    for name, array in (("codes", codes), ("factors", factors)):
        if array.ndim != 2 or 0 in array.shape[1:] or not np.isfinite(array).all():
            raise ValueError(
                f"Argument `{name}` must be finite, (n, columns), with at least one column. "
                f"Received: shape={array.shape}"
            )
    if len(codes) != len(factors) or len(codes) < LEAST:
        raise ValueError(
            f"Arguments `codes` and `factors` must have equally many rows, {LEAST} or more. "
            f"Received: {len(codes)} and {len(factors)}"
        )
    return codes, factors
