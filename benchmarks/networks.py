"""Compares networks and recipes at equal training time: the choice behind `training/recipes.py`.

    python benchmarks/networks.py --dataset faces --minutes 3
    python benchmarks/networks.py --dataset celeb_a --minutes 10 --only "conv 64" --flow --edits
    python benchmarks/networks.py --table > networks.md

Each candidate is trained in a process of its own until the process has used as much time of the
processor as MINUTES on all cores. So other programs change how long the search takes, but hardly
its result. All numbers are of validation images, except with `--test`, for the final choice.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers, ops

import keras_vae
from keras_vae import datasets, evaluate, latent, networks
from keras_vae.evaluate.judges import Judges
from keras_vae.layers import DepthToSpace
from keras_vae.training import recipes
from keras_vae.training.clock import FollowClock

IMAGES = 1000  # in each set of a Fréchet distance


def patches(*widths, **others):
    return {"network": "patches", "widths": widths, **others}


def conv(*widths, **others):
    return {"network": "conv", "widths": widths, **others}


def mlp(*widths, **others):
    return {"network": "mlp", "widths": widths, **others}


# What differs from train.py's defaults, by name. Each candidate answers one question.
CANDIDATES = {
    "faces": {
        "default": {},
        "wider patches": patches(768, 48, 192),
        "narrow patches": patches(384, 16, 64),
        "96 latents": {"latent_dim": 96},
        "128 latents": {"latent_dim": 128},
        "mlp": mlp(384),
        "conv": conv(64),
        "residual convolutions": {"network": "residual", "widths": (64,)},
        "averaged weights": {"ema": 0.99},
        "shifted by 1": {"shift": 1},
    },
    "celeb_a": {
        "default": {},
        "384 latents": {"latent_dim": 384},
        "512 latents": {"latent_dim": 512},
        "patches, 512 latents": patches(512, 32, 128, latent_dim=512, learning_rate=3e-3),
        "the same, shifted by 2": patches(
            512, 32, 128, latent_dim=512, learning_rate=3e-3, shift=2
        ),
        "residual, 512 latents": {"network": "residual", "widths": (64,), "latent_dim": 512},
    },
    "mnist": {
        "default": {},
        "48 latents": {"latent_dim": 48},
        "wider": mlp(768, 768),
        "patches": patches(384, 16, 48),
    },
}
EDITED = {"faces": "smiling", "celeb_a": "Smiling", "mnist": "8"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", choices=list(CANDIDATES), default="faces")
    add("--minutes", type=float, default=3.0, help="training time on all cores")
    add("--only", nargs="+", metavar="NAME", help="only these candidates")
    add("--seed", type=int, default=0)
    add("--flow", action="store_true", help="also fit a flow and measure new images")
    add("--edits", action="store_true", help="also measure edits of one attribute")
    add("--test", action="store_true", help="measure on test images")
    add("--results", type=Path, default=Path("networks.jsonl"))
    add("--table", action="store_true", help="print the results so far as Markdown")
    args = parser.parse_args()
    if args.table:
        return print_tables(args.results)
    names = args.only or list(CANDIDATES[args.dataset])
    if len(names) == 1:
        record = trial(names[0], args)
        with open(args.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return print(json.dumps(record))
    given = sys.argv[1:]
    given = given[: given.index("--only")] if args.only else given
    for name in names:
        subprocess.run([sys.executable, __file__, *given, "--only", name], check=True)


def trial(name, args):
    """Trains one candidate; returns its numbers."""
    keras.utils.set_random_seed(args.seed)
    data = datasets.load(args.dataset)
    images = data.train.images
    settings = settings_of(name, args.dataset, data)
    model = build(settings, images, args.seed)
    averaging = {"use_ema": True, "ema_momentum": settings["ema"]} if settings["ema"] else {}
    model.compile(keras.optimizers.Adam(1e-4, beta_2=0.98, **averaging))
    clock = ProcessorClock(settings["learning_rate"], 60 * args.minutes * os.cpu_count())
    started = time.process_time()
    model.fit(images, batch_size=128, epochs=10**6, callbacks=[clock], verbose=0)
    judges = Judges(data, announce=lambda text: print(text, file=sys.stderr))
    split = data.test if args.test else data.validation
    record = {
        "dataset": args.dataset,
        "minutes": args.minutes,
        "name": name,
        "settings": settings,
        "split": "test" if args.test else "validation",
        "weights": model.count_params(),
        "steps": clock.steps,
        "cpu_ms_per_step": 1000 * (time.process_time() - started) / clock.steps,
        **quality(model, split, judges.judge),
    }
    if args.flow or args.edits:
        record |= flow_quality(model, data, split, judges, args)
    return record


class ProcessorClock(FollowClock):
    """`FollowClock` in seconds of processor time, of all threads."""

    now = staticmethod(time.process_time)


def settings_of(name, dataset, data):
    """Returns the settings of a candidate: train.py's, with some of them changed."""
    changes = dict(CANDIDATES[dataset][name])
    usual = changes.get("network") if changes.get("network") in recipes.NETWORKS else None
    settings = recipes.settings_for(dataset, data.image_shape, len(data.train), usual)
    others = {"mirrored": dataset == "celeb_a", "shift": 0, "ema": None}
    return settings | others | changes


def build(settings, images, seed):
    """Returns a `VAE` with these settings."""
    builder = build_residual
    if settings["network"] in recipes.NETWORKS:
        builder = getattr(keras_vae, f"build_{settings['network']}")
    parts = builder(
        images.shape[1:],
        settings["latent_dim"],
        list(settings["widths"]),
        activation=settings["activation"],
        pixel_mean=images[:1000].mean(axis=0) / 255,
        straight=settings["straight"],
    )
    moved = None
    if settings["mirrored"] or settings["shift"]:
        moved = Moved(settings["mirrored"], settings["shift"], seed, dtype="float32")
    return keras_vae.VAE(*parts, settings["likelihood"], augmentation=moved, seed=seed)


def build_residual(image_shape, latent_dim, widths, depth=2, hidden=512, patch=8, **settings):
    """Returns an encoder and a decoder with residual convolutions between patches of 8 pixels."""
    (width,), (height, _, channels) = widths, image_shape
    activation, side = settings["activation"], height // patch

    def residual(x):
        for _ in range(depth):
            y = networks.normalise_and_activate(networks.conv(width, 3)(x), activation)
            x = layers.Add()([x, y])
        return x

    def read(x):
        x = networks.conv(width, patch, strides=patch)(x)
        x = layers.Flatten()(residual(networks.normalise_and_activate(x, activation)))
        return networks.normalise_and_activate(layers.Dense(hidden)(x), activation)

    def draw(z):
        x = networks.normalise_and_activate(layers.Dense(hidden)(z), activation)
        x = layers.Reshape((side, side, width))(layers.Dense(side * side * width)(x))
        x = residual(networks.normalise_and_activate(x, activation))
        x = networks.conv(channels * patch**2, 3, dtype="float32", use_bias=False)(x)
        return DepthToSpace(patch, dtype="float32")(x)

    usual = (activation, settings["pixel_mean"], True, settings["straight"])
    return networks.connect(read, draw, image_shape, latent_dim, *usual)


class Moved(layers.Layer):
    """Mirrors images left to right and shifts them by whole pixels, at random, each by itself."""

    def __init__(self, mirrored, shift, seed, **kwargs):
        super().__init__(**kwargs)
        self.mirrored, self.shift = mirrored, shift
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        if self.mirrored:
            at_random = keras.random.uniform((ops.shape(x)[0], 1, 1, 1), seed=self.seed_generator)
            x = ops.where(at_random < 0.5, ops.flip(x, axis=2), x)
        for axis in (1, 2) if self.shift else ():
            x = self._shifted(x, axis)
        return x

    def _shifted(self, x, axis):
        n, side = ops.shape(x)[0], x.shape[axis]
        by = keras.random.randint(
            (n, 1), -self.shift, self.shift + 1, "int32", seed=self.seed_generator
        )
        rows = ops.clip(ops.arange(side)[None] + by, 0, side - 1)  # repeats the border
        rows = ops.reshape(rows, (n, side, 1, 1) if axis == 1 else (n, 1, side, 1))
        return ops.take_along_axis(x, ops.broadcast_to(rows, ops.shape(x)), axis)


def quality(model, split, judge):
    """Returns fit and reconstruction quality."""
    found = evaluate.test_metrics(model, split.images, batch_size=500)
    images = split.images[:IMAGES]
    return {
        "mse": found["test_mse"],
        "bits_per_dim": found["bits_per_dim"],
        "kl": found["test_kl_loss"],
        "frechet_reconstructions": frechet(judge, images, model.reconstruct(images)),
    }


def flow_quality(model, data, split, judges, args):
    """Returns the quality of new images from a flow over the codes, and of edits by it."""
    started = time.process_time()
    codes = latent.codes_of(model, data.train.images)
    flow = latent.fit_flow(codes, data.train.attributes, data.attribute_names, seed=args.seed)
    images = split.images[:IMAGES]
    found = {"flow_cpu_seconds": time.process_time() - started}
    found["frechet_new"] = frechet(judges.judge, images, model.decode(flow.sample(len(images), 0)))
    if args.edits:
        name = EDITED[args.dataset]
        report = evaluate.edit_report(
            model,
            judges.judge,
            judges.without,
            {"flow": flow},
            data.validation,
            split,
            data.attribute_names,
            attributes=[name],
            exclusive=data.label_names,
        )
        point = report["attributes"][name]["methods"]["flow"]
        keys = ("strength", "flip_rate", "largest_leakage", "identity")
        found |= {key: point[key] for key in keys}
    return found


def frechet(judge, real, made):
    return evaluate.frechet_distance(judge.look(made)[1], judge.look(real)[1])


COLUMNS = {
    "candidate": lambda r: r["name"],
    "latents": lambda r: r["settings"]["latent_dim"],
    "million weights": lambda r: f"{r['weights'] / 1e6:.1f}",
    "steps": lambda r: f"{r['steps']:,}",
    "CPU ms a step": lambda r: f"{r['cpu_ms_per_step']:.0f}",
    "MSE": lambda r: f"{r['mse']:.5f}",
    "bits/dim": lambda r: f"{r['bits_per_dim']:.3f}",
    "KL": lambda r: f"{r['kl']:.0f}",
    "Fréchet, reconstructions": lambda r: f"{r['frechet_reconstructions']:.3f}",
    "Fréchet, new images": lambda r: f"{r['frechet_new']:.2f}",
    "flow, CPU s": lambda r: f"{r['flow_cpu_seconds']:.0f}",
    "flip / leakage / identity": lambda r: " / ".join(
        f"{r[key]:.2f}" for key in ("flip_rate", "largest_leakage", "identity")
    ),
}


def print_tables(path):
    """Prints a table for each data set, time and split, the best ELBO first."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    keys = ("dataset", "minutes", "split")
    for group in sorted({tuple(record[key] for key in keys) for record in records}):
        print(f"\n### {group[0]}, {group[1]:g} minutes, {group[2]} images\n")
        row(COLUMNS)
        row("---:" if column != "candidate" else "---" for column in COLUMNS)
        chosen = [record for record in records if tuple(record[key] for key in keys) == group]
        for record in sorted(chosen, key=lambda record: record["bits_per_dim"]):
            row(cell(record, text) for text in COLUMNS.values())


def row(texts):
    print(f"| {' | '.join(map(str, texts))} |")


def cell(record, text):
    try:
        return text(record)
    except (KeyError, TypeError):  # not measured
        return ""


if __name__ == "__main__":
    main()
