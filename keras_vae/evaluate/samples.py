"""How similar generated images are to real ones, measured on features of a classifier."""

import numpy as np

from keras_vae import checks

BLOCK = 2**22  # distances in memory at once: 32 MB
ROUNDING = 1e-12  # tolerance of squared distances, relative to the largest squared norm


def frechet_distance(features, others):
    """Returns the Fréchet distance of Gaussians fitted to two sets of features.

    ``|m1 - m2|^2 + trace(S1 + S2 - 2 sqrt(S1^1/2 S2 S1^1/2))`` with the means m and the
    covariances S (of n - 1 degrees of freedom) of the two sets (Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500). Their FID uses features of an Inception network; here
    features may come from any network. The roots are computed from eigenvalues of symmetric
    matrices, with negative rounding errors set to 0, so that results are real and singular
    covariances are allowed.

    The distance is overestimated for small sets, so compare only sets of the same size, with
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
    evaluate.frechet_distance(np.eye(4), np.eye(4) + 1)  # 4, up to rounding
    ```
    """
    from threadpoolctl import threadpool_limits

    features, others = check_pair("features", features, "others", others)
    shift = features.mean(axis=0) - others.mean(axis=0)
    # On a busy machine, threads wait for each other: 8 s instead of 0.3 s for 512 features.
    with threadpool_limits(1, "blas"):
        root, variance = covariance_root(features)
        other_root, other_variance = covariance_root(others)
        # The singular values of S2^1/2 S1^1/2 are the roots of the eigenvalues of
        # S1^1/2 S2 S1^1/2. Computed this way, those near 0 keep their digits.
        overlap = np.linalg.svd(other_root @ root, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + variance + other_variance - 2 * overlap))


def precision_recall(real, generated, k=3):
    """Returns precision and recall, which measure quality and diversity of generated images.

    Each feature of a set is the centre of a ball whose radius is the distance to its k-th nearest
    neighbour in the same set; a set covers the union of its balls. Precision is the share of
    generated features that the real ones cover, recall the share of real features that the
    generated ones cover (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991). Balls
    shrink as sets grow, so both sets must have the same size.

    Args:
        real: ``(n, d)``, n above k.
        generated: ``(n, d)``.
        k: Number of the neighbour that determines the radius.

    Returns:
        Two floats in [0, 1], precision and recall.

    Raises:
        ValueError: If the arrays are not such features, or their sizes differ.

    Example:

    ```python
    evaluate.precision_recall(np.eye(5), np.eye(5))  # (1.0, 1.0)
    ```
    """
    real, generated = check_equal_sets(real, generated)
    checks.check_integer("k", k, 1)
    if len(real) <= k:
        raise ValueError(f"k={k} needs more than {k} features. Received: {len(real)}")
    middle = real.mean(axis=0)  # distances of centred features lose the fewest digits
    real, generated = real - middle, generated - middle
    largest = max(square_norms(real).max(), square_norms(generated).max())
    # With this tolerance, equal features are in a ball of radius 0 despite rounding.
    real_radii = neighbour_distances(real, k) + ROUNDING * largest
    generated_radii = neighbour_distances(generated, k) + ROUNDING * largest
    covered, covers = 0, np.zeros(len(real), bool)
    for rows, distances in square_distances(generated, real):
        covered += (distances <= real_radii).any(axis=1).sum()
        covers |= (distances <= generated_radii[rows, None]).any(axis=0)
    return float(covered / len(generated)), float(covers.mean())


def two_sample_accuracy(real, generated):
    """Returns the accuracy of a nearest-neighbour classifier of real and generated features.

    This is the share of rows whose nearest other row belongs to the same set: 0.5 if both sets
    come from one distribution, 1 if they are separate (Lopez-Paz & Oquab 2017,
    https://arxiv.org/abs/1610.06545, with the classifier of Xu et al. 2018). Values below 0.5
    indicate copies of real rows among the generated ones. Each column is first divided by its
    standard deviation over the real rows.

    Args:
        real: Codes or features ``(n, d)``, n of 2 or more.
        generated: ``(n, d)``.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If the arrays are not such features, or their sizes differ.

    Example:

    ```python
    evaluate.two_sample_accuracy(np.eye(5), np.eye(5) + 10)  # 1.0
    ```
    """
    real, generated = check_equal_sets(real, generated)
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
    """Returns the similarity of several sets of images to the test images.

    All numbers depend on n and on the classifier, so compare only results for the same n and the
    same classifier, and report its digest with them. The training images are real, so their row
    shows the best values that new images can be expected to reach; reconstructions, which are
    made from the test images, can be closer.

    Args:
        features: Features ``(n, d)`` by name: ``"test"``, with which the others are compared,
            ``"train"``, and any others, such as ``"reconstructions"``, ``"prior"`` and
            ``"mixture"``. All sets are reduced to the size of the smallest, by evenly spaced
            rows, so that a set sorted by class keeps all classes.

    Returns:
        A dict: ``n``, the number of rows used of each set; ``features``, d; and ``rows``, for
        each name except ``"test"`` a dict of ``frechet`` (see `frechet_distance`), ``precision``
        and ``recall`` (see `precision_recall`), with the test images as the real ones.

    Raises:
        ValueError: If a set is missing, or is not ``(n, d)`` with n of 4 or more.

    Example:

    ```python
    draw = np.random.default_rng(0).standard_normal
    evaluate.sample_report({name: draw((100, 8)) for name in ("test", "train", "prior")})["rows"]
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
    """Returns the symmetric square root ``(d, d)`` of the covariance, and its trace."""
    centred = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(features) - 1))
    values = np.maximum(values, 0)
    return (vectors * np.sqrt(values)) @ vectors.T, values.sum()


def neighbour_distances(features, k):
    """Returns the squared distance ``(n,)`` of each feature to its k-th nearest neighbour."""
    # Neighbour 0 is the feature itself.
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


def check_equal_sets(real, generated):
    """Returns both as float64, or raises `ValueError` unless both have the same shape (n, d)."""
    real, generated = check_pair("real", real, "generated", generated)
    if len(real) != len(generated):
        raise ValueError(
            "Arguments `real` and `generated` must hold equally many features. Received: "
            f"{len(real)} and {len(generated)}"
        )
    return real, generated


def check_pair(name, features, other_name, others):
    """Returns both as float64, or raises `ValueError` unless both are features of equal width."""
    features, others = check_features(name, features), check_features(other_name, others)
    if features.shape[1] != others.shape[1]:
        raise ValueError(
            f"Arguments `{name}` and `{other_name}` must have equally many columns. Received: "
            f"{features.shape[1]} and {others.shape[1]}"
        )
    return features, others


def check_features(name, features):
    """Returns features as float64, or raises `ValueError` unless they are finite, ``(n, d)``."""
    features = np.asarray(features, "float64")
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(
            f"Argument `{name}` must be finite features, (n, d), with 2 or more rows. "
            f"Received: shape={features.shape}"
        )
    return features
