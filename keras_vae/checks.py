"""Checks of arguments, and the words of their errors."""

import importlib.util
from numbers import Integral, Real

import numpy as np

LARGEST = 3e38  # about the largest float32


def check_number(argument, value, low=None, high=None, above=None):
    """Raises `ValueError` unless `value` is a finite number, in the limits that are given."""
    expected = "a finite number"
    if high is not None:
        expected = f"a number in [{low}, {high}]"
    elif low is not None:
        expected += f" of at least {low}"
    elif above is not None:
        expected += f" above {above}"
    is_number = isinstance(value, Real) and not isinstance(value, bool) and abs(value) < LARGEST
    check(argument, value, is_number and is_within(value, low, high, above), expected)


def check_integer(argument, value, low, below=None, optional=False):
    """Raises `ValueError` unless `value` is an integer of at least `low`, or None if `optional`."""
    expected = {0: "a non-negative integer", 1: "a positive integer"}
    expected = expected.get(low, f"an integer of at least {low}")
    expected = f"None or {expected}" if optional else expected
    expected += "" if below is None else f" below {below}"
    fits = is_integer(value) and value >= low and (below is None or value < below)
    check(argument, value, fits or (optional and value is None), expected)


def check_sizes(argument, sizes, count=None):
    """Raises `ValueError` unless `sizes` are positive integers, `count` of them if given."""
    expected = f"{count} positive integers" if count else "one or more positive integers"
    fits = isinstance(sizes, (list, tuple)) and len(sizes) == (count or len(sizes)) and sizes
    check(argument, sizes, fits and all(is_integer(size) and size > 0 for size in sizes), expected)


def check(argument, value, fits, expected):
    """Raises `ValueError` unless `fits`; the message says what was expected and received."""
    if not fits:
        raise ValueError(
            f"Argument `{argument}` must be {expected}. Received: {argument}={value!r}"
        )


def is_within(value, low, high, above):
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
    )


def is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def as_known(known, shape):
    """Returns which values are known as bool of this shape; None is all, else `ValueError`."""
    if known is None:
        return np.ones(shape, bool)
    known = np.asarray(known)
    if known.shape != shape or known.dtype != bool:
        raise ValueError(
            f"Argument `known` must be bool of the shape of `attributes`, {shape}. "
            f"Received: {known.dtype}, shape={known.shape}"
        )
    return known


def check_installed(package, extra, purpose):
    """Raises `ValueError` if an optional package is missing; the message names the extra."""
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"{package} is needed {purpose} and is not installed. Install it with: "
            f'pip install "keras_vae[{extra}]"'
        )
