"""How much generated images are like real ones, by the features that a classifier sees."""

import numpy as np

from keras_vae import checks

BLOCK = 2**22  # distances that are in memory at once: 32 MB
ROUNDING = 1e-12  # of squared distances, for the largest squared norm


def frechet_distance(features, others):
    """Returns how far apart two sets of features are, as if each came from one Gaussian.

    ``|m1 - m2|^2 + trace(S1 + S2 - 2 sqrt(S1^1/2 S2 S1^1/2))`` with the means m and the
    covariances S (of n - 1 degrees of freedom) of the two sets (Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500). Their FID takes the features from an Inception network;
    here they are from whatever network gave them. The roots are of symmetric matrices, by their
    eigenvalues, those below 0 by rounding set to 0: nothing becomes complex, and singular
    covariances do no harm.

    Few images make it too large, so it compares only between sets of the same size, and for
    features of the same network.

    Args:
        features: ``(n, d)``, n of 2 or more.
        others: ``(m, d)``, m of 2 or more.

    Returns:
        A float of at least 0, in squared units of the features; 0 for equal sets.

    Raises:
        ValueError: If the arrays are not such features.

    Example:

    ```python
    frechet_distance(np.eye(4), np.eye(4) + 1)  # 4, up to rounding
    ```
    """
    from threadpoolctl import threadpool_limits

    features, others = check_pair("features", features, "others", others)
    shift = features.mean(axis=0) - others.mean(axis=0)
    # On a busy machine, threads wait for each other: 8 s in place of 0.3 for 512 features.
    with threadpool_limits(1, "blas"):
        root, variance = covariance_root(features)
        other_root, other_variance = covariance_root(others)
        # The singular values of S2^1/2 S1^1/2 are the roots of the eigenvalues of
        # S1^1/2 S2 S1^1/2. Taken so, those near 0 keep their digits.
        overlap = np.linalg.svd(other_root @ root, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + variance + other_variance - 2 * overlap))


def precision_recall(real, generated, k=3):
    """Returns how good and how diverse generated images are, two shares apart.

    Around each feature of a set there is a ball that reaches to its k-th nearest neighbour in
    the same set; the balls together are what the set covers. Precision is the share of
    generated features that the real ones cover, recall the share of real features that the
    generated ones cover (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991). Balls
    shrink when there are more features, so both sets must be of one size.

    Args:
        real: ``(n, d)``, n above k.
        generated: ``(n, d)``.
        k: Which neighbour a ball reaches to.

    Returns:
        Two floats in [0, 1], precision and recall.

    Raises:
        ValueError: If the arrays are not such features, or not of one size.

    Example:

    ```python
    precision_recall(np.eye(5), np.eye(5))  # (1.0, 1.0)
    ```
    """
    real, generated = check_pair("real", real, "generated", generated)
    checks.check_size("k", k)
    if len(real) != len(generated):
        raise ValueError(
            "Arguments `real` and `generated` must hold as many features. Received: "
            f"{len(real)} and {len(generated)}"
        )
    if len(real) <= k:
        raise ValueError(f"k={k} needs more than {k} features. Received: {len(real)}")
    middle = real.mean(axis=0)  # distances lose no digits to a mean far from 0
    real, generated = real - middle, generated - middle
    largest = max(square_norms(real).max(), square_norms(generated).max())
    # Equal features are in a ball of radius 0, whatever the rounding.
    real_radii = neighbour_distances(real, k) + ROUNDING * largest
    generated_radii = neighbour_distances(generated, k) + ROUNDING * largest
    covered, covers = 0, np.zeros(len(real), bool)
    for rows, distances in square_distances(generated, real):
        covered += (distances <= real_radii).any(axis=1).sum()
        covers |= (distances <= generated_radii[rows, None]).any(axis=0)
    return float(covered / len(generated)), float(covers.mean())


def two_sample_accuracy(real, generated):
    """Returns how well nearest neighbours tell generated codes or features from real ones.

    The share of all whose nearest neighbour, itself left out, is of its own set: 0.5 if the two
    sets come from one distribution, up to 1 if they are apart (Lopez-Paz & Oquab 2017,
    https://arxiv.org/abs/1610.06545, with the classifier of Xu et al. 2018). Values below 0.5
    speak of generated ones that repeat the real ones. Each column is divided by its standard
    deviation over the real ones first.

    Args:
        real: ``(n, d)``, n of 2 or more.
        generated: ``(n, d)``.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If the arrays are not such features, or not of one size.

    Example:

    ```python
    two_sample_accuracy(np.eye(5), np.eye(5) + 10)  # 1.0
    ```
    """
    real, generated = check_pair("real", real, "generated", generated)
    if len(real) != len(generated):
        raise ValueError(
            "Arguments `real` and `generated` must hold as many features. Received: "
            f"{len(real)} and {len(generated)}"
        )
    both = np.concatenate([real, generated]) - real.mean(axis=0)
    both /= np.maximum(real.std(axis=0), 1e-12)
    is_real = np.arange(len(both)) < len(real)
    right = 0
    for rows, distances in square_distances(both, both):
        here = np.arange(rows.start, min(rows.stop, len(both)))
        distances[np.arange(len(here)), here] = np.inf
        right += (is_real[distances.argmin(axis=1)] == is_real[here]).sum()
    return float(right / len(both))


def sample_report(features):
    """Returns how much several sets of images are like the test images.

    All numbers depend on n and on the classifier that gave the features: they compare only for
    the same n and the same classifier, whose digest belongs beside them. The training images
    are real ones, so their row says what new images can reach; reconstructions, which are of the
    test images themselves, can come nearer.

    Args:
        features: Features ``(n, d)`` by name: ``"test"``, what the others are compared with,
            ``"train"``, and any more, such as ``"reconstructions"``, ``"prior"`` and
            ``"mixture"``. The smallest set says how many of each are used; of larger ones,
            rows evenly spread, so that a sorted set is not cut to its first classes.

    Returns:
        A dict: ``n``, how many of each were used; ``features``, d; and ``rows``, for each name
        but ``"test"`` a dict of ``frechet``, see `frechet_distance`, ``precision`` and
        ``recall``, see `precision_recall`, with the test images as the real ones.

    Raises:
        ValueError: If a set is missing, or is not ``(n, d)`` with n of 4 or more.

    Example:

    ```python
    draw = np.random.default_rng(0).standard_normal
    sample_report({name: draw((100, 8)) for name in ("test", "train", "prior")})["rows"]
    ```
    """
    missing = [name for name in ("test", "train") if name not in features]
    if missing:
        raise ValueError(
            f"Argument `features` must have sets 'test' and 'train'. Received: {list(features)}"
        )
    sets = {name: check_features(name, array) for name, array in features.items()}
    n = min(map(len, sets.values()))
    sets = {name: array[np.arange(n) * len(array) // n] for name, array in sets.items()}
    test = sets.pop("test")
    rows = {}
    for name, array in sets.items():
        precision, recall = precision_recall(test, array)
        rows[name] = {
            "frechet": frechet_distance(test, array),
            "precision": precision,
            "recall": recall,
        }
    return {"n": n, "features": test.shape[1], "rows": rows}


def covariance_root(features):
    """Returns the symmetric root ``(d, d)`` of the covariance, and the covariance's trace."""
    centred = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(features) - 1))
    values = np.maximum(values, 0)
    return (vectors * np.sqrt(values)) @ vectors.T, values.sum()


def neighbour_distances(features, k):
    """Returns the squared distance ``(n,)`` of each feature to its k-th nearest neighbour."""
    # The 0-th nearest of all is the feature itself.
    blocks = square_distances(features, features)
    return np.concatenate([np.partition(block, k, axis=1)[:, k] for _, block in blocks])


def square_distances(features, others):
    """Yields slices of rows of `features` and their squared distances to all `others`."""
    step = max(1, BLOCK // len(others))
    for start in range(0, len(features), step):
        rows = slice(start, start + step)
        block = square_norms(features[rows])[:, None] + square_norms(others)
        block -= 2 * features[rows] @ others.T
        yield rows, np.maximum(block, 0)


def square_norms(features):
    return np.einsum("nd,nd->n", features, features)


def check_pair(name, features, other_name, others):
    """Returns both as float64, or raises `ValueError` unless both are features, of one width."""
    features, others = check_features(name, features), check_features(other_name, others)
    if features.shape[1] != others.shape[1]:
        raise ValueError(
            f"Arguments `{name}` and `{other_name}` must be of one width. Received: "
            f"{features.shape[1]} and {others.shape[1]}"
        )
    return features, others


def check_features(name, features):
    """Returns them as float64, or raises `ValueError` unless they are finite, ``(n, d)``."""
    features = np.asarray(features, "float64")
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(
            f"Argument `{name}` must be finite features, (n, d), 2 or more. "
            f"Received: shape={features.shape}"
        )
    return features
