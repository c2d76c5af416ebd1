"""Disentanglement of several models on the sprites, over several seeds.

    KERAS_BACKEND=jax python benchmarks/disentanglement.py --seeds 5 --epochs 30

Prints a table of medians for benchmarks/README.md: MIG and DCI disentanglement (Locatello et al.
2019, https://arxiv.org/abs/1811.12359, compare the same models on dSprites), and the lines of
single runs as they finish.
"""

import argparse
import statistics
import time

import keras
import numpy as np

import keras_vae
from keras_vae import penalties
from keras_vae.training import recipes

MODELS = {
    "VAE": {},
    "beta-VAE, 4": {"beta": 4.0},
    "beta-TCVAE, 6": {"penalty": lambda: penalties.TotalCorrelation(5.0)},
    "DIP-VAE-I": {"penalty": lambda: penalties.DIP(10.0)},
    "DIP-VAE-II": {"penalty": lambda: penalties.DIP(10.0, diagonal=1.0, of="z")},
}
SCORES = ("mig", "dci_disentanglement", "dci_completeness", "test_mse")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="sprites", choices=("sprites", "faces"))
    add("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    add("--seeds", type=int, default=5)
    add("--epochs", type=int, default=30)
    add("--batch-size", type=int, default=128)
    add("--latent-dim", type=int, default=10)
    add("--widths", type=int, nargs="+", default=[512, 256])
    add("--network", default="mlp", choices=("mlp", "conv", "patches"))
    add("--likelihood", default="bernoulli")
    add("--learning-rate", type=float, default=1e-3)
    return parser.parse_args()


def run(args, data, name, seed):
    """Trains a model and returns its scores."""
    keras.utils.set_random_seed(seed)
    images, settings = data.train.images, dict(MODELS[name])
    if "penalty" in settings:
        settings["penalty"] = settings["penalty"]()
    mean = images[:1000].mean(axis=0) / 255
    builder = getattr(keras_vae, f"build_{args.network}")
    parts = builder(
        data.image_shape, args.latent_dim, args.widths, activation="relu", pixel_mean=mean
    )
    model = keras_vae.VAE(*parts, args.likelihood, seed=seed, **settings)
    steps = args.epochs * -(-len(images) // args.batch_size)
    model.compile(recipes.make_optimizer(args.learning_rate, steps))
    model.fit(images, batch_size=args.batch_size, epochs=args.epochs, verbose=0)
    test = data.test[np.arange(3000) % len(data.test)] if len(data.test) < 3000 else data.test
    codes = model.codes(test.images)
    report = keras_vae.evaluate.disentanglement_report(codes, test.factors, data.factor_names)
    factors = {entry["name"]: round(entry["mig"], 3) for entry in report["factors"]}
    mse = keras_vae.evaluate.test_metrics(model, data.test.images)["test_mse"]
    return report | {"factors": factors, "test_mse": mse}


def main():
    args = parse()
    data = keras_vae.datasets.load(args.dataset)
    lines = []
    for name in args.models:
        found = []
        for seed in range(args.seeds):
            started = time.perf_counter()
            scores = run(args, data, name, seed)
            found.append(scores)
            numbers = " ".join(f"{key} {scores[key]:.4f}" for key in SCORES)
            factors = scores["factors"] if len(scores["factors"]) < 10 else ""
            print(f"{name} {seed}: {numbers} {factors} {time.perf_counter() - started:.0f} s")
        medians = [statistics.median(one[key] for one in found) for key in SCORES]
        spread = "{:.3f} to {:.3f}".format(*(f(o["mig"] for o in found) for f in (min, max)))
        mig, disentanglement, completeness, mse = medians
        lines.append(
            f"| {name} | {mig:.3f} ({spread}) | {disentanglement:.3f} | {completeness:.3f} "
            f"| {mse:.5f} |"
        )
    print("\n| model | MIG (range) | DCI disentanglement | DCI completeness | test MSE |")
    print("|---|---:|---:|---:|---:|", *lines, sep="\n")


if __name__ == "__main__":
    main()
