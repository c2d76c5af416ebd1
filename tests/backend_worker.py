"""One backend's part in test_across_backends.py: `python backend_worker.py TASK FOLDER [FILE...]`.

Writes what this backend computes into FOLDER; the test compares. One seed gives the same weights,
order and noise everywhere.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_vae
from keras_vae import bounds, latent, likelihoods, penalties, priors

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (37, 6, 5, 3), "uint8")
DIRECTIONS = latent.Directions(("a", "b"), np.array([[1, 2], [-1, 0.5]], "float32"), "regression")
MIXTURE = latent.Mixture(np.array([0.5, 0.5]), 2 * np.eye(2), np.stack([np.eye(2)] * 2))
NOISE = RNG.standard_normal((37, 2)).astype("float32")
ATTRIBUTES = RNG.random((37, 2)) < 0.5
# Each shape of a batch is compiled: training has a ragged last one, and nothing else.
BATCH, WHOLE = 8, 32


def plain():
    return {"builder": keras_vae.build_mlp}


def whole():
    """What a model can have without other pieces."""
    return {
        "builder": keras_vae.build_conv,
        "likelihood": "gaussian",
        "kl_warmup_steps": 5,
        "free_bits": 0.5,
    }


def pieces():
    """Another likelihood, prior, bound and penalty."""
    return {
        "builder": keras_vae.build_mlp,
        "likelihood": likelihoods.LogisticMixture(3),
        "prior": priors.VampPrior(IMAGES[:5]),
        "bound": bounds.ImportanceWeighted(6, encoder_groups=2, doubly_reparameterised=True),
        "penalty": penalties.TotalCorrelation(2.0),
    }


def others():
    """And again others."""
    return {
        "builder": keras_vae.build_patches,
        "likelihood": "continuous_bernoulli",
        "prior": priors.FlowPrior(layers=2, width=8),
        "bound": bounds.ImportanceWeighted(4, groups=2, encoder_groups=4, elbo_share=0.25),
        "penalty": penalties.MMD(20.0),
    }


KINDS = {kind.__name__: kind for kind in (plain, whole, pieces, others)}  # what is compared
WIDTHS = {keras_vae.build_patches: (16, 4, 8)}


def make(kind="plain", optimizer="adam", **arguments):
    keras.utils.set_random_seed(1)
    arguments = {**KINDS[kind](), **arguments}
    likelihood = arguments["likelihood"] = likelihoods.get(arguments.get("likelihood", "mse"))
    builder, channels = arguments.pop("builder"), likelihood.output_channels(3)
    widths = WIDTHS.get(builder, (16, 8))
    parts = builder((6, 5, 3), 2, widths, output_channels=channels)
    model = keras_vae.VAE(*parts, seed=1, **arguments)
    model.compile(optimizer)
    return model


def weights_of(model):
    parts = model.encoder, model.decoder, model.prior
    weights = [weight for part in parts for weight in part.get_weights()]
    return np.concatenate([np.ravel(weight) for weight in weights])


def write(folder):
    for name in KINDS:
        save(train(name, folder), name, folder)


def train(name, folder):
    """Writes losses, gradients (what a step of plain SGD changes), and the history of a short fit.

    Returns the model of that fit.
    """
    model = make(name, keras.optimizers.SGD(1.0), kl_warmup_steps=0)
    before = weights_of(model)
    losses = model.train_on_batch(IMAGES, return_dict=True)
    gradient = before - weights_of(model)
    model = make(name, keras.optimizers.Adam(1e-3), beta=0.5)
    validation = (IMAGES[:WHOLE],)
    history = model.fit(
        IMAGES, batch_size=BATCH, epochs=3, validation_data=validation, verbose=0
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
    return model


def save(model, name, folder):
    model.save(folder / f"model-{name}-{BACKEND}.keras")
    flow = None
    if name in ("plain", "whole"):
        flow = latent.fit_flow(NOISE, ATTRIBUTES, ("a", "b"), steps=50, width=16)
        flow.save(folder / f"flow-{name}-{BACKEND}.keras")
    use(model, flow, folder / f"saved-{name}-{BACKEND}.npz")


def load(folder, *files):
    for path in (folder / file for file in files):
        model = keras.saving.load_model(path)
        flow = path.with_name(path.name.replace("model", "flow", 1))
        flow = keras.saving.load_model(flow) if flow.exists() else None
        use(model, flow, folder / f"loaded-{path.stem.removeprefix('model-')}-on-{BACKEND}.npz")
        if flow is not None:
            before = weights_of(model)
            model.train_on_batch(IMAGES)  # with the optimizer in the file
            assert not np.array_equal(before, weights_of(model))


def use(model, flow, path):
    """Writes what a model gives for images and codes; with a flow, everything, and what it does."""
    predicted = model.predict(IMAGES, batch_size=len(IMAGES), verbose=0)
    losses = model.evaluate(IMAGES[:WHOLE], batch_size=BATCH, verbose=0, return_dict=True)
    more = {"log_likelihood": model.log_likelihood(IMAGES[:3], 4)}
    if flow is not None:
        more = {
            "reconstructed": model.reconstruct(IMAGES),
            "edited": latent.edit(model, IMAGES, DIRECTIONS, {"a": 1.5, "b": -1}, keep_detail=True),
            "mixed": model.decode(MIXTURE.sample(5, seed=0)),
            "flowed": flow.sample(5, seed=0, attributes={"a": True}),
            "guessed": flow.guess(NOISE),
            "shifted": flow.shift({"a": 1.5, "b": -1}, NOISE),
            "on_the_way": latent.interpolate(NOISE[:3], flow=flow),
        }
    np.savez(
        path,
        **{f"predicted_{name}": value for name, value in predicted.items()},
        **losses,
        **more,
        state=[float(w) for w in model.non_trainable_weights if len(w.shape) == 0],
        sampled=model.sample(5, seed=0),
    )


if __name__ == "__main__":
    task, folder, *files = sys.argv[1:]
    globals()[task](Path(folder), *files)
