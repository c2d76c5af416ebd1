"""Whether a launcher has started this process as one of several; loads no framework."""

import os


def is_one_of_several(backend):
    """Returns whether the environment is that of several processes that the backend can join."""
    names = os.environ
    if backend == "torch":  # torchrun
        return int(names.get("WORLD_SIZE", 1)) > 1
    if backend == "tensorflow":
        return "TF_CONFIG" in names
    return (
        "JAX_COORDINATOR_ADDRESS" in names
        or int(names.get("SLURM_STEP_NUM_TASKS", 1)) > 1
        or "," in names.get("TPU_WORKER_HOSTNAMES", "")
    )
