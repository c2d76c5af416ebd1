"""Trains small models, alone or with other processes; `test_devices.py` compares the results.

    python tests/devices_worker.py CASE... FOLDER

The first process writes CASE.npz into the folder: the losses of each epoch and all weights.
"""

import os
import sys
from pathlib import Path

import keras
import numpy as np

import keras_vae
from keras_vae import parallel
from keras_vae.datasets.stream import Rows

EPOCHS = 2
N = 37  # with batches of 9 the last one has a single image: some devices have no row of it
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 6, 5, 3), "uint8")
WEIGHTS = np.random.default_rng(1).uniform(0, 2, N).astype("float32")
LABELS = np.random.default_rng(3).integers(-1, 3, N)
ATTRIBUTES = np.random.default_rng(4).choice([0, 1, np.nan], (N, 2))


def make(builder="mlp", optimizer=None, likelihood="gaussian", **arguments):
    keras.utils.set_random_seed(0)
    if builder == "mlp":
        condition = arguments.get("condition")
        size = condition.size if condition else 0
        parts = keras_vae.build_mlp((6, 5, 3), 4, hidden=(16,), condition=size)
    elif builder == "conv":
        parts = keras_vae.build_conv((28, 28, 1), 4, filters=(4,))
    model = keras_vae.VAE(*parts, likelihood, seed=0, **arguments)
    model.compile(optimizer or keras.optimizers.Adam(1e-2))
    return model


def plain():
    return make(), {}


def everything():
    """Sample weights, free bits, warm-up, clipping by the global norm, averaged weights."""
    averaged = {"use_ema": True, "ema_momentum": 0.9}
    optimizer = keras.optimizers.Adam(1e-2, global_clipnorm=1.0, **averaged)
    model = make(optimizer=optimizer, kl_warmup_steps=6, free_bits=0.05, beta=2.0)
    return model, {"sample_weight": WEIGHTS}


def augmented():
    flip = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
    return make(augmentation=flip), {}


def conditional():
    """Classes that are not always known, and hidden from some images, with a learned prior."""
    condition = keras_vae.Condition(range(3), hidden=0.3)
    model = make(condition=condition, prior=keras_vae.priors.VampPrior(IMAGES[:5]))
    return model, {"y": LABELS, "sample_weight": WEIGHTS}


def conditional_augmented():
    """Attributes of mirrored images: each device must find its own in the complete batch."""
    condition = keras_vae.Condition(["a", "b"], exclusive=False)
    flip = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
    return make(condition=condition, augmentation=flip), {"y": ATTRIBUTES}


def conditional_stream():
    condition = keras_vae.Condition(range(3))
    return make(condition=condition), {"x": on_disk(), "y": LABELS[::-1]}


def conv():
    images = np.random.default_rng(2).integers(0, 256, (N, 28, 28, 1), "uint8")
    return make("conv", likelihood="mse"), {"x": images}


def scaled():
    """Mixed precision with a loss scale."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        # A scale at which no gradient overflows: a sum over fewer rows may not where all rows do.
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(1e-2), initial_scale=256.0
        )
        return make(optimizer=optimizer), {}
    finally:
        keras.config.set_dtype_policy("float32")


def stream():
    return make(), {"x": on_disk(), "callbacks": [Evaluate()]}


def on_disk():
    path = Path(os.environ["KERAS_VAE_TESTS"], f"images-{os.getpid()}.npy")
    np.save(path, IMAGES)
    return Rows(path, np.arange(N)[::-1])


class Evaluate(keras.callbacks.Callback):
    """Evaluates the model during an epoch: each process by itself."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.evaluate(IMAGES[:3], verbose=0)


def keras_loop():
    """Batches of a data set, which Keras's loop runs: each process yields its rows."""
    return make(), {"x": batches(), "validation_data": None}


def batches(size=8):
    index, count = parallel.processes()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(IMAGES[:32]).batch(size)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 32 // size

        def __getitem__(self, step):
            rows = slice(
                step * size + size * index // count, step * size + size * (index + 1) // count
            )
            return (IMAGES[rows],)

    return Batches()


def endless():
    """Trains until the process is stopped."""
    return make(), {"epochs": 10**6, "callbacks": [Report()]}


class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch + 1}", flush=True)


CASES = (plain, everything, augmented, conditional, conditional_augmented, conditional_stream)
CASES += (conv, scaled, stream, keras_loop, endless)
CASES = {case.__name__: case for case in CASES}


def train(case):
    with parallel.scope():
        model, arguments = CASES[case]()
    images = arguments.pop("x", IMAGES)
    settings = {"epochs": EPOCHS, "verbose": 0}
    if "validation_data" not in arguments:  # arrays and images on disk, which our loop runs
        labels = [arguments["y"][:10]] if "y" in arguments else []
        settings |= {"batch_size": 9, "validation_data": (images[:10], *labels)}
    history = model.fit(images, **settings | arguments).history
    losses = np.array([history[name] for name in sorted(history)])
    weights = [*model.trainable_weights, *model.likelihood.weights]
    return model, losses, np.concatenate([np.ravel(keras.ops.convert_to_numpy(w)) for w in weights])


def used(model, path):
    """Uses a trained model as a callback or a script would do after training, in one process."""
    images = np.zeros((3, *model.data_shape), "uint8")
    before = model.sample(2, seed=0)
    assert np.isfinite(model.evaluate(images, verbose=0)).all()
    # Keras divides the work of `predict`, and cannot divide 3 images by 2.
    if not (keras.distribution.distribution() or "TF_CONFIG" in os.environ):
        assert model.predict(images, verbose=0)["z"].shape == (3, 4)
    model.save(path)
    np.testing.assert_allclose(keras.saving.load_model(path).sample(2, seed=0), before, atol=1e-5)


def main():
    *cases, folder = sys.argv[1:]
    for case in cases:
        model, losses, weights = train(case)
        # What follows a process may do by itself, unless Keras distributes the variables.
        if parallel.is_first() or keras.distribution.distribution():
            used(model, Path(folder, f"{case}-{parallel.processes()[0]}.keras"))
        if parallel.is_first():
            count = parallel.devices(model)
            np.savez(Path(folder, f"{case}.npz"), losses=losses, weights=weights, devices=count)


if __name__ == "__main__":
    joining = os.environ.get("JOIN", "").split()  # for JAX: coordinator, processes, index
    arguments = [joining[0], *map(int, joining[1:])] if joining else []
    parallel.start(int(os.environ.get("DEVICES", 0)) or None, *arguments)
    if "DATA_PARALLEL" in os.environ:  # as users of Keras on JAX write it
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    main()
