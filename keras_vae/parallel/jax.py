"""Several devices on JAX, of one process or of several: arrays are global, a mesh has all devices.

Every device holds all variables and has its rows of each batch. Which sums must be taken, the
compiler finds out, so a step is written as for one device.
"""

import contextlib

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keras_vae.start.environment import is_one_of_several

DIVIDES = False
SECONDS = 20  # without a sign of life, after which a process counts as dead

chosen = None  # the devices, set by `start`


def start(devices=None, coordinator=None, processes=None, index=None):
    """Joins other processes if they are named here or by a cluster, and chooses the devices.

    Must be called before JAX computes anything.

    Args:
        devices: Number of devices of this process; None: all accelerators, or one CPU device.
        coordinator: Address ``host:port`` of the first process.
        processes: Number of processes.
        index: The number of this process, counted from 0.

    Raises:
        ValueError: If there are fewer devices.

    Example:

    ```python
    keras_vae.parallel.start()
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
    ```
    """
    global chosen
    if devices:
        jax.config.update("jax_num_cpu_devices", devices)
    if (coordinator or is_one_of_several("jax")) and not jax.distributed.is_initialized():
        jax.config.update("jax_enable_preemption_service", False)  # which takes SIGTERM for itself
        jax.distributed.initialize(coordinator, processes, index, heartbeat_timeout_seconds=SECONDS)
    wanted = devices or (1 if jax.default_backend() == "cpu" else None)  # None: all
    found = [
        [device for device in jax.devices() if device.process_index == process][:wanted]
        for process in range(jax.process_count())
    ]
    if devices and len(found[0]) < devices:
        raise ValueError(f"there are {len(found[0])} devices, not {devices}: {jax.devices()}")
    chosen = [device for group in found for device in group]


def join():
    """Does nothing: processes are joined before a model is made.

    Example:

    ```python
    keras_vae.parallel.join()
    index, count = keras_vae.parallel.processes()
    ```
    """


def stop():
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def end():
    """Does nothing: the others have ended."""


def scope():
    """Returns a context that does nothing: arrays are distributed when a model is trained."""
    return contextlib.nullcontext()


def joined(model):
    return contextlib.nullcontext()


def processes():
    found = mesh()
    if found is None or not found.is_multi_process:
        return 0, 1
    return jax.process_index(), jax.process_count()


def mesh():
    """Returns the mesh of the devices to train on, or None if there is one device."""
    distribution = keras.distribution.distribution()
    if distribution is not None:
        devices = distribution.device_mesh.backend_mesh.devices.ravel()
    else:
        devices = chosen or jax.local_devices()[:1]
    return Mesh(np.array(devices), ("batch",)) if len(devices) > 1 else None


def devices(model):
    found = mesh()
    return 1 if found is None else found.size


def gathered(numbers):
    everyone = multihost_utils.process_allgather(numbers.view("uint32"))  # JAX has no float64
    return np.ascontiguousarray(everyone).view("float64").reshape(-1, len(numbers))


def total(x):
    return x


def broadcast(variables):
    if isinstance(keras.distribution.distribution(), keras.distribution.ModelParallel):
        return  # each device has a part of each variable
    values = multihost_utils.broadcast_one_to_all([np.asarray(here(v.value)) for v in variables])
    for variable, value in zip(variables, values):
        variable.assign(np.asarray(value))


def release(variables):
    """Brings variables back to one device, unless Keras distributes them."""
    if keras.distribution.distribution() is None:
        for variable in variables:
            variable.assign(here(variable.value))


# Arrays. Those of the host have the rows of this process.


def everywhere(value, mesh):
    """Returns an array of which every device has a copy; without a mesh, one on this device."""
    if mesh is None:
        return here(value)
    where = NamedSharding(mesh, PartitionSpec())
    if isinstance(value, jax.Array):
        if value.sharding.is_equivalent_to(where, value.ndim):
            return value
        value = here(value)
    copies = [jax.device_put(value, device) for device in mesh.local_devices]
    return jax.make_array_from_single_device_arrays(value.shape, where, copies)


def here(value):
    """Returns the copy of an array on one device of this process; other values unchanged."""
    copied = isinstance(value, jax.Array) and len(value.sharding.device_set) > 1
    return value.addressable_data(0) if copied and value.is_fully_replicated else value


def assign(variable, value):
    """Assigns a value; one on this device to a copy on each device of all processes if it is so."""
    before = variable.value
    if value.is_fully_addressable and not before.is_fully_addressable:
        value = everywhere(value, before.sharding.mesh)
    variable.assign(value)


def spread(array, mesh, size):
    """Returns ``(steps, size, ...)`` with the rows of each step divided among the devices.

    Args:
        array: ``(steps, rows, ...)``, NumPy: the rows that `rows_of_process` names.
        mesh: See `mesh`.
        size: Number of rows on all devices.
    """
    if mesh is None or array is None:
        return array
    even = size % mesh.size == 0  # otherwise they are divided in the program, see `divided`
    where = NamedSharding(mesh, PartitionSpec(None, "batch") if even else PartitionSpec())
    shape = (len(array), size, *array.shape[2:])
    if array.shape[1] < size:
        return jax.make_array_from_process_local_data(where, array, shape)
    return jax.make_array_from_callback(shape, where, lambda index: array[index])


def rows_of_process(mesh, size):
    """Returns which rows this process passes to `spread`."""
    index, count = processes()
    if mesh is None or size % mesh.size:
        return slice(0, size)
    return slice(size * index // count, size * (index + 1) // count)


# In a program


def divided(batch, mesh):
    """Divides the rows of a batch, of any number, among the devices."""
    return batch if mesh is None or batch is None else constrained(batch, mesh, "batch")


def replicated(state, mesh):
    """Keeps a nested list of arrays on every device."""
    if mesh is None:
        return state
    return jax.tree.map(lambda array: constrained(array, mesh), state)


def constrained(array, mesh, *axes):
    return jax.lax.with_sharding_constraint(array, NamedSharding(mesh, PartitionSpec(*axes)))
