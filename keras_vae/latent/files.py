"""Files of plain arrays; nothing in them is executed."""

import numpy as np


def read_arrays(path, numbers, texts=()):
    """Returns arrays of an ``.npz`` file by name.

    Args:
        path: The file.
        numbers: Names of arrays of finite numbers.
        texts: Names of arrays of text.

    Raises:
        ValueError: If the file is damaged, or holds anything else under these names.
        OSError: If it cannot be opened.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*numbers, *texts)}
    except MemoryError:
        raise
    except Exception as error:  # NumPy, zip and zlib have many kinds for damaged files
        if getattr(error, "strerror", None):  # such as: no permission
            raise
        raise ValueError("it is damaged, or not a file of plain arrays") from None
    for name, array in arrays.items():
        is_text = array.dtype.kind == "U"
        if is_text != (name in texts) or not (is_text or is_finite(array)):
            raise ValueError(f"{name!r} holds something else than expected")
    return arrays


def is_finite(array):
    return array.dtype.kind in "fiu" and bool(np.isfinite(array).all())
