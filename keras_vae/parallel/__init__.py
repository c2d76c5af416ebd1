"""Several devices: which process this is, which rows of a batch are its own, sums over all.

The steps of training are the same on one device and on many. A batch is the global one. On torch
and TensorFlow each device takes its `Part` of the rows and computes its share of each loss, the sum
over its own rows divided by the number of all rows. So losses and gradients of all devices simply
add up (`total`). On JAX arrays are global, the compiler adds up what has to be added, and there is
no `Part`.

Processes work together only within `together`, that is within `fit`. Otherwise each one uses its
own device, and need not do the same as the others.

The module of each backend defines:

- ``start(devices, ...)``: joins the processes that a launcher has started, and chooses the devices.
- ``join()``: called by `fit`: joins them if that has not been done and is still possible.
- ``stop()``: leaves them after training: all call it.
- ``end()``: called by the first process at its end.
- ``scope()``: a context in which models to be trained are made.
- ``joined(model)``: a context in which a model is trained.
- ``processes()``: the index of this process and the number of all.
- ``devices(model)``: the number of devices that a model is trained on.
- ``gathered(numbers)``: a list of numbers of each process, float64 ``(processes, n)``.
- ``total(x)``: the sum of a tensor over all devices, in a step.
- ``broadcast(variables)``: gives variables the values that they have in the first process.
- ``release(variables)``: makes variables usable by one process, at the end of `fit`.
- ``DIVIDES``: whether each device computes with a `Part` of its own.
"""

import contextlib
import dataclasses
import threading

import keras
import numpy as np
from keras import ops

__all__ = [
    "devices",
    "end",
    "is_first",
    "join",
    "mean",
    "processes",
    "scope",
    "start",
    "stop",
    "total",
]

if keras.backend.backend() == "jax":
    from keras_vae.parallel import jax as backend
elif keras.backend.backend() == "tensorflow":
    from keras_vae.parallel import tensorflow as backend
else:
    from keras_vae.parallel import torch as backend

start, join = backend.start, backend.join


def stop():
    """Leaves the other processes after training; all call it.

    Example:

    ```python
    model.fit(images)
    keras_vae.parallel.stop()
    if keras_vae.parallel.is_first():
        model.save("model.keras")
        keras_vae.parallel.end()
    ```
    """
    backend.stop()


def end():
    """Lets the other processes end. The first one calls it at its end, after `stop`.

    On JAX and torch the others have ended by then, and it does nothing.

    Example:

    ```python
    keras_vae.parallel.end()
    ```
    """
    backend.end()


def scope():
    """Returns the context in which models to be trained are made and compiled.

    Returns:
        On TensorFlow the scope of the strategy that `start` has chosen; otherwise a context that
        does nothing.

    Example:

    ```python
    with keras_vae.parallel.scope():
        model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
        model.compile("adam")
    ```
    """
    return backend.scope()


def processes():
    """Returns the index of this process, and the number of all.

    Returns:
        Two integers, the first counted from 0; ``(0, 1)`` if there is one process.

    Example:

    ```python
    keras_vae.parallel.processes()  # (0, 1)
    ```
    """
    return backend.processes()


def devices(model):
    """Returns the number of devices that a model is trained on, those of all processes.

    Args:
        model: A `VAE` or `AutoEncoder`.

    Returns:
        An integer.

    Example:

    ```python
    keras_vae.parallel.devices(model)  # 1
    ```
    """
    return backend.devices(model)


class State(threading.local):  # TensorFlow traces each replica in a thread
    part = None


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows ``start:stop`` of a batch of ``rows``, integers or tensors.

    `counts` is 1, or 0 for a device for which there is no row: it computes with one that does not
    count, since not every operation works without rows.
    """

    start: object
    stop: object
    rows: object
    counts: object = 1.0

    @property
    def slice(self):
        return slice(self.start, self.stop)


state = State()
working_together = False


def part_of(index, count, rows):
    """Returns the `Part` of one of `count` devices: parts differ by one row at most."""
    start, stop = rows * index // count, rows * (index + 1) // count
    if isinstance(rows, int):
        return Part(start, max(stop, start + 1), rows, float(stop > start))
    return Part(start, ops.maximum(stop, start + 1), rows, ops.cast(stop > start, "float32"))


def rows_to_read(index, count):
    """Returns a function of the size of a batch: the slice of it that one of `count` reads."""
    return lambda size: part_of(index, count, size).slice


@contextlib.contextmanager
def taking(part):
    """A context in which a step is computed for a `Part` of the batch; None: for all of it."""
    before, state.part = state.part, part
    try:
        yield
    finally:
        state.part = before


@contextlib.contextmanager
def together(model):
    """A context in which all processes train a model, beginning with the same values."""
    global working_together
    with backend.joined(model):
        if backend.DIVIDES and devices(model) > 1:
            check(model)
        with scope():
            model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        if processes()[1] > 1:
            backend.broadcast(variables)
        working_together = True
        try:
            yield
        finally:
            working_together = False
            with contextlib.suppress(RuntimeError):  # of values lost with a process that has ended
                backend.release(variables)


@contextlib.contextmanager
def alone():
    """A context in which this process works by itself, within `together`."""
    global working_together
    before, working_together = working_together, False
    try:
        yield
    finally:
        working_together = before


@contextlib.contextmanager
def taking_batches_of_processes(data):
    """A context for a step of Keras's loop: the batches of all processes are one batch together."""
    if state.part is not None or not working_together or processes()[1] == 1:
        yield
        return
    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    sizes = of_all([len(x)])[:, 0].astype(int)
    start = int(sizes[: processes()[0]].sum())
    with taking(Part(start, start + len(x), int(sizes.sum()))):
        yield


def check(model):
    """Raises `ValueError` if a part of the model cannot be trained on a part of a batch."""
    if model.penalty is not None:
        raise ValueError(
            f"On several devices the penalty {type(model.penalty).__name__}, an estimate from the "
            "complete batch, cannot be divided. Remove it, train on one device, or use JAX"
        )
    for layer in [*model.encoder._flatten_layers(), *model.decoder._flatten_layers()]:
        kind, values = type(layer).__name__, vars(layer).values()
        why = None
        if isinstance(layer, keras.layers.BatchNormalization):
            why = "normalises over the rows of one device"
        elif any(isinstance(value, keras.random.SeedGenerator) for value in values):
            why = "draws the same random numbers on every device"
        if why:
            raise ValueError(
                f"On several devices the layers of `encoder` and `decoder` must not depend on how "
                f"a batch is divided. Received: {layer.name}, a {kind}, which {why}. Remove it, "
                "train on one device, or use JAX, where such layers see the complete batch"
            )


# Between steps


def is_first():
    """Returns whether this is the process that writes files.

    Returns:
        True or False; True if there is only one process.

    Example:

    ```python
    if keras_vae.parallel.is_first():
        model.save("model.keras")
    ```
    """
    return processes()[0] == 0


def of_all(numbers):
    """Returns a list of numbers of each process, ``(processes, n)``; of this one if alone."""
    if working_together and processes()[1] > 1:
        return backend.gathered(np.asarray(numbers, "float64"))
    return np.asarray(numbers, "float64")[None]


def agreed(number):
    """Returns a number as it is in the first process, outside of `together`: all call this."""
    if processes()[1] == 1:
        return number
    return float(backend.gathered(np.array([number], "float64"))[0, 0])


def of_first(number):
    """Returns a number, or a list of numbers, as it is in the first process."""
    first = of_all(np.atleast_1d(number))[0].tolist()
    return first if np.ndim(number) else first[0]


def largest(number):
    """Returns the largest of the numbers in all processes."""
    return float(of_all([number]).max())


# Within a step


def rows(own):
    """Returns the number of rows in the batch, from that of this device."""
    return own if state.part is None else state.part.rows


def first_row():
    """Returns the number of this device's first row in the batch."""
    return 0 if state.part is None else state.part.start


def own_rows(all_rows):
    """Returns the number of this device's rows, from that of the batch."""
    return all_rows if state.part is None else state.part.stop - state.part.start


def own(x):
    """Returns this device's rows of a tensor of all rows, or None for None."""
    return x if state.part is None or x is None else x[state.part.slice]


def share(x):
    """Returns which share of the batch the rows of `x` are: 1 on one device."""
    part = state.part
    if part is None:
        return 1.0
    own = ops.cast(ops.shape(x)[0], "float32")
    return part.counts * own / ops.cast(part.rows, "float32")


def mean(x):
    """Returns this device's share of the mean over the batch, to be used within a step.

    The shares of all devices add up to the mean; on one device it is the mean.

    Args:
        x: A tensor ``(rows of this device, ...)``.

    Returns:
        A tensor without the first axis.

    Example:

    ```python
    keras_vae.parallel.mean(np.array([1.0, 3.0]))  # 2.0
    ```
    """
    part = state.part
    if part is None:
        return ops.mean(x, axis=0)
    return part.counts * ops.sum(x, axis=0) / ops.cast(part.rows, "float32")


def total(x):
    """Returns the sum of a tensor over all devices, without a gradient, to be used within a step.

    Args:
        x: A tensor, of the same shape on all devices.

    Returns:
        A tensor of this shape; on one device `x`.

    Example:

    ```python
    errors = np.array([1.0, 3.0])
    keras_vae.parallel.total(keras_vae.parallel.mean(errors))  # 2.0
    ```
    """
    part = state.part
    return x if part is None else backend.total(part.counts * ops.stop_gradient(x))


def totals(losses):
    """Returns the sums over all devices of scalars by name."""
    if state.part is None:
        return losses
    summed = total(ops.stack([ops.cast(value, "float32") for value in losses.values()]))
    return {name: summed[i] for i, name in enumerate(losses)}
