"""Training speed of `fit` compared with a loop written by hand, on every installed backend.

    python benchmarks/speed.py
    python benchmarks/speed.py --backend torch --network mlp --quick
    python benchmarks/speed.py --against speed-before.json

Prints a table and writes it as JSON; docs/benchmarks/results/speed.md explains its columns. Run it
on an otherwise idle machine. Compare ratios rather than speeds: both speeds of a ratio are from the
same run.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import speed_table
from cases import CASES

BACKENDS = ("jax", "torch", "tensorflow")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    sizes = sorted({case.image_shape[0] for case in CASES.values()})
    add("--backend", nargs="+", choices=installed, default=installed)
    add("--network", nargs="+", choices=("mlp", "conv"), default=["mlp", "conv"])
    add("--size", type=int, nargs="+", choices=sizes, default=sizes, help="side of the images")
    add("--quick", action="store_true", help="fewer and shorter epochs, less precise")
    add(
        "--no-compile",
        action="store_true",
        help="do not try torch.compile (or XLA on TensorFlow) for the loops by hand",
    )
    add("--output", type=Path, default=Path("speed.json"))
    add(
        "--against", type=Path, metavar="FILE", help="JSON file of an earlier run: show the changes"
    )
    args = parser.parse_args()
    before = json.loads(args.against.read_text()) if args.against else None
    settings = {
        "pairs": 3 if args.quick else 5,
        "share": 0.3 if args.quick else 1,
        "compile": not (args.no_compile or args.quick),
    }

    started = time.time()
    result = {"machine": machine(), "settings": settings, "empty_steps": [], "rows": []}
    names = [
        name
        for name, case in CASES.items()
        if case.network in args.network and case.image_shape[0] in args.size
    ]
    for backend in args.backend:
        numbers = measure("empty", backend, None, "float32", settings)
        result["empty_steps"].append({"backend": backend, **numbers})
        # Half precision is faster only on a GPU.
        precisions = ("float32", "mixed_bfloat16") if numbers["gpu"] else ("float32",)
        for name in names:
            for precision in precisions:
                row = {"backend": backend, "case": name, "precision": precision}
                for task in ("pairs", "alone"):
                    row |= measure(task, backend, name, precision, settings)
                result["rows"].append(row)
                print(speed_table.line(row), file=sys.stderr, flush=True)
    result["seconds"] = time.time() - started

    args.output.write_text(json.dumps(result, indent=1) + "\n")
    print(speed_table.table(result))
    if before:
        print("\n" + speed_table.changes(before, result))
    print(f"\nTook {result['seconds'] / 60:.1f} minutes; wrote {args.output}")


def measure(task, backend, case, precision, settings):
    """Runs a task in a separate process; returns its numbers, or exits with its error output."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    options = {**settings, "case": case, "precision": precision, "started": time.time()}
    process = Path(__file__).with_name("speed_process.py")
    result = subprocess.run(
        [sys.executable, process, task, json.dumps(options)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        sys.exit(f"{result.stderr}\n{backend}, {case or task}, {precision}: see above")
    return json.loads(result.stdout.splitlines()[-1])


def machine():
    """Returns the properties of the machine that matter for the numbers, without names."""
    names = ("keras", "keras_vae", "jax", "torch", "tensorflow")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": platform.machine(), "cores": cores, "versions": versions}


if __name__ == "__main__":
    main()
