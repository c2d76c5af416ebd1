"""Several devices on TensorFlow: the replicas of a `tf.distribute` strategy, in sync.

A model belongs to the strategy in whose scope it was made: `MirroredStrategy` for the devices of
one process, `MultiWorkerMirroredStrategy` for the processes that TF_CONFIG names.
"""

import contextlib
import json
import os

import numpy as np
import tensorflow as tf

DIVIDES = True

strategy = None  # made by `start`, or that of the model that is trained


def start(devices=None):
    """Joins the processes that TF_CONFIG names, or takes several devices of this one.

    Must be called before TensorFlow computes anything.

    Args:
        devices: Number of devices; None: all GPUs, or one CPU device.

    Raises:
        ValueError: If there are fewer devices.

    Example:

    ```python
    keras_vae.parallel.start()
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
    ```
    """
    global strategy
    gpus = tf.config.list_physical_devices("GPU")
    if "TF_CONFIG" in os.environ:
        task()  # raises `ValueError` if it is not JSON
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return
    if devices and not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * devices
        )
    count = devices or len(gpus) or 1
    kind = "GPU" if gpus else "CPU"
    if gpus and count > len(gpus):
        raise ValueError(f"there are {len(gpus)} devices, not {devices}: {gpus}")
    if count > 1:
        strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(count)])


def join():
    """Does nothing: processes are joined before a model is made.

    Example:

    ```python
    keras_vae.parallel.join()
    index, count = keras_vae.parallel.processes()
    ```
    """


def stop():
    """Waits for `end`: TensorFlow ends a process when others have left it."""
    if processes()[0] > 0:
        gathered(np.zeros(1))


def end():
    if processes()[1] > 1:
        gathered(np.zeros(1))


def scope():
    """Returns the context to make models in."""
    return strategy.scope() if strategy else contextlib.nullcontext()


@contextlib.contextmanager
def joined(model):
    """A context in which the other functions refer to the strategy of a model.

    Not in its scope: variables that only one process makes there, as when a model is saved, would
    wait for the others.
    """
    global strategy
    if devices(model) > 1 and not is_distributed(model.optimizer):
        raise ValueError("Call `compile` in `strategy.scope()`, in which the model was made")
    before, strategy = strategy, model.distribute_strategy if model.has_strategy() else None
    try:
        with without_sums(model.optimizer) if strategy else contextlib.nullcontext():
            yield
    finally:
        strategy = before


def is_distributed(optimizer):
    """Returns whether an optimizer was made in the scope of a strategy."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return isinstance(optimizer.variables[0].value, tf.distribute.DistributedValues)


@contextlib.contextmanager
def without_sums(optimizer):
    """A context in which the optimizer does not sum gradients over replicas: `summed` does.

    Keras sums them after it has clipped them. The method's name, with an underscore, is Keras's
    own and may change.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer._all_reduce_sum_gradients = list
    try:
        yield
    finally:
        del optimizer._all_reduce_sum_gradients


def processes():
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    return task()


def task():
    """Returns the index of this process and the number of all from TF_CONFIG."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
    except ValueError as error:
        raise ValueError(f"TF_CONFIG must be JSON: {error}") from None
    cluster, task = config.get("cluster", {}), config.get("task", {})
    chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
    index = int(task.get("index", 0)) + (chiefs if task.get("type") == "worker" else 0)
    return index, max(1, chiefs + workers)


def devices(model):
    return model.distribute_strategy.num_replicas_in_sync


def gathered(numbers):
    own = tf.constant(numbers[None])
    everyone = np.asarray(strategy.experimental_local_results(of_replicas(strategy, own))[0])
    return everyone[:: len(everyone) // processes()[1]]  # of the first replica of each process


@tf.function(reduce_retracing=True)
def of_replicas(strategy, own):
    def gather():  # of a copy on the replica's device
        return tf.distribute.get_replica_context().all_gather(tf.identity(own), axis=0)

    return strategy.run(gather)


def total(x):
    return tf.distribute.get_replica_context().all_reduce("sum", x)


def broadcast(variables):
    """Does nothing: variables of a strategy are made with the values of the first process."""


def release(variables):
    """Does nothing: variables of a strategy can be used outside of it."""


# In a replica


def replica():
    """Returns the index of this replica and the number of all; ``(0, 1)`` without a strategy."""
    context = tf.distribute.get_replica_context()
    if context is None or not tf.distribute.has_strategy():
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def sizes(own):
    """Returns the number of rows of each replica: int32 ``(replicas,)``."""
    own = tf.reshape(tf.cast(own, "int32"), (1,))
    return tf.distribute.get_replica_context().all_gather(own, axis=0)


def summed(tensors):
    """Returns the sums of tensors over all replicas; None stays None."""
    found = [tensor for tensor in tensors if tensor is not None]
    sums = iter(tf.distribute.get_replica_context().all_reduce("sum", found))
    return [tensor if tensor is None else next(sums) for tensor in tensors]
