"""Starts a program once for each device, by the launcher of torch; loads no Keras."""

import contextlib
import glob
import logging
import os
import signal
import subprocess
import sys
import tempfile

import torch
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def gpus():
    """Returns the number of GPUs of this machine, at least 1."""
    return max(1, torch.cuda.device_count())


def run(count, program):
    """Runs a Python program in several processes; returns its exit code.

    Args:
        count: The number of processes.
        program: The file of the program, followed by its arguments.

    Raises:
        ValueError: If there are fewer GPUs.
    """
    if torch.cuda.is_available() and count > gpus():
        raise ValueError(f"there are {gpus()} GPUs, not {count}")
    if torch.backends.mps.is_available():
        raise ValueError("torch trains on one device on Apple GPUs. Omit --devices")
    for name in ("torch.distributed.elastic", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the processes speak for themselves
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    # On Ctrl-C the processes save results, for which the launcher would not wait.
    signal.signal(signal.SIGINT, pass_on)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="train",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.5,
        signals_to_handle="SIGTERM,SIGHUP",
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            config.logs_specs = DefaultLogsSpecs(log_dir=folder)
            elastic_launch(config, sys.executable)("-u", *program)
    except ChildFailedError as error:
        # The cause of the others' errors: a user's mistake, or a process that was killed.
        codes = [2, *(-number for number in signal.Signals if number != signal.SIGTERM)]
        rank, failure = max(error.failures.items(), key=lambda item: item[1].exitcode in codes)
        if failure.exitcode >= 0:
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        print(
            f"train.py: process {rank} of {count} was ended by {name}, and the others with it",
            file=sys.stderr,
            flush=True,
        )
        return 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    return 0


def pass_on(number, frame):
    """Sends a signal to the child processes, which have sessions of their own."""
    for child in children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):  # it was `pgrep`, or has just ended
            os.kill(child, number)


def children(parent):
    """Returns the ids of the child processes of a process."""
    if not os.path.isdir("/proc/self"):  # on macOS
        command = ["pgrep", "-P", str(parent)]
        found = subprocess.run(command, capture_output=True, text=True).stdout.split()
        return [int(child) for child in found]
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as file:  # one that has just ended
            child, rest = file.read().split(" (", 1)
            if int(rest.rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(child))
    return found
