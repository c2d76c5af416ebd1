"""Judges of tiny images in which an attribute is a bright square."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vae.evaluate import Classifier, classifiers, train_classifier

NAMES = ("dim", "bright")
PICTURES = 4000


def squares(n, seed, together=0.5):
    """Noise with a dim square, a bright one, both or none; `together` is how often they agree."""
    rng = np.random.default_rng(seed)
    dim = rng.random(n) < 0.5
    bright = np.where(rng.random(n) < together, dim, ~dim)
    images = rng.integers(0, 120, (n, 8, 8, 3), "uint8")
    images[dim, 1:4, 1:4] += 60
    images[bright, 4:7, 4:7] += 120
    return images, np.stack([dim, bright], axis=1)


def right(judge, images, attributes):
    """The share of right verdicts on each attribute, by those that have it and lack it alike."""
    says = judge.logits(images) > 0
    return [
        np.mean([(column == has)[has == side].mean() for side in (False, True)])
        for column, has in zip(says.T, attributes.T)
    ]


@pytest.fixture(scope="module")
def judge():
    return train_classifier(*squares(400, 0), NAMES, pictures=PICTURES)


@pytest.fixture
def untrained():
    """Returns a function that makes a classifier of random weights."""

    def make(image_shape, count=2, seed=0):
        keras.utils.set_random_seed(seed)
        return Classifier(classifiers.build_network(image_shape, count), NAMES[:count])

    return make


def test_it_learns_from_few_pictures(judge):
    assert judge.names == NAMES
    assert min(right(judge, *squares(500, 1))) > 0.9


def test_it_says_layout_features_and_logits(judge):
    images, _ = squares(37, 1)
    layout, features, logits = judge.look(images, batch_size=16)
    assert layout.shape[0] == 37 and features.shape == (37, 64) and logits.shape == (37, 2)
    assert {part.dtype for part in (layout, features, logits)} == {np.dtype("float32")}
    np.testing.assert_allclose(np.linalg.norm(layout, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(judge.logits(images, batch_size=16), logits)
    for part, whole in zip(judge.look(images.astype("float32") / 255), judge.look(images)):
        np.testing.assert_allclose(part, whole, atol=1e-4)
    assert [len(part) for part in judge.look(images[:0])] == [0, 0, 0]


def test_training_depends_on_data_and_seed_alone_and_leaves_the_policy():
    judge = train_classifier(*squares(400, 0), NAMES, pictures=400)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(7)
        again = train_classifier(*squares(400, 0), NAMES, pictures=400)
        assert keras.config.dtype_policy().name == "mixed_float16"
        images, _ = squares(20, 1)
        np.testing.assert_allclose(again.logits(images), judge.logits(images), atol=1e-5)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {weight.dtype for weight in again.network.weights} == {"float32"}
    assert again.digest == judge.digest


def test_the_policy_is_as_before_when_training_fails(monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(classifiers, "build_network", fail)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(KeyboardInterrupt):
            train_classifier(*squares(40, 0), NAMES, pictures=1)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_values_that_are_not_known_teach_nothing():
    """Those that are noted wrong are not known: half of the one attribute, none of the other."""
    images, attributes = squares(800, 0)
    known = np.ones(attributes.shape, bool)
    known[::2, 1] = False
    lies = np.where(known, attributes, ~attributes)
    judge = train_classifier(images, lies, NAMES, pictures=PICTURES, known=known)
    assert min(right(judge, *squares(500, 1))) > 0.9
    few = [
        train_classifier(images, np.where(known, attributes, unknown), NAMES, 0, 400, known)
        for unknown in (~attributes, False)
    ]
    assert few[0].digest == few[1].digest


@pytest.mark.once
def test_a_judge_does_not_learn_what_goes_together(monkeypatch):
    """In 90 % of the images that teach it both squares are there or neither."""
    data, (images, has) = squares(400, 0, together=0.9), squares(1000, 1)

    def trained():
        """How often it is right on the dim square, and how far the bright one sways it."""
        judge = train_classifier(*data, NAMES, pictures=PICTURES)
        logits = judge.logits(images)[:, 0]
        slopes = np.linalg.lstsq(has - has.mean(axis=0), logits - logits.mean(), rcond=None)[0]
        return right(judge, images, has)[0], slopes[1] / slopes[0]

    share, swayed = trained()
    monkeypatch.setattr(classifiers, "balanced_weights", lambda has, known: np.ones(has.shape))
    share_of_even, swayed_even = trained()
    assert swayed < 0.75 * swayed_even
    assert share > 0.7 and share >= share_of_even


def test_a_saved_network_says_the_same(judge, tmp_path):
    judge.network.save(tmp_path / "classifier.keras")
    loaded = Classifier(keras.saving.load_model(tmp_path / "classifier.keras"), NAMES)
    images, _ = squares(20, 1)
    for part, again in zip(judge.look(images), loaded.look(images)):
        np.testing.assert_allclose(part, again, atol=1e-6)
    assert loaded.digest == judge.digest


def test_the_digest_tells_classifiers_apart(untrained):
    one = untrained((8, 8, 3))
    assert len(one.digest) == 16 and one.digest == untrained((8, 8, 3)).digest
    assert one.digest != untrained((8, 8, 3), seed=1).digest
    assert one.digest != Classifier(one.network, NAMES[::-1]).digest


@pytest.mark.parametrize("shape", [(7, 5, 1), (28, 28, 1), (130, 90, 3), (1, 40, 3)])
def test_any_size_of_images(untrained, shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), "uint8")
    layout, features, logits = untrained(shape).look(images)
    assert features.shape == (3, 64) and logits.shape == (3, 2)
    assert layout.shape[1] <= 192 * 25
    np.testing.assert_allclose(np.linalg.norm(layout, axis=1), 1, rtol=1e-4)
    assert np.abs(layout[0] - layout[1]).max() > 1e-3  # it sees what is there


def test_blur_is_for_training_alone():
    images = np.random.default_rng(0).uniform(0, 255, (40, 16, 12, 3)).astype("float32")
    blur = classifiers.Blur()
    np.testing.assert_array_equal(ops.convert_to_numpy(blur(images)), images)
    blurred = ops.convert_to_numpy(blur(images, training=True))
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=0.05)
    roughness = blurred.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert roughness.max() <= 1.001 and roughness.min() < 0.5
    np.testing.assert_allclose(roughness[roughness > 0.999], 1, atol=1e-5)  # some are left alone
    assert 0 < np.sum(roughness > 0.999) < 30
    tiny = images[:, :5, :5]
    np.testing.assert_array_equal(ops.convert_to_numpy(blur(tiny, training=True)), tiny)


def test_a_flat_image_stays_flat():
    flat = np.full((4, 9, 9, 1), 100, "float32")
    np.testing.assert_allclose(ops.convert_to_numpy(classifiers.blurred(flat, 1)), 100, rtol=1e-5)


# What does not depend on the backend.

once = pytest.mark.once


@once
def test_rare_attributes_are_left_out(monkeypatch):
    images = np.zeros((60, 8, 8, 3), "uint8")
    attributes = np.arange(60)[:, None] < [9, 10, 50, 51, 30]
    kept, has, names, _ = classifiers.usable(images, attributes, ["a", "b", "c", "d", "e"])
    assert names == ("b", "c", "e") and len(kept) == 60
    np.testing.assert_array_equal(has, attributes[:, [1, 2, 4]])
    assert train_classifier(images, attributes[:, [0, 3]], ["a", "d"]) is None
    monkeypatch.setattr(classifiers, "MOST", 40)  # of the first 40, 10 must lack it
    kept, _, names, _ = classifiers.usable(images, attributes, ["a", "b", "c", "d", "e"])
    assert names == ("b", "e") and len(kept) == 40
    monkeypatch.setattr(classifiers, "MOST_BYTES", 25 * 8 * 8 * 3)
    kept, _, names, _ = classifiers.usable(images, attributes, ["a", "b", "c", "d", "e"])
    assert names == ("b",) and len(kept) == 25


@once
def test_only_known_values_are_enough_to_learn_from():
    images = np.zeros((60, 8, 8, 3), "uint8")
    attributes = np.arange(60)[:, None] < [30, 30, 30]
    known = np.stack([np.ones(60), np.arange(60) >= 21, np.arange(60) < 39], axis=1).astype(bool)
    _, has, names, kept = classifiers.usable(images, attributes, ["a", "b", "c"], known)
    assert names == ("a",) and has.shape == kept.shape == (60, 1) and kept.all()


@once
def test_unknown_values_have_no_weight_and_the_known_are_balanced():
    attributes = drawn(4000, 0.8)
    rng = np.random.default_rng(1)
    known = rng.random(attributes.shape) < 0.6
    weights = classifiers.balanced_weights(attributes, known)
    lies = np.where(known, attributes, ~attributes)
    np.testing.assert_array_equal(weights, classifiers.balanced_weights(lies, known))
    assert not weights[~known].any() and (weights[known] > 0).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1)
    for j in range(2):
        rows, other = known.all(axis=1), attributes[:, 1 - j]
        shares = [
            np.average(other[rows & side], weights=weights[rows & side, j])
            for side in (attributes[:, j], ~attributes[:, j])
        ]
        plain = [other[rows & side].mean() for side in (attributes[:, j], ~attributes[:, j])]
        assert abs(shares[0] - shares[1]) < 0.5 * abs(plain[0] - plain[1])


def drawn(n, together, seed=0):
    rng = np.random.default_rng(seed)
    one = rng.random(n) < 0.3
    other = np.where(rng.random(n) < together, one, rng.random(n) < 0.5)
    return np.column_stack([one, other, rng.random(n) < 0.2])


@once
@pytest.mark.parametrize("together", [0, 0.3, 0.9])
def test_weights_are_of_mean_1_and_half_of_them_each_groups(together):
    attributes = drawn(1000, together)
    weights = classifiers.balanced_weights(attributes)
    assert weights.shape == (1000, 3) and (weights > 0).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1)
    np.testing.assert_allclose(np.sum(weights * attributes, axis=0), 500)


def frequencies(attributes, weights, j, m):
    """How frequent attribute m is with and without attribute j, by the weights of j."""
    return [
        np.average(attributes[rows, m], weights=weights[rows, j])
        for rows in (attributes[:, j], ~attributes[:, j])
    ]


@once
def test_under_the_weights_attributes_say_little_about_each_other():
    attributes = drawn(2000, 0.4)
    even, weights = np.ones(attributes.shape), classifiers.balanced_weights(attributes)
    for j, m in ((0, 1), (1, 0)):
        with_it, without = frequencies(attributes, even, j, m)
        assert with_it - without > 0.3
        with_it, without = frequencies(attributes, weights, j, m)
        assert with_it == pytest.approx(without, abs=0.06)
        assert with_it == pytest.approx(attributes[:, m].mean(), abs=0.06)


@once
def test_weights_leave_most_images_in_effect():
    attributes = drawn(2000, 0.9)
    weights = classifiers.balanced_weights(attributes)
    for j in range(3):
        for rows in (attributes[:, j], ~attributes[:, j]):
            some = weights[rows, j]
            assert some.sum() ** 2 / np.sum(some**2) >= 0.7 * len(some)
    before = np.subtract(*frequencies(attributes, np.ones(attributes.shape), 0, 1))
    assert np.subtract(*frequencies(attributes, weights, 0, 1)) < before - 0.1


@once
def test_weights_of_independent_and_of_single_attributes_are_nearly_even():
    attributes = drawn(5000, 0)
    weights = classifiers.balanced_weights(attributes)
    for j, has in enumerate(attributes.T):
        for rows in (has, ~has):
            np.testing.assert_allclose(weights[rows, j], 2500 / rows.sum(), rtol=0.15)
    single = classifiers.balanced_weights(attributes[:, :1])[:, 0]
    has = attributes[:, 0]
    np.testing.assert_allclose(single, np.where(has, 2500 / has.sum(), 2500 / (~has).sum()))


@once
def test_classes_can_be_weighted():
    """Each is there where the others are not: in one group all others are the same."""
    classes = np.arange(300)[:, None] % 3 == np.arange(3)
    weights = classifiers.balanced_weights(classes)
    np.testing.assert_allclose(weights[classes], 1.5)
    np.testing.assert_allclose(weights[~classes], 0.75, rtol=1e-4)
