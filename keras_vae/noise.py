"""Noise as a function: seed, step, row and column give the same number on every backend.

A generator has a state, so its numbers depend on everything that was drawn before, and on the
backend. A function does not: training that is continued or spread over several devices sees the
same noise. The numbers are equal to the bit, since they come from int32 arithmetic, which wraps in
the same way everywhere, and a normal one is one addition of two float32 entries of tables; a
logarithm or a cosine differs in its last bits between frameworks.
"""

import statistics

import numpy as np
from keras import ops

ENTRIES = 4096  # of each table, chosen by 12 bits
WEIGHTS = 0.75, (1 - 0.75**2) ** 0.5  # of the two entries; the squares add up to 1
OUTERMOST = 0.08  # moves the outermost entry out, so that the sum has the tails of the normal


def normal(seed, step, row, column):
    """Returns noise ``eps ~ N(0, 1)`` for whole numbers, whose shapes are broadcast.

    The bits of `bits` choose an entry in each of two tables of normal quantiles, and the entries
    are added. So there are 2^24 values. Mean and variance are exact, the kurtosis is 3.002, the
    distribution function is within 4e-5 of the normal one, and tail probabilities are within 3 %
    of the normal ones up to 4 sigma, within 20 % up to 5 sigma; no value is beyond 5.4 sigma.

    Args:
        seed, step: int32 tensors or integers.
        row, column: int32 tensors. Computed fastest if only `column` has a last axis longer
            than 1.

    Returns:
        A float32 tensor.

    Example:

    ```python
    rows, columns = np.arange(128, dtype="int32"), np.arange(64, dtype="int32")
    eps = normal(0, step, rows[:, None], columns)  # (128, 64)
    ```
    """
    chosen = bits(seed, step, row, column)
    first, second = (ops.convert_to_tensor(table) for table in TABLES)
    first_choice = ops.bitwise_and(chosen, ENTRIES - 1)
    return ops.take(first, first_choice) + ops.take(second, shifted(chosen, 20))


def uniform(seed, step, row, column):
    """Returns noise that is uniform in [0, 1), multiples of ``2^-24``; see `normal`."""
    return ops.cast(shifted(bits(seed, step, row, column), 8), "float32") * 2**-24


def bits(seed, step, row, column):
    """Returns 32 random bits as int32 for whole numbers, whose shapes are broadcast.

    Two hashes of seed, step and row, 64 bits together, are mixed with the column. As a stream over
    columns, rows, steps or seeds they pass the statistical tests named in docs/benchmarks/index.md.

    Args:
        seed, step, row, column: int32 tensors, or integers.
    """
    seed, step, row, column = (ops.convert_to_tensor(n, "int32") for n in (seed, step, row, column))
    one = mixed(mixed(mixed(seed) + step) + row)
    other = mixed(mixed(mixed(row + signed(0x9E3779B9)) + step) + seed)
    return mixed(one + column, other)


def mixed(x, other=0):
    """Returns a hash of int32 numbers; each bit of `x` changes about half of the result's bits.

    Shifts and multipliers were found by Wellons (https://nullprogram.com/blog/2018/07/31/).
    """
    x = ops.bitwise_xor(x, shifted(x, 16)) * signed(0x21F0AAAD) + other
    x = ops.bitwise_xor(x, shifted(x, 15)) * signed(0xD35A2D97)
    return ops.bitwise_xor(x, shifted(x, 15))


def shifted(x, places):
    """Returns int32 numbers shifted to the right as if they had no sign."""
    return ops.bitwise_and(ops.right_shift(x, places), (1 << 32 - places) - 1)


def signed(number):
    """Returns the int32 number with the same bits."""
    return number - (number >> 31 << 32)


def quantile_tables():
    """Returns the two tables, float32: the means of the normal in equally likely intervals."""
    normal = statistics.NormalDist()
    edges = [normal.inv_cdf(i / ENTRIES) for i in range(1, ENTRIES)]
    density = np.array([0, *map(normal.pdf, edges), 0])
    table = ENTRIES * (density[:-1] - density[1:])
    table[[0, -1]] += -OUTERMOST, OUTERMOST
    table /= np.sqrt(np.mean(table**2))
    return [(weight * table).astype("float32") for weight in WEIGHTS]


TABLES = quantile_tables()
