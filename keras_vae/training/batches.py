"""Runs a compiled function over an array in batches."""

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer

MOST_STEPS = 64  # of training or evaluation in one execution


def in_batches(program, array, batch_size, *others):
    """Returns the results of a compiled function for an array, NumPy in, NumPy out.

    Args:
        program: A compiled function of tensors (`without_gradient` of the backends). It returns
            one tensor or several, with as many items as its inputs.
        array: The input: an array, or an object whose slices are arrays.
        batch_size: How many items to process at once.
        *others: Further inputs, arrays with as many items.

    Returns:
        NumPy arrays with as many items as `array`, in the structure that `program` returns.

    Raises:
        ValueError: If `batch_size` is not a positive integer.

    Example:

    ```python
    twice = in_batches(lambda x: 2 * x, np.arange(5), batch_size=2)
    ```
    """
    check_integer("batch_size", batch_size, 1)
    if len(array) == 0:
        one = [np.zeros((1, *part.shape[1:]), part.dtype) for part in (array, *others)]
        empty = in_batches(program, one[0], 1, *one[1:])
        return keras.tree.map_structure(lambda part: part[:0], empty)
    results = []
    for start in range(0, len(array), batch_size):
        batch = [part[start : start + batch_size] for part in (array, *others)]
        # A new shape costs a compilation, so a short batch is padded to a power of two.
        size = min(batch_size, 1 << (len(batch[0]) - 1).bit_length())
        result = program(*(ops.convert_to_tensor(filled(part, size)) for part in batch))
        results.append(keras.tree.map_structure(ops.convert_to_numpy, result))
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts)[: len(array)], *results)


def filled(batch, size):
    """Returns a batch padded to `size` items by repeating the last one."""
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
