"""Special functions that Keras lacks."""

import math

from keras import ops

SHIFT = 8  # from here on, five terms of Stirling's series are exact in float32


def log_gamma(x):
    """Returns the logarithm of the gamma function of numbers above 0, in float32.

    Stirling's series, for numbers below 8 at ``x + 8``, from where the recurrence
    ``log G(x) = log G(x + 8) - log(x (x + 1) ... (x + 7))`` returns (Abramowitz & Stegun 1964,
    6.1.15 and 6.1.41).

    Args:
        x: A tensor.

    Returns:
        A tensor of the same shape, with an error of about 1e-6 of the larger of 1 and the result.

    Example:

    ```python
    log_gamma(np.array([1.0, 5.0]))  # [0., log(24)]
    ```
    """
    x = ops.convert_to_tensor(x)
    small = x < SHIFT
    y = ops.where(small, x + SHIFT, x)
    inverse = 1 / y
    series = inverse * (1 / 12 - ops.square(inverse) * (1 / 360 - ops.square(inverse) / 1260))
    result = (y - 0.5) * ops.log(y) - y + math.log(2 * math.pi) / 2 + series
    safe = ops.where(small, x, 1.0)
    product = safe
    for i in range(1, SHIFT):
        product = product * (safe + i)
    return result - ops.where(small, ops.log(product), 0.0)
