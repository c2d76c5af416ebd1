"""The test log-likelihood of a VAE on dynamically binarised MNIST after some minutes of training.

    KERAS_BACKEND=jax python benchmarks/likelihood.py --minutes 15

The network of Burda, Grosse & Salakhutdinov (2016), table 1, one stochastic layer: 784-200-200-50
with tanh and the Bernoulli likelihood; their VAE reaches 86.76 nats after hours of training. Here
it is trained on all 60,000 training images, binarised again in each epoch, by Muon (Jordan et
al. 2024) with the schedule of train.py. The number of epochs that fit into the minutes is computed
from the speed of a second epoch. Then importance sampling estimates log p(x) of the 10,000 test
images, binarised once. The optimizer and its settings were chosen on validation images, in runs of
100 to 200 seconds; the test images were not used for any choice. Run it on an otherwise idle
machine.
"""

import argparse
import json
import time

import keras
import numpy as np
from keras import layers, ops

import keras_vae
from keras_vae import datasets
from keras_vae.images import to_float
from keras_vae.networks import logits
from keras_vae.training.recipes import WarmUpAndCosine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--minutes", type=float, default=15.0, help="duration of training")
    add("-k", type=int, default=5000, help="draws of z for each test image")
    add("--test-images", type=int, default=10_000)
    add("--batch-size", type=int, default=1024)
    add("--learning-rate", type=float, default=8e-3, help="peak learning rate of matrices")
    add("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    data = datasets.load("mnist")
    images = np.concatenate([data.train.images, data.validation.images])
    first, second = seconds_of_two_epochs(make(images, 10_000, args), images, args)
    epochs = max(1, int((60 * args.minutes - first) / second))
    steps = -(-len(images) // args.batch_size) * epochs
    model = make(images, steps, args)
    started = time.perf_counter()
    model.fit(images, batch_size=args.batch_size, epochs=epochs, callbacks=[PrintElbo()], verbose=0)
    result = {
        "backend": keras.backend.backend(),
        **vars(args),
        "epochs": epochs,
        "train_seconds": round(time.perf_counter() - started, 1),
        **test(model, data.test.images[: args.test_images], args),
    }
    print(json.dumps(result))


def make(images, steps, args):
    binarise = keras_vae.DynamicBinarization(seed=args.seed)
    parts = networks(images.mean(axis=0) / 255)
    model = keras_vae.VAE(*parts, "bernoulli", augmentation=binarise, seed=args.seed)
    # Batches are large, because a step of Muon costs as much as the gradient of several hundred
    # images.
    optimizer = keras.optimizers.Muon(
        WarmUpAndCosine(args.learning_rate, steps // 20, steps),
        adam_lr_ratio=0.5,  # for the biases
        ns_steps=4,
        weight_decay=None,
        adam_weight_decay=None,
    )
    model.compile(optimizer)
    return model


def networks(mean):
    """Returns the encoder and decoder of the paper, with the mean image as initial output."""
    images = keras.Input(mean.shape)
    x = layers.Rescaling(1.0, -mean.ravel())(layers.Flatten()(images))
    for _ in range(2):
        x = layers.Dense(200, "tanh")(x)
    encoder = keras.Model(images, [layers.Dense(50)(x), layers.Dense(50)(x)])

    z = x = keras.Input((50,))
    for _ in range(2):
        x = layers.Dense(200, "tanh")(x)
    last = layers.Dense(mean.size)
    decoder = keras.Model(z, layers.Reshape(mean.shape)(last(x)))
    last.bias.assign(logits(mean).ravel())
    return encoder, decoder


def seconds_of_two_epochs(model, images, args):
    """Returns the seconds of the first epoch, which compiles, and of the second."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        model.fit(images, batch_size=args.batch_size, verbose=0)
        seconds.append(time.perf_counter() - started)
    return seconds


class PrintElbo(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % 20 == 0:
            print(f"epoch {epoch + 1}: training elbo {-logs['loss']:.2f}", flush=True)


def test(model, grey, args):
    """Returns log p(x), its standard error over images, and the ELBO."""
    binarise = keras_vae.DynamicBinarization(seed=args.seed + 1)
    images = ops.convert_to_numpy(binarise(to_float(grey)))
    started = time.perf_counter()
    found = model.log_likelihood(images, k=args.k, batch_size=10_000, seed=args.seed)
    seconds = time.perf_counter() - started
    return {
        "test_log_likelihood": round(found.mean(), 3),
        "standard_error": round(found.std() / len(found) ** 0.5, 3),
        "test_elbo": round(-model.evaluate(images, verbose=0, return_dict=True)["loss"], 3),
        "seconds": round(seconds, 1),
        "images_per_second": round(len(images) / seconds, 1),
    }


if __name__ == "__main__":
    main()
