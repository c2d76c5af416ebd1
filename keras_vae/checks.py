"""What arguments may be, and the wording when they are not."""

import importlib.util
from numbers import Integral, Real

import numpy as np

LARGEST = 3e38  # about the largest float32


def check_number(argument, value, above=None):
    """Raises `ValueError` unless `value` is finite and at least 0, or above `above` if given."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and (value >= 0 if above is None else value > above) and value < LARGEST):
        limit = "of at least 0" if above is None else f"above {above}"
        raise ValueError(
            f"Argument `{argument}` must be a finite number {limit}. Received: {argument}={value!r}"
        )


def check_finite(argument, value):
    """Raises `ValueError` unless `value` is a finite number."""
    if not (isinstance(value, Real) and not isinstance(value, bool) and abs(value) < LARGEST):
        raise ValueError(
            f"Argument `{argument}` must be a finite number. Received: {argument}={value!r}"
        )


def check_share(argument, value):
    """Raises `ValueError` unless `value` is a number in [0, 1]."""
    if not (isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 1):
        raise ValueError(
            f"Argument `{argument}` must be a number in [0, 1]. Received: {argument}={value!r}"
        )


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


def check_count(argument, value, below=None):
    """Raises `ValueError` unless `value` is a non-negative integer, below `below` if given."""
    if not (is_integer(value) and value >= 0 and (below is None or value < below)):
        limit = f" below {below}" if below else ""
        raise ValueError(
            f"Argument `{argument}` must be a non-negative integer{limit}. "
            f"Received: {argument}={value!r}"
        )


def check_seed(seed):
    """Raises `ValueError` unless `seed` is None or a non-negative integer."""
    if seed is not None and not (is_integer(seed) and seed >= 0):
        raise ValueError(
            f"Argument `seed` must be None or a non-negative integer. Received: seed={seed!r}"
        )


def check_size(argument, size):
    """Raises `ValueError` unless `size` is a positive integer."""
    if not is_size(size):
        raise ValueError(
            f"Argument `{argument}` must be a positive integer. Received: {argument}={size!r}"
        )


def check_sizes(argument, sizes, count=None):
    """Raises `ValueError` unless `sizes` are positive integers, `count` of them if given."""
    good = isinstance(sizes, (list, tuple)) and len(sizes) == (count or len(sizes)) and sizes
    if not good or not all(map(is_size, sizes)):
        what = f"{count} positive integers" if count else "one or more positive integers"
        raise ValueError(f"Argument `{argument}` must be {what}. Received: {argument}={sizes!r}")


def check_installed(package, extra, purpose):
    """Raises `ValueError` if an optional package is missing; the message names the extra."""
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"{package} is needed {purpose} and is not installed. Install it with: "
            f'pip install "keras_vae[{extra}]"'
        )


def is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_size(value):
    return is_integer(value) and value > 0
