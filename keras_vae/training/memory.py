"""Estimates the memory that training needs, before networks are made, and reads what is free."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras

# Weights, gradients and Adam's two moments take 16. When a model is saved, Keras collects weights
# and moments in memory: measured 32 in total on each backend.
BYTES_A_PARAMETER = 32
# A layer's outputs and their gradients, and the same amount for values inside the layer.
BYTES_AN_OUTPUT = 16


def to_train(build, batch_size):
    """Returns the memory that training needs, without making the networks.

    In a stateless scope Keras creates variables without values, so any networks of Keras layers
    can be measured this way.

    Args:
        build: A function without arguments that returns Keras models, such as encoder and decoder.
        batch_size: Number of images in a step.

    Returns:
        The pair ``(parameters, bytes)`` of integers.

    Example:

    ```python
    memory.to_train(lambda: keras_vae.build_mlp((64, 64, 3), 32), batch_size=128)
    ```
    """

    def shapes():
        with keras.StatelessScope(initialize_variables=False):
            models = build()
        layers = [layer for model in models for layer in model.layers]
        layers = [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
        weights = [tuple(weight.shape) for model in models for weight in model.weights]
        outputs = [tensor.shape[1:] for layer in layers for tensor in as_list(layer.output)]
        return weights, outputs

    # Keras keeps a list of variables without values for each thread; that of a new thread is
    # discarded with it. Initial weights draw seeds from Python's generator, which is restored.
    state = random.getstate()
    with ThreadPoolExecutor(1) as thread:
        weights, outputs = thread.submit(shapes).result()
    random.setstate(state)
    parameters = sum(map(math.prod, weights))
    kept = batch_size * sum(map(math.prod, outputs))
    return parameters, BYTES_A_PARAMETER * parameters + BYTES_AN_OUTPUT * kept


def check(build, batch_size):
    """Raises `ValueError` if training on the CPU needs more memory than is free."""
    available = free()
    if available is None:
        return
    parameters, needed = to_train(build, batch_size)
    if needed > available:
        raise ValueError(
            f"not enough memory: training {parameters / 1e6:,.1f}M parameters at a batch size of "
            f"{batch_size} needs about {needed / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB are "
            "free. Try smaller --widths or a smaller --batch-size"
        )


def as_list(value):
    return value if isinstance(value, (list, tuple)) else [value]


def free(root="/"):
    """Returns how many bytes of memory this process may still use; None if unknown (no Linux).

    The minimum of the machine's free memory and what is left in each control group of the process
    (versions 1 and 2).

    Args:
        root: The folder with ``proc`` and ``sys``.
    """
    bounds = []
    for line in lines_of(Path(root, "proc/meminfo")):
        if line.startswith("MemAvailable:"):
            bounds.append(int(line.split()[1]) * 1024)
    for line in lines_of(Path(root, "proc/self/cgroup")):
        _, controllers, place = line.split(":", 2)
        if controllers == "memory":
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            base = Path(root, "sys/fs/cgroup/memory")
        elif not controllers:
            names = "memory.max", "memory.current", "inactive_file"
            base = Path(root, "sys/fs/cgroup")
        else:
            continue
        inner = base / place.lstrip("/")
        for group in (inner, *inner.parents):
            if group == base.parent:
                break
            bounds += left_in(group, *names)
    return min(bounds, default=None)


def to_spare():
    """Returns how many bytes a copy of the data may take: half of the free memory, else 1 GB."""
    available = free()
    return 1e9 if available is None else available / 2


def left_in(group, limit, usage, cache):
    """Returns ``[bytes]`` left in a control group, or ``[]`` if it has no limit."""
    numbers = [*lines_of(group / limit), *lines_of(group / usage)]
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        return []
    most, used = map(int, numbers)
    for line in lines_of(group / "memory.stat"):
        if line.split()[0] == cache:  # the file cache, which the kernel can reclaim
            used -= int(line.split()[1])
    return [most - used]


def lines_of(path):
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
