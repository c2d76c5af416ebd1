"""Files of plain arrays; nothing in them is executed."""

import numpy as np

from keras_vae import checks

MOST_BYTES = 2e9  # unpacked


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
            if sum(member.file_size for member in file.zip.infolist()) > MOST_BYTES:
                raise ValueError
            arrays = {name: file[name] for name in (*numbers, *texts)}
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
    """Returns whether these are numbers that float32 can hold."""
    return array.dtype.kind in "fiu" and bool((np.abs(array) < checks.LARGEST).all())
