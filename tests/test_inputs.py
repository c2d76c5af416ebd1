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
from keras_vae import evaluate
from keras_vae.likelihoods.data import Pixels
from keras_vae.training import streams

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


@pytest.fixture(scope="module")
def told():
    """A model with a condition, and what arrays of classes or attributes give."""
    models = {}
    attributes = np.random.default_rng(1).choice([0, 1, np.nan], (37, 2)).astype("float32")
    for condition, y in (
        (keras_vae.Condition(range(3)), np.arange(37) % 4 - 1),  # -1: not known
        (keras_vae.Condition(["a", "b"], exclusive=False), attributes),
    ):
        keras.utils.set_random_seed(0)
        parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,), condition=condition.size)
        model = keras_vae.VAE(*parts, condition=condition, seed=0)
        model.compile(keras.optimizers.SGD(0.0))  # so that the steps do not depend on each other
        settings = {"batch_size": BATCH, "verbose": 0}
        history = model.fit(IMAGES, y, shuffle=False, **settings).history
        losses = model.evaluate(IMAGES, y, **settings)
        assert abs(model.evaluate(IMAGES, **settings)[0] - losses[0]) > 1e-3  # it matters
        models[condition.exclusive] = model, y, history, losses
    return models


@pytest.mark.parametrize("exclusive", [True, False], ids=["classes", "attributes"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_condition_comes_with_every_kind_of_input(told, kind, exclusive):
    model, y, history, losses = told[exclusive]
    model.steps.assign(0)  # the noise of training is that of the first step on
    found = model.fit(KINDS[kind]((IMAGES, y)), shuffle=False, verbose=0).history
    for name in history:
        np.testing.assert_allclose(found[name], history[name], rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(KINDS[kind]((IMAGES, y)), verbose=0), losses, rtol=1e-5
    )
    if kind != "generator":
        data = KINDS[kind]((IMAGES, y))
        found = model.fit(IMAGES, y, validation_data=data, batch_size=BATCH, verbose=0).history
        assert found["val_loss"][0] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize(
    "exclusive, y",
    [
        (True, np.repeat([1, 3], [36, 1])),  # in the last batch
        (True, np.full(37, -2)),
        (True, np.full(37, 0.5, "float32")),
        (False, np.full((37, 2), 1.5, "float32")),
        (False, np.full((37, 2), -1, "float32")),
        (False, np.zeros((37, 3), "float32")),
        (False, np.zeros(37, "float32")),
    ],
    ids=["3", "-2", "0.5", "1.5", "-1.0", "three", "one"],
)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_labels_that_do_not_fit_are_refused_in_every_kind_of_input(told, kind, exclusive, y):
    model, *_ = told[exclusive]
    before = int(model.steps)
    with pytest.raises(ValueError, match="`y` must be "):
        model.fit(KINDS[kind]((IMAGES, y)), shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="`y` must be "):
        model.evaluate(KINDS[kind]((IMAGES, y)), verbose=0)
    if keras.backend.backend() != "tensorflow":  # where Keras counts the step that fails
        assert int(model.steps) - before < 5  # none of the last batch
    if kind != "generator":
        with pytest.raises(ValueError, match="`y` must be "):
            good = np.zeros((37, 2)) if not exclusive else np.zeros(37, int)
            model.fit(IMAGES, good, validation_data=KINDS[kind]((IMAGES, y)), verbose=0)


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

    loader = torch.utils.data.DataLoader(Rows((IMAGES,)), batch_size=BATCH)
    loader = streams.checked(loader, streams.Look(Pixels(), (6, 5, 3)))
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


# What users put in


FLOATS = IMAGES.astype("float32")  # in 0..255, as Keras's `image_dataset_from_directory` has them
PIXELS = IMAGES / np.float32(255)
LATE = PIXELS.copy()
LATE[-1, 0, 0, 0] = np.nan  # in the last batch


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_values_out_of_range_are_refused_in_every_kind_of_input(restart, kind):
    model = restart()
    before = model.encoder.get_weights()
    message = r"^Argument `x` must be uint8 .*dtype=float32, with values from 0.0 to 255.0"
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=message):
            method(KINDS[kind]((FLOATS,)), verbose=0)
    for one, two in zip(before, model.encoder.get_weights()):  # no step was taken
        np.testing.assert_array_equal(one, two)
    if kind != "generator":
        with pytest.raises(ValueError, match=r"^Argument `validation_data` must be .*to 255.0"):
            model.fit(PIXELS, validation_data=KINDS[kind]((FLOATS,)), verbose=0)
    # The image is named, and not the learning rate; and the model can go on.
    with pytest.raises(ValueError, match=r"^Argument `x` .*dtype=float32, with values from nan"):
        model.fit(KINDS[kind]((LATE,)), verbose=0)
    assert np.isfinite(model.fit(KINDS[kind]((PIXELS,)), verbose=0).history["loss"][0])


def test_a_folder_of_pictures_as_keras_reads_it(restart, tmp_path):
    for i, image in enumerate(IMAGES[:4]):
        keras.utils.save_img(tmp_path / f"{i}.png", image, scale=False)
    data = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(6, 5), batch_size=2, verbose=False
    )
    with pytest.raises(ValueError, match=r"^Argument `x` .*dtype=float32, with values from"):
        restart().fit(data, verbose=0)
    losses = restart().evaluate(data.map(lambda x: x / 255), verbose=0)
    assert losses[0] > 0


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_other_types_of_images_come_in_every_kind_of_input(restart, kind):
    model = restart()
    expected = model.evaluate(IMAGES, verbose=0)
    integers = IMAGES.astype("int64")
    assert model.evaluate(KINDS[kind]((integers,)), verbose=0) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="dtype=int64, with values from 256 to 511"):
        model.evaluate(KINDS[kind]((integers + 256,)), verbose=0)
    black_and_white = IMAGES > 99
    expected = model.evaluate(255 * black_and_white.astype("uint8"), verbose=0)
    found = model.evaluate(KINDS[kind]((black_and_white,)), verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_negative_weights_are_refused_in_every_kind_of_input(restart, kind):
    weights = np.linspace(-1, 1, len(IMAGES)).astype("float32")
    arrays = IMAGES, np.arange(len(IMAGES)), weights
    with pytest.raises(ValueError, match=r"^Argument `sample_weight` .*values from -[01]\.\d* to"):
        restart().fit(KINDS[kind](arrays), verbose=0)


def dicts(name="image"):
    labels = np.arange(len(IMAGES))
    return tf.data.Dataset.from_tensor_slices({name: IMAGES, "label": labels}).batch(BATCH)


class Dicts(Sequence):
    def __getitem__(self, index):
        return {"image": super().__getitem__(index), "label": np.arange(3)}


@pytest.mark.parametrize("make", [dicts, lambda: Dicts((IMAGES,))], ids=["tf.data", "PyDataset"])
def test_dicts_have_their_entry_image_taken(restart, by_arrays, make):
    _, expected, losses, codes = by_arrays["x"]
    model = restart()
    history = model.fit(make(), validation_data=make(), shuffle=False, verbose=0).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert model.evaluate(make(), verbose=0) == pytest.approx(losses, rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(losses[0], rel=1e-5)
    predicted = model.predict(make(), verbose=0)
    np.testing.assert_allclose(predicted["z_mean"], codes, rtol=1e-4, atol=1e-5)
    batch = {"image": IMAGES, "label": np.arange(37)}
    assert model.test_on_batch(batch) == pytest.approx(model.test_on_batch(IMAGES), rel=1e-5)
    assert len(model.train_on_batch(batch)) == 4
    np.testing.assert_allclose(model.encode(batch)[0], model.encode(IMAGES)[0])


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_dict_without_images_says_what_it_had(restart, method):
    message = "^Argument `x` must be images, or a dict .*with the keys 'picture', 'label'$"
    with pytest.raises(ValueError, match=message):
        getattr(restart(), method)(dicts("picture"), verbose=0)
    with pytest.raises(ValueError, match=message):
        getattr(restart(), method)({"picture": IMAGES, "label": 1}, verbose=0)


def test_a_data_set_of_single_images_is_to_be_batched(restart):
    with pytest.raises(ValueError, match=r"single images of shape .*`dataset.batch\(32\)`"):
        restart().fit(dicts().unbatch(), verbose=0)


METHODS = ("fit", "evaluate", "predict", "encode", "reconstruct", "train_on_batch", "test_on_batch")


def ragged(*images):
    array = np.empty(len(images), object)
    array[:] = images
    return array


@pytest.mark.parametrize("method", [*METHODS, "__call__"])
def test_lists_of_images_are_taken(restart, method):
    results = []
    for images in (IMAGES, list(IMAGES), ragged(*IMAGES)):
        keras.utils.set_random_seed(0)
        results.append(getattr(restart(), method)(images))
    if method == "fit":
        results = [result.history for result in results]
    results = [keras.tree.flatten(result) for result in results]
    for whole, parts, other in zip(*results):
        whole, parts, other = (ops.convert_to_numpy(one) for one in (whole, parts, other))
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "images, message",
    [
        (list(FLOATS), "^Argument `x` .*with values from 0.0 to 255.0"),
        ([IMAGES[0], IMAGES[1, :3]], r"of one size.* 2 images of the sizes \(6, 5, 3\), \(3, 5, 3"),
        (ragged(IMAGES[0], IMAGES[1, :3]), r"of one size.*sizes \(6, 5, 3\), \(3, 5, 3\)"),
        ((IMAGES, np.arange(37)), r"one array of images.* \(37, 6, 5, 3\), \(37,\).*`y`"),
        (np.ma.masked_equal(IMAGES, 3), r"without a mask.*`x.filled\(0\)`"),
        (list(np.ma.masked_equal(IMAGES, 3)), "without a mask"),
        (IMAGES.astype("complex64"), "dtype=complex64"),
        (IMAGES.astype("int32") + 1, "dtype=int32, with values from 1 to 256"),
    ],
    ids=["floats", "sizes", "object", "tuple", "masked", "masked list", "complex", "int"],
)
def test_what_is_no_batch_of_images_is_told_why(restart, method, images, message):
    with pytest.raises(ValueError, match=message):
        getattr(restart(), method)(images)


def test_validation_data_may_be_a_list_of_images(restart):
    model = restart()
    for data in (list(IMAGES), [list(IMAGES), np.arange(37)], {"image": IMAGES}):
        history = model.fit(IMAGES, validation_data=data, verbose=0).history
        expected = model.evaluate(IMAGES, verbose=0)[0]
        assert history["val_loss"][0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"^Argument `validation_data` .*to 255.0"):
        model.fit(IMAGES, validation_data=list(FLOATS), verbose=0)


@pytest.mark.parametrize("kind", ["int32", "int64", "bool"])
def test_integers_and_bool_mean_what_uint8_means(restart, kind):
    images = IMAGES.astype(kind)
    as_bytes = 255 * images.astype("uint8") if kind == "bool" else IMAGES
    model = restart()
    for method in (model.encode, model.reconstruct):
        for one, two in zip(method(images), method(as_bytes)):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    losses = []
    for x in (images, as_bytes):
        model = restart()
        model.fit(x, batch_size=BATCH, shuffle=False, verbose=0)
        losses.append(model.evaluate(x, verbose=0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    mse = [evaluate.test_metrics(model, x)["test_mse"] for x in (images, as_bytes)]
    assert mse[0] == pytest.approx(mse[1], rel=1e-5)


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.full(37, -1.0), "finite numbers of at least 0.*from -1.0 to -1.0"),
        (np.full(37, np.nan), "finite numbers"),
        (np.full(37, np.inf), "finite numbers"),
        ({0: 1.0}, "one number for each of the 37 images.*dict"),
        ([[1.0], [2.0, 3.0]], "one number for each of the 37 images"),
        (np.ones(36), r"one number for each of the 37 images.*shape=\(36,\)"),
    ],
    ids=["negative", "nan", "inf", "dict", "ragged", "too few"],
)
def test_weights_that_are_none_are_refused(restart, weights, message):
    model = restart()
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"^Argument `sample_weight` .*" + message):
            method(IMAGES, sample_weight=weights)
    with pytest.raises(ValueError, match=r"^Argument `sample_weight` .*" + message):
        model.fit(IMAGES, validation_data=(IMAGES, None, weights), verbose=0)


def test_a_generator_may_not_give_weights_in_a_dict(restart):
    data = (batch for batch in [(IMAGES, np.arange(37), {0: 1.0})])
    with pytest.raises(ValueError, match=r"^Argument `sample_weight` .*Received: dict"):
        restart().fit(data, verbose=0)


@pytest.mark.parametrize("make", [lambda: IMAGES, dicts, lambda: Sequence((IMAGES,))])
def test_weights_of_classes_need_labels(restart, make):
    with pytest.raises(ValueError, match=r"^Argument `class_weight` needs labels"):
        restart().fit(make(), class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize("make", [lambda: IMAGES, lambda: Sequence((IMAGES,))])
def test_a_call_that_returns_no_dict_is_told_so(make):
    class Other(keras_vae.VAE):
        def call(self, x, training=False, eps=None, raw=False):
            return tuple(super().call(x).values())

    model = Other(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,)))
    model.compile()
    with pytest.raises(ValueError, match=r"^`call` must return a dict.*Received: tuple"):
        model.fit(make(), verbose=0)


@pytest.mark.parametrize("loss", ["kl_loss", "reconstruction_loss"])
@pytest.mark.parametrize("make", [lambda: IMAGES, lambda: Sequence((IMAGES,))])
def test_our_losses_can_be_monitored(restart, tmp_path, loss, make):
    model = restart()
    callbacks = [
        keras.callbacks.EarlyStopping(monitor=f"val_{loss}", patience=9),
        keras.callbacks.ReduceLROnPlateau(monitor=loss),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor=f"val_{loss}", save_best_only=True
        ),
    ]
    history = model.fit(
        make(), validation_data=(IMAGES,), epochs=2, callbacks=callbacks, verbose=0
    ).history
    assert callbacks[0].best == callbacks[2].best == min(history[f"val_{loss}"])
    assert callbacks[1].best == min(history[loss])


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
        "Watch",
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
