"""Draws the figures of docs/benchmarks/index.md from the tables in docs/benchmarks/results/.

    python benchmarks/plots.py

Every number in a figure is read from a table, so that the two cannot differ: after a new
measurement, change the table and run this again. The same tables give the same files.
"""

import argparse
from pathlib import Path

import matplotlib
from plots_rows import BLUE, GREY, LINE, ORANGE, STYLE, chart, dot, legend, point, value
from plots_tables import numbers, read_table

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
LIKELIHOODS = {"gaussian": (ORANGE, -0.18), "discretized_logistic": (BLUE, 0.18)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the SVG files")
    folder = parser.parse_args().output
    metadata = {"Date": None, "Creator": None}  # what would differ in another run
    with matplotlib.rc_context(STYLE):
        for name, draw in FIGURES.items():
            draw().savefig(folder / f"{name}.svg", metadata=metadata)
            print(folder / f"{name}.svg")


def speed():
    before = read_table("speed.md", "Results of speed.py", "")
    heading = "Images held where programs read them"
    now = read_table("speed.md", heading, "ratio to the hand-written loop")
    backends = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "torch"}
    networks = {
        "mlp-28": "mlp, 28x28 grey",
        "conv-28": "conv, 28x28 grey",
        "mlp-64": "mlp, 64x64 colour",
        "conv-64": "conv, 64x64 colour",
    }
    groups = {backend: list(networks.values()) for backend in backends.values()}
    label = "speed of fit / speed of the hand-written loop"
    axes, heights = chart(groups, (0.4, 1.25), label, left=190, right=30)
    axes.axvline(1, **LINE)
    earlier = {"markerfacecolor": "white", "markeredgewidth": 1.5}
    keys = [f"{backend} {network}" for backend in backends for network in networks]
    for key, y in zip(keys, heights, strict=True):
        point(axes, numbers(before[key]["ratio before"])[0], y, GREY, **earlier)
        for ratio in numbers(now[key]["after"]):
            point(axes, ratio, y)
    marks = {"with Keras's loop": dot(GREY, **earlier)}
    marks["now, a dot for each sitting"] = dot(ORANGE)
    return legend(axes, **marks, **{"as fast as by hand": LINE})


def networks():
    usual = "Results of networks.py"
    drawn = read_table("networks.md", usual, "drawn faces")
    real = read_table("networks.md", usual, "real faces, 256 latents")
    mnist = read_table("networks.md", usual, "MNIST, 32 latents")
    longer = read_table("networks.md", "Ten minutes", "with more time")
    before = " (the default before)"
    groups = {
        "drawn faces": {
            "mlp 384, 64 latents": (drawn["mlp 384, encoder at half size" + before], GREY),
            "patches 512-32-128, 64 latents": (
                drawn["patches 512-32-128, straight (the default)"],
                ORANGE,
            ),
            "patches 768-48-192, 96 latents": (
                longer["drawn faces, patches 768-48-192, 10 minutes"],
                BLUE,
            ),
        },
        "photographs of faces": {
            "conv 64, 64 latents": (real["conv 64, 64 latents, no linear path" + before], GREY),
            "conv 64, 256 latents": (real["conv 64, straight"], ORANGE),
            "the same with --augment": (
                real["conv 64, straight, mirrored (the default with --augment)"],
                ORANGE,
            ),
            "512 latents with --augment": (longer["photographs, 10 minutes"], BLUE),
        },
        "MNIST": {
            "mlp 384-384, 32 latents": (mnist["mlp 384-384"], GREY),
            "the same with a linear path": (mnist["mlp 384-384, straight (the default)"], ORANGE),
        },
    }
    axes, heights = chart(groups, (0, 0.011), "squared error (MSE), less is better", left=262)
    rows = [row for group in groups.values() for row in group.values()]
    for (row, colour), y in zip(rows, heights, strict=True):
        (error,) = numbers(row["MSE"])
        axes.barh(y, error, 0.62, color=colour)
        value(axes, y, f"{error:.5f}")
    colours = {"no linear path": GREY, "default": ORANGE, "in 10 minutes": BLUE}
    marks = {name: dot(colour, marker="s", ms=9) for name, colour in colours.items()}
    return legend(axes, **marks)


def new_images():
    table = read_table("flow.md", "Results of the flow over the codes", "")
    drawn, real = [row for row in table if "real images" in row]
    drawn_longer, real_longer = [row for row in table if "ten minutes" in row]
    flow, midpoint = "new images: flow", "midpoint of two test images: through the flow"
    groups = {
        "drawn faces, 64 latents": {
            "flow": (drawn, flow),
            "flow, 96 latents, 10 minutes": (drawn_longer, flow),
            "mixture of Gaussians": (drawn, "mixture"),
            "prior": (drawn, "prior"),
            "midpoint through the flow": (drawn, midpoint),
            "midpoint of a straight line": (drawn, "straight line"),
        },
        "photographs of faces, 256 latents": {
            "flow": (real, flow),
            "flow, 512 latents, 10 minutes": (real_longer, flow),
            "mixture of Gaussians": (real, "mixture"),
            "midpoint through the flow": (real, midpoint),
            "midpoint of a straight line": (real, "straight line"),
        },
    }
    label = "Fréchet distance from test images, less is better"
    axes, heights = chart(groups, (0.2, 14), label, left=262, scale="log")
    axes.set_xticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    axes.minorticks_off()
    heights = iter(heights)
    for name, rows in zip((drawn, real), groups.values(), strict=True):
        places = [next(heights) for _ in rows]
        (of_real,) = numbers(name.split("real images")[1])
        axes.vlines(of_real, places[0] - 0.45, places[-1] + 0.45, **LINE)
        for (text, (row, column)), y in zip(rows.items(), places, strict=True):
            (distance,) = numbers(table[row][column])
            point(axes, distance, y, BLUE if "midpoint" in text else ORANGE)
            value(axes, y, f"{distance:.2f}")
    marks = {"new images": dot(ORANGE), "halfway between two images": dot(BLUE)}
    return legend(axes, **marks, **{"other real images": LINE})


def likelihood():
    page, heading = "likelihood.md", "A tighter bound, and another prior"
    first = read_table(page, "Results of likelihood.py", "in 15 minutes (JAX, two CPU cores)")
    second = read_table(page, heading, "trained with")
    published = read_table(page, heading, "Burda et al. (2016)")
    labels = ("ELBO", "8 draws in the second half", "VampPrior of 500 images")
    groups = {
        "15 minutes": {f"{name}, ELBO": row for name, row in first.items()},
        "15 minutes, Muon, a machine half as fast": dict(zip(labels, second.values(), strict=True)),
        "published (Burda et al. 2016), 3,280 epochs": {
            name.removeprefix("the "): row for name, row in published.items()
        },
    }
    label = "log p(x) of test images of MNIST, nats, more is better"
    axes, heights = chart(groups, (-88.2, -82.8), label)
    rows = [row for group in groups.values() for row in group.values()]
    for row, y in zip(rows, heights, strict=True):
        mean, *error = numbers(row["log p(x)"])
        if error:
            point(axes, mean, y, low=mean - 2 * error[0], high=mean + 2 * error[0])
        else:
            point(axes, mean, y, BLUE, marker="D")
        value(axes, y, f"{mean:.2f}")
    marks = {"here, ± 2 standard errors": dot(ORANGE, ls="-", lw=2)}
    return legend(axes, **marks, published=dot(BLUE, marker="D"))


def anomalies():
    table = read_table("anomalies.md", "Results of anomalies.py", "score")
    scores = ("negative_log_likelihood", "reconstruction_loss", "atypicality")
    others = ("PCA, squared error", "PCA, negative log-likelihood", "isolation forest")
    tasks = {
        "a digit held out": "a digit that was held out (MNIST)",
        "clothes against digits": "digits among clothes (Fashion-MNIST)",
    }
    groups = {title: [*scores, *others] for title in tasks.values()}
    label = "area under the ROC curve, more is better, 0.5 is chance"
    axes, heights = chart(groups, (0, 1.02), label, right=30)
    axes.axvline(0.5, **LINE)
    heights = iter(heights)
    for task in tasks:
        for score in scores:
            y = next(heights)
            for likelihood, (colour, shift) in LIKELIHOODS.items():
                median, low, high = numbers(table[f"{likelihood}, {score}"][task])
                point(axes, median, y + shift, colour, low, high)
        for name in others:
            median, low, high = numbers(table[name][task])
            point(axes, median, next(heights), GREY, low, high)
    marks = {name: dot(colour, ls="-", lw=2) for name, (colour, _) in LIKELIHOODS.items()}
    return legend(axes, **marks, **{"no VAE": dot(GREY, ls="-", lw=2)})


def disentanglement():
    table = read_table("disentanglement.md", "Results of disentanglement.py", "model")
    label = "mutual information gap (MIG), more is better"
    axes, heights = chart({"": list(table)}, (0, 0.25), label, left=130)
    for row, y in zip(table.values(), heights, strict=True):
        median, low, high = numbers(row["MIG"])
        point(axes, median, y, low=low, high=high)
        value(axes, y, f"{median:.3f}")
    return legend(axes, **{"median of the seeds, lowest to highest": dot(ORANGE, ls="-", lw=2)})


FIGURES = {
    "speed": speed,
    "networks": networks,
    "new-images": new_images,
    "likelihood": likelihood,
    "anomalies": anomalies,
    "disentanglement": disentanglement,
}


if __name__ == "__main__":
    main()
