"""What several devices bring: step times measured here, exchange computed from bandwidths.

    KERAS_BACKEND=jax python benchmarks/scaling.py --output docs/pictures/devices.png
    KERAS_BACKEND=jax python benchmarks/scaling.py --times times.json --speedup 50 --price 2.5

Measures the steps of the default networks of `train.py` for some batch sizes on one device and fits
`fixed + per image * images`. From this it predicts the speed of N devices with one global batch:

    step = fixed + per image * batch / N + exchange
    exchange = 2 (N - 1) / N * bytes of gradients / bandwidth + 2 log2(N) * calls * latency

The fixed part, which is mostly the update of the weights, is done by every device. Prints tables in
Markdown and draws a plot. `--speedup` divides the measured times, for a device that is faster.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

NETWORKS = {  # the default of train.py for the data set of this name, and the shape of its images
    "faces": (64, 64, 3),
    "mnist": (28, 28, 1),
    "photographs": (64, 64, 3),
}
LINKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9, "300 GB/s": 300e9}  # bytes per second
CALLS, LATENCY = 4, 20e-6  # collective calls in a step, seconds for each stage of one
DEVICES = (1, 8, 64, 512)
SIZES = (32, 128, 512)
COLORS = ("#5474a0", "#c2410c", "#15803d")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--batch-sizes", type=int, nargs="+", default=(1024, 8192), help="global batch sizes")
    add("--speedup", type=float, default=1.0, help="how much faster than here a device is")
    add("--price", type=float, default=1.0, help="price of a device for an hour")
    add("--times", type=Path, help="a file of measured times; measured and written if missing")
    add("--output", type=Path, help="where to draw the plot")
    args = parser.parse_args()
    if args.times and args.times.exists():
        times = json.loads(args.times.read_text())
    else:
        times = {name: measure(name) for name in NETWORKS}
        if args.times:
            args.times.write_text(json.dumps(times, indent=1) + "\n")
    print_times(times)
    for batch_size in args.batch_sizes:
        print_speeds(times, batch_size, args)
    if args.output:
        draw(times, args)


def measure(name):
    """Returns seconds per step by batch size and the number of weights of a network."""
    import keras

    import keras_vae
    from keras_vae.training import clock, recipes

    shape = NETWORKS[name]
    dataset = name if name == "faces" else "others"
    best = recipes.settings_for(dataset, shape, 7000)
    images = np.random.default_rng(0).integers(0, 256, (2048, *shape), "uint8")
    seconds = {}
    for size in SIZES:
        keras.utils.set_random_seed(0)
        parts = getattr(keras_vae, f"build_{best['network']}")(
            shape,
            best["latent_dim"],
            best["widths"],
            activation=best["activation"],
            straight=best["straight"],
        )
        model = keras_vae.VAE(*parts, best["likelihood"], seed=0)
        model.compile(recipes.make_optimizer(1e-4))
        seconds[size] = size / clock.first_steps(model, images, size, seconds=5)
    weights = sum(math.prod(v.shape) for v in model.trainable_variables)
    return {"network": best["network"], "weights": weights, "seconds": seconds}


def fit(seconds):
    """Returns the fixed seconds of a step, and those per image."""
    sizes, values = np.array([*map(int, seconds)]), np.array([*seconds.values()])
    rows = np.stack([np.ones(len(sizes)), sizes], axis=1) / values[:, None]  # relative errors
    fixed, each = np.linalg.lstsq(rows, np.ones(len(sizes)), rcond=None)[0]
    return max(0.0, fixed), each


def predict(time, batch_size, devices, bandwidth, speedup):
    """Returns the images per second of several devices."""
    fixed, each = (part / speedup for part in fit(time["seconds"]))
    exchange = 0.0
    if devices > 1:
        exchange = 2 * (devices - 1) / devices * 4 * time["weights"] / bandwidth
        exchange += 2 * math.log2(devices) * CALLS * LATENCY
    return batch_size / (fixed + each * math.ceil(batch_size / devices) + exchange)


def print_times(times):
    print("| data | network | weights | gradients a step | fixed part of a step | per image |")
    print("|---|---|---:|---:|---:|---:|")
    for name, time in times.items():
        fixed, each = fit(time["seconds"])
        print(
            f"| {name} | {time['network']} | {time['weights'] / 1e6:.1f}M | "
            f"{4 * time['weights'] / 1e6:.0f} MB | {1000 * fixed:.1f} ms | {1000 * each:.3f} ms |"
        )


def print_speeds(times, batch_size, args):
    print(
        f"\nGlobal batch {batch_size}: speed over that of one device; price of a million images\n"
    )
    print(f"| data | link |{''.join(f' {n} |' for n in DEVICES)} half of ideal at |")
    print(f"|---|---|{'---:|' * len(DEVICES)}---:|")
    for name, time in times.items():
        alone = predict(time, batch_size, 1, math.inf, args.speedup)
        for link, bandwidth in LINKS.items():
            cells = []
            for n in DEVICES:
                speed = predict(time, batch_size, n, bandwidth, args.speedup)
                price = args.price * n / 3600 / speed * 1e6
                cells.append(f" {number(speed / alone)}; {number(price)} |")
            counts = 2 ** np.arange(14)
            speeds = [predict(time, batch_size, n, bandwidth, args.speedup) for n in counts]
            half = max(counts[np.array(speeds) >= alone * counts / 2])  # where the bend lies
            print(f"| {name} | {link} |{''.join(cells)} {half} |")


def number(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def draw(times, args):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    counts = 2 ** np.arange(10)
    figure, axes = plt.subplots(1, len(times), figsize=(11, 3.6), sharey=True, layout="constrained")
    batch_size = max(args.batch_sizes)
    for axis, (name, time) in zip(axes, times.items()):
        alone = predict(time, batch_size, 1, math.inf, args.speedup)
        axis.plot(counts, counts, color="#999999", linestyle=":", label="ideal")
        for (link, bandwidth), color in zip(LINKS.items(), COLORS):
            speeds = [predict(time, batch_size, n, bandwidth, args.speedup) for n in counts]
            axis.plot(counts, np.array(speeds) / alone, color=color, label=link)
        axis.set(xscale="log", yscale="log", xlabel="devices", ylim=(0.5, 600))
        axis.set_title(f"{name}, {time['network']}, {time['weights'] / 1e6:.1f}M weights")
        axis.set_xticks(DEVICES, DEVICES)
        axis.set_yticks(DEVICES, DEVICES)
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"speed over one device, batch {batch_size:,}")
    axes[0].legend(frameon=False)
    figure.savefig(args.output, dpi=110)


if __name__ == "__main__":
    main()
