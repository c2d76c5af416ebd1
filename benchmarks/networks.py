"""Searches for the best network and recipe after 1 or 3 minutes of training, by successive halving.

    python benchmarks/networks.py --calibrate          # once, on an otherwise idle machine
    python benchmarks/networks.py --dataset faces      # all rungs, continuing where it stopped
    python benchmarks/networks.py --rung 1 2           # some rungs, of all data sets
    python benchmarks/networks.py --table > networks.md

A budget is in seconds of training on an idle machine: `--calibrate` measures the images per second
of each candidate, and a trial runs the number of steps that fit into its seconds. So other load
affects the duration of the search but not its result, and two trials may run at once (`--jobs 2`).
In each rung the best candidates by validation advance to the next; test images are used only from
the rung "final" on, when the choice has been made.

candidates.py defines the candidates, trial.py trains one of them, standings.py selects the best.
Trials that are in the results already are skipped, so the search can be stopped at any time, and
candidates can be added.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

os.environ.setdefault("KERAS_BACKEND", "jax")  # before candidates.py imports Keras
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import candidates
import standings

TRIAL = Path(__file__).with_name("trial.py")


@dataclass(frozen=True)
class Rung:
    """Training time and candidates of a rung: the best `keep` of an earlier rung, or all.

    The best candidate with another likelihood also advances, except to the finals (`--also`
    includes it), because bits per dimension alone do not determine the choice of a likelihood.
    The finals use other seeds than the earlier rungs, whose winners may owe their rank to a lucky
    seed. With `default`, the default recipe is always included for comparison.
    """

    seconds: float
    seeds: tuple = (0,)
    of: str | None = None
    keep: int | None = None
    final: bool = False
    default: bool = False


RUNGS = {
    "1": Rung(10),
    "2": Rung(30, of="1", keep=7),
    "final": Rung(60, (1, 2, 3), of="2", keep=2, final=True, default=True),
    "long": Rung(180, (1,), of="final", keep=2, final=True),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    names = list(candidates.CANDIDATES)
    add("--dataset", nargs="+", choices=names, default=names)
    add("--rung", nargs="+", choices=list(RUNGS), default=list(RUNGS))
    add("--calibrate", action="store_true", help="measure the training speed of the candidates")
    add("--table", action="store_true", help="print the results so far as Markdown")
    add("--only", nargs="+", metavar="NAME", help="use only these candidates")
    add("--also", nargs="+", metavar="NAME", default=[], help="add these candidates")
    add("--jobs", type=int, default=1, help="parallel trials, each on its share of the cores")
    add("--results", type=Path, default=Path("networks.jsonl"))
    add("--speeds", type=Path, default=Path("networks-speeds.jsonl"))
    add("--scale", type=float, default=1.0, help="factor of all times; below 1 for a quick test")
    args = parser.parse_args()
    for dataset in args.dataset:
        if args.calibrate:
            calibrate(dataset, args)
            continue
        for rung in args.rung:
            if args.table:
                print_table(dataset, rung, args)
            else:
                run_rung(dataset, rung, args)


def calibrate(dataset, args):
    """Measures the speed of each candidate for which no earlier measurement is valid."""
    known, missing = speeds(args.speeds), {}
    available = candidates.CANDIDATES[dataset]
    for name in [name for name in args.only or available if name in available]:
        timed = candidates.timed_part(candidates.settings_of(dataset, name))
        if (dataset, timed) not in known:
            missing.setdefault(timed, name)
    if not missing:
        return
    task = {"action": "calibrate", "dataset": dataset, "names": list(missing.values())}
    with start(task) as process:
        for line in process.stdout:
            append(args.speeds, json.loads(line))
            found = json.loads(line)
            print(f"{dataset}: {found['name']}: {found['images_per_second']:,.0f} images/s")
    if process.returncode:
        sys.exit(f"Calibration of {dataset} failed")


def run_rung(dataset, rung, args):
    """Runs the trials of one rung that have no result yet."""
    available = candidates.CANDIDATES[dataset]
    names = dict.fromkeys(args.only or [*entrants(dataset, rung, args), *args.also])
    names = [name for name in names if name in available]  # candidates differ by data set
    tasks = [
        task_of(dataset, rung, name, seed, args) for name in names for seed in RUNGS[rung].seeds
    ]
    done = read(args.results)
    tasks = [task for task in tasks if not any(is_of(record, task) for record in done)]
    print(f"{dataset}, rung {rung}: {len(tasks)} trials to do", flush=True)
    lock, cores = threading.Lock(), SimpleQueue()
    everything = sorted(os.sched_getaffinity(0))
    for job in range(args.jobs):
        cores.put(everything[job :: args.jobs])

    def settle():
        os.sched_setaffinity(0, cores.get())  # of this thread and the processes it starts

    def do(task):
        with start({"action": "train", **task}) as process:
            lines = process.stdout.read().splitlines()
        if process.returncode:
            return f"{task['name']} failed"
        record = json.loads(lines[-1])
        with lock:
            append(args.results, record)
            elbo = record.get("validation", {}).get("elbo")
            print(f"  {task['name']}, seed {task['seed']}: {record.get('problem') or elbo}")
            sys.stdout.flush()

    with ThreadPoolExecutor(args.jobs, initializer=settle) as pool:
        if problems := [problem for problem in pool.map(do, tasks) if problem]:
            sys.exit("\n".join(problems))


def entrants(dataset, rung, args):
    """Returns the names of the candidates that take part in a rung."""
    before = RUNGS[rung].of
    if before is None:
        return list(candidates.CANDIDATES[dataset])
    records = records_of(dataset, before, args)
    if not records:
        sys.exit(
            f"{dataset}: rung {rung} needs results of rung {before}. Run --rung {before} first"
        )
    others = [candidates.DEFAULT] if RUNGS[rung].default else []
    others += [] if RUNGS[rung].final else standings.rivals(records)
    return [*standings.best(records, RUNGS[rung].keep), *others]


def task_of(dataset, rung, name, seed, args):
    settings = candidates.settings_of(dataset, name)
    speed = speeds(args.speeds).get((dataset, candidates.timed_part(settings)))
    if speed is None:
        sys.exit(f"{dataset}: {name} is not calibrated. Run --calibrate first")
    return {
        "dataset": dataset,
        "rung": rung,
        "name": name,
        "seed": seed,
        "seconds": RUNGS[rung].seconds * args.scale,
        "images_per_second": speed,
        "final": RUNGS[rung].final,
        "settings": settings,
    }


def is_of(record, task):
    return all(record.get(key) == value for key, value in task.items())


def records_of(dataset, rung, args):
    """Returns the records of a rung whose candidates have not been changed since."""
    found = []
    for record in read(args.results):
        if (record["dataset"], record["rung"]) == (dataset, rung):
            known = record["name"] in candidates.CANDIDATES[dataset]
            if known and is_of(
                record, task_of(dataset, rung, record["name"], record["seed"], args)
            ):
                found.append(record)
    return found


def print_table(dataset, rung, args):
    records = records_of(dataset, rung, args)
    if records:
        count = len(RUNGS[rung].seeds)
        many = "" if count == 1 else f", mean and standard deviation over {count} seeds"
        print(f"\n### {dataset}, {RUNGS[rung].seconds:g} s (rung {rung}{many})\n")
        print(standings.table(records))


def start(task):
    command = [sys.executable, str(TRIAL), json.dumps(task)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def speeds(path):
    """Returns images per second by data set and by the settings that affect the speed."""
    return {(found["dataset"], found["timed"]): found["images_per_second"] for found in read(path)}


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path, record):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
