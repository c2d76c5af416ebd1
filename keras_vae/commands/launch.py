"""The processes of train.py on several devices: starting them on torch, joining them elsewhere."""

import contextlib
import glob
import os
import re
import sys
import traceback

from keras_vae.start import environment
from keras_vae.start.program import number


def add_devices(parser):
    """Adds the arguments that say where to train; they are not part of a run's settings."""
    add = parser.add_argument_group("several devices").add_argument
    positive = number(int, 1, 2**16)
    add(
        "--devices",
        type=positive,
        metavar="N",
        help="devices of this machine to train on; default: all accelerators, or one CPU device",
    )
    add(
        "--coordinator",
        metavar="HOST:PORT",
        help="on JAX: address of the first of several processes; not needed under Slurm and on "
        "cloud TPUs. torch: start train.py with torchrun. TensorFlow: set TF_CONFIG",
    )
    add("--processes", type=positive, metavar="N", help="on JAX: the number of processes")
    add(
        "--process",
        type=number(int, 0, 2**16),
        metavar="I",
        help="on JAX: the number of this process, from 0",
    )


PLACES = "devices", "coordinator", "processes", "process"  # the arguments that are added


def take_places(args):
    """Removes the arguments of `add_devices`, and returns them as a dict."""
    return {name: vars(args).pop(name) for name in PLACES}


def check_places(args):
    """Raises `ValueError` unless these arguments fit together and suit the backend."""
    joining = [args.coordinator, args.processes, args.process]
    if joining != [None] * 3 and args.backend != "jax":
        raise ValueError(
            "--coordinator, --processes and --process are for JAX. On torch start train.py with "
            "torchrun, on TensorFlow set TF_CONFIG"
        )
    if joining != [None] * 3 and None in joining:
        raise ValueError("--coordinator, --processes and --process must be given together")
    if None not in joining and args.process >= args.processes:
        raise ValueError(
            f"--process must be below --processes, {args.processes}, not {args.process}"
        )
    here = os.environ.get("LOCAL_WORLD_SIZE")
    if args.backend == "torch" and here and args.devices not in (None, int(here)):
        raise ValueError(f"--devices is {args.devices}, but torchrun has started {here} processes")


def is_one_of_several(args, places):
    """Returns whether this process is one of several that work together, before it joins them."""
    return bool(places["coordinator"]) or environment.is_one_of_several(args.backend)


def start(args, places):
    """Joins other processes and chooses the devices; Keras is loaded."""
    from keras_vae import parallel

    joining = [places[name] for name in PLACES[1:]] if args.backend == "jax" else []
    parallel.start(places["devices"], *joining)


def torch_devices(args, places):
    """Returns how many processes torch needs on this machine: 1 if torchrun has started them."""
    if args.backend != "torch" or is_one_of_several(args, places):
        return 1
    if places["devices"]:
        return places["devices"]
    accelerators = [glob.glob(f"/dev/{name}") for name in ("nvidia[0-9]*", "kfd", "dxg")]
    return torch_launcher().gpus() if any(accelerators) else 1  # importing torch takes seconds


def torch_launcher():
    from keras_vae.start import torch_launcher

    return torch_launcher


def lost(error):
    """Returns True if an error means that another process has ended."""
    text = f"{type(error).__name__} {error}".lower()
    words = "gloo", "nccl", "collective", "connection reset", "connection closed", "heartbeat"
    return any(word in text for word in words)


@contextlib.contextmanager
def ending_with_others(args):
    """Ends the program with one line and exit code 1 if another process has ended.

    JAX would wait for the others at exit. If this one has an error, it ends without that, and the
    others end because it has ended.
    """
    try:
        yield
    except BaseException as error:
        parallel = sys.modules.get("keras_vae.parallel")  # not yet loaded: alone
        index, count = parallel.processes() if parallel else (0, 1)
        if count == 1:
            raise
        if not lost(error):
            if args.backend == "jax":
                if isinstance(error, Exception):
                    traceback.print_exc()
                sys.stdout.flush()
                sys.stderr.flush()
                code = getattr(error, "code", 1)
                os._exit(code if isinstance(code, int) else 1)
            raise
        lines = str(error).strip().splitlines()
        telling = [line for line in lines if re.search("task:|reset|closed|heartbeat", line)]
        print(
            f"train.py: process {index} of {count} stops, since another process has ended; its own "
            f"messages say why ({(telling or lines)[0].strip()[:300]})",
            file=sys.stderr,
            flush=True,
        )
        if args.backend == "jax":  # whose service names the process that has ended, at exit
            raise SystemExit(1) from None
        os._exit(1)  # the frameworks would wait for the process at exit
