"""`datasets.load`: what every kind of data set has in common."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_vae import datasets
from keras_vae.datasets.source import Source, divide

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def faces():
    return datasets.load("faces")  # all of them: the cache is used by the tests of train.py


def test_faces_have_images_attributes_and_factors(faces):
    assert faces.image_shape == (64, 64, 3)
    assert (len(faces.train), len(faces.validation), len(faces.test)) == (10_800, 1_200, 2_000)
    assert not faces.streamed and faces.skipped == {}
    for split in (faces.train, faces.validation, faces.test):
        assert split.images.dtype == np.uint8
        assert split.attributes.shape == (len(split), len(faces.attribute_names))
        assert split.attributes.dtype == bool
        assert split.factors.shape == (len(split), len(faces.factor_names))
    smile = faces.test.factors[:, faces.factor_names.index("smile")]
    smiling = faces.test.attributes[:, faces.attribute_names.index("smiling")]
    np.testing.assert_array_equal(smiling, smile > 0)


def test_images_belong_to_their_factors(faces):
    from keras_vae.datasets.faces import paint

    for split in (faces.train[:8], faces.validation[np.array([5, 3])]):
        np.testing.assert_array_equal(split.images, paint(split.factors))


def test_faces_of_the_three_parts_are_apart(faces):
    parts = [
        {image.tobytes() for image in s.images} for s in (faces.train, faces.validation, faces.test)
    ]
    assert [len(part) for part in parts] == [10_800, 1_200, 2_000]  # no two alike
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_a_limit_and_a_seed(faces):
    limited, other = datasets.load("faces", 300), datasets.load("faces", 300, seed=1)
    assert (len(limited.train), len(limited.validation), len(limited.test)) == (300, 300, 2000)
    np.testing.assert_array_equal(limited.train.images, faces.train.images[:300])
    assert not np.array_equal(limited.train.images, other.train.images)
    np.testing.assert_array_equal(limited.test.images, other.test.images)


def test_uncorrelated_faces_are_other_faces(faces):
    free = datasets.load("faces", limit=100, correlated=False)

    def share_with_glasses(data, smiling):
        smile, glasses = (
            data.test.attributes[:, data.attribute_names.index(name)]
            for name in ("smiling", "eyeglasses")
        )
        return glasses[smile == smiling].mean()

    assert share_with_glasses(faces, True) == pytest.approx(0.75, abs=0.05)
    assert share_with_glasses(faces, False) == pytest.approx(0.25, abs=0.05)
    assert share_with_glasses(free, True) == pytest.approx(0.5, abs=0.05)
    assert share_with_glasses(free, False) == pytest.approx(0.5, abs=0.05)


def test_only_some_attributes():
    data = datasets.load("faces", limit=5, attributes=["beard", "smiling"])
    whole = datasets.load("faces", limit=5)
    assert data.attribute_names == ("beard", "smiling")
    columns = [whole.attribute_names.index(name) for name in data.attribute_names]
    np.testing.assert_array_equal(data.test.attributes, whole.test.attributes[:, columns])


def test_labels_follow_their_images():
    split = datasets.Split(
        np.arange(5)[:, None, None, None], np.arange(5), np.arange(5)[:, None] > 2
    )
    some = split[np.array([4, 1])]
    assert some.images[:, 0, 0, 0].tolist() == some.labels.tolist() == [4, 1]
    assert some.attributes[:, 0].tolist() == [True, False] and some.factors is None


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "cats"}, r"Unknown data set 'cats'\. Expected 'faces', 'sprites', the name of"),
        ({"name": "no/such/folder"}, "Unknown data set 'no/such/folder'"),
        ({"name": ""}, "must be a name or a path"),
        ({"name": None}, "must be a name or a path"),
        ({"name": __file__}, r"is a file\. Expected a folder of images"),
        ({"limit": 0}, "Argument `limit` must be a positive integer"),
        ({"limit": True}, "Argument `limit` must be a positive integer"),
        ({"seed": -1}, "Argument `seed` must be a non-negative integer"),
        ({"memory": -1}, "Argument `memory` must be a finite number of at least 0"),
        ({"attributes": ["smilling"]}, "no attribute 'smilling' in faces. There are: smiling, eye"),
        ({"image_size": 32}, "`image_size` does not apply to the data set faces"),
        ({"image_size": 0}, "Argument `image_size` must be 2 positive integers"),
        ({"image_size": (4, 4, 4)}, "Argument `image_size` must be 2 positive integers"),
        ({"attributes_file": "a.csv"}, "`attributes_file` does not apply to"),
        ({"group": "person"}, "`group` does not apply to"),
        ({"correlated": "no"}, "Argument `correlated` must be True or False"),
        ({"name": os.path.dirname(__file__), "resize": "stretch"}, "'crop' or 'pad'"),
        (
            {"name": os.path.dirname(__file__), "group": "a"},
            "`attributes_file`, which is missing",
        ),
        ({"name": os.path.dirname(__file__), "correlated": True}, "`correlated` does not apply to"),
    ],
)
def test_a_bad_argument_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(**arguments)


# How rows are divided


def source_of(parts, groups=None):
    return Source(
        "set", {}, None, (1, 1, 1), np.array(parts), None, groups=groups and np.array(groups)
    )


def test_what_is_divided_already_stays_so():
    parts = ["test", "train", "validation", "train", "test", "train"]
    rows = divide(source_of(parts))
    assert {part: sorted(rows[part]) for part in rows} == {
        "train": [1, 3, 5],
        "validation": [2],
        "test": [0, 4],
    }


@pytest.mark.parametrize(
    "parts, sizes",
    [
        ([""] * 100, (81, 9, 10)),
        (["train"] * 50 + ["test"] * 7, (45, 5, 7)),
        (["train"] * 50 + ["validation"] * 7, (45, 7, 5)),
        ([""] * 3, (1, 1, 1)),
    ],
)
def test_missing_parts_are_tenths(parts, sizes):
    first, second, other = (divide(source_of(parts), seed=seed) for seed in (0, 0, 1))
    assert tuple(len(first[part]) for part in ("train", "validation", "test")) == sizes
    everything = np.concatenate([first[part] for part in first])
    assert sorted(everything) == list(range(len(parts)))  # each row once
    for part in first:
        np.testing.assert_array_equal(first[part], second[part])
    assert set(first["test"]) == set(other["test"])  # whatever the seed
    if len(parts) > 3:
        assert list(first["train"]) != list(other["train"])


def test_a_group_is_on_one_side_only():
    groups = [f"person {i % 23}" for i in range(400)]
    for seed in range(5):
        rows = divide(source_of([""] * 400, groups), seed=seed)
        people = {part: {groups[row] for row in rows[part]} for part in rows}
        assert not people["train"] & people["validation"]
        assert not people["train"] & people["test"]
        assert not people["validation"] & people["test"]
        assert len(rows["validation"]) > 15 and len(rows["test"]) > 20  # about a tenth


def test_large_groups_leave_about_a_tenth():
    """A group of 60 among single images: it is never the tenth, nor does it stop the others."""
    groups = ["crowd"] * 60 + [f"person {i}" for i in range(40)]
    for seed in range(20):
        rows = divide(source_of([""] * 100, groups), seed=seed)
        assert (len(rows["test"]), len(rows["validation"])) == (10, 9)
    rows = divide(source_of([""] * 100, ["a"] * 50 + ["b"] * 20 + ["c"] * 30))
    assert sorted(len(rows[part]) for part in rows) == [20, 30, 50]


@pytest.mark.parametrize(
    "parts, groups, message",
    [
        (["", ""], None, "at least 3 are needed.*Received: 1 left to divide"),
        (["test"] * 5, None, "no images to train on"),
        ([""] * 50, ["one"] * 50, "too few images of different groups"),
        (["train", "test"] * 9, ["a"] * 18, "The group 'a' is in train/ and in test/"),
    ],
)
def test_what_cannot_be_divided_is_refused(parts, groups, message):
    with pytest.raises(ValueError, match=message):
        divide(source_of(parts, groups))


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
    assert mnist.attribute_names == mnist.label_names == tuple("0123456789")
    np.testing.assert_array_equal(mnist.test.attributes.argmax(axis=1), mnist.test.labels)


@pytest.mark.parametrize("name", ["faces", "array"])
def test_images_lie_where_backends_use_them_without_a_copy(name, tmp_path):
    if name == "array":
        name = tmp_path / "images.npy"
        np.save(name, np.random.default_rng(0).integers(0, 256, (50, 5, 4, 1), "uint8"))
    for part in ("train", "validation", "test"):
        images = getattr(datasets.load(name, limit=20), part).images
        assert images.ctypes.data % 64 == 0 and images.flags.c_contiguous
