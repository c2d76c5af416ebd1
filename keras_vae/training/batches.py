"""Running a compiled function over an array, some of it at a time."""

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer

MOST_STEPS = 64  # of training or evaluation in one go


def in_batches(program, array, batch_size):
    """Returns what a compiled function gives for an array, NumPy in, NumPy out.

    Args:
        program: A function of one tensor, see `without_gradient` in the
            backends. It returns one tensor or several, with as many items as it gets.
        array: What to run it on, item by item; what gives arrays when it is sliced will do.
        batch_size: How many items to work on at once.

    Returns:
        NumPy arrays with as many items as `array`, in the structure that `program` returns.

    Raises:
        ValueError: If `batch_size` is no positive integer.

    Example:

    ```python
    twice = in_batches(lambda x: 2 * x, np.arange(5), batch_size=2)
    ```
    """
    check_integer("batch_size", batch_size, 1)
    if len(array) == 0:
        empty = in_batches(program, np.zeros((1, *array.shape[1:]), array.dtype), 1)
        return keras.tree.map_structure(lambda part: part[:0], empty)
    results = []
    for start in range(0, len(array), batch_size):
        batch = array[start : start + batch_size]
        # A new shape costs a compilation, so a short batch is filled up to a power of two.
        size = min(batch_size, 1 << (len(batch) - 1).bit_length())
        result = program(ops.convert_to_tensor(filled(batch, size)))
        results.append(keras.tree.map_structure(ops.convert_to_numpy, result))
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts)[: len(array)], *results)


def filled(batch, size):
    """Returns a batch of `size` items: what is missing repeats the last one."""
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
