"""Judges are trained once and kept. What they are worth: test_classifiers.py."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_vae import datasets
from keras_vae.datasets import Dataset, Split
from keras_vae.evaluate import Classifier, classifiers, judges
from keras_vae.evaluate.judges import Judges

pytestmark = pytest.mark.once

NAMES = ("hat", "red", "rare")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def trained(monkeypatch):
    """Which attributes judges were trained on; their weights are random, which is quick."""
    calls = []

    def train(images, attributes, names, seed=0, pictures=0, known=None):
        calls.append(names)
        keras.utils.set_random_seed(len(calls))
        return Classifier(classifiers.build_network(images.shape[1:], len(names)), names)

    monkeypatch.setattr(classifiers, "train_classifier", train)
    return calls


def make(shade=0, names=NAMES, name="a set"):
    images = np.random.default_rng(0).integers(shade, 256, (40, 8, 8, 1), "uint8")
    attributes = (np.arange(40)[:, None] % 4 < [2, 1, 0])[:, : len(names)]
    split = Split(images, attributes=attributes if names else None)
    return Dataset(name, split, split, split, attribute_names=names)


def entries(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_each_is_trained_when_it_is_asked_for_and_once(trained, own_cache):
    lines = []
    made = Judges(make(), lines.append)
    assert trained == lines == []
    images = made.data.test.images
    judge, other = made.judge, made.without("hat")
    assert made.judge is judge and made.without("hat") is other
    assert trained == [("hat", "red"), ("red",)]  # rare is rare
    assert judge.names == ("hat", "red") and other.names == ("red",)
    assert [line.startswith("Training a judge of all attributes") for line in lines] == [True] * 2
    assert "but hat on 40 real images" in lines[1]
    again = Judges(make(), lines.append)
    np.testing.assert_array_equal(again.judge.logits(images), judge.logits(images))
    np.testing.assert_array_equal(again.without("hat").logits(images), other.logits(images))
    assert again.judge.digest == judge.digest and again.judge.names == judge.names
    assert len(trained) == len(lines) == len(entries(own_cache)) == 2
    assert all(name.startswith("a-set-judge-") for name in entries(own_cache))


@pytest.mark.parametrize(
    "change", [{"shade": 1}, {"names": NAMES[:2]}, {"names": ("hat", "blue", "rare")}]
)
def test_other_data_have_other_judges(trained, own_cache, change):
    Judges(make()).judge  # noqa: B018
    Judges(make(**change)).judge  # noqa: B018
    # A name that is too rare to be learned makes no difference.
    expected = 1 if change == {"names": NAMES[:2]} else 2
    assert len(trained) == len(entries(own_cache)) == expected


def test_what_is_known_decides_what_is_learned(trained, own_cache):
    data = make()
    Judges(data).judge  # noqa: B018
    known = np.ones((40, 3), bool)
    known[::4, 0] = False  # some of those with a hat
    split = dataclasses.replace(data.train, known=known)
    gaps = dataclasses.replace(data, train=split)
    lines = []
    assert Judges(gaps, lines.append).judge.names == ("hat", "red")
    assert len(lines) == 1 and len(trained) == len(entries(own_cache)) == 2
    known[:, 0] = np.arange(40) < 12  # too few
    assert Judges(gaps).judge.names == ("red",)


def test_other_attributes_of_the_same_images(trained, own_cache):
    data = make()
    Judges(data).judge  # noqa: B018
    data.train.attributes[0, 0] ^= True
    Judges(data).judge  # noqa: B018
    assert len(trained) == 2 and len(entries(own_cache)) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "inside", "text"])
def test_a_damaged_file_is_made_anew(trained, own_cache, damage):
    data = make()
    Judges(data).judge  # noqa: B018
    (path,) = own_cache.glob(f"*/{judges.FILE}")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if damage == "inside":
        content[middle : middle + 64] = bytes(255 - value for value in content[middle:][:64])
    path.write_bytes({"empty": b"", "cut": content[:middle], "text": b"hi"}.get(damage, content))
    judge = Judges(data).judge
    assert len(trained) == 2 and len(entries(own_cache)) == 1
    again = Judges(data).judge
    assert len(trained) == 2 and again.digest == judge.digest


def test_clear_removes_them(trained, own_cache):
    Judges(make()).judge  # noqa: B018
    (path,) = own_cache.glob(f"*/{judges.FILE}")
    size = path.stat().st_size
    assert datasets.cache.clear() == size
    assert entries(own_cache) == []
    Judges(make()).judge  # noqa: B018
    assert len(trained) == 2


def test_a_cache_that_cannot_be_written(trained, own_cache):
    own_cache.write_text("a file")
    judge = Judges(make()).judge
    assert judge.logits(make().test.images).shape == (40, 2)
    assert own_cache.read_text() == "a file" and len(trained) == 1


def test_an_error_leaves_nothing(own_cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    assert Judges(make()).judge is not None
    assert entries(own_cache) == []


def test_without_attributes_there_is_none(trained):
    for names in ((), ("hat",)):
        assert Judges(make(names=names)).without("hat") is None
    assert Judges(make(names=())).judge is None
    rare = make()
    rare.train.attributes[:] = False
    assert Judges(rare).judge is None and trained == []


def test_judges_of_drawn_faces_are_trained_on_uncorrelated_attributes(monkeypatch):
    asked, lines = [], []

    def load(*arguments, **options):
        asked.append((arguments, options))
        return make(names=NAMES[:2])

    monkeypatch.setattr(datasets, "load", load)
    data = make(names=NAMES[:2])
    drawn = Dataset(
        "faces", data.train, data.train, data.train, attribute_names=NAMES[:2], factor_names=("x",)
    )
    assert Judges(drawn, lines.append).data is not drawn
    assert asked == [(("faces",), {"correlated": False, "attributes": NAMES[:2]})] and lines
