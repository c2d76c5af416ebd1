"""A conditional VAE: what it is told of images, in training, afterwards and on every path."""

import functools
import json
import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import Condition, evaluate, parallel, runs
from keras_vae.datasets import Dataset, Split
from keras_vae.datasets.stream import Rows
from keras_vae.runs.config import condition_of
from keras_vae.training import checkpoint
from keras_vae.training.sources import ArraySource, StreamSource

pytestmark = pytest.mark.by_turns
BACKEND = keras.backend.backend()
SHAPE = (6, 5, 3)
BATCH = 8  # of 37 images: four steps, and one of five images
CLASSES = Condition(range(3))
SMILES = Condition(["smiling", "glasses"], exclusive=False)
rng = np.random.default_rng(3)
LABELS = rng.integers(-1, 3, 37)  # of some the class is not known
ATTRIBUTES = rng.choice([0.0, 1.0, 0.5, np.nan], (37, 2))


def same(condition, **changes):
    """A new condition like another: one is not shared between models."""
    return Condition.from_config({**condition.get_config(), **changes})


def conditional(condition=CLASSES, image_shape=SHAPE, optimizer="adam", latent_dim=2, **arguments):
    """A small compiled VAE with a condition, always the same one."""
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp(image_shape, latent_dim, (16,), condition=condition.size)
    arguments = {"seed": 0, **arguments}
    model = keras_vae.VAE(*parts, condition=same(condition), **arguments)
    model.compile(optimizer)
    return model


class Batches(keras.utils.PyDataset):
    """Images and labels in order, as a data set that Keras's loop runs."""

    def __init__(self, *columns, size=BATCH):
        super().__init__()
        self.columns, self.size = columns, size

    def __len__(self):
        return -(-len(self.columns[0]) // self.size)

    def __getitem__(self, i):
        return tuple(column[i * self.size : (i + 1) * self.size] for column in self.columns)


@pytest.fixture
def rows(tmp_path, images):
    np.save(tmp_path / "images.npy", images)
    return Rows(tmp_path / "images.npy", np.arange(len(images)))


def rather_exact():
    # So large that rounding, which Adam makes steps of where gradients are 0, is not.
    return keras.optimizers.Adam(1e-2, epsilon=1e-1)


@functools.cache
def start(condition, how):
    """Returns a compiled model and its variables, with their values before training."""
    model = conditional(condition)
    model.compile(rather_exact(), **dict(how))
    model.optimizer.build(model.trainable_variables)
    return model, [(v, numpy_of(v)) for v in (*model.variables, *model.optimizer.variables)]


def new(condition=CLASSES, how=(), pieces=()):
    """Returns a model that was not trained yet, if possible one whose steps are compiled."""
    if BACKEND == "torch" or pieces:  # torch rounds first steps otherwise than later ones
        model = conditional(condition, **dict(pieces))
        model.compile(rather_exact(), **dict(how))
        return model
    model, values = start(condition, tuple(how))
    for variable, value in values:
        variable.assign(value)
    return model


def train(data, y=None, condition=CLASSES, how=(), pieces=(), **arguments):
    """Returns the history of a training without shuffling."""
    settings = {"epochs": 2, "verbose": 0, "shuffle": False}
    if not isinstance(data, keras.utils.PyDataset):
        settings |= {"batch_size": BATCH}
    return new(condition, how, pieces).fit(data, y, **settings | arguments).history


def numpy_of(x):
    return np.asarray(ops.convert_to_numpy(x))


def assert_same(one, other, rtol=1e-4):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)


def assert_differ(one, other):
    assert np.abs(np.subtract(one["loss"], other["loss"])).min() > 1e-3


# What a condition is


@pytest.mark.once
def test_names_are_text_and_their_number_is_the_size():
    assert (CLASSES.names, CLASSES.size, CLASSES.exclusive) == (("0", "1", "2"), 3, True)
    assert (SMILES.names, SMILES.size, SMILES.exclusive) == (("smiling", "glasses"), 2, False)
    assert (CLASSES.hidden, Condition(["a", "b"], hidden=0).hidden) == (0.1, 0.0)
    assert Condition(["beard"], exclusive=False).size == 1
    assert [CLASSES.index(name) for name in CLASSES.names] == [0, 1, 2]


@pytest.mark.once
@pytest.mark.parametrize(
    "names, arguments, message",
    [
        ((), {}, r"`names` must be different names, two or more of classes. Received: names=\(\)"),
        ("abc", {}, "`names` must be different names"),
        (("a",), {}, "two or more of classes"),
        ((), {"exclusive": False}, "`names` must be different names"),
        (("a", "b", "a"), {}, r"Received: names=\('a', 'b', 'a'\)"),
        ((1, "1"), {"exclusive": False}, "`names` must be different names"),
        (3, {}, "`names` must be different names"),
        (None, {}, "`names` must be different names"),
        (range(3), {"exclusive": 1}, "`exclusive` must be True or False. Received: exclusive=1"),
        (range(3), {"exclusive": None}, "`exclusive` must be True or False"),
        (range(3), {"hidden": 0.51}, r"`hidden` must be a number in \[0, 0.5\].*hidden=0.51"),
        (range(3), {"hidden": -0.1}, r"`hidden` must be a number in \[0, 0.5\]"),
        (range(3), {"hidden": math.nan}, r"`hidden` must be a number in \[0, 0.5\]"),
        (range(3), {"hidden": True}, r"`hidden` must be a number in \[0, 0.5\]"),
    ],
)
def test_a_bad_condition_is_refused(names, arguments, message):
    with pytest.raises(ValueError, match=message):
        Condition(names, **arguments)


@pytest.mark.once
def test_there_and_back():
    for condition in (CLASSES, Condition(["b", "a"], exclusive=False, hidden=0.25, name="mood")):
        config = condition.get_config()
        again = Condition.from_config(json.loads(json.dumps(config)))  # names as a list
        assert again.get_config() == config and again.names == condition.names
        assert (again.exclusive, again.hidden) == (condition.exclusive, condition.hidden)
        saved = keras.saving.serialize_keras_object(condition)
        assert keras.saving.deserialize_keras_object(saved).get_config() == config


# What the data set says


def test_classes_are_checked():
    for y in ([0, 2, -1, 1], np.array([0, 2, -1, 1], "int8"), np.array([[0], [2], [-1], [1]])):
        found = CLASSES.checked(y, 4)
        assert found.dtype == np.int32 and found.tolist() == [0, 2, -1, 1]
    assert CLASSES.checked(ops.convert_to_tensor([1, 2]), 2).tolist() == [1, 2]
    assert CLASSES.checked(np.array([1, 2], "uint8"), 2).tolist() == [1, 2]
    assert CLASSES.checked(None, 3).tolist() == [-1, -1, -1]
    assert CLASSES.checked(np.zeros(0, int), 0).shape == (0,)


def test_attributes_are_checked():
    values = np.array([[1, 0], [np.nan, 0.25]])
    for y in (values, values.tolist(), values.astype("float16"), ops.convert_to_tensor(values)):
        found = SMILES.checked(y, 2)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)
    for kind in ("bool", "uint8", "int64"):
        np.testing.assert_array_equal(SMILES.checked(np.eye(2).astype(kind), 2), np.eye(2))
    assert np.isnan(SMILES.checked(None, 3)).all() and SMILES.checked(None, 3).shape == (3, 2)


@pytest.mark.once
@pytest.mark.parametrize(
    "y, received",
    [
        (np.array([0, 1, 3, 0]), "int64, shape=(4,), values from 0 to 3"),
        (np.array([0, 1, -2, 0]), "int64, shape=(4,), values from -2 to 1"),
        (np.zeros(5, int), "int64, shape=(5,), values from 0 to 0"),
        (np.zeros((4, 2), int), "int64, shape=(4, 2), values from 0 to 0"),
        (np.zeros((2, 2), int), "int64, shape=(2, 2), values from 0 to 0"),
        (np.zeros(4), "float64, shape=(4,), values from 0.0 to 0.0"),
        (np.ones(4, bool), "bool, shape=(4,)"),
        (np.array(["a"] * 4), "<U1, shape=(4,)"),
        (2, "int64, shape=(), values from 2 to 2"),
    ],
)
def test_what_is_no_class_is_refused(y, received):
    with pytest.raises(ValueError) as error:
        CLASSES.checked(y, 4)
    assert str(error.value) == (
        "Argument `y` must be the class of each of the 4 images, an integer below 3 or -1, since "
        f"the model has a condition. Received: {received}"
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "y, received",
    [
        (np.full((4, 2), 2.0), "float64, shape=(4, 2), values from 2.0 to 2.0"),
        (np.full((4, 2), -1), "int64, shape=(4, 2), values from -1 to -1"),
        (np.full((4, 2), np.inf), "float64, shape=(4, 2), values from inf to inf"),
        (np.array([[np.nan, 1.5]] * 4), "float64, shape=(4, 2), values from nan to nan"),
        (np.zeros((4, 3)), "float64, shape=(4, 3), values from 0.0 to 0.0"),
        (np.zeros((3, 2)), "float64, shape=(3, 2), values from 0.0 to 0.0"),
        (np.zeros(4), "float64, shape=(4,), values from 0.0 to 0.0"),
        (np.full((4, 2), "1"), "<U1, shape=(4, 2)"),
    ],
)
def test_what_is_no_attribute_is_refused(y, received):
    with pytest.raises(ValueError) as error:
        SMILES.checked(y, 4)
    assert str(error.value) == (
        "Argument `y` must be numbers in [0, 1] or NaN of shape (4, 2), since the model has a "
        f"condition. Received: {received}"
    )


# What a user asks for


@pytest.mark.once
@pytest.mark.parametrize(
    "asked, expected",
    [
        (None, [0, 0, 0]),
        ("1", [-1, 1, -1]),
        (2, [-1, -1, 1]),
        (np.int64(0), [1, -1, -1]),
        (-1, [0, 0, 0]),
        ({"1": True}, [-1, 1, -1]),
        ({"1": 1}, [-1, 1, -1]),
        ({"1": np.True_}, [-1, 1, -1]),
        ({"1": False}, [0, -1, 0]),  # another class, but which?
        ({"0": False, "1": True}, [-1, 1, -1]),
        ({"1": True, "0": False}, [-1, 1, -1]),
        ({"0": False, "2": False}, [-1, 0, -1]),
        ({"1": 0.75}, [0, 0.5, 0]),
        ({"1": 2}, [0, 3, 0]),
        ({}, [0, 0, 0]),
    ],
)
def test_a_class_as_signs(asked, expected):
    signs = CLASSES.of(asked, 2)
    assert signs.dtype == np.float32
    np.testing.assert_array_equal(signs, [expected] * 2)


@pytest.mark.once
@pytest.mark.parametrize(
    "asked, expected",
    [
        (None, [0, 0]),
        ("glasses", [0, 1]),
        ({"smiling": True}, [1, 0]),
        ({"smiling": False, "glasses": True}, [-1, 1]),
        ({"smiling": 0.5, "glasses": 0.25}, [0, -0.5]),
        ({"smiling": 1.5, "glasses": np.float32(-0.5)}, [2, -2]),  # exaggerated
        ({"smiling": np.False_}, [-1, 0]),
        (np.array([[1, np.nan]] * 2), [1, 0]),
        ([[0, 1]] * 2, [-1, 1]),
    ],
)
def test_attributes_as_signs(asked, expected):
    signs = SMILES.of(asked, 2)
    assert signs.dtype == np.float32
    np.testing.assert_array_equal(signs, [expected] * 2)


@pytest.mark.once
def test_a_condition_for_each_image():
    np.testing.assert_array_equal(CLASSES.of([2, -1, 0], 3), [[-1, -1, 1], [0, 0, 0], [1, -1, -1]])
    values = np.array([[1, 0], [np.nan, 0.25], [0.5, np.nan]])
    np.testing.assert_array_equal(SMILES.of(values, 3), [[1, -1], [0, -0.5], [0, 0]])
    for condition in (CLASSES, SMILES):
        for asked in (None, condition.names[0], {condition.names[1]: False}):
            assert condition.of(asked, 0).shape == (0, condition.size)


@pytest.mark.once
@pytest.mark.parametrize(
    "condition, asked, message",
    [
        (CLASSES, "3", "The model has no condition '3'. There are: 0, 1, 2"),
        (SMILES, "beard", "The model has no condition 'beard'. There are: smiling, glasses"),
        (SMILES, {"beard": True}, "The model has no condition 'beard'"),
        (SMILES, {"smiling": "yes"}, r"`condition\['smiling'\]` must be a finite number"),
        (SMILES, {"smiling": math.nan}, r"`condition\['smiling'\]` must be a finite number"),
        (CLASSES, 3, "the class of each of the 2 images.*values from 3 to 3"),
        (CLASSES, 1.0, "the class of each of the 2 images.*float64"),
        (CLASSES, True, "the class of each of the 2 images.*bool"),
        (CLASSES, [0, 1, 2], r"the class of each of the 2 images.*shape=\(3,\)"),
        (SMILES, 1, r"numbers in \[0, 1\] or NaN of shape \(2, 2\)"),
        (SMILES, [1, 0], r"numbers in \[0, 1\] or NaN of shape \(2, 2\)"),
        (SMILES, np.full((2, 2), 1.5), r"numbers in \[0, 1\] or NaN of shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_asked_for(condition, asked, message):
    with pytest.raises(ValueError, match=message):
        condition.of(asked, 2)


@pytest.mark.once
def test_an_image_has_one_class():
    """As the flow says, which takes the same wishes."""
    with pytest.raises(ValueError, match="An image has only one of: 0, 1"):
        CLASSES.of({"0": True, "1": True}, 2)


@pytest.mark.once
def test_the_message_names_the_argument_that_was_passed():
    with pytest.raises(ValueError, match="Argument `condition` must be"):
        CLASSES.of(3, 2)


# In a batch


def test_a_batch_has_the_signs_of_its_data():
    np.testing.assert_array_equal(
        numpy_of(CLASSES.signs(ops.convert_to_tensor(LABELS), 37)), CLASSES.of(LABELS, 37)
    )
    column = ops.convert_to_tensor(LABELS[:, None])
    np.testing.assert_array_equal(numpy_of(CLASSES.signs(column, 37)), CLASSES.of(LABELS, 37))
    attributes = ops.convert_to_tensor(ATTRIBUTES.astype("float32"))
    found = CLASSES.signs(None, 5), SMILES.signs(None, 5), SMILES.signs(attributes, 37)
    assert [tuple(part.shape) for part in found] == [(5, 3), (5, 2), (37, 2)]
    assert not numpy_of(found[0]).any() and not numpy_of(found[1]).any()
    np.testing.assert_array_equal(numpy_of(found[2]), SMILES.of(ATTRIBUTES, 37))
    assert {keras.backend.standardize_dtype(part.dtype) for part in found} == {"float32"}
    one = Condition(["beard"], exclusive=False)
    column = ops.convert_to_tensor(np.array([[0], [1], [np.nan]], "float32"))
    np.testing.assert_array_equal(numpy_of(one.signs(column, 3)), [[-1], [1], [0]])


def test_a_share_is_hidden():
    """`hidden` of the images as a whole, and of as many again half of the attributes."""
    first = [0.0, 0.0999, 0.1, 0.1999, 0.2, 0.9999]
    uniform = np.array([[row, 0.0, 0.4999, 0.5] for row in first], "float32")
    signs = np.array([[1, -1, -1]] * 6, "float32")
    found = numpy_of(
        same(CLASSES).hide(ops.convert_to_tensor(signs), ops.convert_to_tensor(uniform))
    )
    np.testing.assert_array_equal(found, [[0, 0, 0]] * 2 + [[1, -1, -1]] * 4)
    three = Condition(["a", "b", "c"], exclusive=False)
    found = numpy_of(three.hide(ops.convert_to_tensor(signs), ops.convert_to_tensor(uniform)))
    np.testing.assert_array_equal(found, [[0, 0, 0]] * 2 + [[0, 0, -1]] * 2 + [[1, -1, -1]] * 2)
    for condition in (same(CLASSES, hidden=0), same(three, hidden=0)):
        found = condition.hide(ops.convert_to_tensor(signs), ops.convert_to_tensor(uniform))
        np.testing.assert_array_equal(numpy_of(found), signs)


# Three kinds of data, two loops


KINDS = pytest.mark.parametrize(
    "condition, y", [(CLASSES, LABELS), (SMILES, ATTRIBUTES)], ids=["classes", "attributes"]
)


@KINDS
def test_an_array_a_stream_and_a_data_set_train_alike(images, rows, condition, y):
    expected = train(images, y, condition)
    assert train(rows, y, condition) == expected
    assert_same(train(Batches(images, y), condition=condition), expected)
    # And the labels matter: all of them.
    assert_differ(train(images, None, condition), expected)
    assert_differ(train(images, np.roll(y, 1, axis=0), condition), expected)


def test_so_do_they_with_several_steps_in_one_go(images, rows):
    expected = train(images, ATTRIBUTES, SMILES, [("steps_per_execution", 1)])
    several = [("steps_per_execution", 3)]
    found = train(images, ATTRIBUTES, SMILES, several)
    assert_same(found, expected)
    assert train(rows, ATTRIBUTES, SMILES, several) == found
    assert_same(train(Batches(images, ATTRIBUTES), None, SMILES, several), expected)


def test_so_do_they_eagerly(images):
    eagerly = train(images[:8], LABELS[:8], how=[("run_eagerly", True)], epochs=1)
    expected = train(images[:8], LABELS[:8], epochs=1)
    assert_same(eagerly, expected)
    assert_differ(train(images[:8], epochs=1), expected)


def test_so_do_they_with_an_augmentation(images, rows):
    def mirror():
        layer = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
        return [("augmentation", layer)]

    expected = train(images, LABELS, pieces=mirror())
    assert_differ(train(images, LABELS), expected)
    assert train(rows, LABELS, pieces=mirror()) == expected
    assert_same(train(Batches(images, LABELS), pieces=mirror()), expected)


def test_so_do_they_with_weights(images):
    weights = np.linspace(0, 2, 37).astype("float32")
    expected = train(images, ATTRIBUTES, SMILES, sample_weight=weights)
    assert_differ(train(images, ATTRIBUTES, SMILES), expected)
    assert_same(train(Batches(images, ATTRIBUTES, weights), condition=SMILES), expected)


def test_so_do_they_with_weights_of_classes(images):
    by_class = {0: 0.5, 1: 2.0, 2: 1.5}
    labels = LABELS.clip(0)
    weights = np.array([by_class[label] for label in labels], "float32")
    expected = train(images, labels, sample_weight=weights)
    assert_same(train(images, labels, class_weight=by_class), expected)
    assert_same(train(Batches(images, labels), class_weight=by_class), expected)


@KINDS
def test_validation_is_told_as_well(images, rows, condition, y):
    found = train(images, y, condition, validation_data=(images[20:], y[20:]))
    model = new(condition)
    model.fit(images, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    expected = model.evaluate(images[20:], y[20:], verbose=0, return_dict=True)
    assert_same({n: found[f"val_{n}"][-1] for n in expected}, expected)
    untold = model.evaluate(images[20:], verbose=0, return_dict=True)
    assert abs(untold["loss"] - expected["loss"]) > 1e-3
    for x, validation in (
        (rows, (rows[20:], y[20:])),
        (Batches(images, y), (images[20:], y[20:])),
        (Batches(images, y), Batches(images[20:], y[20:])),
    ):
        told = None if isinstance(x, Batches) else y
        assert_same(train(x, told, condition, validation_data=validation), found)
    on_disk = Rows(rows.file.name, np.arange(20, 37))
    assert train(rows, y, condition, validation_data=(on_disk, y[20:])) == found


def test_a_part_for_validation_takes_its_labels_along(images):
    labels = LABELS.clip(0)
    first, last = (images[:27], labels[:27]), (images[27:], labels[27:])
    expected = train(*first, validation_data=last)
    assert_same(train(images, labels, validation_split=0.25), expected)
    halved = {0: 0.5, 1: 0.5, 2: 0.5}  # which Keras's loop sees to
    weights = np.full(27, 0.5, "float32")
    expected = train(*first, sample_weight=weights, validation_data=last)
    assert_same(train(images, labels, class_weight=halved, validation_split=0.25), expected)


def test_unknown_labels_are_no_labels(images):
    nothing = train(images)
    assert train(images, np.full(37, -1)) == nothing
    assert train(images, np.full((37, 1), -1)) == nothing
    none = train(images, condition=SMILES)
    assert train(images, np.full((37, 2), np.nan), SMILES) == none
    assert_same(train(images, np.full((37, 2), 0.5), SMILES), none)  # as likely as not


# Labels and images stay together


LEVELS = np.array([0.1, 0.4, 0.8])  # of the images of each class
LOGITS = np.log(LEVELS / (1 - LEVELS))
PUSHES = np.array([1.0, 0.4])  # of the logit of images, by attribute


def picture_of(condition, y):
    """Images as bright as their labels say, of which NumPy knows the loss."""
    signs = condition.of(y, len(y))
    logits = np.where(signs[:, 0] == 0, LOGITS.sum() / 2, LOGITS[np.argmax(signs, axis=1)])
    if not condition.exclusive:
        logits = signs @ PUSHES
    pixels = 1 / (1 + np.exp(-logits))
    return np.broadcast_to(pixels[:, None, None, None], (len(y), 4, 4, 1)).astype("float32")


def drawing(condition, network="mlp", hidden=0.0, **arguments):
    """A VAE that never learns: its decoder draws what it is told, whatever the code."""
    keras.utils.set_random_seed(0)
    build = {"mlp": keras_vae.build_mlp, "conv": keras_vae.build_conv}[network]
    encoder, _ = build((4, 4, 1), 2, (4,), condition=condition.size)
    z, signs = keras.Input((2,)), keras.Input((condition.size,))
    layer = keras.layers.Dense(16)
    outputs = layer(keras.layers.Concatenate()([z, signs]))
    decoder = keras.Model([z, signs], keras.layers.Reshape((4, 4, 1))(outputs))
    pushes = LOGITS / 2 if condition.exclusive else PUSHES
    bias = LOGITS.sum() / 2 if condition.exclusive else 0.0
    kernel = np.concatenate([np.zeros(2), pushes])[:, None] * np.ones(16)
    layer.set_weights([kernel, np.full(16, bias)])
    model = keras_vae.VAE(
        encoder, decoder, condition=same(condition, hidden=hidden), **{"seed": 0, **arguments}
    )
    model.compile(keras.optimizers.SGD(0.0))
    return model


def stored(images, path):
    np.save(path, images)
    return Rows(path, np.arange(len(images)))


@pytest.mark.parametrize("network", ["mlp", "conv"])
@KINDS
def test_labels_reach_their_images_in_any_order(condition, y, network, tmp_path, monkeypatch):
    images = picture_of(condition, y)
    settings = {"epochs": 3, "batch_size": BATCH, "verbose": 0, "shuffle": True}
    model = drawing(condition, network)
    held = model.fit(images, y, validation_data=(images, y), **settings).history
    on_disk = stored(images, tmp_path / "images.npy")
    streamed = model.fit(on_disk, y, validation_data=(on_disk, y), **settings).history
    data_set = model.fit(Batches(images, y), epochs=3, verbose=0, shuffle=True).history
    monkeypatch.setattr(model, "hold", lambda images: images)  # as if there were no room
    copied = model.fit(images, y, **settings).history
    for history in (held, streamed, copied, data_set):
        assert max(history["reconstruction_loss"]) < 1e-6
        assert max(history.get("val_reconstruction_loss", [0])) < 1e-6
    swapped = model.fit(images, np.roll(y, 1, axis=0), **settings).history
    assert min(swapped["reconstruction_loss"]) > 0.1


def test_labels_reach_mirrored_and_weighted_images(tmp_path):
    y, images = LABELS, picture_of(CLASSES, LABELS)
    flip = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
    model = drawing(CLASSES, augmentation=flip)
    settings = {"epochs": 2, "batch_size": BATCH, "verbose": 0, "shuffle": True}
    weighted = {"sample_weight": np.linspace(0, 2, 37)}
    on_disk = stored(images, tmp_path / "images.npy")
    for found in (model.fit(images, y, **settings, **weighted), model.fit(on_disk, y, **settings)):
        assert max(found.history["reconstruction_loss"]) < 1e-6
    wrong = model.fit(images, np.roll(y, 1), **settings, **weighted)
    assert min(wrong.history["reconstruction_loss"]) > 0.1


@pytest.mark.once
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("kind", ["array", "stream", "part of a stream"])
def test_sources_give_labels_from_the_middle_of_an_epoch_on(kind, seed, columns, tmp_path):
    """As a training does that continues."""
    numbers = np.arange(37)
    images = np.broadcast_to(numbers[:, None, None, None], (37, 2, 2, 1)).astype("uint8")
    labels = numbers if columns == 1 else np.stack([numbers, numbers + 100], axis=1)
    on_disk, seen = stored(images, tmp_path / "images.npy"), {}
    for done in (0, 1, 3, 4):
        if kind == "array":
            source = ArraySource(images, labels, None, BATCH, seed)
        else:
            part = [] if kind == "stream" else [lambda size: slice(1, size)]
            source = StreamSource(on_disk, labels, BATCH, seed, *part)
        take, seen[done] = source.epoch(2, done), []
        while done + len(seen[done]) < 5:
            block = take(2)
            shown = block.images[block.rows][..., 0, 0, 0]  # (steps, rows)
            both = [shown, shown + 100]
            expected = shown if columns == 1 else np.stack(both, axis=-1)
            np.testing.assert_array_equal(block.labels, expected)
            seen[done] += shown.tolist()
    assert all(seen[done] == seen[0][done:] for done in seen)
    assert [len(step) for step in seen[0]] == [BATCH - (kind == "part of a stream")] * 4 + [
        5 - (kind == "part of a stream")
    ]


def test_each_device_has_the_labels_of_its_own_rows():
    """An augmentation sees the complete batch, of which each device then takes its part."""
    flip = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
    model = drawing(CLASSES, augmentation=flip)
    y, images = LABELS[:6], picture_of(CLASSES, LABELS[:6])
    batch = tuple(map(ops.convert_to_tensor, (images, y, np.arange(6.0))))
    with parallel.taking(parallel.part_of(1, 3, 6)):
        x, labels, weights = (numpy_of(part) for part in model.training_batch(batch))
    np.testing.assert_array_equal(x, images[2:4])
    np.testing.assert_array_equal(weights, [2, 3])
    np.testing.assert_array_equal(labels, y[2:4])


# Hidden conditions


def uniform_of(model, steps, batch=BATCH):
    return numpy_of(model.noise_of_steps(steps, batch, training=True)["uniform"])


def expected_losses(model, y, epochs):
    """The reconstruction loss of each epoch, from the noise that hides conditions."""
    uniform, condition = uniform_of(model, 5 * epochs), model.condition
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for step in range(5):
            labels = y[BATCH * step : BATCH * (step + 1)]
            drawn = uniform[5 * epoch + step, : len(labels)]
            known = drawn[:, :1] >= condition.hidden
            if not condition.exclusive:
                some = (drawn[:, :1] < 2 * condition.hidden) & (drawn[:, 1:] < 0.5)
                known = known & ~some
            told = condition.of(labels, len(labels)) * known
            logits = LOGITS.sum() / 2 + told @ LOGITS / 2 if condition.exclusive else told @ PUSHES
            pixels = 1 / (1 + np.exp(-logits))
            total += 16 * np.sum((pixels - picture_of(condition, labels)[:, 0, 0, 0]) ** 2)
        losses.append(total / len(y))
    return losses


@KINDS
def test_which_conditions_are_hidden_is_a_function_of_seed_and_step(condition, y, tmp_path):
    images, histories = picture_of(condition, y), {}
    settings = {"epochs": 3, "verbose": 0, "shuffle": False}
    for seed in (7, 7, 8):
        model = drawing(condition, hidden=0.3, seed=seed)
        expected = expected_losses(model, y, 3)
        found = model.fit(images, y, batch_size=BATCH, **settings).history["reconstruction_loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert found == histories.setdefault(seed, found)  # the same each time
        assert len(set(found)) == 3  # others in each epoch
        others = stored(images, tmp_path / "images.npy"), Batches(images, y)
        for data in others if seed == 8 else ():
            model = drawing(condition, hidden=0.3, seed=seed)
            told = None if isinstance(data, Batches) else y
            size = {} if told is None else {"batch_size": BATCH}
            again = model.fit(data, told, **size, **settings).history["reconstruction_loss"]
            np.testing.assert_allclose(again, expected, rtol=1e-4)
    assert np.abs(np.subtract(histories[7], histories[8])).min() > 1e-3


def test_how_many_are_hidden_and_that_noise_stays_noise():
    model = conditional()
    noise = model.noise_of_steps(50, 100, training=True)
    uniform, eps = numpy_of(noise["uniform"]), numpy_of(noise["eps"])
    assert uniform.shape == (50, 100, 4) and uniform.min() >= 0 and uniform.max() < 1
    assert np.mean(uniform[..., 0] < 0.1) == pytest.approx(0.1, abs=0.01)
    parts = np.concatenate([uniform, eps], axis=-1).reshape(5000, -1)
    correlations = np.corrcoef(parts.T) - np.eye(6)
    assert np.abs(correlations).max() < 0.06
    assert "uniform" not in model.noise_of_steps(2, 3, training=False)
    plain = keras_vae.VAE(*keras_vae.build_mlp(SHAPE, 2, (4,)), seed=0)  # the same noise as ever
    np.testing.assert_array_equal(
        numpy_of(plain.noise_of_steps(50, 100, training=True)["eps"]), eps
    )


def test_the_share_that_is_hidden_may_be_changed():
    y, model = np.arange(37) % 3, drawing(CLASSES)
    images = picture_of(CLASSES, y)
    settings = {"batch_size": BATCH, "verbose": 0}
    losses = []
    for hidden in (0.0, 0.5, 0.0):
        model.condition.hidden = hidden
        losses += model.fit(images, y, **settings).history["reconstruction_loss"]
    assert losses[0] < 1e-6 and losses[2] < 1e-6 < 0.1 < losses[1]


def test_evaluation_hides_nothing():
    y = np.arange(37) % 3
    images, model = picture_of(CLASSES, y), drawing(CLASSES, hidden=0.5)
    losses = model.evaluate(images, y, batch_size=BATCH, verbose=0, return_dict=True)
    assert losses["reconstruction_loss"] < 1e-6
    fitted = model.fit(images, y, validation_data=(images, y), verbose=0).history
    assert fitted["val_reconstruction_loss"][0] < 1e-6 < 0.1 < fitted["reconstruction_loss"][0]


# A trained model


@pytest.fixture(scope="module")
def trained():
    """A VAE of images whose brightness depends on the class alone, and these images."""
    y = np.arange(300) % 3
    noise = np.random.default_rng(0).normal(0, 0.02, (300, 4, 4, 1))
    images = (LEVELS[y][:, None, None, None] + noise).clip(0, 1).astype("float32")
    model = conditional(image_shape=(4, 4, 1), optimizer=keras.optimizers.Adam(1e-2))
    model.fit(images, y, batch_size=50, epochs=40, verbose=0)
    return model, images, y


def brightness(images):
    return images.mean(axis=(1, 2, 3))


@pytest.mark.parametrize("k", range(3))
def test_samples_are_of_the_class_that_is_asked_for(trained, k):
    model, _, _ = trained
    asked = {"a number": k, "a name": str(k), "by name": {str(k): True}, "each": [k] * 50}
    drawn = [model.sample(50, seed=1, condition=condition) for condition in asked.values()]
    for one in drawn:
        np.testing.assert_array_equal(one, drawn[0])
    np.testing.assert_allclose(brightness(drawn[0]), LEVELS[k], atol=0.15)
    assert brightness(drawn[0]).mean() == pytest.approx(LEVELS[k], abs=0.05)
    z = np.random.default_rng(1).standard_normal((50, 2), "float32")
    np.testing.assert_array_equal(model.decode(z, condition=k), drawn[0])


def test_samples_of_several_classes_at_once(trained):
    model, _, _ = trained
    drawn = brightness(model.sample(6, seed=0, condition=[0, 1, 2, 2, 1, 0]))
    np.testing.assert_allclose(drawn, LEVELS[[0, 1, 2, 2, 1, 0]], atol=0.15)
    assert model.sample(0, condition=1).shape == (0, 4, 4, 1)


def test_images_move_to_another_class(trained):
    model, images, y = trained
    kept = brightness(model.reconstruct(images[:30], condition=y[:30]))
    np.testing.assert_allclose(kept, LEVELS[y[:30]], atol=0.15)
    for to in (0, "1", {"2": True}):
        moved = model.reconstruct(images[:30], condition=y[:30], to=to)
        (k,) = map(int, to) if isinstance(to, dict) else (int(to),)
        np.testing.assert_allclose(brightness(moved), LEVELS[k], atol=0.15)
        codes, _ = model.encode(images[:30], condition=y[:30])
        np.testing.assert_array_equal(moved, model.decode(codes, condition=to))
    other = (y[:30] + 1) % 3
    moved = brightness(model.reconstruct(images[:30], condition=y[:30], to=other))
    np.testing.assert_allclose(moved, LEVELS[other], atol=0.15)
    untold = brightness(model.reconstruct(images[:30]))  # from the code alone
    assert np.corrcoef(untold, LEVELS[y[:30]])[0, 1] > 0.8


def test_a_code_depends_on_what_is_known(trained):
    model, images, y = trained
    told, untold = model.encode(images, condition=y), model.encode(images)
    for one, other in zip(told, untold):
        assert np.abs(one - other).max() > 0.01
    for unknown in (None, -1, np.full(300, -1), {}):
        for one, other in zip(model.encode(images, condition=unknown), untold):
            np.testing.assert_array_equal(one, other)
    for batch_size in (7, 1000):
        for one, other in zip(model.encode(images, batch_size, y), told):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for method in ("codes", "posterior"):
        found = getattr(model, method)(images, condition=y)
        np.testing.assert_array_equal(found if method == "codes" else found[0], told[0])
    one = model.encode(images[5:6], condition=int(y[5]))[0]
    np.testing.assert_allclose(one, told[0][5:6], rtol=1e-4, atol=1e-5)


def test_less_is_lost_if_the_class_is_known(trained):
    model, images, y = trained
    told = model.evaluate(images, y, verbose=0, return_dict=True)
    untold = model.evaluate(images, verbose=0, return_dict=True)
    wrong = model.evaluate(images, (y + 1) % 3, verbose=0, return_dict=True)
    assert told["loss"] + 0.2 < untold["loss"] < wrong["loss"]
    for batch_size in (1, 7, 300, 1000):
        found = model.evaluate(images, y, batch_size, verbose=0, return_dict=True)
        assert found == pytest.approx(told, rel=1e-4, abs=1e-5)
    data_set = model.evaluate(Batches(images, y), verbose=0, return_dict=True)
    assert data_set == pytest.approx(told, rel=1e-4, abs=1e-5)


def test_the_report_of_the_fit_is_told_as_well(trained):
    model, images, y = trained
    images, y = images[:40], y[:40]
    told, untold = evaluate.fit_report(model, images, 3, condition=y), None
    losses = model.evaluate(images, y, verbose=0, return_dict=True)
    assert told["test_loss"] == pytest.approx(losses["loss"], rel=1e-5)
    pictures = model.reconstruct(images, condition=y)
    assert told["test_mse"] == pytest.approx(np.mean((pictures - images) ** 2), rel=1e-4)
    assert told["test_psnr"] == pytest.approx(evaluate.psnr(images, pictures), rel=1e-4)
    z_mean, _ = model.encode(images, condition=y)
    assert told["active_units"] == evaluate.active_units(z_mean)
    found = model.log_likelihood(images, 3, condition=y)
    assert told["log_likelihood"] == pytest.approx(found.mean(), rel=1e-5)
    untold = evaluate.fit_report(model, images, 3)
    assert told["test_loss"] < untold["test_loss"]
    assert told["log_likelihood"] > untold["log_likelihood"]
    few = evaluate.fit_report(model, images, 3, n=7, condition=y)
    assert few["log_likelihood"] == pytest.approx(found[:7].mean(), rel=1e-5)


def test_bits_per_dim_is_told_as_well():
    y = np.arange(60) % 3
    images = (255 * picture_of(CLASSES, y)).round().astype("uint8")
    model = drawing(CLASSES, likelihood=keras_vae.likelihoods.Gaussian(0.01))
    told, untold, none = (
        evaluate.bits_per_dim(model, images, condition=condition)
        for condition in (y, None, np.full(60, -1))
    )
    z_mean, z_log_var = model.encode(images, condition=y)
    kl = -0.5 * np.sum(1 + z_log_var - z_mean**2 - np.exp(z_log_var), axis=1).mean()
    nats = 0.5 * math.log(2 * math.pi * 0.01) + kl / 16  # the error of a level is next to nothing
    assert told == pytest.approx(nats / math.log(2) + 8, abs=0.01)
    assert untold == none > told + 1


# The log-likelihood


def test_the_log_likelihood_agrees_with_the_integral():
    """log p(x|condition), an integral over the single latent."""
    keras.utils.set_random_seed(1)
    variance = 0.3
    parts = keras_vae.build_mlp((2, 2, 1), 1, (8,), condition=3)
    likelihood = keras_vae.likelihoods.Gaussian(variance)
    model = keras_vae.VAE(*parts, likelihood, condition=same(CLASSES))
    # An encoder whose q(z|x) is near the prior, so that no part of the integral is missed.
    for name in ("z_mean", "z_log_var"):
        head = parts[0].get_layer(name)
        head.set_weights([0.1 * head.get_weights()[0], np.zeros(1)])
    images = np.random.default_rng(0).random((9, 2, 2, 1), "float32")
    grid = np.linspace(-8, 8, 4001, dtype="float32")[:, None]
    weights = np.exp(-0.5 * grid[:, 0] ** 2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])
    exact = []
    for condition in (0, 1, 2, None):
        means = model.decode(grid, 512, condition).reshape(4001, 1, 4).astype("float64")
        squares = np.sum((means - images.reshape(9, 4)) ** 2, axis=2)
        densities = np.exp(-squares / (2 * variance)) / (2 * math.pi * variance) ** 2
        exact.append(np.log(weights @ densities))
        found = model.log_likelihood(images, 5000, 2500, condition=condition)
        np.testing.assert_allclose(found, exact[-1], atol=0.05)
    exact = np.array(exact)
    assert np.ptp(exact, axis=0).max() > 0.5
    y = np.arange(9) % 3
    found = model.log_likelihood(images, 5000, 2500, condition=y)
    np.testing.assert_allclose(found, exact[y, np.arange(9)], atol=0.05)


@pytest.mark.parametrize("k", [1, 5, 23])
def test_the_log_likelihood_of_each_image_has_its_own_condition(k, images):
    model = conditional(likelihood="gaussian")
    each = np.array([model.log_likelihood(images, k, condition=c) for c in (0, 1, 2, -1)])
    expected = each[LABELS, np.arange(37)]
    for batch_size in (1, 8, 100):
        found = model.log_likelihood(images, k, batch_size, condition=LABELS)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    assert np.ptp(each, axis=0).min() > 1e-3


# Batch by batch


def test_single_batches(images):
    model, other = (conditional(optimizer=rather_exact()) for _ in range(2))
    tested = model.test_on_batch(images, LABELS, return_dict=True)
    assert tested == pytest.approx(
        other.evaluate(images, LABELS, batch_size=37, verbose=0, return_dict=True), rel=1e-5
    )
    assert abs(model.test_on_batch(images)[0] - tested["loss"]) > 1e-4
    model.reset_metrics()
    one = model.train_on_batch(images, LABELS, return_dict=True)
    fitted = other.fit(images, LABELS, batch_size=37, shuffle=False, verbose=0).history
    assert one == pytest.approx({name: values[0] for name, values in fitted.items()}, rel=1e-5)
    for left, right in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    assert len(model.train_on_batch(images)) == 4
    weights = np.linspace(0, 2, 37)
    assert np.isfinite(model.train_on_batch(images, LABELS, sample_weight=weights)).all()
    assert np.isfinite(model.train_on_batch(images, LABELS, class_weight={0: 2.0, 1: 0.5})).all()


def test_what_is_called_or_predicted_knows_nothing(images):
    model = conditional()
    z_mean, z_log_var = model.encode(images)
    pictures = model.reconstruct(images)
    for found in (model.predict(images, verbose=0), model(images), model.predict_on_batch(images)):
        np.testing.assert_allclose(numpy_of(found["z_mean"]), z_mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(numpy_of(found["z_log_var"]), z_log_var, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(numpy_of(found["reconstruction"]), pictures, atol=1e-5)
    signs = model.condition.of(LABELS, 37)
    told = model(images, signs=ops.convert_to_tensor(signs))
    expected = model.reconstruct(images, condition=LABELS)
    np.testing.assert_allclose(numpy_of(told["reconstruction"]), expected, atol=1e-5)
    assert np.abs(expected - pictures).max() > 1e-3
    x = keras.Input(SHAPE)
    outer = keras.Model(x, model(x)["reconstruction"])  # a layer of another model
    np.testing.assert_allclose(outer.predict(images / 255, verbose=0), pictures, atol=1e-4)


# Other pieces


def test_many_draws_are_told_alike(images):
    """The importance-weighted bound, whose draws of an image share its condition."""
    bound = keras_vae.bounds.ImportanceWeighted(4)
    prior = keras_vae.priors.VampPrior(images[:5])
    model = conditional(bound=bound, prior=prior)
    found = model.evaluate(images, LABELS, batch_size=37, verbose=0, return_dict=True)
    model.reset_metrics()
    eps = numpy_of(model.noise_of_steps(1, 37, training=False)["eps"])[0]
    mean, log_var = (part[:, None] for part in model.encode(images, condition=LABELS))
    z = mean + np.exp(log_var / 2) * eps  # (37, 4, 2)
    pixels = model.decode(z.reshape(-1, 2), condition=np.repeat(LABELS, 4))
    errors = (pixels - np.repeat(images / 255, 4, axis=0)) ** 2
    nats = errors.sum(axis=(1, 2, 3)).reshape(37, 4)
    log_q = -0.5 * np.sum(eps**2 + log_var + math.log(2 * math.pi), axis=2)
    centres, spreads = model.encode(numpy_of(prior.pseudo_inputs()))  # of unknown condition
    logs = (z[:, :, None] - centres) ** 2 / np.exp(spreads) + spreads + math.log(2 * math.pi)
    log_p = np.logaddexp.reduce(-0.5 * logs.sum(axis=3), axis=2) - math.log(5)
    log_w = -nats - (log_q - log_p)
    expected = -np.mean(np.logaddexp.reduce(log_w, axis=1) - math.log(4))
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert found["reconstruction_loss"] == pytest.approx(nats.mean(), rel=1e-4)
    assert found["kl_loss"] == pytest.approx(np.mean(log_q - log_p), rel=1e-3)


def test_all_pieces_train_together(images):
    model = conditional(
        bound=keras_vae.bounds.ImportanceWeighted(3, doubly_reparameterised=True),
        prior=keras_vae.priors.VampPrior(images[:5]),
        penalty=keras_vae.penalties.MMD(10.0),
    )
    history = model.fit(images, LABELS, batch_size=BATCH, epochs=3, verbose=0).history
    assert history["loss"][2] < history["loss"][0] and np.isfinite(history["penalty_loss"]).all()
    told, untold = (model.evaluate(images, y, verbose=0)[0] for y in (LABELS, None))
    assert abs(told - untold) > 1e-3
    drawn = [model.sample(3, seed=0, condition=k) for k in (0, 1)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    assert np.isfinite(model.log_likelihood(images[:3], 5, condition=1)).all()


def test_free_bits_and_warm_up(images, rows):
    settings = [("free_bits", 0.3), ("kl_warmup_steps", 7), ("beta", 2.0)]
    expected = train(images, LABELS, pieces=settings)
    assert train(rows, LABELS, pieces=settings) == expected
    assert_differ(train(images, LABELS), expected)


def test_half_precision(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = conditional(SMILES, likelihood="gaussian")
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(
        images, ATTRIBUTES, validation_data=(images, ATTRIBUTES), epochs=3, verbose=0
    ).history
    assert np.isfinite([*history["loss"], *history["val_loss"]]).all()
    assert "float16" in {layer.compute_dtype for layer in model.encoder.layers}
    told, untold = model.encode(images, condition=ATTRIBUTES)[0], model.encode(images)[0]
    assert told.dtype == np.float32 and np.abs(told - untold).max() > 1e-3
    drawn = [model.sample(3, seed=0, condition={"smiling": value}) for value in (True, False)]
    assert drawn[0].dtype == np.float32 and np.abs(drawn[0] - drawn[1]).max() > 1e-3


# Saving


def test_a_model_is_saved_with_its_condition(images, tmp_path):
    condition, y = SMILES, ATTRIBUTES
    model = conditional(same(condition, hidden=0.25))
    model.fit(images, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.condition.get_config() == model.condition.get_config()
    assert loaded.condition.names == condition.names and loaded.condition.hidden == 0.25
    assert loaded.evaluate(images, y, verbose=0) == model.evaluate(images, y, verbose=0)
    name = condition.names[1]
    for asked in (name, {name: False}):
        np.testing.assert_array_equal(
            loaded.sample(3, 0, condition=asked), model.sample(3, 0, condition=asked)
        )
    losses = []
    for one in (model, loaded):  # both go on alike
        again = one.fit(images, y, batch_size=BATCH, shuffle=False, verbose=0)
        losses.append(again.history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    twin = keras_vae.VAE.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    copied = keras.models.clone_model(model)
    assert copied.condition.names == condition.names


class Kill(keras.callbacks.Callback):
    """Ends training at one of its steps, as if the process were killed; see test_checkpoint.py."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise SystemError("killed")


class See(keras.callbacks.Callback):
    """Sees which steps are taken."""

    def __init__(self, steps=None):
        super().__init__()
        self.steps = [] if steps is None else steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(batch)


def test_a_killed_training_continues_with_the_labels_of_its_images(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)  # write at each step
    images = picture_of(CLASSES, LABELS)
    on_disk = stored(images, tmp_path / "images.npy")

    def fit(x, callback):
        model = drawing(CLASSES)
        model.compile(keras.optimizers.SGD(0.0), steps_per_execution=1)
        callbacks = [callback, keras_vae.Checkpoint(tmp_path / type(x).__name__, 0.0)]
        settings = {"batch_size": BATCH, "epochs": 3, "callbacks": callbacks, "verbose": 0}
        return model.fit(x, LABELS, **settings).history["reconstruction_loss"]

    for x in (images, on_disk):
        with pytest.raises(SystemError):
            fit(x, Kill(7))  # in the second epoch; six steps are saved
        seen = See()
        losses = fit(x, seen)
        assert seen.steps == [1, 2, 3, 4, 0, 1, 2, 3, 4] and len(losses) == 3 and max(losses) < 1e-6


def test_a_training_does_not_continue_with_other_labels(images, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)

    def fit(labels, *callbacks):
        model = conditional()
        model.compile("adam", steps_per_execution=1)
        callbacks = [*callbacks, keras_vae.Checkpoint(tmp_path, 0.0)]
        model.fit(images, labels, BATCH, epochs=2, callbacks=callbacks, verbose=0)

    with pytest.raises(SystemError):
        fit(LABELS, Kill(7))
    with pytest.raises(ValueError, match="is of another training, with labels"):
        fit(LABELS[::-1])
    fit(LABELS)


# Networks


BUILDERS = {
    "mlp": lambda **arguments: keras_vae.build_mlp(SHAPE, 2, (8, 8), **arguments),
    "conv": lambda **arguments: keras_vae.build_conv(SHAPE, 2, (8, 8), **arguments),
    "patches": lambda **arguments: keras_vae.build_patches(SHAPE, 2, (8, 3, 5), **arguments),
}


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("builder", BUILDERS)
def test_networks_take_a_condition(builder, straight, images):
    keras.utils.set_random_seed(0)
    encoder, decoder = BUILDERS[builder](condition=3, straight=straight)
    assert encoder.input_shape == [(None, *SHAPE), (None, 3)]
    assert decoder.input_shape == [(None, 2), (None, 3)]
    assert encoder.output_shape == [(None, 2)] * 2 and decoder.output_shape == (None, *SHAPE)
    x, z = (images[:4] / 255).astype("float32"), np.ones((4, 2), "float32")
    for model, first in ((encoder, x), (decoder, z)):
        told, other, untold = (
            keras.tree.map_structure(numpy_of, model([first, CLASSES.of(c, 4)]))
            for c in (0, 1, None)
        )
        for one, two, three in zip(*map(keras.tree.flatten, (told, other, untold))):
            assert min(np.abs(one - two).max(), np.abs(one - three).max()) > 1e-4
    single, _ = BUILDERS[builder](condition=3, variational=False)
    assert single.input_shape == [(None, *SHAPE), (None, 3)] and single.output_shape == (None, 2)
    model = keras_vae.VAE(encoder, decoder, condition=same(CLASSES))
    codes = [model.encode(images[:4], condition=k)[0] for k in (0, 1)]
    assert np.abs(codes[0] - codes[1]).max() > 1e-4


@pytest.mark.once
@pytest.mark.parametrize("builder", BUILDERS)
def test_networks_without_a_condition_are_as_before(builder):
    for arguments in ({}, {"condition": 0}):
        encoder, decoder = BUILDERS[builder](**arguments)
        assert (encoder.input_shape, decoder.input_shape) == ((None, *SHAPE), (None, 2))
    for wrong in (-1, 1.5, True, None, "3"):
        with pytest.raises(ValueError, match="`condition` must be a non-negative integer"):
            BUILDERS[builder](condition=wrong)


@pytest.mark.once
def test_the_straight_path_sees_the_condition():
    """The linear map of the decoder, not that of the encoder, which is of the image alone."""
    encoder, decoder = BUILDERS["mlp"](condition=3, straight=True)
    assert tuple(encoder.get_layer("straight").kernel.shape) == (90, 2)
    assert tuple(decoder.get_layer("straight").kernel.shape) == (2 + 3, 90)


@pytest.mark.once
@pytest.mark.parametrize(
    "encoder, decoder, condition",
    [(0, 0, CLASSES), (3, 0, CLASSES), (0, 3, CLASSES), (4, 4, CLASSES), (3, 3, None)],
)
def test_networks_that_do_not_fit_are_named(encoder, decoder, condition):
    parts = BUILDERS["mlp"](condition=encoder)[0], BUILDERS["mlp"](condition=decoder)[1]
    with pytest.raises(ValueError, match="condition") as error:
        keras_vae.VAE(*parts, condition=condition)
    assert ("decoder" if (encoder, decoder) == (3, 0) else "encoder") in str(error.value)


def test_networks_made_without_inputs_are_told_too(images):
    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.join, self.flatten = keras.layers.Concatenate(), keras.layers.Flatten()
            self.heads = [keras.layers.Dense(2) for _ in range(2)]

        def call(self, inputs):
            x, signs = inputs
            x = self.join([self.flatten(x), signs])
            return [head(x) for head in self.heads]

    _, decoder = BUILDERS["mlp"](condition=3)
    model = keras_vae.VAE(Encoder(), decoder, condition=same(CLASSES), seed=0)
    model.compile(rather_exact())
    told = model.evaluate(images, LABELS, verbose=0)
    assert abs(told[0] - model.evaluate(images, verbose=0)[0]) > 1e-4
    history = model.fit(images, LABELS, batch_size=BATCH, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    assert model.sample(2, condition=1).shape == (2, *SHAPE)


# Mistakes


@pytest.mark.parametrize(
    "y, condition, message",
    [
        (np.full(37, 3), CLASSES, "`y` must be the class of each of the 37 images"),
        (np.zeros(36, int), CLASSES, r"`y` must be the class.*shape=\(36,\)"),
        (np.zeros(37), CLASSES, "`y` must be the class of each of the 37 images.*float64"),
        (np.full((37, 2), 2), SMILES, r"`y` must be numbers in \[0, 1\] or NaN of shape \(37, 2\)"),
        (np.zeros(37), SMILES, r"`y` must be numbers in \[0, 1\] or NaN of shape \(37, 2\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused_everywhere(images, rows, y, condition, message):
    model = conditional(condition)
    good = np.zeros((37, 2)) if condition is SMILES else np.zeros(37, int)
    for act in (
        lambda: model.fit(images, y, verbose=0),
        lambda: model.fit(rows, y, verbose=0),
        lambda: model.fit(images, good, validation_data=(images, y), verbose=0),
        lambda: model.evaluate(images, y, verbose=0),
        lambda: model.train_on_batch(images, y),
        lambda: model.test_on_batch(images, y),
    ):
        with pytest.raises(ValueError, match=message):
            act()
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize(
    "y, condition",
    [
        (np.full(37, 7), CLASSES),
        (np.full(37, 0.5), CLASSES),
        (np.zeros((37, 2), int), CLASSES),
        (np.full((37, 2), 7.0), SMILES),
        (np.zeros((37, 3)), SMILES),
        (np.ones(37), Condition(["beard"], exclusive=False)),  # shape (n, 1) is expected
    ],
)
def test_labels_of_a_data_set_that_do_not_fit_are_refused(images, y, condition):
    with pytest.raises(ValueError, match="`y` must be"):
        conditional(condition).fit(Batches(images, y), verbose=0)


def test_without_a_condition_there_is_nothing_to_tell(make_vae, images):
    message = r"`condition` needs a model with a condition, such as `VAE\(\.\.\., condition="
    parts = keras_vae.build_mlp(SHAPE, 2, (8,), variational=False)
    vae, plain = make_vae(), keras_vae.AutoEncoder(*parts)
    acts = {
        "encode": lambda model: model.encode(images, condition=1),
        "posterior": lambda model: model.posterior(images, condition=1),
        "codes": lambda model: model.codes(images, condition="smiling"),
        "decode": lambda model: model.decode(np.zeros((1, 2)), condition=0),
        "reconstruct": lambda model: model.reconstruct(images, condition={"a": True}),
        "to": lambda model: model.reconstruct(images, to=1),
        "sample": lambda model: model.sample(2, condition=1),
        "log_likelihood": lambda model: model.log_likelihood(images, 2, condition=LABELS),
    }
    for name, act in acts.items():
        for model in (vae,) if name in ("sample", "log_likelihood") else (vae, plain):
            with pytest.raises(ValueError, match=message):
                act(model)
    with pytest.raises(ValueError, match=message):
        evaluate.test_metrics(vae, images, condition=LABELS)
    history = vae.fit(images, LABELS, verbose=0).history  # labels are of no use, as before
    assert np.isfinite(history["loss"]).all()
    assert vae.condition is None and plain.condition is None


@pytest.mark.once
def test_a_plain_autoencoder_takes_no_condition():
    parts = keras_vae.build_mlp(SHAPE, 2, (8,), variational=False)
    with pytest.raises(ValueError, match="Only a `VAE` takes a `condition`"):
        keras_vae.AutoEncoder(*parts, condition=same(CLASSES))


@pytest.mark.once
@pytest.mark.parametrize("wrong", ["smiling", 3, range(3), Condition])
def test_a_condition_must_be_one(wrong):
    with pytest.raises(ValueError, match=r"`condition` must be None or a `keras_vae\.Condition`"):
        keras_vae.VAE(*BUILDERS["mlp"](condition=3), condition=wrong)


REFUSED = "A model with a condition reads images on disk with default settings of `fit`"


def test_keras_loop_cannot_tell_of_images_on_disk(images, rows):
    model = conditional()
    for arguments in ({"steps_per_epoch": 2}, {"validation_split": 0.0, "steps_per_epoch": 1}):
        with pytest.raises(ValueError, match=REFUSED):
            model.fit(rows, LABELS, batch_size=BATCH, verbose=0, **arguments)
    with pytest.raises(ValueError, match=REFUSED):
        model.evaluate(rows, LABELS, steps=2, verbose=0)
    model.compile("adam", run_eagerly=True)
    for act in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=REFUSED):
            act(rows, LABELS, verbose=0)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("loop", ["data set", "class weights"])
def test_nor_of_images_on_disk_for_validation(images, rows, loop):
    """Without their labels the losses would be those of images of which nothing is known."""
    labels = LABELS.clip(0)
    arguments = {"validation_data": (rows, labels), "verbose": 0}
    with pytest.raises(ValueError, match=REFUSED):
        if loop == "data set":
            conditional().fit(Batches(images, labels), **arguments)
        else:
            conditional().fit(images, labels, class_weight={0: 2.0}, **arguments)


# Runs


def data_set(images, names=("smiling", "glasses")):
    """A made-up data set with classes and attributes, some of them unknown."""
    known = ~np.isnan(ATTRIBUTES)
    split = Split(images, LABELS.clip(0), np.where(known, ATTRIBUTES, 0) > 0, known=known)
    names = {"label_names": ("a", "b", "c"), "attribute_names": names}
    return Dataset("made up", split, split, split, **names)


@pytest.mark.once
def test_what_a_split_says_to_a_model(make_vae, images):
    data = data_set(images)
    assert condition_of(make_vae(), data, data.test) is None
    classes = conditional(Condition(data.label_names))
    np.testing.assert_array_equal(condition_of(classes, data, data.test), LABELS.clip(0))
    both = conditional(Condition(["glasses", "smiling"], exclusive=False))  # in another order
    expected = np.where(np.isnan(ATTRIBUTES), np.nan, ATTRIBUTES > 0)[:, ::-1]
    found = condition_of(both, data, data.test)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    one = conditional(Condition(["glasses"], exclusive=False))
    np.testing.assert_array_equal(condition_of(one, data, data.test), expected[:, :1])
    whole = Split(images, attributes=ATTRIBUTES > 0)
    np.testing.assert_array_equal(condition_of(one, data, whole)[:, 0], ATTRIBUTES[:, 1] > 0)
    one.fit(images, condition_of(one, data, data.test), verbose=0)


def test_a_run_samples_from_the_prior_what_is_asked_for(make_vae, tmp_path):
    run = runs.Run(tmp_path, {}, conditional(), None, None)
    for wish in ({"1": True}, {"0": False}):
        found = run.sample(4, 3, 0.5, source="prior", attributes=wish)
        np.testing.assert_array_equal(found, run.model.sample(4, 3, 0.5, condition=wish))
    assert np.abs(found - run.sample(4, 3, 0.5, source="prior")).max() > 1e-4
    np.testing.assert_array_equal(run.sample(4, 3), run.model.sample(4, 3))
    with pytest.raises(ValueError, match="The model has no condition 'beard'"):
        run.sample(1, source="prior", attributes={"beard": True})
    wish = {"1": True}  # which the prior alone can grant
    np.testing.assert_array_equal(
        run.sample(4, 3, attributes=wish), run.model.sample(4, 3, condition=wish)
    )
    with pytest.raises(ValueError, match="Only the flow, and the prior of a model with a condit"):
        run.sample(1, source="mixture", attributes={"1": True})
    plain = runs.Run(tmp_path, {}, make_vae(), None, None)
    with pytest.raises(ValueError, match="Only the flow, and the prior of a model with a condit"):
        plain.sample(1, source="prior", attributes={"1": True})
