"""Bits per dimension of grey MNIST for each likelihood, after the same training.

    KERAS_BACKEND=jax python benchmarks/bits.py --epochs 8

The default network of train.py, with the outputs that each likelihood needs. A likelihood of the
256 levels is exact; a density is measured on dequantised pixels, which is an upper bound
(`keras_vae.evaluate.bits_per_dim`).
"""

import argparse
import time

import keras

import keras_vae
from keras_vae import datasets, evaluate
from keras_vae.training import recipes

NAMES = (
    "gaussian",
    "pixel_gaussian",
    "laplace",
    "continuous_bernoulli",
    "discretized_logistic",
    "logistic_mixture",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--likelihoods", nargs="+", default=NAMES, choices=NAMES)
    add("--dataset", default="mnist", choices=("mnist", "fashion_mnist"))
    add("--epochs", type=int, default=8)
    add("--batch-size", type=int, default=128)
    args = parser.parse_args()

    data = datasets.load(args.dataset)
    print("| likelihood | bits per dimension | squared error | images/s |\n|---|---:|---:|---:|")
    for name in args.likelihoods:
        started = time.perf_counter()
        model = train(name, data, args)
        speed = args.epochs * len(data.train) / (time.perf_counter() - started)
        found = evaluate.test_metrics(model, data.test.images)
        bits, mse = found["bits_per_dim"], found["test_mse"]
        print(f"| {name} | {bits:.3f} | {mse:.5f} | {speed:,.0f} |", flush=True)


def train(name, data, args):
    keras.utils.set_random_seed(0)
    images = data.train.images
    best = recipes.settings_for(args.dataset, data.image_shape, len(images), "mlp")
    likelihood = keras_vae.likelihoods.get(name)
    parts = keras_vae.build_mlp(
        data.image_shape,
        best["latent_dim"],
        best["widths"],
        activation=best["activation"],
        pixel_mean=images[:1000].mean(axis=0) / 255,
        straight=best["straight"],
        output_channels=likelihood.output_channels(1),
    )
    model = keras_vae.VAE(*parts, likelihood, seed=0)
    steps = args.epochs * -(-len(images) // args.batch_size)
    model.compile(recipes.make_optimizer(best["learning_rate"], steps))
    model.fit(images, batch_size=args.batch_size, epochs=args.epochs, verbose=0)
    return model


if __name__ == "__main__":
    main()
