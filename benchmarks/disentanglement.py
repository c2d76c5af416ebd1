"""Disentanglement of several models on the sprites, over several seeds.

    KERAS_BACKEND=jax python benchmarks/disentanglement.py --seeds 5 --epochs 8 --halve

Prints a table of medians, as in docs/benchmarks/results/disentanglement.md: MIG and DCI
disentanglement (Locatello et al. 2019, https://arxiv.org/abs/1811.12359, compare the same models on
dSprites), and the lines of single runs as they finish. `--halve` reduces the images to half their
height and width, which is four times as fast, and divides beta and the weights of penalties by 4,
as losses are sums over pixels.
"""

import argparse
import statistics
import time

import keras
import numpy as np

import keras_vae
from keras_vae import penalties
from keras_vae.training import recipes

MODELS = {  # beta, and the penalty with its weight
    "VAE": (1.0, None),
    "beta-VAE, 4": (4.0, None),
    "beta-TCVAE, 6": (1.0, lambda share: penalties.TotalCorrelation(5.0 * share)),
    "DIP-VAE-I": (1.0, lambda share: penalties.DIP(10.0 * share)),
    "DIP-VAE-II": (1.0, lambda share: penalties.DIP(10.0 * share, diagonal=share, of="z")),
}
SCORES = ("mig", "dci_disentanglement", "dci_completeness", "test_mse")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="sprites", choices=("sprites", "faces"))
    add("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    add("--seeds", type=int, default=5)
    add("--epochs", type=int, default=30)
    add("--halve", action="store_true", help="reduce the images to half their size")
    add("--batch-size", type=int, default=256)
    add("--latent-dim", type=int, default=10)
    add("--widths", type=int, nargs="+", default=[256, 128])
    add("--activation", default="tanh")
    add("--network", default="mlp", choices=("mlp", "conv", "patches"))
    add("--likelihood", default="bernoulli")
    add("--learning-rate", type=float, default=3e-3)
    add("--first-seed", type=int, default=0)
    return parser.parse_args()


def halved(images):
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels)
    return blocks.mean(axis=(2, 4)).round().astype("uint8")


def run(args, data, name, seed):
    """Trains a model and returns its scores."""
    keras.utils.set_random_seed(seed)
    view, share = (halved, 1 / 4) if args.halve else (np.asarray, 1)
    images = view(data.train.images)
    mean = images[:1000].mean(axis=0) / 255
    parts = getattr(keras_vae, f"build_{args.network}")(
        images.shape[1:],
        args.latent_dim,
        args.widths,
        activation=args.activation,
        pixel_mean=mean,
    )
    beta, penalty = MODELS[name]
    penalty = penalty and penalty(share)
    model = keras_vae.VAE(*parts, args.likelihood, beta=beta * share, seed=seed, penalty=penalty)
    steps = args.epochs * -(-len(images) // args.batch_size)
    model.compile(recipes.make_optimizer(args.learning_rate, steps))
    model.fit(images, batch_size=args.batch_size, epochs=args.epochs, verbose=0)
    test = data.test[np.arange(3000) % len(data.test)] if len(data.test) < 3000 else data.test
    pictures = view(test.images)
    codes = model.codes(pictures)
    report = keras_vae.evaluate.disentanglement_report(codes, test.factors, data.factor_names)
    factors = {entry["name"]: round(entry["mig"], 3) for entry in report["factors"]}
    mse = keras_vae.evaluate.test_metrics(model, pictures)["test_mse"]
    return report | {"factors": factors, "test_mse": mse}


def main():
    args = parse()
    data = keras_vae.datasets.load(args.dataset)
    lines = []
    for name in args.models:
        found = []
        for seed in range(args.first_seed, args.first_seed + args.seeds):
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
