"""Files of plain arrays; nothing in them is executed."""

import zipfile

import numpy as np


def read_arrays(path, numbers, texts=()):
    """Returns arrays of an ``.npz`` file by name.

    Args:
        path: The file.
        numbers: Names of arrays of finite numbers.
        texts: Names of arrays of text.

    Raises:
        ValueError: If the file is damaged, or holds anything else under these names.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*numbers, *texts)}
    except OSError as error:
        if error.strerror:  # such as no permission
            raise
        raise ValueError(DAMAGED) from None
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile):
        raise ValueError(DAMAGED) from None
    for name, array in arrays.items():
        is_text = array.dtype.kind == "U"
        if is_text != (name in texts) or not (is_text or is_finite(array)):
            raise ValueError(f"{name!r} holds something else than expected")
    return arrays


DAMAGED = "it is damaged, or not a file of plain arrays"


def is_finite(array):
    return array.dtype.kind in "fiu" and bool(np.isfinite(array).all())
