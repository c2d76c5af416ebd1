"""The numbers of docs/how-to/troubles.md: what goes wrong with a VAE, on the same drawn faces.

    KERAS_BACKEND=jax python benchmarks/troubles.py

Trains one network with several settings for the same epochs and prints a row of test numbers for
each, then the first step whose loss is not finite with a learning rate that is too high.
"""

import argparse

import keras
import numpy as np

import keras_vae
from keras_vae import datasets, evaluate, latent

CASES = {
    "mse": {"likelihood": "mse"},
    "gaussian": {"likelihood": "gaussian"},
    "mse, beta 10": {"likelihood": "mse", "beta": 10.0},
    "mse, beta 100": {"likelihood": "mse", "beta": 100.0},
    "mse, mean over pixels": {"likelihood": "mse", "beta": 64.0 * 64 * 3},
    "gaussian, mean over pixels": {"likelihood": "gaussian", "beta": 64.0 * 64 * 3},
    "mse, beta 100, free bits 0.5": {"likelihood": "mse", "beta": 100.0, "free_bits": 0.5},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--limit", type=int, default=4000, help="training images")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    args = parser.parse_args()
    faces = datasets.load("faces", limit=args.limit)
    print("| | reconstruction_loss | kl_loss | latents used | test MSE | bits per dimension |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in args.only:
        print(row(name, fitted(faces, args.epochs, **CASES[name]), faces.test.images), flush=True)
    for rate in (0.03, 0.1, 0.3, 1.0):
        try:
            fitted(faces, 2, rate, likelihood="gaussian")
            print(f"learning rate {rate}: finite")
        except FloatingPointError as error:
            print(f"learning rate {rate}: {error}")


def fitted(faces, epochs, rate=2e-3, **settings):
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_patches(faces.image_shape, latent_dim=64)
    model = keras_vae.VAE(*parts, seed=0, **settings)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(faces.train.images, epochs=epochs, verbose=0)
    return model


def row(name, model, images):
    metrics = evaluate.test_metrics(model, images)
    kl = latent.kl_of_latents(*model.encode(images))
    used = int(np.sum(kl > 0.01))
    bits = "-" if name.startswith("mse") else f"{evaluate.bits_per_dim(model, images):.2f}"
    losses = f"{metrics['test_reconstruction_loss']:,.1f} | {metrics['test_kl_loss']:.2f}"
    return f"| {name} | {losses} | {used} | {metrics['test_mse']:.5f} | {bits} |"


if __name__ == "__main__":
    main()
