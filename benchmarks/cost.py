"""How time and memory of training grow with images, resolution, latents and batch size.

    KERAS_BACKEND=jax python benchmarks/cost.py --output docs/benchmarks/cost.png

Trains the networks of `train.py` on smooth random images, each in a separate process, and plots
milliseconds per image and the peak memory of the process. One setting is changed at a time. Also
writes a JSON file beside the picture. Takes minutes; run it on an otherwise idle machine.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from cases import CASES, make_images

NETWORKS = {
    "patches": {"widths": (512, 32, 128)},
    "mlp": {"hidden": (384,), "activation": "silu", "straight": True},
    "conv": {"filters": (64,), "activation": "silu", "straight": True},
}
COLORS = {"patches": "#15803d", "mlp": "#c2410c", "conv": "#5474a0"}
USUAL = {"images": 5000, "size": 64, "latent_dim": 64, "batch_size": 128}
CHANGED = {
    "images": (1250, 5000, 20_000),
    "size": (16, 32, 64, 128),
    "latent_dim": (8, 64, 512),
    "batch_size": (16, 32, 128, 512),
}
LABELS = {
    "images": "training images",
    "size": "side of the images (pixels)",
    "latent_dim": "latents",
    "batch_size": "batch size",
}
MOST_VALUES = 1000 * 256 * 256 * 3  # pixels times channels; limits the number of large images
EPOCHS, SECONDS = 3, 8.0  # epochs to measure, and seconds after which no further epoch starts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--network", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    add("--change", nargs="+", choices=list(CHANGED), default=list(CHANGED))
    add("--output", type=Path, default=Path("cost.png"))
    add("--draw", action="store_true", help="plot the numbers in the JSON file without measuring")
    add("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(json.loads(args.measure))
        return
    file = args.output.with_suffix(".json")
    points = json.loads(file.read_text()) if args.draw else []
    for task in [] if args.draw else tasks(args):
        points.append({**task, **in_a_process(task)})
        print(line(points[-1]), flush=True)
        file.write_text(json.dumps(points, indent=1) + "\n")
    draw(points, args.output)
    print(f"{args.output}, {file}")


def tasks(args):
    """Returns the tasks: each network with one setting changed at a time, without repetitions."""
    found = []
    for network in args.network:
        for name in args.change:
            found += [{"network": network, **changed(name, value)} for value in CHANGED[name]]
    return [task for number, task in enumerate(found) if task not in found[:number]]


def changed(name, value):
    """Returns the usual settings with one changed, and with fewer images if these are large."""
    task = {**USUAL, name: value}
    if task["size"] > USUAL["size"]:
        task["images"] = min(task["images"], MOST_VALUES // (3 * task["size"] ** 2))
    return task


def in_a_process(task):
    command = [sys.executable, __file__, "--measure", json.dumps(task)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def measure(task):
    """Trains in this process; prints time and memory as JSON."""
    import keras
    from speed_process import peak_megabytes

    import keras_vae
    from keras_vae.training import recipes

    shape, batch_size = (task["size"], task["size"], 3), task["batch_size"]
    case = dataclasses.replace(CASES["mlp-64"], image_shape=shape)
    images = np.empty((task["images"], *shape), "uint8")
    for start in range(0, len(images), 100):  # in chunks, to keep the peak of memory low
        images[start : start + 100] = make_images(case, len(images[start : start + 100]), start)
    build = getattr(keras_vae, f"build_{task['network']}")
    parts = build(shape, task["latent_dim"], **NETWORKS[task["network"]])
    model = keras_vae.VAE(*parts, "gaussian", seed=0)
    model.compile(recipes.make_optimizer(2e-3, 10_000))
    ready = peak_megabytes()
    stamps = [time.perf_counter()]

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            stamps.append(time.perf_counter())
            if stamps[-1] - stamps[1] > SECONDS:
                self.model.stop_training = True

    # The first epoch compiles; a part of the images is enough for that.
    model.fit(images[: 5 * batch_size + 1], batch_size=batch_size, verbose=0)
    first = time.perf_counter() - stamps[0]
    stamps[:] = [time.perf_counter()]
    model.fit(images, batch_size=batch_size, epochs=1 + EPOCHS, callbacks=[Clock()], verbose=0)
    seconds = np.diff(stamps)
    seconds = seconds[1:] if len(seconds) > 1 else seconds
    result = {
        "backend": keras.backend.backend(),
        "parameters": model.count_params(),
        "image_megabytes": images.nbytes / 1e6,
        "before_megabytes": ready,
        "peak_megabytes": peak_megabytes(),
        "first_seconds": first,
        "milliseconds": 1e3 * statistics.median(seconds) / len(images),
    }
    print(json.dumps(result))


def line(point):
    changed = " ".join(f"{name} {point[name]:,}" for name in USUAL)
    return (
        f"{point['network']:4} {changed}: {point['milliseconds']:.3f} ms per image, "
        f"{point['peak_megabytes']:,.0f} MB peak, {point['before_megabytes']:,.0f} MB before fit"
    )


def draw(points, path):
    """Plots a column for each changed setting, time above and memory below."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    names = [name for name in CHANGED if len({point[name] for point in points}) > 1]
    figure, axes = plt.subplots(
        2, len(names), figsize=(3.1 * len(names), 5.6), sharey="row", squeeze=False
    )
    for column, name in zip(axes.T, names, strict=True):
        for network, color in COLORS.items():
            wanted = [{"network": network, **changed(name, value)} for value in CHANGED[name]]
            measured = [p for task in wanted for p in points if task.items() <= p.items()]
            values = [p[name] for p in measured]
            column[0].plot(values, [p["milliseconds"] for p in measured], "o-", color=color)
            memory = [p["peak_megabytes"] / 1e3 for p in measured]
            column[1].plot(values, memory, "o-", color=color, label=network)
        image_memory = [p["image_megabytes"] / 1e3 for p in measured]
        column[1].plot(values, image_memory, ":", color="0.5", label="images only")
        column[1].set_xlabel(LABELS[name])
        column[0].set_yscale("log")
        for axis in column:
            axis.set_xscale("log")
            axis.set_xticks(values, [f"{value:,}" for value in values], rotation=45)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("milliseconds per image")
    axes[1, 0].set_ylabel("peak memory (GB)")
    axes[1, 0].set_ylim(0, 1.05 * max(p["peak_megabytes"] for p in points) / 1e3)
    axes[1, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
