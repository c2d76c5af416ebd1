import os
from pathlib import Path

import numpy as np
import pytest

from keras_vae import datasets
from keras_vae.datasets import faces
from keras_vae.datasets import tfds as tfds_source


@pytest.fixture(scope="module")
def drawn():
    return datasets.load("faces", limit=300)


def test_faces_are_uint8_images_with_boolean_attributes(drawn):
    assert drawn.image_shape == (64, 64, 3)
    assert (len(drawn.train), len(drawn.validation), len(drawn.test)) == (300, 300, 2000)
    for split in (drawn.train, drawn.validation, drawn.test):
        assert split.images.dtype == np.uint8
        assert split.attributes.shape == (len(split), len(drawn.attribute_names))
        assert split.attributes.dtype == bool
    assert {"smiling", "eyeglasses"} <= set(drawn.attribute_names)
    # Each attribute has both kinds, and enough of them.
    shares = drawn.test.attributes.mean(axis=0)
    assert shares.min() > 0.15 and shares.max() < 0.85


def test_faces_of_the_three_parts_are_apart(drawn):
    parts = [
        {image.tobytes() for image in s.images} for s in (drawn.train, drawn.validation, drawn.test)
    ]
    assert [len(part) for part in parts] == [300, 300, 2000]  # no two alike
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_the_seed_shuffles_train_and_validation_but_never_test(drawn):
    again, other = datasets.load("faces", limit=300), datasets.load("faces", limit=300, seed=1)
    np.testing.assert_array_equal(drawn.train.images, again.train.images)
    assert not np.array_equal(drawn.train.images, other.train.images)
    np.testing.assert_array_equal(drawn.test.images, other.test.images)
    larger = datasets.load("faces", limit=400)
    np.testing.assert_array_equal(larger.train.images[:300], drawn.train.images)


def test_an_attribute_can_be_seen():
    """Glasses darken the frame around the eyes, a smile lifts the corners of the mouth."""
    factors = {
        name: np.repeat(value[:64], 2, axis=0) for name, value in faces.draw_factors(64, 0).items()
    }
    factors["eyeglasses"][::2], factors["eyeglasses"][1::2] = 0, 1
    images = faces.paint(factors).astype("float32")
    difference = abs(images[::2] - images[1::2]).max(axis=3)
    assert (difference.reshape(64, -1).max(axis=1) > 30).all()
    changed = difference.max(axis=0) > 30
    assert changed[16:44].any() and not changed[46:].any()  # only about the eyes


def test_labels_follow_their_images():
    split = datasets.Split(
        np.arange(5)[:, None, None, None], np.arange(5), np.arange(5)[:, None] > 2
    )
    some = split[np.array([4, 1])]
    assert some.images[:, 0, 0, 0].tolist() == some.labels.tolist() == [4, 1]
    assert some.attributes[:, 0].tolist() == [True, False]


@pytest.mark.parametrize("name", ["cats", "", "../mnist"])
def test_an_unknown_name_lists_those_there_are(name):
    with pytest.raises(ValueError, match="There are: faces, mnist"):
        datasets.load(name)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_a_bad_limit_is_refused(limit):
    with pytest.raises(ValueError, match="Argument `limit` must be"):
        datasets.load("faces", limit=limit)


# MNIST, as TFDS prepares it


def digits(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28, 1), "uint8"), rng.integers(0, 10, count)


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Returns a function that prepares a small MNIST with TFDS's own tools, in either format."""
    import tensorflow_datasets as tfds

    def make(file_format):
        def examples(count, seed):
            for key, (image, label) in enumerate(zip(*digits(count, seed))):
                yield key, {"image": image, "label": int(label)}

        builder = tfds.builder("mnist", data_dir=tmp_path, file_format=file_format)
        splits = {"train": examples(50, 0), "test": examples(20, 1)}
        monkeypatch.setattr(type(builder), "_split_generators", lambda *_: splits)
        builder.download_and_prepare()
        monkeypatch.setattr(tfds_source, "download", lambda _: pytest.fail("it is there already"))
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    return make


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_mnist_is_read_from_a_prepared_directory(prepare, file_format):
    prepare(file_format)
    mnist = datasets.load("mnist")
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (45, 5, 20)
    assert mnist.label_names == tuple("0123456789")
    for split, count, seed in (("train+validation", 50, 0), ("test", 20, 1)):
        parts = [getattr(mnist, part) for part in split.split("+")]
        read = {i.tobytes(): label for part in parts for i, label in zip(part.images, part.labels)}
        written = {image.tobytes(): label for image, label in zip(*digits(count, seed))}
        assert read == written


def test_mnist_without_network_says_so_quickly_and_leaves_nothing(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    builder = tfds.builder("mnist", data_dir=tmp_path / "data")

    def refuse(request, timeout):
        assert timeout <= 10
        raise OSError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ValueError, match=r"'mnist' is not in .*Network is unreachable.*'faces'"):
        tfds_source.download(builder)
    assert not (tmp_path / "data").exists()


PREPARED = Path(os.environ.get("TFDS_DATA_DIR", ""), "mnist", "3.0.1", "dataset_info.json")


@pytest.mark.skipif(not PREPARED.is_file(), reason="needs TFDS_DATA_DIR with the original mnist")
def test_the_original_mnist_is_whole():
    mnist = datasets.load("mnist")
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (54_000, 6_000, 10_000)
    assert mnist.image_shape == (28, 28, 1)
    labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    assert np.bincount(labels)[:3].tolist() == [5923, 6742, 5958]  # as the original says
    assert np.bincount(mnist.test.labels)[:3].tolist() == [980, 1135, 1032]
    assert mnist.train.images.mean() == pytest.approx(33.3, abs=0.2)
