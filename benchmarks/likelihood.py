"""The test log-likelihood of a VAE on dynamically binarised MNIST after some minutes of training.

    KERAS_BACKEND=jax python benchmarks/likelihood.py --minutes 15
    KERAS_BACKEND=jax python benchmarks/likelihood.py --minutes 15 --draws 16 --elbo-until 0.5
    KERAS_BACKEND=jax python benchmarks/likelihood.py --minutes 15 --prior vamp

The network of Burda, Grosse & Salakhutdinov (2016), table 1, one stochastic layer: 784-200-200-50
with tanh and the Bernoulli likelihood; their VAE reaches 86.76 nats after hours of training. Here
it is trained on all 60,000 training images, binarised again in each epoch, by Muon (Jordan et
al. 2024) with the schedule of train.py, which follows the clock. With `--draws` the
importance-weighted bound replaces the ELBO after the share `--elbo-until` of the time: many draws
are slow, and help only a model that is trained already. Then importance sampling estimates log p(x)
of the 10,000 test images, binarised once. The optimizer and its settings were chosen on validation
images, in runs of 100 to 200 seconds; the test images were not used for any choice. Run it on an
otherwise idle machine.
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
from keras_vae.training.clock import FollowClock


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--minutes", type=float, default=15.0, help="duration of training")
    add("-k", type=int, default=5000, help="draws of z for each test image")
    add("--test-images", type=int, default=10_000)
    add("--batch-size", type=int, default=1024)
    add("--learning-rate", type=float, default=8e-3, help="peak learning rate of matrices")
    add("--seed", type=int, default=0)
    add("--draws", type=int, default=1, help="draws of the importance-weighted bound; 1: the ELBO")
    add("--encoder-groups", type=int)
    add("--doubly-reparameterised", action="store_true")
    add("--elbo-until", type=float, default=0.5, help="share of the time to train the ELBO first")
    add("--prior", choices=("normal", "mixture", "flow", "vamp"), default="normal")
    add("--components", type=int, default=500)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    data = datasets.load("mnist")
    images = np.concatenate([data.train.images, data.validation.images])
    model, seconds = make(images, args), 60 * args.minutes
    warm_up(model, images, args)
    model = make(images, args)
    clock = FollowClock(args.learning_rate, seconds)
    callbacks = [clock, Bound(args, clock), PrintElbo()]
    history = model.fit(
        images, batch_size=args.batch_size, epochs=10**6, callbacks=callbacks, verbose=0
    )
    result = {
        "backend": keras.backend.backend(),
        **vars(args),
        "epochs": len(history.history["loss"]),
        **test(model, data.test.images[: args.test_images], args),
    }
    print(json.dumps(result))


def make(images, args):
    binarise = keras_vae.DynamicBinarization(seed=args.seed)
    parts = networks(images.mean(axis=0) / 255)
    prior = args.prior
    if prior == "vamp":
        prior = keras_vae.priors.VampPrior(images[: args.components])
    elif prior == "mixture":
        prior = keras_vae.priors.MixturePrior(args.components)
    model = keras_vae.VAE(*parts, "bernoulli", augmentation=binarise, seed=args.seed, prior=prior)
    # Batches are large, because a step of Muon costs as much as the gradient of several hundred
    # images.
    optimizer = keras.optimizers.Muon(
        args.learning_rate,
        adam_lr_ratio=0.5,  # for the biases
        ns_steps=4,
        weight_decay=None,
        adam_weight_decay=None,
        exclude_layers=["pseudo_logits", "means", "log_vars"],  # of a prior: trained by Adam
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


def bound_of(args):
    if args.draws == 1:
        return "elbo"
    return keras_vae.bounds.ImportanceWeighted(
        args.draws,
        encoder_groups=args.encoder_groups,
        doubly_reparameterised=args.doubly_reparameterised,
    )


def warm_up(model, images, args):
    """Compiles the steps, which does not count, as it would not in a training of hours."""
    for bound in ("elbo", bound_of(args)):
        model.bound = bound
        model.fit(images[: 2 * args.batch_size], batch_size=args.batch_size, verbose=0)


class Bound(keras.callbacks.Callback):
    """Replaces the bound after a share of the time."""

    def __init__(self, args, clock):
        super().__init__()
        self.args, self.clock = args, clock

    def on_epoch_end(self, epoch, logs=None):
        late = self.clock.share > self.args.elbo_until
        if late and self.model.bound.draws != self.args.draws:
            print(f"epoch {epoch + 1}: {self.args.draws} draws from now on", flush=True)
            self.model.bound = bound_of(self.args)


class PrintElbo(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % 20 == 0:
            print(f"epoch {epoch + 1}: training elbo {-logs['loss']:.2f}", flush=True)


def test(model, grey, args):
    """Returns log p(x), its standard error over images, and the ELBO."""
    binarise = keras_vae.DynamicBinarization(seed=args.seed + 1)
    images = ops.convert_to_numpy(binarise(to_float(grey)))
    started = time.perf_counter()
    found = model.log_likelihood(images, k=args.k, batch_size=2_500, seed=args.seed)
    seconds = time.perf_counter() - started
    model.bound = "elbo"
    return {
        "test_log_likelihood": round(found.mean(), 3),
        "standard_error": round(found.std() / len(found) ** 0.5, 3),
        "test_elbo": round(-model.evaluate(images, verbose=0, return_dict=True)["loss"], 3),
        "seconds": round(seconds, 1),
        "images_per_second": round(len(images) / seconds, 1),
    }


if __name__ == "__main__":
    main()
