"""How much memory training a network takes, and how much is free, before anything is made."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras

# Weights, gradients and Adam's two moments are 16; when the model is saved, Keras puts weights and
# moments together in memory, which measured 32 in all on each backend.
BYTES_A_PARAMETER = 32
# A layer's outputs, their gradients, and as much again inside of the layer.
BYTES_AN_OUTPUT = 16


def to_train(build, batch_size):
    """Returns what training takes, without making the networks.

    In a stateless scope Keras makes variables without values, and whatever builds networks of
    Keras layers can be measured so.

    Args:
        build: A function without arguments that returns Keras models, such as encoder and decoder.
        batch_size: How many images there are in a step.

    Returns:
        The pair ``(parameters, bytes)`` of whole numbers.

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

    # Keras keeps a list of variables without values, for each thread: this one's goes with it.
    # Seeds of initial weights come from Python's generator, which is put back.
    state = random.getstate()
    with ThreadPoolExecutor(1) as thread:
        weights, outputs = thread.submit(shapes).result()
    random.setstate(state)
    parameters = sum(map(math.prod, weights))
    kept = batch_size * sum(map(math.prod, outputs))
    return parameters, BYTES_A_PARAMETER * parameters + BYTES_AN_OUTPUT * kept


def check(build, batch_size):
    """Raises `ValueError` if training on the CPU takes more memory than is free."""
    available = free()
    if available is None:
        return
    parameters, needed = to_train(build, batch_size)
    if needed > available:
        raise ValueError(
            f"not enough memory: training {parameters / 1e6:,.1f}M parameters at a batch size of "
            f"{batch_size} takes about {needed / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB are "
            "free. Try smaller --widths or a smaller --batch-size"
        )


def as_list(value):
    return value if isinstance(value, (list, tuple)) else [value]


def free(root="/"):
    """Returns how many bytes of memory this process may still use; None if Linux does not say.

    That is the least of what the machine has and what is left in each control group of the
    process (versions 1 and 2).

    Args:
        root: Where ``proc`` and ``sys`` are.
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
    """Returns how many bytes a copy of the data may take: half of what is free, or else 1 GB."""
    available = free()
    return 1e9 if available is None else available / 2


def left_in(group, limit, usage, cache):
    """Returns ``[bytes]`` that a control group has left, ``[]`` if it has no limit."""
    numbers = [*lines_of(group / limit), *lines_of(group / usage)]
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        return []
    most, used = map(int, numbers)
    for line in lines_of(group / "memory.stat"):
        if line.split()[0] == cache:  # of files, which give way
            used -= int(line.split()[1])
    return [most - used]


def lines_of(path):
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
