"""One backend's part in test_across_backends.py: `python backend_worker.py TASK FOLDER`.

Writes what this backend computes into FOLDER; the test compares. One seed gives the same weights,
order and noise everywhere.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_vae
from keras_vae import latent

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (37, 6, 5, 3), "uint8")
DIRECTIONS = latent.Directions(("a", "b"), np.array([[1, 2], [-1, 0.5]], "float32"), "regression")
MIXTURE = latent.Mixture(np.array([0.5, 0.5]), 2 * np.eye(2), np.stack([np.eye(2)] * 2))
NOISE = RNG.standard_normal((37, 2)).astype("float32")
ATTRIBUTES = RNG.random((37, 2)) < 0.5


# What is compared: the plain model, and one that has everything.
PLAIN = {"builder": keras_vae.build_mlp}
WHOLE = {
    "builder": keras_vae.build_conv,
    "likelihood": "gaussian",
    "kl_warmup_steps": 5,
    "free_bits": 0.5,
}


def make(optimizer="adam", builder=keras_vae.build_mlp, **arguments):
    keras.utils.set_random_seed(1)
    model = keras_vae.VAE(*builder((6, 5, 3), 2, (16, 8)), seed=1, **arguments)
    model.compile(optimizer)
    return model


def weights_of(model):
    weights = [*model.encoder.get_weights(), *model.decoder.get_weights()]
    return np.concatenate([np.ravel(weight) for weight in weights])


def write(folder):
    train(folder)
    save(folder)


def train(folder):
    """Losses, gradients (what a step of plain SGD changes), and the history of a short fit."""
    for name, arguments in (("plain", PLAIN), ("whole", WHOLE)):
        model = make(keras.optimizers.SGD(1.0), **{**arguments, "kl_warmup_steps": 0})
        before = weights_of(model)
        losses = model.train_on_batch(IMAGES, return_dict=True)
        gradient = before - weights_of(model)
        model = make(keras.optimizers.Adam(1e-3), beta=0.5, **arguments)
        history = model.fit(
            IMAGES, batch_size=8, epochs=3, validation_data=(IMAGES,), verbose=0
        ).history
        names = sorted(history)
        np.savez(
            folder / f"{name}-{BACKEND}.npz",
            loss_names=sorted(losses),
            losses=[losses[name] for name in sorted(losses)],
            gradient=gradient,
            history_names=names,
            history=[history[name] for name in names],
        )


def save(folder):
    for name, arguments in (("plain", PLAIN), ("whole", WHOLE)):
        model = make(**arguments)
        model.fit(IMAGES, epochs=2, verbose=0)
        model.save(folder / f"model-{name}-{BACKEND}.keras")
        flow = latent.fit_flow(NOISE, ATTRIBUTES, ("a", "b"), steps=50, width=16)
        flow.save(folder / f"flow-{name}-{BACKEND}.keras")
        use(model, flow, folder / f"saved-{name}-{BACKEND}.npz")


def load(folder):
    for path in sorted(folder.glob("model-*.keras")):
        model = keras.saving.load_model(path)
        flow = keras.saving.load_model(path.with_name(path.name.replace("model", "flow", 1)))
        use(model, flow, folder / f"loaded-{path.stem.removeprefix('model-')}-on-{BACKEND}.npz")
        before = weights_of(model)
        model.train_on_batch(IMAGES)  # with the optimizer in the file
        assert not np.array_equal(before, weights_of(model))


def use(model, flow, path):
    """Writes everything that a model and a flow give for images and codes."""
    predicted = model.predict(IMAGES, verbose=0)
    losses = model.evaluate(IMAGES, verbose=0, return_dict=True)
    np.savez(
        path,
        **{f"predicted_{name}": value for name, value in predicted.items()},
        **losses,
        state=[float(w) for w in model.non_trainable_weights if len(w.shape) == 0],
        reconstructed=model.reconstruct(IMAGES),
        sampled=model.sample(5, seed=0),
        edited=latent.edit(model, IMAGES, DIRECTIONS, {"a": 1.5, "b": -1}, keep_detail=True),
        mixed=model.decode(MIXTURE.sample(5, seed=0)),
        flowed=flow.sample(5, seed=0, attributes={"a": True}),
        guessed=flow.guess(NOISE),
        shifted=flow.shift({"a": 1.5, "b": -1}, NOISE),
        on_the_way=latent.interpolate(NOISE[:3], flow=flow),
    )


if __name__ == "__main__":
    task, folder = sys.argv[1:]
    globals()[task](Path(folder))
