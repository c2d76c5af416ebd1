"""Files of plain arrays; nothing in them is executed."""

import numpy as np

from keras_vae import checks

MOST_BYTES = 2e9  # after decompression


def read_arrays(path, numbers, texts=(), truths=(), optional=(), gaps=()):
    """Returns arrays of an ``.npz`` file by name.

    Args:
        path: Path of the file.
        numbers: Names of arrays of finite numbers.
        texts: Names of arrays of strings.
        truths: Names of bool arrays.
        optional: Names of bool arrays that may be missing.
        gaps: Names of arrays of numbers in which some may be NaN.

    Returns:
        A dict of NumPy arrays.

    Raises:
        ValueError: If the file is damaged, or an array has another type.
        OSError: If it cannot be opened.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > MOST_BYTES:
                raise ValueError
            truths = (*truths, *(name for name in optional if name in file))
            arrays = {name: file[name] for name in (*numbers, *texts, *truths)}
    except Exception as error:  # NumPy, zip and zlib raise many types on damaged files
        if getattr(error, "strerror", None):  # such as: no permission
            raise
        raise ValueError("it is damaged, or not a file of plain arrays") from None
    for name, array in arrays.items():
        kinds = "U" if name in texts else "b" if name in truths else "fiu"
        if name in gaps and array.dtype.kind == "f":
            finite = is_finite(array[~np.isnan(array)])
        else:
            finite = is_finite(array)
        if array.dtype.kind not in kinds or not finite:
            raise ValueError(f"{name!r} holds something else than expected")
    return arrays


def is_finite(array):
    """Returns whether all numbers are finite in float32."""
    if array.dtype.kind != "f":
        return True
    low, high = float(array.min(initial=0)), float(array.max(initial=0))  # avoids a copy
    return low > -checks.LARGEST and high < checks.LARGEST
