"""Seconds of training until a validation loss is reached, and the test metrics after training.

    KERAS_BACKEND=jax python benchmarks/time_to_loss.py --latent-dim 2 --target 36.78 --epochs 4
    KERAS_BACKEND=jax python benchmarks/time_to_loss.py --network conv --limit 12800 --epochs 5

The time includes the compilation of the first step but not validation; the test images are used
once, after training. Run it on an otherwise idle machine and compare only numbers of one session.
"""

import argparse
import json
import time

import keras

import keras_vae
from keras_vae import datasets, evaluate
from keras_vae.training.recipes import make_optimizer


class Clock(keras.callbacks.Callback):
    """Records training seconds and validation loss after each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds, self.epochs = 0.0, []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.logs = logs

    def on_test_begin(self, logs=None):
        float(keras.ops.convert_to_numpy(self.logs["loss"]))  # wait for the device
        self.seconds += time.perf_counter() - self.started

    def images_per_second(self, images):
        """Returns the speed without the first epoch, which compiles."""
        (first, _), (last, _) = self.epochs[0], self.epochs[-1]
        return (len(self.epochs) - 1) * images / (last - first) if last > first else 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((self.seconds, logs["val_loss"]))
        print(f"{self.seconds:7.1f} s  validation loss {logs['val_loss']:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="mnist", help="as in train.py")
    add("--limit", type=int)
    add("--latent-dim", type=int, default=16)
    add("--network", choices=("mlp", "conv", "patches"), default="mlp")
    add("--widths", type=int, nargs="+", help="default: 384 384 (mlp), 64 (conv)")
    add("--activation", default="silu")
    add("--straight", action="store_true")
    add("--likelihood", default="mse")
    add("--precision", default="float32")
    add("--epochs", type=int, default=15)
    add("--batch-size", type=int, default=128)
    add("--learning-rate", type=float, default=4e-3)
    add("--target", type=float, help="validation loss to reach")
    add("--beta", type=float, default=1.0)
    add("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    keras.config.set_dtype_policy(args.precision)
    data = datasets.load(args.dataset, args.limit)
    widths = {"mlp": [384, 384], "conv": [64], "patches": [512, 32, 128]}[args.network]
    parts = getattr(keras_vae, f"build_{args.network}")(
        data.image_shape,
        args.latent_dim,
        args.widths or widths,
        straight=args.straight,
        activation=args.activation,
        pixel_mean=data.train.images[:1000].mean(axis=0) / 255,
    )
    model = keras_vae.VAE(*parts, args.likelihood, beta=args.beta, seed=args.seed)
    steps = -(-len(data.train) // args.batch_size) * args.epochs
    model.compile(make_optimizer(args.learning_rate, steps))
    clock = Clock()
    model.fit(
        data.train.images,
        validation_data=(data.validation.images,),
        validation_batch_size=1000,
        batch_size=args.batch_size,
        epochs=args.epochs,
        callbacks=[clock],
        verbose=0,
    )
    reached = [seconds for seconds, loss in clock.epochs if args.target and loss <= args.target]
    result = {
        "backend": keras.backend.backend(),
        **vars(args),
        "train_seconds": round(clock.seconds, 1),
        "images_per_second": round(clock.images_per_second(len(data.train))),
        "seconds_to_target": round(reached[0], 1) if reached else None,
        **evaluate.test_metrics(model, data.test.images),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
