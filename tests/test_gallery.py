"""Which pictures a run gets, by what the model and the data allow."""

from pathlib import Path

import numpy as np
import pytest

import keras_vae
from keras_vae import latent, plots, runs
from keras_vae.datasets import Dataset, Split, stream
from keras_vae.runs import files, gallery

HISTORY = {"loss": [2.0, 1.0], "reconstruction_loss": [2.0, 1.0]}
DIRECTIONS = latent.Directions(("beard", "Smiling"), np.eye(2, dtype="float32"), "regression")
MIXTURE = latent.Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
FLOW = latent.fit_flow(
    np.random.default_rng(0).standard_normal((60, 2)),
    np.arange(60)[:, None] % [2, 3] == 0,
    ("beard", "Smiling"),
    width=8,
    steps=2,
)
ALWAYS = {"history.png", "reconstructions.png", "latent_map.png", "latents.png", "traversal.png"}


def run_of(model, directions=None, mixture=None, flow=None, **config):
    return runs.Run(Path("runs/made-up"), config, model, directions, mixture, flow)


@pytest.fixture
def data(images):
    attributes = np.arange(37)[:, None] % [2, 3] == 0
    split = Split(images, attributes=attributes)
    return Dataset("made up", split, split, split, attribute_names=("beard", "Smiling"))


def test_a_vae_with_directions_gets_all(make_vae, data, tmp_path):
    run = run_of(make_vae(), DIRECTIONS, MIXTURE, FLOW, edit_methods={"Smiling": "flow"})
    figures = gallery.figures(run, data, HISTORY)
    more = {"interpolation.png", "manifold.png", "arithmetic.png", "samples.png"}
    assert set(figures) == ALWAYS | more
    of_values = {"columns.png", "pairs.png"}
    assert set(figures) | {"data.png"} | of_values | set(plots.EVALUATION) == {
        name for name in runs.FILES if name.endswith(".png")
    }
    assert "'Smiling'" in figures["arithmetic.png"].texts[0].get_text()
    names = [text.get_text() for text in figures["samples.png"].axes[0].texts]
    assert names == ["flow", "mixture", "prior N(0, I)"]
    for name, figure in figures.items():
        files.write_figure(tmp_path / name, figure)


@pytest.mark.once
def test_the_attributes_that_were_asked_for(make_vae, data):
    names = ("beard", "Smiling")
    figures = gallery.figures(run_of(make_vae(), DIRECTIONS), data, HISTORY, names)
    texts = [text.get_text() for text in figures["arithmetic.png"].axes[0].texts]
    assert texts[-2:] == ["beard", "Smiling"]
    assert "N(0, I)" in figures["samples.png"].texts[0].get_text()


@pytest.mark.once
def test_a_learned_prior_is_named_and_has_no_manifold(make_vae, data, images):
    """The map of the square shows quantiles of N(0, I)."""
    for prior, title in (
        (keras_vae.priors.MixturePrior(3), "prior (a learned mixture of 3 Gaussians)"),
        (keras_vae.priors.VampPrior(images[:5]), "prior (a VampPrior of 5 images)"),
    ):
        run = run_of(make_vae(prior=prior), mixture=MIXTURE, best_source="prior")
        assert run.sources == ("prior", "mixture")
        figures = gallery.figures(run, data, HISTORY)
        assert set(figures) == ALWAYS | {"interpolation.png", "samples.png"}
        names = [text.get_text() for text in figures["samples.png"].axes[0].texts]
        assert names == [title, "mixture"]
        heading = figures["samples.png"].texts[0].get_text()
        assert f"codes of the {title}; for comparison, from the mixture" in heading


def test_a_plain_autoencoder_is_sampled_from_the_mixture_only(data):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    assert set(gallery.figures(run_of(model), data, HISTORY)) == ALWAYS | {"interpolation.png"}
    samples = gallery.samples(run_of(model, mixture=MIXTURE), seed=0)
    assert "mixture" in samples.texts[0].get_text()


@pytest.mark.once
def test_walks_go_through_the_noise_and_edits_by_the_method_that_is_best(
    make_vae, data, monkeypatch
):
    seen = {}

    def interpolate(pair, steps, flow=None):
        seen["flow"] = flow
        return np.zeros((steps, 2))

    def edit(model, images, edits, strengths):
        seen[next(iter(strengths))] = edits.method(next(iter(strengths)))
        return np.zeros((len(images), *model.data_shape))

    monkeypatch.setattr(latent, "interpolate", interpolate)
    monkeypatch.setattr(latent, "edit", edit)
    run = run_of(make_vae(), DIRECTIONS, None, FLOW, edit_methods={"Smiling": "flow"})
    gallery.figures(run, data, HISTORY, ("beard", "Smiling"))
    assert seen == {"flow": FLOW, "Smiling": "flow", "beard": "regression"}


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
    gallery.figures(run_of(make_vae(), DIRECTIONS, MIXTURE), streamed, HISTORY)
    assert sum(sizes) > 1000 and max(sizes) <= 128


def test_one_test_image_and_nothing_known_of_it(make_vae, images):
    split = Split(images[:1])
    data = Dataset("made up", split, split, split)
    figures = gallery.figures(run_of(make_vae(latent_dim=3)), data, HISTORY)
    assert set(figures) == ALWAYS | {"samples.png"}


@pytest.mark.once
def test_only_images_of_which_it_is_known_are_shown(make_vae, data, images, monkeypatch):
    known = np.zeros((37, 2), bool)
    known[20:, 1] = True
    split = Split(images, attributes=data.test.attributes, known=known)
    gaps = Dataset("gaps", split, split, split, attribute_names=data.attribute_names)
    shown = {}
    monkeypatch.setattr(plots, "edits", lambda blocks, strengths: shown.update(blocks))
    gallery.arithmetic(make_vae(), gaps, DIRECTIONS, ("Smiling",))
    rows = [20, 21, 22, 23, 24, 25]  # four that lack it, and two that have it: 21 and 24
    np.testing.assert_array_equal(shown["Smiling"][0], images[rows])
    figures = gallery.figures(run_of(make_vae()), gaps, HISTORY)
    axes = figures["latent_map.png"].axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["not Smiling", "Smiling", "unknown"]
    assert "known for 17 of 37" in axes.get_title(loc="left")


@pytest.mark.once
def test_an_attribute_that_no_test_image_has(make_vae, images):
    split = Split(images, attributes=np.zeros((37, 1), bool))
    data = Dataset("made up", split, split, split, attribute_names=("beard",))
    figures = gallery.figures(run_of(make_vae(), DIRECTIONS), data, HISTORY, ("beard",))
    assert "'beard'" in figures["arithmetic.png"].texts[0].get_text()
