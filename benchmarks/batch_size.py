"""What batch sizes keep the quality: the same epochs, the learning rate scaled in three ways.

    KERAS_BACKEND=jax python benchmarks/batch_size.py mnist --seeds 2
    KERAS_BACKEND=jax python benchmarks/batch_size.py faces --epochs 8

Trains with the default settings of `train.py` for the data set, and measures validation images.
Prints a table in Markdown; the rate is that of batches of 128 multiplied by 1, by the square root
of the growth of the batch, or by the growth itself.
"""

import argparse

import keras
import numpy as np

import keras_vae
from keras_vae.training import recipes

BATCH_SIZES = (128, 256, 512, 1024, 2048, 4096, 8192)
RULES = {"constant": 0.0, "root": 0.5, "linear": 1.0}  # exponent of the growth


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("dataset")
    add("--epochs", type=int, help="default: those of train.py")
    add("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    add("--rules", nargs="+", choices=RULES, default=list(RULES))
    add("--seeds", type=int, default=1)
    args = parser.parse_args()
    data = keras_vae.datasets.load(args.dataset)
    print("| batch size | rate | learning rate | steps | validation loss (nats) | MSE |")
    print("|---:|---|---:|---:|---:|---:|", flush=True)
    for size in args.batch_sizes:
        for rule in args.rules:
            if size == 128 and rule != args.rules[0]:
                continue  # the same training
            rows = [train(data, args, size, rule, seed) for seed in range(args.seeds)]
            rate, steps = rows[0][:2]
            losses, errors = (", ".join(f"{row[i]:.5g}" for row in rows) for i in (2, 3))
            print(f"| {size} | {rule} | {rate:.2g} | {steps} | {losses} | {errors} |", flush=True)


def train(data, args, batch_size, rule, seed):
    """Returns learning rate, number of steps, and loss and MSE of the validation images."""
    keras.utils.set_random_seed(seed)
    images = data.train.images
    best = recipes.settings_for(args.dataset, data.image_shape, len(images))
    epochs = args.epochs or best["epochs"]
    steps = -(-len(images) // batch_size) * epochs
    rate = best["learning_rate"] * (batch_size / 128) ** RULES[rule]
    build = getattr(keras_vae, f"build_{best['network']}")
    parts = build(
        data.image_shape,
        best["latent_dim"],
        best["widths"],
        activation=best["activation"],
        pixel_mean=images[:1000].mean(axis=0) / 255,
        straight=best["straight"],
    )
    model = keras_vae.VAE(*parts, best["likelihood"], seed=seed)
    model.compile(recipes.make_optimizer(rate, steps))
    try:
        model.fit(images, batch_size=batch_size, epochs=epochs, verbose=0)
    except FloatingPointError:
        return rate, steps, float("nan"), float("nan")
    loss = model.evaluate(data.validation.images, batch_size=512, verbose=0)[0]
    error = model.reconstruct(data.validation.images) - data.validation.images / 255
    return rate, steps, loss, float(np.mean(error**2))


if __name__ == "__main__":
    main()
