"""Every kind of input, in every form, and every way to compile."""

import contextlib
import shutil
import sysconfig
from pathlib import Path

import grain
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_vae
from keras_vae import inputs

with contextlib.suppress(ImportError):  # the other kinds need no torch
    import torch

BACKEND = keras.backend.backend()
BATCH = 8


class Sequence(keras.utils.PyDataset):
    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return -(-len(self.arrays[0]) // BATCH)

    def __getitem__(self, index):
        batch = tuple(a[index * BATCH : (index + 1) * BATCH] for a in self.arrays)
        return batch if len(batch) > 1 else batch[0]


class Rows:
    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, row):
        parts = tuple(a[row] for a in self.arrays)
        return parts if len(parts) > 1 else parts[0]


def as_generator(arrays):
    sequence = Sequence(arrays)
    return (
        (b if isinstance(b, tuple) else (b,))
        for b in map(sequence.__getitem__, range(len(sequence)))
    )


KINDS = {
    "tf.data": lambda arrays: tf.data.Dataset.from_tensor_slices(
        arrays if len(arrays) > 1 else arrays[0]
    ).batch(BATCH),
    "PyDataset": Sequence,
    "DataLoader": lambda arrays: torch.utils.data.DataLoader(Rows(arrays), batch_size=BATCH),
    "TensorDataset": lambda arrays: torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*map(torch.from_numpy, arrays)), batch_size=BATCH
    ),
    "grain": lambda arrays: (
        grain.MapDataset.range(len(arrays[0]))
        .map(Rows(arrays).__getitem__)
        .batch(BATCH)
        .to_iter_dataset()
    ),
    "generator": as_generator,
}
if "torch" not in globals():
    KINDS = {
        kind: make for kind, make in KINDS.items() if kind not in ("DataLoader", "TensorDataset")
    }


def arrays_of(form, images):
    weights = np.linspace(0, 2, len(images)).astype("float32")
    labels = np.arange(len(images))
    return {"x": (images,), "(x, y)": (images, labels), "(x, y, w)": (images, labels, weights)}[
        form
    ]


FORMS = ("x", "(x, y)", "(x, y, w)")


IMAGES = np.random.default_rng(0).integers(0, 256, (37, 6, 5, 3), "uint8")


class Restarted:
    """One compiled model that each test trains from the same start: compiling takes the time."""

    def __init__(self):
        keras.utils.set_random_seed(0)
        self.model = keras_vae.VAE(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,)), seed=0)
        self.model.compile(keras.optimizers.SGD(1e-3))
        self.start = [ops.convert_to_numpy(variable) for variable in self.model.variables]

    def __call__(self):
        for variable, value in zip(self.model.variables, self.start):
            variable.assign(value)
        return self.model


@pytest.fixture(scope="module")
def restart():
    return Restarted()


@pytest.fixture(scope="module")
def by_arrays(restart):
    """What plain arrays give: for each form the arrays, the history, the losses and the codes."""
    results = {}
    # On torch first steps are taken layer by layer and later ones played back, rounded otherwise.
    restart().fit(IMAGES, batch_size=BATCH, verbose=0)
    restart().evaluate(IMAGES, batch_size=BATCH, verbose=0)
    for form in FORMS:
        arrays = arrays_of(form, IMAGES)
        names = dict(zip(("x", "y", "sample_weight"), arrays))
        model = restart()
        history = model.fit(**names, batch_size=BATCH, shuffle=False, verbose=0).history
        losses = model.evaluate(**names, batch_size=BATCH, verbose=0)
        results[form] = (arrays, history, losses, model.encode(IMAGES)[0])
    return results


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_input_gives_what_arrays_give(restart, by_arrays, kind, form):
    arrays, history, losses, codes = by_arrays[form]
    model = restart()
    found = model.fit(KINDS[kind](arrays), shuffle=False, verbose=0).history
    for name in history:
        np.testing.assert_allclose(found[name], history[name], rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(KINDS[kind](arrays), verbose=0), losses, rtol=1e-5)
    predicted = model.predict(KINDS[kind](arrays), verbose=0)
    np.testing.assert_allclose(predicted["z_mean"], codes, rtol=1e-4, atol=1e-5)
    assert predicted["reconstruction"].shape == IMAGES.shape


def test_the_forms_are_told_apart(by_arrays):
    """Labels change nothing, weights do."""
    losses = [losses for _, _, losses, _ in by_arrays.values()]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"generator"}))
def test_validation_data_may_be_any_kind_too(restart, kind):
    model = restart()
    history = model.fit(IMAGES, validation_data=KINDS[kind]((IMAGES,)), verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(IMAGES, verbose=0)[0], rel=1e-5)


@pytest.mark.skipif("DataLoader" not in KINDS, reason="needs torch")
def test_workers_of_a_loader_can_be_other_processes():
    """What is put into the loader must bear the way to them."""
    from multiprocessing.reduction import ForkingPickler

    loader = inputs.batches(torch.utils.data.DataLoader(Rows((IMAGES,)), batch_size=BATCH))
    assert len(ForkingPickler.dumps(loader.collate_fn)) > 0  # raises for what cannot go
    (batch,) = loader.collate_fn([IMAGES[0], IMAGES[1]])
    assert tuple(batch.shape) == (2, 6, 5, 3)


def test_weights_of_images_are_honoured_in_training(make_vae, images):
    """Images of weight 0 might as well be others."""
    weights = np.repeat([1.0, 0.0], [20, 17]).astype("float32")
    other = np.concatenate([images[:20], images[:17]])
    results = []
    for x in (images, other):
        model = make_vae(optimizer=keras.optimizers.SGD(1e-3), likelihood="gaussian")
        history = model.fit(  # without labels Keras alone would forget the weights
            x,
            sample_weight=weights,
            validation_data=(x, None, weights),
            batch_size=37,
            epochs=2,
            shuffle=False,
            verbose=0,
        ).history
        losses = model.evaluate(x, sample_weight=weights, batch_size=37, verbose=0)
        assert history["val_loss"][-1] == pytest.approx(losses[0], rel=1e-5)
        results.append([*model.get_weights(), *losses])
    for one, two in zip(*results):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


# Ways to compile


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True),
    "adamw": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.01),
    "lion": lambda: keras.optimizers.Lion(1e-4),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-3),
    "adafactor": lambda: keras.optimizers.Adafactor(1e-3),
    "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 50)),
    "clipnorm": lambda: keras.optimizers.Adam(1e-3, clipnorm=1.0),
    "global_clipnorm": lambda: keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
    "clipvalue": lambda: keras.optimizers.Adam(1e-3, clipvalue=0.5),
    "ema": lambda: keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9),
    "accumulation": lambda: keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_any_optimizer_learns(make_vae, images, name):
    model = make_vae(optimizer=OPTIMIZERS[name]())
    before = model.evaluate(images, verbose=0)[0]
    history = model.fit(images, batch_size=BATCH, epochs=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.evaluate(images, verbose=0)[0] < before


@pytest.mark.parametrize(
    "arguments", [{"steps_per_execution": 3}, {"run_eagerly": True}, {"jit_compile": True}], ids=str
)
def test_ways_to_run_a_step_change_no_number(make_vae, images, arguments):
    expected, model = make_vae(), make_vae()
    expected.compile(keras.optimizers.SGD(1e-3))
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if BACKEND == "torch" and not (shutil.which("g++") and headers.exists()):
        arguments.pop("jit_compile", None)  # that needs a C++ compiler
    model.compile(keras.optimizers.SGD(1e-3), **arguments)
    histories = [
        one.fit(
            images, batch_size=BATCH, epochs=2, shuffle=False, validation_data=(images,), verbose=0
        ).history
        for one in (expected, model)
    ]
    # TensorFlow draws other noise inside XLA; the KL of the first epoch hardly knows it.
    for name in ("kl_loss", "val_kl_loss"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=2e-3)
    assert set(histories[0]) == set(histories[1])


def test_how_a_step_is_run_is_not_saved(make_vae, images, tmp_path):
    model = make_vae()
    model.compile("adam", jit_compile=BACKEND != "torch", steps_per_execution=2)
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded, fresh = keras.saving.load_model(tmp_path / "model.keras"), make_vae()
    assert loaded.steps_per_execution == 1 and loaded.asked_steps is None
    assert loaded.jit_compile == fresh.jit_compile


def test_what_is_validated_under_ema_is_what_is_saved(make_vae, images, tmp_path):
    path = tmp_path / "best.keras"
    optimizer = keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9)
    model = make_vae(optimizer=optimizer, likelihood="gaussian")
    history = model.fit(
        images,
        batch_size=BATCH,
        epochs=4,
        validation_data=(images,),
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.ModelCheckpoint(path, save_best_only=True),
        ],
        verbose=0,
    ).history
    loaded = keras.saving.load_model(path)
    best = min(history["val_loss"])
    assert loaded.evaluate(images, verbose=0)[0] == pytest.approx(best, rel=1e-5)


# Losses that are no numbers


@pytest.fixture
def broken(make_vae):
    """A model whose first step, or with a warm-up a later one, breaks the weights."""

    def make(step=0, **arguments):
        rates = [1e-6] * step + [1e30]
        schedule = (
            keras.optimizers.schedules.PiecewiseConstantDecay(list(range(1, len(rates))), rates)
            if step
            else 1e30
        )
        return make_vae(optimizer=keras.optimizers.SGD(schedule), **arguments)

    return make


def test_a_loss_that_is_no_number_stops_and_names_the_step(broken, images):
    with pytest.raises(FloatingPointError, match=r"at step 2 of epoch 1 is .*lower learning rate"):
        broken().fit(images, batch_size=BATCH, epochs=3, verbose=0)


@pytest.mark.parametrize(
    "step, message",
    [
        (6, "loss at step 4 of epoch 2"),  # the eighth step breaks the weights, of five an epoch
        (8, "`val_loss` of epoch 2"),  # the tenth: no more steps, but validation sees it
    ],
)
def test_the_last_good_model_stays(broken, images, tmp_path, step, message):
    path = tmp_path / "model.keras"
    model = broken(step)
    save = keras.callbacks.ModelCheckpoint(path)
    with pytest.raises(FloatingPointError, match=message):
        model.fit(
            images,
            validation_data=(images,),
            batch_size=BATCH,
            epochs=3,
            callbacks=save,
            verbose=0,
        )
    loaded = keras.saving.load_model(path)
    assert np.isfinite(loaded.evaluate(images, verbose=0)).all()
    assert not np.isfinite(model.evaluate(images, verbose=0)[0])


@pytest.mark.parametrize("validated", [False, True])
def test_a_skipped_step_of_float16_does_not_stop_training(make_vae, images, validated):
    """Its loss may be no number, as long as the weights are fine."""
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3))
    model = make_vae(optimizer=optimizer)
    compute_losses, steps = model.compute_losses, []

    def compute(data, training):
        losses = compute_losses(data, training)
        if training:
            steps.append(1)
            if len(steps) == 1:
                return losses | {"loss": losses["loss"] * float("nan")}
        return losses

    model.compute_losses = compute
    model.compile(optimizer, run_eagerly=True)  # so that `steps` counts
    validation = {"validation_data": (images,)} if validated else {}
    losses = model.fit(images, batch_size=BATCH, epochs=2, verbose=0, **validation).history["loss"]
    assert np.isnan(losses[0]) and np.isfinite(losses[1])


def test_keras_order_of_positional_arguments_holds(make_vae, images):
    model = make_vae()
    weights = np.ones(37, "float32")
    assert model.evaluate(images, None, 8, 0, weights) == pytest.approx(
        model.evaluate(images, batch_size=8, verbose=0), rel=1e-6
    )
    history = model.fit(images, None, 8, 2, 0, None, 0.5).history
    assert len(history["val_loss"]) == 2


def test_one_guard_is_enough_for_a_list_of_callbacks(make_vae, images):
    model = make_vae()
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=model)
    for _ in range(2):
        model.fit(images, callbacks=callbacks, verbose=0)
    model.evaluate(images, callbacks=callbacks, verbose=0)
    assert [type(callback).__name__ for callback in callbacks.callbacks] == [
        "StopOnNonFinite",
        "History",
    ]


def test_a_validation_loss_that_is_no_number_stops_too(make_vae, images):
    model = make_vae()
    model.compute_losses = nan_in_validation(model.compute_losses)
    with pytest.raises(FloatingPointError, match="`val_loss` of epoch 1 is nan"):
        model.fit(images, validation_data=(images,), epochs=3, verbose=0)


def nan_in_validation(compute_losses):
    def compute(data, training):
        losses = compute_losses(data, training)
        return losses if training else losses | {"loss": losses["loss"] * float("nan")}

    return compute


def test_an_autoencoder_is_guarded_too(images):
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile(keras.optimizers.SGD(1e30))
    callbacks = keras.callbacks.CallbackList([], model=model)
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        model.fit(images, batch_size=BATCH, epochs=3, callbacks=callbacks, verbose=0)
