"""Shares counted on a few examples: balanced accuracy, and confidence intervals."""

import math
from statistics import NormalDist

import numpy as np

from keras_vae import checks


def balanced_accuracy(predicted, truth):
    """Returns the mean of the accuracies on true and on false examples; None if either is empty."""
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    if truth.all() or not truth.any():
        return None
    return float((predicted[truth].mean() + (~predicted[~truth]).mean()) / 2)


def wilson(successes, n, level=0.95):
    """Returns a confidence interval of a share that was counted on n independent examples.

    The Wilson score interval (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953): all
    shares p with ``|successes / n - p| <= q sqrt(p (1 - p) / n)``, q being the normal
    distribution's quantile at ``(1 + level) / 2``, 1.96 for 0.95. Unlike the usual
    ``share +- 1.96 sigma`` it stays in [0, 1], and has a width above 0 if all or none succeed.

    Args:
        successes: Number of successes, in 0..n.
        n: Number of examples.
        level: Probability that the interval contains the true share, above 0 and below 1.

    Returns:
        Two floats, the lower and the upper limit; ``(0.0, 1.0)`` if n is 0.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    evaluate.wilson(8, 10)  # (0.490..., 0.943...)
    ```
    """
    checks.check_integer("n", n, 0)
    checks.check_integer("successes", successes, 0, below=n + 1)
    checks.check_number("level", level, above=0)
    if level >= 1:
        raise ValueError(f"Argument `level` must be below 1. Received: level={level!r}")
    if n == 0:
        return 0.0, 1.0
    share, square = successes / n, NormalDist().inv_cdf((1 + level) / 2) ** 2
    middle = (share + square / (2 * n)) / (1 + square / n)
    spread = math.sqrt(square * (share * (1 - share) + square / (4 * n)) / n) / (1 + square / n)
    # These limits are exactly 0 or 1; rounding could leave 1e-17.
    low = 0.0 if successes == 0 else middle - spread
    high = 1.0 if successes == n else middle + spread
    return low, high
