"""Directions, mixture and flow are fitted after training as far as the data allow."""

import numpy as np
import pytest

import keras_vae
from keras_vae.datasets import Dataset, Split
from keras_vae.runs import explore


def dataset(images, attributes=None, names=(), labels=(), known=None):
    split = Split(images, attributes=attributes, known=known)
    return Dataset("made up", split, split, split, label_names=labels, attribute_names=names)


@pytest.fixture
def many():
    """100 images of 4x4 that are darker or brighter, and of three classes."""
    rng = np.random.default_rng(0)
    bright, classes = rng.random(100) < 0.5, np.arange(100) % 3
    images = rng.integers(0, 60, (100, 4, 4, 1))
    images[bright] += 150
    images[np.arange(100), 0, classes] += 40
    return images.astype("uint8"), np.column_stack([bright, np.eye(3)[classes]]).astype(bool)


def test_directions_a_mixture_and_a_flow(make_vae, many):
    images, attributes = many
    data = dataset(images, attributes, ("bright", "a", "b", "c"), ("a", "b", "c"))
    lines = []
    found = explore.explore(make_vae(image_shape=(4, 4, 1)), data, announce=lines.append)
    assert found.directions.names == found.flow.names == data.attribute_names
    assert tuple(found.flow.exclusive) == ("a", "b", "c")
    assert found.mixture.means.shape[1] == found.flow.latent_dim == 2
    assert found.best_source in ("flow", "mixture") and found.notes == () and lines == []


@pytest.mark.once
def test_what_is_known_of_too_few_is_left_out(make_vae, many):
    images, attributes = many
    known = np.ones(attributes.shape, bool)
    known[5:, 1] = False  # of five images only
    known[:40, 0] = False
    data = dataset(images, attributes, ("bright", "a", "b", "c"), known=known)
    found = explore.explore(make_vae(image_shape=(4, 4, 1)), data)
    assert found.directions.names == found.flow.names == ("bright", "b", "c")
    (note,) = found.notes
    assert note == "Directions fitted to images with known values: bright (60 of 100)"
    none = dataset(images, np.zeros((100, 1), bool), ("bald",))
    found = explore.explore(make_vae(image_shape=(4, 4, 1)), none)
    assert found.directions is None and found.flow.names == ()
    (note,) = found.notes
    assert note == "No directions: no attribute has 10 images with it and 10 without it"


def test_few_images(make_vae, images):
    found = explore.explore(make_vae(), dataset(images))
    assert found.flow is None and found.best_source == "mixture"
    found = explore.explore(make_vae(), dataset(images[:1]))
    assert found.mixture is None and found.best_source is None
    assert found.notes[0].startswith("No mixture: ")


class Source:
    def __init__(self, codes):
        self.codes = codes

    def sample(self, n, seed):
        return self.codes[:n]


@pytest.mark.once
def test_the_source_that_is_harder_to_tell_from_codes_is_better():
    rng = np.random.default_rng(0)
    codes, near, far = (rng.standard_normal((200, 2)) + shift for shift in (0, 0, 2))
    assert explore.better(Source(near), Source(far), codes, 0) == "flow"
    assert explore.better(Source(far), Source(near), codes, 0) == "mixture"
    # Both as good: what remains is chance, and the flow draws the better images.
    again = np.random.default_rng(7).standard_normal(near.shape)
    assert explore.better(Source(again), Source(near), codes, 0) == "flow"
    assert explore.better(Source(near), Source(again), codes, 0) == "flow"
    assert explore.better(None, Source(far), codes, 0) == "mixture"
    assert explore.better(None, None, codes, 0) is None


@pytest.mark.once
def test_a_learned_prior_is_compared_as_well():
    rng = np.random.default_rng(0)
    codes, near, also, far = (rng.standard_normal((200, 2)) + shift for shift in (0, 0, 0, 2))
    better, near, also, far = explore.better, *map(Source, (near, also, far))
    assert better(far, far, codes, 0, near) == "prior"
    assert better(far, near, codes, 0, far) == "mixture"
    assert better(near, far, codes, 0, also) == better(also, far, codes, 0, near) == "flow"
    assert better(near, far, codes, 0, far) == "flow"
    assert better(None, far, codes, 0, near) == "prior"
    assert better(None, near, codes, 0, far) == better(None, near, codes, 0, also) == "mixture"
    assert better(None, None, codes, 0, far) == "prior"
    assert better(None, None, codes[:1], 0, far) == "prior"


@pytest.mark.once
def test_only_a_prior_that_is_learned_may_be_the_best_source(make_vae, images, monkeypatch):
    data, seen = dataset(images), []

    def better(flow, mixture, codes, seed, prior=None):
        seen.append(prior)
        return "flow" if prior is None else "prior"

    monkeypatch.setattr(explore, "better", better)
    for prior, expected in (("normal", "flow"), ("mixture", "prior")):
        model = make_vae(prior=prior)
        assert explore.explore(model, data).best_source == expected
        assert seen[-1] is (model.prior if prior == "mixture" else None)
    parts = keras_vae.build_mlp((6, 5, 3), 2, (8,), variational=False)
    explore.explore(keras_vae.AutoEncoder(*parts), data)
    assert seen[-1] is None
