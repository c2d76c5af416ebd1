"""Edits by the condition of a model: alone, among other methods, in a run and in the page."""

import dataclasses

import gradio as gr
import keras
import numpy as np
import pytest
from test_main import NAMES, save_run

import keras_vae
from keras_vae import Condition, evaluate, latent, runs
from keras_vae.datasets import Split
from keras_vae.demo.actions import Actions
from keras_vae.demo.app import build_demo
from keras_vae.runs import report

GIVEN = ("8", "smiling")  # of the attributes NAMES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on attributes, some of which the model is given."""
    keras.utils.set_random_seed(0)
    condition = Condition(GIVEN, exclusive=False)
    parts = keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,), condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition, seed=0)
    methods = {"smiling": "condition", "a=b": "condition", "two words": "flow"}
    folder = tmp_path_factory.mktemp("runs") / "run"
    return runs.load(save_run(folder, model=model, edit_methods=methods))


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), "uint8")


def test_a_switch_decodes_the_same_code_with_another_condition(run, images):
    model = run.model
    z = model.codes(images)
    for name, strength in (("smiling", 1), ("8", -1), ("8", 0.5)):
        edited = latent.edit(model, images, run.switches, {name: strength})
        expected = model.decode(z, condition={name: (1 + strength) / 2})
        np.testing.assert_allclose(edited, expected, atol=1e-5)
    both = latent.edit(model, z, run.switches, {"smiling": 1, "8": -1})
    expected = model.decode(z, condition={"smiling": True, "8": False})
    np.testing.assert_allclose(both, expected, atol=1e-5)
    none = latent.edit(model, z, run.switches, {"smiling": 0})
    np.testing.assert_allclose(none, model.reconstruct(images), atol=1e-5)


def test_a_class_takes_the_place_of_the_others():
    condition = Condition(["cat", "dog", "fox"])
    shift = latent.Switches(condition, 2).shift({"dog": 1}, np.zeros((4, 2)))
    np.testing.assert_array_equal(shift, [[0, 0, -1, 1, -1]] * 4)


def test_shifts_are_linear_and_checked(run):
    z = np.ones((3, 2), "float32")
    one, two = (run.switches.shift({"smiling": a}, z) for a in (1, -2.5))
    np.testing.assert_allclose(two, -2.5 * one)
    assert one.shape == (3, 4) and one.dtype == "float32"
    for wrong, message in (({"a=b": 1}, "a=b"), ({"8": np.nan}, "finite number")):
        with pytest.raises(ValueError, match=message):
            run.switches.shift(wrong, z)


def test_codes_that_carry_a_condition(run):
    z = np.random.default_rng(0).standard_normal((4, 2)).astype("float32")
    signs = np.array([[1, 0], [-1, 1], [0, 0], [0.5, -2]], "float32")
    found = run.model.decode(np.hstack([z, signs]))
    for row in range(3):
        wish = {name: (1 + sign) / 2 for name, sign in zip(GIVEN, signs[row]) if sign}
        expected = run.model.decode(z[row : row + 1], condition=wish)
        np.testing.assert_allclose(found[row : row + 1], expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"must have the shape \(n, 2\)"):
        run.model.decode(np.hstack([z, signs]), condition={"8": True})
    with pytest.raises(ValueError, match=r"must have the shape \(n, 2\)"):
        run.model.decode(np.hstack([z, signs, signs]))


def test_each_attribute_has_its_method(run, images):
    edits = run.edits
    # The method in config.json, if the run can do it: there is no flow, nor the condition "a=b".
    found = {name: edits.method(name) for name in NAMES}
    assert found == dict.fromkeys(NAMES, "regression") | {"smiling": "condition"}
    z, strengths = run.model.codes(images), {"smiling": 0.5, "a=b": -1}
    expected = run.model.decode(z - edits.directions["a=b"], condition={"smiling": 0.75})
    np.testing.assert_allclose(latent.edit(run.model, z, edits, strengths), expected, atol=1e-5)
    assert edits.shift(strengths, z).shape == (5, edits.columns)


def test_a_model_without_a_condition_cannot_be_switched(run, make_vae, images):
    plain = keras_vae.VAE(*keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,)))
    with pytest.raises(ValueError, match="must have 2 latents, like the model"):
        latent.edit(plain, images, run.switches, {"smiling": 1})
    assert dataclasses.replace(run, model=plain).switches is None


class Brightness:
    """A judge of how bright an image is on the left and on the right."""

    names, digest = ("8", "smiling", "a=b"), "0"

    def logits(self, images):
        left, right = images[:, :, :4].mean((1, 2, 3)), images[:, :, 4:].mean((1, 2, 3))
        return 20 * (np.stack([left, right, left], axis=1) - 0.5)

    def look(self, images):
        return images.reshape(len(images), -1), None


@pytest.fixture(scope="module")
def faces():
    """Images whose two halves are bright or dark, by two independent attributes."""
    rng = np.random.default_rng(0)
    attributes = rng.integers(0, 2, (400, 2)).astype(bool)
    light = np.repeat(np.where(attributes, 0.8, 0.2), 4, axis=1)[:, None, :, None]
    images = light + rng.normal(0, 0.05, (400, 8, 8, 3))
    images = (255 * images.clip(0, 1)).astype("uint8")
    return Split(images, attributes=np.c_[attributes, rng.integers(0, 2, 400)].astype(bool))


@pytest.fixture(scope="module")
def conditional(faces):
    keras.utils.set_random_seed(0)
    condition = Condition(GIVEN, exclusive=False, hidden=0.2)
    parts = keras_vae.build_mlp((8, 8, 3), 2, hidden=(32,), condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition, seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    attributes = faces.attributes[:, :2].astype("float32")
    model.fit(faces.images, attributes, batch_size=50, epochs=30, verbose=0)
    return model


def test_it_is_measured_beside_the_other_methods(conditional, faces):
    names = ("8", "smiling", "a=b")
    directions = latent.fit_directions(
        latent.codes_of(conditional, faces.images), faces.attributes, names
    )
    methods = {
        directions.method: directions,
        "condition": latent.Switches(conditional.condition, conditional.latent_dim),
    }
    judge = Brightness()
    chosen = evaluate.choose_methods(conditional, judge, methods, faces)
    assert chosen["a=b"] == directions.method and set(chosen) == set(names)
    found = evaluate.edit_report(
        conditional,
        judge,
        None,
        methods,
        faces[:100],
        faces[100:],
        names,
        attributes=names,
        watch=("8", "smiling"),
        chosen={"smiling": "condition"},
    )["attributes"]
    assert set(found["a=b"]["methods"]) == {directions.method}
    for name in GIVEN:
        point = found[name]["methods"]["condition"]
        assert point["flip_rate"] > 0.9 and point["largest_leakage"] < 0.1
    assert "keep_detail" in found["smiling"]["methods"]["condition"]


def test_the_editors_of_a_run(run):
    assert list(report.editors(run)) == ["regression", "condition"]
    plain = keras_vae.VAE(*keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,)))
    assert list(report.editors(dataclasses.replace(run, model=plain))) == ["regression"]


def test_the_page_edits_and_samples_by_condition(run, images):
    actions = Actions(run)
    photo, strengths = images[0], {"smiling": 1, "a=b": -0.5}
    before, after, _ = actions.edit(photo, strengths)
    for got, wanted in ((before, {}), (after, strengths)):
        expected = latent.edit(run.model, photo[None], run.edits, wanted)[0]
        np.testing.assert_allclose(got, 255 * expected, atol=0.51)
    assert actions.wishes == {"prior": ["smiling", "8"]}
    drawn = actions.sample(3, 1, attributes={"8": True})
    expected = 255 * run.model.sample(3, 1, condition={"8": True})
    np.testing.assert_allclose(drawn, expected, atol=0.51)
    with pytest.raises(ValueError, match="Only the prior can sample by attributes, not the mixt"):
        actions.sample(3, source="mixture", attributes={"8": True})
    assert set(NAMES) == set(actions.attributes)


@pytest.mark.once
def test_the_page_has_switches_for_each_source(run):
    def shown(run):
        page = build_demo(run)
        return [one for one in page.blocks.values() if isinstance(one, gr.Radio)]

    def column_of(block):
        return block if "wishes" in (block.elem_classes or ()) else column_of(block.parent)

    wishes = shown(run)[1:3]  # after the sources
    assert [one.label for one in wishes] == ["Smiling", "8"]
    # Hidden until the prior is chosen: the first source is the mixture.
    assert [column_of(one).visible for one in wishes] == [False] * 2
    prior = dataclasses.replace(run, config=run.config | {"best_source": "prior"})
    assert [column_of(one).visible for one in shown(prior)[1:3]] == [True] * 2
