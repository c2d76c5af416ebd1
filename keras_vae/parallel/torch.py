"""Several processes on torch, one for each device, started by torchrun."""

import contextlib
import datetime
import os

import keras
import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as collectives

from keras_vae.start.environment import is_one_of_several

# A process that waits for others this long gives up. Those of a process that has died fail at once.
PATIENCE = datetime.timedelta(minutes=10)
DIVIDES = True


def start(devices=None):
    """Joins the processes that torchrun has started; without torchrun does nothing.

    Args:
        devices: Not used: the number of processes is that of devices.

    Example:

    ```python
    keras_vae.parallel.start()
    model = keras_vae.VAE(*keras_vae.build_mlp((28, 28, 1), latent_dim=2))
    ```
    """
    if not is_one_of_several("torch") or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)


def join():
    """Calls `start` for a script that was started by torchrun and has not called it.

    Raises:
        ValueError: If there are several GPUs and this process uses that of another one.

    Example:

    ```python
    keras_vae.parallel.join()
    index, count = keras_vae.parallel.processes()
    ```
    """
    if not is_one_of_several("torch") or dist.is_initialized():
        return
    index = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available() and torch.cuda.current_device() != index:
        raise ValueError(
            "On several GPUs call `keras_vae.parallel.start()` before the model is made, so that "
            "each process uses a GPU of its own"
        )
    start()


def stop():
    if dist.is_initialized():
        dist.destroy_process_group()


def end():
    """Does nothing: the others have ended."""


def scope():
    """Returns a context that does nothing: each process has a model of its own."""
    return contextlib.nullcontext()


def joined(model):
    return contextlib.nullcontext()


def processes():
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def devices(model):
    return processes()[1]


def gathered(numbers):
    own = torch.from_numpy(numbers).to(keras.ops.zeros(()).device)
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.stack(parts).cpu().numpy()


def total(x):
    return collectives.wait_tensor(collectives.all_reduce(x, "sum", dist.group.WORLD))


def summed(tensors):
    """Returns the sums of tensors over all processes, by one call; None stays None."""
    found = [tensor for tensor in tensors if tensor is not None]
    flat = torch.cat([tensor.reshape(-1) for tensor in found])
    dist.all_reduce(flat)
    parts = iter(flat.split([tensor.numel() for tensor in found]))
    return [
        tensor if tensor is None else next(parts).view(tensor.shape).to(tensor.dtype)
        for tensor in tensors
    ]


def broadcast(variables):
    for variable in variables:
        dist.broadcast(variable.value.detach(), 0)


def release(variables):
    """Does nothing: each process has variables of its own."""
