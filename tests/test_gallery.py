"""Which pictures a run gets, by what the model and the data allow."""

import numpy as np
import pytest

import keras_vae
from keras_vae import gallery, latent, plots, runs
from keras_vae.datasets import Dataset, Split, stream

HISTORY = {"loss": [2.0, 1.0], "reconstruction_loss": [2.0, 1.0]}
DIRECTIONS = latent.Directions(("beard", "Smiling"), np.eye(2, dtype="float32"), "regression")
MIXTURE = latent.Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
ALWAYS = {"history.png", "reconstructions.png", "latent_map.png", "latents.png", "traversal.png"}


@pytest.fixture
def data(images):
    attributes = np.arange(37)[:, None] % [2, 3] == 0
    split = Split(images, attributes=attributes)
    return Dataset("made up", split, split, split, attribute_names=("beard", "Smiling"))


def test_a_vae_with_directions_gets_all(make_vae, data, tmp_path):
    figures = gallery.figures(make_vae(), data, HISTORY, DIRECTIONS, MIXTURE)
    more = {"interpolation.png", "manifold.png", "arithmetic.png", "samples.png"}
    assert set(figures) == ALWAYS | more
    assert set(figures) | {"data.png"} | set(plots.EVALUATION) == {
        name for name in runs.FILES if name.endswith(".png")
    }
    assert "'Smiling'" in figures["arithmetic.png"].texts[0].get_text()
    names = [text.get_text() for text in figures["samples.png"].axes[0].texts]
    assert names == ["prior N(0, I)", "mixture"]
    for name, figure in figures.items():
        runs.write_figure(tmp_path / name, figure)


def test_the_attributes_that_were_asked_for(make_vae, data):
    names = ("beard", "Smiling")
    figures = gallery.figures(make_vae(), data, HISTORY, DIRECTIONS, None, names)
    texts = [text.get_text() for text in figures["arithmetic.png"].axes[0].texts]
    assert texts[-2:] == ["beard", "Smiling"]
    assert "N(0, I)" in figures["samples.png"].texts[0].get_text()


def test_a_plain_autoencoder_is_sampled_from_the_mixture_only(data):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    assert set(gallery.figures(model, data, HISTORY)) == ALWAYS | {"interpolation.png"}
    samples = gallery.figures(model, data, HISTORY, mixture=MIXTURE)["samples.png"]
    assert "mixture" in samples.texts[0].get_text()


def test_images_on_disk_are_read_a_few_at_a_time(make_vae, data, images, tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    np.save(path, np.concatenate([images] * 40))
    rows = stream.Rows(path, np.arange(37 * 40))
    read = stream.Rows.__getitem__
    sizes = []

    def watched(self, index):
        part = read(self, index)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(stream.Rows, "__getitem__", watched)
    split = Split(rows, attributes=np.tile(data.test.attributes, (40, 1)))
    streamed = Dataset("on disk", split, split, split, attribute_names=data.attribute_names)
    gallery.figures(make_vae(), streamed, HISTORY, DIRECTIONS, MIXTURE)
    assert sum(sizes) > 1000 and max(sizes) <= 128


def test_one_test_image_and_nothing_known_of_it(make_vae, images):
    split = Split(images[:1])
    data = Dataset("made up", split, split, split)
    figures = gallery.figures(make_vae(latent_dim=3), data, HISTORY)
    assert set(figures) == ALWAYS | {"samples.png"}


def test_an_attribute_that_no_test_image_has(make_vae, images):
    split = Split(images, attributes=np.zeros((37, 1), bool))
    data = Dataset("made up", split, split, split, attribute_names=("beard",))
    figures = gallery.figures(make_vae(), data, HISTORY, DIRECTIONS, attributes=("beard",))
    assert "'beard'" in figures["arithmetic.png"].texts[0].get_text()
