"""The demo without a browser: the results of its actions, and all endpoints over HTTP."""

import concurrent.futures
import contextlib
import dataclasses
import io
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import gradio as gr
import httpx
import keras
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from test_main import NAMES, save_run

import keras_vae
from keras_vae import datasets, evaluate, latent, photos, plots, runs, tables
from keras_vae.demo import actions as bounds
from keras_vae.demo import controls, pictures, safety
from keras_vae.demo.actions import Actions
from keras_vae.demo.app import LAUNCH, build_demo, choices
from keras_vae.demo.rows import Rows, digits, readable
from keras_vae.demo.space_map import SpaceMap
from keras_vae.demo.tabs import arithmetic, edit, row, sample
from keras_vae.runs import examples, files

ROOT = Path(__file__).parents[1]


def add_examples(folder, latent_dim=2, image_shape=(8, 8, 3), n=30):
    rng = np.random.default_rng(3)
    kept = examples.Examples(
        images=rng.integers(0, 256, (6, *image_shape), "uint8"),
        attributes=rng.integers(0, 2, (6, 4)).astype(bool),
        attribute_names=NAMES,
        attribute_means=rng.standard_normal((4, 2, latent_dim)).astype("float32"),
        attribute_counts=np.array([[12, 18], [20, 10], [30, 0], [29, 1]]),
        codes=rng.standard_normal((n, latent_dim)).astype("float32"),
        carried=np.arange(latent_dim, dtype="float32"),
        colours=rng.integers(0, 2, n),
        colour_names=("no", "yes"),
        title="by 'smiling'",
    )
    files.save(folder / "examples.npz", kept)
    return folder


def add_flow(folder, latent_dim=2, names=NAMES):
    """Gives a run a flow, by which two of the four attributes are edited."""
    rng = np.random.default_rng(5)
    attributes = rng.integers(0, 2, (200, len(names)))
    codes = rng.standard_normal((200, latent_dim)) + attributes.sum(axis=1, keepdims=True)
    flow = latent.fit_flow(codes, attributes, names, steps=30, width=16)
    files.save(folder / "flow.keras", flow)
    config = json.loads((folder / "config.json").read_text())
    methods = {"smiling": "flow", "8": "flow"}
    files.write_json(folder / "config.json", config | {"edit_methods": methods})
    return folder


def save_table_run(folder, name="people", has_prior=True):
    """Makes a small run of a table, in which a cell is missing, and returns its folder."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    columns = {
        "age": np.round(40 + 10 * z + rng.normal(size=200), 1),
        "colour:category": np.where(z + 0.3 * rng.normal(size=200) > 0, "red", "blue"),
        "visits:count": rng.poisson(np.exp(1 + z / 2)),
        "site:label": np.where(z > 0, "north", "south"),
        "unit:category": np.repeat("kg", 200),
    }
    columns["age"][::20] = np.nan
    tables.write(folder / "people.csv", columns)
    data = datasets.load(folder / "people.csv")
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp((data.table.width,), 2, hidden=(16,), variational=has_prior)
    kind = keras_vae.VAE if has_prior else keras_vae.AutoEncoder
    model = kind(*parts, likelihood=data.table.likelihood())
    model.compile("adam")
    model.fit(data.train.images, epochs=20, verbose=0)
    files.save(folder / "model.keras", model)
    files.save(folder / "examples.npz", examples.collect(model, data))
    settings = {"label_names": data.label_names, "noun": "rows", "table": data.table.to_json()}
    config = {"completed": True, "started": "2026-01-01", "name": name, **settings}
    files.write_json(folder / "config.json", config)
    return folder


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    return runs.load(save_table_run(tmp_path_factory.mktemp("runs") / "table"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = save_run(tmp_path_factory.mktemp("runs") / "run", name="noise", dataset="faces")
    return runs.load(add_flow(add_examples(folder)))


@pytest.fixture(scope="module")
def actions(run):
    return Actions(run)


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(0, 256, (40, 60, 3), "uint8")


# Actions: arrays in, arrays out.


def test_an_edit_is_that_of_the_package(run, actions, photo):
    """Whichever methods edit the attributes: "smiling" and "8" the flow, "a=b" a direction."""
    assert [run.edits.method(name) for name in ("smiling", "a=b")] == ["flow", "regression"]
    strengths = {"smiling": 1.5, "8": -1, "a=b": 0.5, "two words": 0}
    image = photos.view(photo, run.model.data_shape)[None]
    before, after, strip = actions.edit(photo, strengths, strip_of="8")
    for got, wanted in (
        (before, {}),
        (after, strengths),
        (strip[-1], strengths | {"8": 2}),
        (strip[0], strengths | {"8": -2}),
    ):
        expected = latent.edit(run.model, image, run.edits, wanted)[0]
        np.testing.assert_allclose(got, 255 * expected, atol=0.51)
    assert strip.shape == (len(bounds.STRIP), 8, 8, 3)
    # In the strip only the strength of its attribute is another.
    np.testing.assert_allclose(strip[bounds.STRIP.index(-1)], after, atol=1)


@pytest.mark.once
def test_while_a_slider_moves_shifts_are_computed_once(run, photo, monkeypatch):
    asked, shift = [], latent.Edits.shift

    def counted(self, strengths, codes):
        asked.append(strengths)
        return shift(self, strengths, codes)

    monkeypatch.setattr(latent.Edits, "shift", counted)
    actions, other = Actions(run), np.zeros((8, 8, 3), "uint8")
    for strength in np.linspace(-3, 3, 13):
        actions.edit(photo, {"smiling": float(strength), "a=b": 1, "8": 0})
    assert asked == [{"smiling": 1}, {"a=b": 1}]  # a strength of 0 asks for nothing
    actions.edit(other, {"smiling": 1})
    assert asked[2:] == [{"smiling": 1}]
    # The shift of one picture is never that of another.
    got = actions.edit(other, {"smiling": 2})[1]
    expected = latent.edit(run.model, other[None], run.edits, {"smiling": 2})[0]
    np.testing.assert_allclose(got, 255 * expected, atol=0.51)
    monkeypatch.setattr(bounds, "UNITS", 5)
    few = Actions(run)
    for number in range(9):
        few.edit(np.full((8, 8, 3), number * 20, "uint8"), {"smiling": 1})
    assert few._unit.cache_info().currsize == 5


def test_an_edit_that_keeps_detail_adds_the_change_to_the_photo(run, actions, photo):
    strengths = {"smiling": 2, "a=b": 2}  # by the flow, and by a direction
    before, after, _ = actions.edit(photo, strengths, keep_detail=True)
    drawn, edited, _ = actions.edit(photo, strengths)
    assert (before == photo).all() and after.shape == photo.shape
    expected = photos.add(photo, (edited.astype("float32") - drawn) / 255)
    np.testing.assert_allclose(after.astype(int), expected.astype(int), atol=2)
    assert np.abs(after.astype(int) - photo).max() > 5
    assert (actions.edit(photo, {}, keep_detail=True)[1] == photo).all()


def test_samples_come_from_where_they_are_asked_to(run, actions):
    assert run.sources == ("flow", "mixture", "prior")
    drawn = {name: actions.sample(5, 3, 0.5, name) for name in (*run.sources, "best")}
    for name in run.sources:
        expected = 255 * run.sample(5, 3, 0.5, name)
        np.testing.assert_allclose(drawn[name], expected, atol=0.51)
    assert (drawn["best"] == drawn["flow"]).all()
    for one, other in (("flow", "mixture"), ("flow", "prior"), ("prior", "mixture")):
        assert (drawn[one] != drawn[other]).any()


def test_samples_show_what_is_wished_for(run, actions):
    wishes = {"smiling": True, "8": False}
    for source in ("flow", "best"):
        drawn = actions.sample(5, 3, attributes=wishes, source=source)
        expected = 255 * run.sample(5, 3, attributes=wishes)
        np.testing.assert_allclose(drawn, expected, atol=0.51)
    assert (drawn != actions.sample(5, 3)).any()
    for wrong, message in (
        ({"nose": True}, "no attribute 'nose'"),
        ({"smiling": 1}, "true or false by name"),
        (["smiling"], "true or false by name"),
    ):
        with pytest.raises(ValueError, match=message):
            actions.sample(5, attributes=wrong)
    with pytest.raises(ValueError, match="Only the flow can sample by attributes, not the prior"):
        actions.sample(5, source="prior", attributes=wishes)


def test_without_a_flow_there_are_no_wishes_and_no_way_through_it(run, photo):
    actions = Actions(dataclasses.replace(run, flow=None))
    assert actions.wishes == {} and actions.ways == ("straight", "spherical")
    with pytest.raises(ValueError, match="neither a flow with attributes nor a condition"):
        actions.sample(5, attributes={"smiling": True})
    with pytest.raises(ValueError, match="no flow to sample from"):
        actions.sample(5, source="flow")
    with pytest.raises(ValueError, match="no way 'flow'"):
        actions.interpolate(photo, photo, "flow")
    best = actions.interpolate(photo, photo[::-1], steps=5)
    assert (best == actions.interpolate(photo, photo[::-1], "straight", 5)).all()
    before, after, _ = actions.edit(photo, {"smiling": 1})  # along its direction
    assert (before != after).any()


def test_arithmetic_and_interpolation_are_those_of_the_package(run, actions):
    a, b, c = np.random.default_rng(2).integers(0, 256, (3, 8, 8, 3), "uint8")
    image, strip = actions.arithmetic(a, b, c, 1.5)
    z = latent.arithmetic(run.model, a[None], b[None], c[None], 1.5)
    np.testing.assert_allclose(image, 255 * run.model.decode(z)[0], atol=0.51)
    np.testing.assert_allclose(strip[bounds.SUMS.index(1.5)], image, atol=1)
    np.testing.assert_allclose(strip[0], 255 * run.model.reconstruct(c[None])[0], atol=0.51)
    ends = latent.codes_of(run.model, np.stack([a, b]))
    for way, options in (
        ("straight", {}),
        ("spherical", {"spherical": True}),
        ("flow", {"flow": run.flow}),
        ("best", {"flow": run.flow}),
    ):
        images = actions.interpolate(a, b, way, 5)
        expected = run.model.decode(latent.interpolate(ends, 5, **options))
        np.testing.assert_allclose(images, 255 * expected, atol=0.51)


def test_arithmetic_with_groups_takes_their_mean_codes(run, actions, photo):
    means = run.examples.attribute_means
    image, strip = actions.arithmetic({"smiling": True}, {"smiling": False}, photo, 1.5)
    z = actions.encode(photo) + 1.5 * (means[0, 1] - means[0, 0])
    np.testing.assert_allclose(image, 255 * run.model.decode(z[None])[0], atol=0.51)
    assert len(strip) == len(bounds.SUMS)
    mixed = actions.arithmetic({"two words": False}, photo, photo)[0]  # the group, and no more
    expected = run.model.decode(means[1, :1])[0]
    np.testing.assert_allclose(mixed, 255 * expected, atol=0.51)
    assert actions.groups[("smiling", True)] == 18 and actions.groups[("smiling", False)] == 12
    assert not {name for name, _ in actions.groups} & {"a=b"}  # no test image has it
    for wrong, message in (
        ({"a=b": True}, "no group of images by 'a=b'"),
        ({"nose": True}, "no group of images by 'nose'"),
        ({}, "a group by one attribute"),
        ({"smiling": True, "8": True}, "a group by one attribute"),
        ({"smiling": 1}, "true or false"),
        ("smiling", "true or false"),
    ):
        with pytest.raises(ValueError, match=message):
            actions.arithmetic(wrong, photo, photo)


def test_many_at_once_get_what_each_asked_for(actions):
    """Threads share one model: each must get its own picture."""
    rng = np.random.default_rng(4)
    asked = [(rng.integers(0, 256, (8, 8, 3), "uint8"), float(a)) for a in np.linspace(-3, 3, 60)]
    alone = [actions.edit(image, {"smiling": a})[1] for image, a in asked]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda one: actions.edit(one[0], {"smiling": one[1]})[1], asked))
    np.testing.assert_allclose(np.stack(alone), np.stack(together), atol=1)
    assert len({image.tobytes() for image in alone}) > 30


@pytest.mark.once
def test_the_map_leads_from_a_pixel_to_a_code_and_back(run):
    for size in (1, 2, 5):
        folder = run.folder.parent / f"map{size}"
        folder.mkdir()
        kept = examples.Examples.load(add_examples(folder, size) / "examples.npz")
        space = SpaceMap(kept)
        row = 7
        # The pixel at which a test image's dot is drawn, by matplotlib's own account.
        x, y = space.to_pixels.transform(space.points[row])
        point = space.point(x, len(space.picture) - y)
        assert space.nearest(point) == row
        np.testing.assert_allclose(point, space.points[row], atol=1e-6)
        origin, axes, _ = plots.plane(kept.codes)
        shown = origin + axes @ axes.T @ (kept.codes[row] - origin)
        np.testing.assert_allclose(space.code(point), shown, atol=1e-5)
        marked = space.marked(point)
        changed = np.argwhere((marked != space.picture).any(axis=2)).mean(axis=0)
        np.testing.assert_allclose(changed, (len(space.picture) - y, x), atol=6)


# Every kind of run has a page; what it cannot do is explained.


def texts(page):
    """Returns all words of a page."""
    return json.dumps(page.get_config_file()["components"], default=str)


def labelled(page, text, kind=gr.components.Component):
    """Returns the components of a page with a label."""
    blocks = [block for block in page.blocks.values() if isinstance(block, kind)]
    return [block for block in blocks if block.label == text]


@pytest.mark.once
def test_the_page_opens_with_the_first_edit_at_work(run, tmp_path):
    """A picture that lacks it, and the strength that was measured to work."""
    metrics = run.folder / "metrics.json"
    for text, expected in (
        ('{"edit_attribute": "smiling", "edit_strength": 1.5}', 1.5),
        ('{"edit_attribute": "smiling", "edit_strength": 9}', 3),
        ('{"edit_attribute": "8", "edit_strength": 1.5}', 1),
        ('{"edit_attribute": "smiling", "edit_strength": "much"}', 1),
        ('{"edit_attribute": "smiling", "edit_strength": null}', 1),
        ("[]", 1),
        (None, 1),
    ):
        metrics.unlink(missing_ok=True)
        if text:
            metrics.write_text(text)
        assert Actions(run).working_strength() == expected, text
    metrics.write_text('{"edit_attribute": "smiling", "edit_strength": 2}')
    page = build_demo(run)
    sliders = [labelled(page, name)[0] for name in ("Smiling", "Two words", "A=b", "8")]
    assert [one.value for one in sliders] == [2, 0, 0, 0]
    row = int(np.argmin(run.examples.attributes[:, 0]))
    start = run.examples.images[row]
    assert not run.examples.attributes[row, 0]
    before, after, _ = Actions(run).edit(pictures.to_photo(start), {"smiling": 2})
    drawn = [block.value for block in page.blocks.values() if isinstance(block, gr.HTML)]
    assert pictures.shown(before, "Before: reconstruction") in drawn
    assert pictures.shown(after, "After", "edited") in drawn
    metrics.unlink()


@pytest.mark.once
@pytest.mark.parametrize("kind", ["drawn", "grey", "photographs"])
def test_detail_is_kept_of_photographs_at_first(kind, run, tmp_path):
    if kind == "grey":
        folder = save_run(tmp_path / "run", (8, 8, 1), dataset="mnist")
        run = runs.load(add_examples(folder, image_shape=(8, 8, 1)))
    elif kind == "photographs":
        run = dataclasses.replace(run, config=run.config | {"dataset": "celeb_a"})
    page = build_demo(run)
    (keep,) = labelled(page, "Keep detail")
    assert keep.value is (kind == "photographs")
    what = "your picture" if kind == "photographs" else "reconstruction"
    assert f"Before: {what}" in texts(page)


def menus(page):
    return [labelled(page, label, gr.Dropdown) for label in ("A: has it", "B: lacks it")]


@pytest.mark.once
def test_wishes_and_groups_of_attributes_and_of_classes(run):
    page = build_demo(run)
    radios = {one.label: one for one in page.blocks.values() if isinstance(one, gr.Radio)}
    assert list(radios) == ["Codes from", "Smiling", "Two words", "A=b", "8", "Way"]
    assert [value for _, value in radios["Codes from"].choices] == ["flow", "mixture", "prior"]
    assert radios["Smiling"].value == "any" and not labelled(page, "Class")
    (a,), (b,) = menus(page)
    first = [("One picture", ""), ("With smiling", "+smiling")]
    assert a.choices[:2] == first and len(a.choices) == 7
    assert (a.value, b.value) == ("+smiling", "-smiling")
    # Of classes one menu, and no group of all that are not in a class.
    page = build_demo(dataclasses.replace(run, config=run.config | {"label_names": list(NAMES)}))
    (menu,) = labelled(page, "Class")
    assert menu.choices[:2] == [("any", "any"), ("Smiling", "+smiling")] and menu.value == "any"
    (a,), (b,) = menus(page)
    assert [text for text, _ in a.choices] == [
        "One picture",
        "Class smiling",
        "Class two words",
        "Class 8",
    ]
    assert (a.value, b.value) == ("+smiling", "+two words")
    # Without a flow and without means there is neither.
    page = build_demo(dataclasses.replace(run, flow=None, examples=None))
    assert not labelled(page, "Smiling", gr.Radio) and not labelled(page, "Class")
    assert not any(menu.visible for (menu,) in menus(page))


@pytest.mark.once
@pytest.mark.parametrize(
    "names, wishes, expected",
    [
        (["a", "b"], ["any", "without"], {"b": False}),
        ([None, "a"], ["+8", "with"], {"8": True, "a": True}),
        ([None], [None], {}),
        ([None], ["any"], {}),
    ],
)
def test_what_the_controls_ask_for(names, wishes, expected):
    assert sample.asked(zip(names, wishes)) == expected


@pytest.mark.parametrize("kind", ["no attributes", "no examples", "grey", "one latent", "ae"])
def test_what_a_run_cannot_do_is_explained(kind, tmp_path):
    keras.utils.set_random_seed(0)
    shape, size = (8, 8, 1 if kind == "grey" else 3), 1 if kind == "one latent" else 2
    parts = keras_vae.build_mlp(shape, size, hidden=(8,), variational=kind != "ae")
    model = keras_vae.AutoEncoder(*parts) if kind == "ae" else keras_vae.VAE(*parts)
    folder = save_run(tmp_path / "run", shape, model, name="a <b>name</b>")
    for name in ("directions.npz", "mixture.npz")[: 2 if size == 1 or kind == "ae" else 0]:
        (folder / name).unlink()
    if kind == "no attributes":
        (folder / "directions.npz").unlink()
    if kind != "no examples":
        add_examples(folder, size, shape)
    page = build_demo(runs.load(folder))
    words = texts(page)
    expected = {
        "no attributes": "No edits:",
        "no examples": "No map:",
        "ae": "No samples:",
    }
    for name, text in expected.items():
        is_expected = name == kind or (name == "no attributes" and (kind == "ae" or size == 1))
        assert (text in words) == is_expected, name


@pytest.mark.once
@pytest.mark.parametrize("gaps", [False, True])
def test_no_image_is_said_to_have_what_is_not_known(run, gaps, monkeypatch):
    """The page begins with images that are known to lack it, or to have it."""
    shows = np.array([[0], [1], [0], [1], [0], [0]], bool)
    known = np.array([[0], [0], [1], [1], [1], [0]], bool) if gaps else None
    names = {"attributes": shows, "attribute_names": ("smiling",), "known": known}
    actions = Actions(dataclasses.replace(run, examples=dataclasses.replace(run.examples, **names)))
    assert actions.attributes[0] == "smiling"
    images, has = choices(actions)
    expected = ([3], [2, 4]) if gaps else ([1, 3], [0, 2, 4, 5])
    assert [np.flatnonzero(part).tolist() for part in has] == list(map(list, expected))
    a, b, c = arithmetic.three(actions, images, has)
    assert a in expected[0] and {b, c} <= set(expected[1]) and b != c
    picker, starts = edit.picker, []
    monkeypatch.setattr(
        edit, "picker", lambda what, images, start: starts.append(start) or picker(what, images)
    )
    with gr.Blocks():
        edit.build(actions, images, has)
    assert starts == [expected[1][0]]


@pytest.mark.once
def test_a_slider_takes_whatever_is_typed_in_its_field():
    with gr.Blocks():
        strength, count = controls.slider(-3, 3, 0, step=0.1), controls.slider(1, 64, 24, step=1)
        started = controls.slider(-3, 3, 2, empty=0, step=0.1)
    given = (None, "", "1", True, float("nan"), [], -99, 99, 1.26)
    assert [strength.preprocess(one) for one in given] == [0, 0, 0, 0, 0, 0, -3, 3, 1.26]
    assert [started.preprocess(one) for one in (None, "1", 4)] == [0, 0, 3]
    assert [count.preprocess(one) for one in (None, 0, 500, 7.6)] == [24, 1, 64, 8]


@pytest.mark.once
def test_the_words_of_a_run_are_only_words(tmp_path):
    """A run may come from anybody: nothing of its settings becomes HTML or stops the page."""
    evil = "<img src=http://evil.invalid/x.png> ![a](http://evil.invalid/y.png)"
    settings = {"name": evil, "network": evil, "likelihood": [evil], "images": {"train": evil}}
    folder = save_run(tmp_path / "run", **settings, widths=3, backend=None)
    (folder / "metrics.json").write_text("[]")
    (folder / "samples.png").write_bytes(b"no picture")
    page = build_demo(runs.load(folder))
    shown = [block for block in page.blocks.values() if isinstance(block, gr.HTML | gr.Markdown)]
    words = "".join(str(block.value) for block in shown)
    assert "&lt;img src=http://evil" in words and "<img src=http" not in words
    markdown = [str(block.value) for block in shown if isinstance(block, gr.Markdown)]
    assert not any("evil" in text for text in markdown)


# A run of a table has other tabs.


@pytest.mark.once
def test_what_is_said_of_a_row_is_what_the_model_says(table_run):
    rows, model = Rows(table_run), table_run.model
    assert rows.names == ["age", "colour", "visits"]
    x = rows.row(["40.5", "red", "3"])
    np.testing.assert_array_equal(x, np.float32([[40.5, 0, 1, 3]]))
    nats = evaluate.value_losses(model, x)[0]
    np.testing.assert_allclose(rows.surprise(x)[0], [nats[0], nats[1] + nats[2], nats[3]])
    np.testing.assert_allclose(rows.total(x), -model.log_likelihood(x, 100), rtol=1e-5)
    np.testing.assert_array_equal(rows.expected(x), model.reconstruct(x))
    gaps = rows.row(["", "red", "3"])
    assert np.isnan(rows.surprise(gaps)[0]).tolist() == [True, False, False]
    assert rows.expected(gaps)[0, 0] == pytest.approx(model.impute(gaps, 100)[0, 0], rel=1e-5)
    # A test row is its own neighbour unless it is left out.
    assert rows.neighbours(rows.kept[3:4])[0][0] == 3
    assert 3 not in rows.neighbours(rows.kept[3:4], own=3)[0]
    for kept in rows.kept:
        np.testing.assert_array_equal(rows.row(rows.texts(kept))[0], kept)


@pytest.mark.once
def test_a_wrong_cell_is_told_by_its_column(table_run):
    page, rows = build_demo(table_run), Rows(table_run)
    draw = next(one.fn for one in page.fns.values() if one.api_name == "draw")
    for name, text, message in (
        ("age", "old", "The column 'age' has the text 'old'; expected a number"),
        ("age", "1e300", "The column 'age' has 1e+300; expected a finite number"),
        ("age", "inf", "The column 'age' has inf; expected a finite number"),
        ("colour", "<b>", "'&lt;b&gt;', which is not in the training data. There are: blue, red"),
        ("visits", 1.5, "The column 'visits' has 1.5; expected a whole number"),
    ):
        cells = {"age": 40, "colour": "red", "visits": 2} | {name: text}
        said, near = draw(1, [list(pair) for pair in cells.items()])
        assert message in said.replace("&#x27;", "'") and not near
    said, near = draw(1, [["visits", None], ["colour", "red"], ["more", 1]])  # in any order
    assert said.count("missing") == 4 and "of the known cells" in said and "north" in near
    for wrong in (None, "x", [1], [["age"]], [[]], {"age": 1}):
        if wrong in ([["age"]], [[]]):  # all cells are missing
            assert "Every cell is missing" in draw(1, wrong)[0]
        else:
            with pytest.raises(gr.Error, match="Expected lines of a column and its value"):
                draw(1, wrong)
    assert row.texts_of(rows, [["age", "x" * 5000]])[0] == "x" * 1000


@pytest.mark.once
def test_a_page_of_a_table_speaks_of_rows(table_run, tmp_path):
    page = build_demo(table_run)
    tabs = [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == ["Row", "Sample", "Map", "This model"]
    blocks = page.blocks.values()
    parts = [getattr(block, name, "") for block in blocks for name in ("value", "label", "info")]
    words = " ".join(part for part in parts if isinstance(part, str)).lower()
    for name in ("photo", "picture", "pixel", "image "):
        assert name not in words.replace("data:image", ""), name
    assert "rows of 3 columns" in words and "sources of new rows" in words
    # Without test rows, without a prior, and with a name that is no HTML.
    folder = save_table_run(tmp_path / "run", "<img src=x>", has_prior=False)
    plain = runs.load(folder)
    assert "The reconstruction loss is" in texts(build_demo(plain))
    assert "No samples:" in texts(build_demo(plain)) and "<img src=x>" not in texts(
        build_demo(plain)
    )
    words = texts(build_demo(dataclasses.replace(plain, examples=None)))
    assert "No map:" in words and "Every cell is missing" in words


@pytest.mark.once
def test_new_rows_are_those_of_the_package(table_run):
    page = build_demo(table_run)
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    try:
        client = Client(page.local_url, verbose=False)
        assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/sample"]
        new = client.predict(5, 7, 0.5, "prior", api_name="/sample")
        expected = table_run.table.decode(table_run.sample(5, 7, 0.5, "prior"))
        assert list(new) == ["age", "colour", "visits", "unit"]
        for name, cells in expected.items():
            assert new[name] == pytest.approx(cells.tolist()), name
        for values, message in (
            ((0,), "number of rows"),
            ((1001,), "1 to 1,000"),
            ((1, -1), "seed"),
        ):
            with pytest.raises(Exception, match=message):
                client.predict(*values, api_name="/sample")
    finally:
        page.close()
    rows = Rows(table_run)
    lines = rows.csv(rows.kept).decode().splitlines()
    assert lines[0] == "age,colour,visits,unit" and len(lines) == len(rows.kept) + 1


@pytest.mark.once
def test_numbers_are_read_with_the_digits_that_matter():
    values = np.float32([[30000], [41234.5], [np.nan], [20000.25]])
    assert digits(values) == (0, False) and digits(np.zeros((3, 1))) == (2, True)
    assert digits(np.float32([[0], [1], [1]])) == (2, True)
    assert digits(np.zeros((0, 1), "float32"))[0] == 2
    for value, wanted, text in (
        (41.0, (1, False), "41.0"),
        (41.0, (1, True), "41"),
        (41.26, (1, True), "41.3"),
        (np.nan, (1, True), ""),
        (1e30, (0, True), "1e+30"),
        (np.float32(2e-7), (2, False), "2e-07"),
        ("red", (1, False), "red"),
    ):
        assert readable(value, *wanted) == text


# Every endpoint, with what it takes and with what it does not.


@pytest.fixture(scope="module")
def served(run):
    page = build_demo(run, queue_size=30)
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    yield page.local_url
    page.close()


@pytest.fixture(scope="module")
def client(served):
    return Client(served, verbose=False)


@pytest.fixture(scope="module")
def png(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), "uint8")
    Image.fromarray(pixels).save(path)
    return path


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def turned_png(png):
    path = png.with_name("turned.png")
    Image.fromarray(read(png)[::-1]).save(path)
    return path


def test_every_endpoint_answers_and_is_documented(client, actions, png, turned_png, run):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    names = [
        "describe",
        "example",
        "edit",
        "sample",
        "arithmetic",
        "interpolate",
        "encode",
        "decode",
        "point",
    ]
    assert sorted(endpoints) == sorted(f"/{name}" for name in names)
    photo, file = read(png), handle_file(png)
    about = client.predict(api_name="/describe")
    assert about["attributes"] == ["smiling", "two words", "a=b", "8"]
    assert (about["latent_dim"], about["examples"]) == (2, 6)
    assert about["methods"] == {name: run.edits.method(name) for name in NAMES}
    assert about["sources"] == ["flow", "mixture", "prior"]
    assert about["wishes"] == {"flow": list(NAMES)}
    assert about["groups"] == ["smiling", "two words", "8"]
    assert about["ways"] == ["flow", "straight", "spherical"]
    assert (read(client.predict(2, api_name="/example")) == run.examples.images[2]).all()
    before, after, strip = client.predict(file, {"smiling": 2}, api_name="/edit")
    for path, expected in zip((before, after), actions.edit(photo, {"smiling": 2})):
        assert (read(path) == expected).all()
    assert read(strip).shape[0] == 8
    kept = client.predict(file, {"smiling": 2}, True, "8", api_name="/edit")[1]
    assert (read(kept) == actions.edit(photo, {"smiling": 2}, True)[1]).all()
    new = client.predict(5, 7, 0.5, "prior", api_name="/sample")
    expected = actions.sample(5, 7, 0.5, "prior")
    assert all((read(one["image"]) == image).all() for one, image in zip(new, expected))
    wishes = {"smiling": True, "8": False}
    new = client.predict(5, 7, attributes=wishes, api_name="/sample")
    expected = actions.sample(5, 7, attributes=wishes)
    assert all((read(one["image"]) == image).all() for one, image in zip(new, expected))
    sums = client.predict(file, file, file, 1.5, api_name="/arithmetic")
    assert (read(sums[0]) == actions.arithmetic(photo, photo, photo, 1.5)[0]).all()
    both = {"smiling": True}, {"smiling": False}
    sums = client.predict(None, None, file, 1.5, *both, api_name="/arithmetic")
    assert (read(sums[0]) == actions.arithmetic(*both, photo, 1.5)[0]).all()
    other = handle_file(turned_png)
    for way in about["ways"]:
        strip, gif = client.predict(file, other, way, 4, api_name="/interpolate")
        assert Image.open(gif).format == "GIF"
        expected = plots.grid(actions.interpolate(photo, photo[::-1], way, 4), 4)
        assert (read(strip) == expected).all()
    best, _ = client.predict(file, other, steps=4, api_name="/interpolate")
    assert (read(best) == plots.grid(actions.interpolate(photo, photo[::-1], "flow", 4), 4)).all()
    code = client.predict(file, api_name="/encode")
    np.testing.assert_allclose(code, actions.encode(photo), rtol=1e-6)
    picture = client.predict(code, api_name="/decode")
    assert (read(picture) == actions.decode(np.array([code]))[0]).all()
    picture, code = client.predict(0.5, -1.0, api_name="/point")
    assert code == [0.5, -1.0]  # of 2 latents the map is the space itself
    assert (read(picture) == actions.decode(np.array([code]))[0]).all()


WRONG = [
    ("/edit", ({"nose": 1},), "no attribute 'nose'"),
    ("/edit", ({"smiling": 3.1},), "from -3 to 3, not 3.1"),
    ("/edit", ({"smiling": "1"},), "not '1'"),
    ("/edit", ({"smiling": None},), "not None"),
    ("/edit", ({"smiling": True},), "not True"),
    ("/edit", ([1],), "strengths by name"),
    ("/edit", ("smiling",), "strengths by name"),
    ("/edit", ({}, "yes"), "true or false"),
    ("/edit", ({}, False, "nose"), "no attribute 'nose'"),
    ("/edit", ({}, False, ["8"]), "no attribute"),
    ("/sample", (0,), "from 1 to 64, not 0"),
    ("/sample", (65,), "from 1 to 64, not 65"),
    ("/sample", (1.5,), "whole number"),
    ("/sample", ("4",), "not '4'"),
    ("/sample", (None,), "not None"),
    ("/sample", (4, -1), "the seed"),
    ("/sample", (4, 2**32), "from 0 to 4,294,967,295"),
    ("/sample", (4, 0, -0.1), "the temperature"),
    ("/sample", (4, 0, 2.5), "the temperature"),
    ("/sample", (4, 0, 1, "posterior"), "no source 'posterior'"),
    ("/sample", (4, 0, 1, "best", {"nose": True}), "no attribute 'nose'"),
    ("/sample", (4, 0, 1, "best", {"smiling": "yes"}), "true or false by name"),
    ("/sample", (4, 0, 1, "best", ["smiling"]), "true or false by name"),
    ("/sample", (4, 0, 1, "prior", {"smiling": True}), "Only the flow can sample by attributes"),
    ("/arithmetic", (None, None, 1, {}, {}), "No picture yet"),
    ("/arithmetic", (None, None, 1, {"nose": True}, {"smiling": True}), "by 'nose'"),
    ("/arithmetic", (None, None, 1, "smiling", {"smiling": True}), "true or false by name"),
    ("/arithmetic", (None, None, 1, {"smiling": True, "8": True}, {"8": True}), "one attribute"),
    ("/arithmetic", (None, None, 4, {"8": True}, {"8": False}), "from -3 to 3, not 4"),
    ("/example", (-1,), "0 to 5"),
    ("/example", (6,), "0 to 5"),
    ("/example", ("1",), "0 to 5"),
    ("/decode", ([1.0],), "2 numbers"),
    ("/decode", ([1.0, "a"],), "2 numbers"),
    ("/decode", ([1.0, 10_001.0],), "from -10,000 to 10,000"),
    ("/decode", (None,), "2 numbers"),
    ("/decode", ({"a": 1},), "2 numbers"),
    ("/point", ("a", 1), "x to be a number"),
    ("/point", (1, 1e9), "y to be a number"),
]


@pytest.mark.once
@pytest.mark.parametrize("name, values, message", WRONG)
def test_a_wrong_value_is_told(client, png, name, values, message):
    picture = handle_file(png)
    if name == "/edit":
        values = (picture, *values)
    if name == "/arithmetic":
        values = (*values[:2], picture, *values[2:])
    with pytest.raises(Exception, match=r".") as error:
        client.predict(*values, api_name=name)
    assert message in str(error.value)
    assert client.predict(api_name="/describe")["dataset"] == "noise"


@pytest.mark.once
@pytest.mark.parametrize("steps", [1, 25, "many"])
def test_wrong_steps_are_told(client, png, steps):
    with pytest.raises(Exception, match="from 2 to 24"):
        client.predict(handle_file(png), handle_file(png), "best", steps, api_name="/interpolate")


@pytest.mark.once
@pytest.mark.parametrize("way", ["around", True, None, ["flow"]])
def test_a_way_that_there_is_not_is_told(client, png, way):
    with pytest.raises(Exception, match=r"no way .* There are: best, flow, straight, spherical"):
        client.predict(handle_file(png), handle_file(png), way, 4, api_name="/interpolate")


def bomb(path):
    """Writes the header of a PNG of 20,000 x 20,000 pixels, and hardly any of them."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)


def bad_picture(kind, path):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), "uint8")
    good = io.BytesIO()
    Image.fromarray(pixels).save(good, "png")
    if kind == "text":
        path.write_text("not a picture")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut off":
        path.write_bytes(good.getvalue()[:200])
    elif kind == "bomb":
        bomb(path)
    elif kind == "too many pixels":
        Image.new("1", (8000, 7000)).save(path)
    else:
        path.write_bytes(good.getvalue() + bytes(21 * 2**20))


@pytest.mark.once
@pytest.mark.parametrize(
    "kind", ["text", "empty", "cut off", "bomb", "too many pixels", "too many bytes"]
)
def test_a_bad_picture_is_told_and_the_server_goes_on(client, png, tmp_path, kind):
    path = tmp_path / "picture.png"
    bad_picture(kind, path)
    with pytest.raises(Exception, match=r".") as error:
        client.predict(handle_file(path), {"smiling": 1}, api_name="/edit")
    told = "exceeds the maximum" if kind == "too many bytes" else "The picture cannot be used"
    assert told in str(error.value)
    assert len(client.predict(handle_file(png), api_name="/encode")) == 2


@pytest.mark.once
@pytest.mark.parametrize(
    "kind", ["1x1", "wide", "gif", "CMYK", "alpha", "16 bit", "turned", "large"]
)
def test_pictures_of_any_kind_are_taken(client, actions, tmp_path, kind):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), "uint8")
    picture, ending, options = Image.fromarray(pixels), "png", {}
    if kind == "1x1":
        picture = picture.crop((0, 0, 1, 1))
    elif kind == "wide":
        picture = picture.resize((3000, 2))
    elif kind == "gif":
        ending, options = "gif", {"save_all": True, "append_images": [picture.rotate(90)]}
    elif kind == "CMYK":
        picture, ending = picture.convert("CMYK"), "jpg"
    elif kind == "alpha":
        picture.putalpha(128)
    elif kind == "16 bit":
        picture = Image.fromarray(np.uint16(pixels[..., 0]) * 257)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    else:
        picture = picture.resize((3000, 2000))
    path = tmp_path / f"picture.{ending}"
    picture.save(path, **options)
    expected = photos.read(path, longest=768)
    assert max(expected.shape) <= 768
    code = client.predict(handle_file(path), api_name="/encode")
    np.testing.assert_allclose(code, actions.encode(expected), rtol=1e-5, atol=1e-6)
    after = client.predict(handle_file(path), {"smiling": 1}, True, api_name="/edit")[1]
    assert read(after).shape == expected.shape


def call(served, name, data):
    """Returns the last words of the server to a request that no client would send."""
    answer = httpx.post(f"{served}gradio_api/call/{name}", json={"data": data}, timeout=60)
    if answer.status_code != 200:
        return answer.text
    event = answer.json()["event_id"]
    return httpx.get(f"{served}gradio_api/call/{name}/{event}", timeout=60).text


@pytest.mark.once
def test_no_request_reads_files_of_the_server(served, png, tmp_path):
    """A picture outside of Gradio's folder is as secret as any other file."""
    named = {"meta": {"_type": "gradio.FileData"}}
    file = {"files": ("a.png", png.read_bytes())}
    (mine,) = httpx.post(f"{served}gradio_api/upload", files=file, timeout=60).json()
    assert "event: complete" in call(served, "encode", [{"path": mine}])
    around = f"{Path(mine).parent}/../../../../../../../../..{png}"
    for path in (str(png), around, f"file://{png}", "/etc/passwd", str(ROOT / "README.md")):
        for how in ({}, named, {"url": f"file={path}"}, {"orig_name": "a.svg"}):
            told = call(served, "edit", [{"path": path, **how}, {}, True, ""])
            assert "event: error" in told and "event: complete" not in told, (path, how)
        assert httpx.get(f"{served}gradio_api/file={path}").status_code in (403, 404)
    # Nor do the events of the page itself.
    config = httpx.get(f"{served}config").json()
    follow = next(one for one in config["dependencies"] if one["api_name"] == "follow")
    data = [{"path": str(png)}, True, "smiling", 0, 0, 0, 0]
    body = {"data": data, "fn_index": follow["id"], "session_hash": "nosy"}
    httpx.post(f"{served}gradio_api/queue/join", json=body)
    told = httpx.get(f"{served}gradio_api/queue/data", params={"session_hash": "nosy"}).text
    assert "Expected an uploaded picture" in told and "base64" not in told


@pytest.mark.once
@pytest.mark.parametrize("address", ["https://example.com/a.png", "http://127.0.0.1:1/a.png"])
def test_no_request_makes_the_server_download(served, address, monkeypatch):
    asked = []

    async def download(url, *_, **__):
        asked.append(url)
        raise ValueError("asked")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", download)
    named = {"path": address, "meta": {"_type": "gradio.FileData"}}
    for name, data in (("encode", [named]), ("decode", [[named]]), ("decode", [named])):
        told = call(served, name, data)
        assert "event: error" in told and "event: complete" not in told
    assert asked == []


@pytest.mark.once
def test_pictures_of_visitors_go_and_those_of_the_page_stay(run, png):
    page = build_demo(run)
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    try:
        url = page.local_url
        own = {file for block in page.blocks.values() for file in block.keep_in_cache}
        assert len(own) > 20
        file = {"files": ("a.png", png.read_bytes() + b"mine")}
        (mine,) = httpx.post(f"{url}gradio_api/upload", files=file, timeout=60).json()
        Client(url, verbose=False).predict(handle_file(png), {"8": 0.123}, api_name="/edit")
        assert "event: complete" in call(url, "encode", [{"path": mine}])
        there = {path for files in page.temp_file_sets for path in files}
        visitors = {path for path in there | {mine} if path not in own}
        assert len(visitors) >= 4
        safety.remove_old(page, 3600)
        assert all(map(os.path.exists, visitors | own))
        safety.remove_old(page, -1)
        assert not any(map(os.path.exists, visitors)) and all(map(os.path.exists, own))
        assert not {path for files in page.temp_file_sets for path in files} - own
        answer = call(url, "encode", [{"path": mine}])
        assert "The picture has been removed" in answer
    finally:
        page.close()


@pytest.mark.once
def test_wrong_numbers_of_values_are_told(served):
    for data in ([], [1, 2, 3], "x", [[[]]]):
        assert "event: complete" not in call(served, "encode", data)


@pytest.mark.once
def test_a_full_queue_says_so_and_answers_the_others(run, monkeypatch):
    go_on, sample = threading.Event(), Actions.sample

    def slow(*arguments):
        assert go_on.wait(60)
        return sample(*arguments)

    page = build_demo(run, queue_size=2)
    monkeypatch.setattr(Actions, "sample", slow)
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    try:
        address = f"{page.local_url}gradio_api/call/sample"
        data = {"data": [1, 0, 1.0, "prior", {}]}
        posts = [httpx.post(address, json=data, timeout=60) for _ in range(12)]
        taken = [post.json()["event_id"] for post in posts if post.status_code == 200]
        told = [post.text for post in posts if post.status_code != 200]
        assert 2 <= len(taken) <= 6 and all("ueue is full" in text for text in told)
        go_on.set()
        for event in taken:
            assert "event: complete" in httpx.get(f"{address}/{event}", timeout=60).text
    finally:
        go_on.set()
        page.close()


ASKED = """
import socket, sys
from unittest import mock
asked, ask = [], socket.getaddrinfo
def note(host, *args, **kwargs):
    asked.append(host)
    return ask(host, *args, **kwargs)
with mock.patch("socket.getaddrinfo", note):
    from keras_vae.demo.app import LAUNCH, build_demo, choices
    from keras_vae import runs
    page = build_demo(runs.load(sys.argv[1]))
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    from gradio_client import Client
    print(len(Client(page.local_url, verbose=False).predict(3, api_name="/sample")), "samples")
    page.close()
print(set(map(str, asked)) - {"127.0.0.1", "localhost", "None"})
"""


@pytest.mark.once
def test_nobody_else_is_asked_or_told_anything(run):
    command = [sys.executable, "-c", ASKED, str(run.folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert "3 samples" in result.stdout, result.stderr
    assert result.stdout.splitlines()[-1] == "set()"


# `python -m demo`


def start(*arguments, cwd, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *map(str, arguments)],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(process):
    """Returns what a demo says first, or fails with what it says of its troubles."""
    waiting = threading.Timer(120, process.kill)
    waiting.start()
    line = process.stdout.readline()
    waiting.cancel()
    if not line:
        pytest.fail(f"the demo said nothing: {process.communicate()[1]}")
    return line


@pytest.mark.once
def test_the_command_serves_the_newest_run_and_cleans_up(run, tmp_path, png):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "newest").symlink_to(run.folder)
    (tmp_path / "tmp").mkdir()
    process = start("--auth", "me:pass:word", cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    try:
        line = first_line(process)
        assert "newest is served at http://127.0.0.1:" in line
        url = line.split(" at ")[1].split()[0]
        assert httpx.get(f"{url}config", trust_env=False).status_code == 401
        client = Client(url, verbose=False, auth=("me", "pass:word"))
        assert len(client.predict(handle_file(png), api_name="/encode")) == 2
        assert len(client.predict(4, api_name="/sample")) == 4
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in errors and "Error" not in errors
    assert not list((tmp_path / "tmp").glob("keras_vae-demo-*"))


@pytest.mark.once
def test_mistakes_are_one_line(run, tmp_path):
    for arguments, message in (
        (["nowhere"], "There is no run in nowhere"),
        ([run.folder, "--port", "99999"], "--port"),
        ([run.folder, "--host", "192.0.2.1"], "--host 192.0.2.1 cannot be used"),
        ([run.folder, "--auth", "me"], "--auth"),
    ):
        process = start(*arguments, cwd=tmp_path)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2, errors
        assert errors.startswith("keras-vae demo: error:") and errors.count("\n") == 1, errors
        assert message in errors


@pytest.mark.once
def test_a_run_of_other_arrays_names_the_commands_that_serve(run, tmp_path):
    files.write_json(tmp_path / "config.json", {**run.config, "noun": "items"})
    (tmp_path / "model.keras").symlink_to(run.folder / "model.keras")
    process = start(tmp_path, cwd=tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2 and errors.count("\n") == 1
    assert "shows images and tables only" in errors and "keras-vae score RUN DATA" in errors


@pytest.mark.once
def test_no_room_for_temporary_files_gives_one_line(run, tmp_path):
    """A file size limit stands in for a full disk."""
    code = (
        "import resource, signal, runpy, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"sys.argv = ['demo', {str(run.folder)!r}]\n"
        "runpy.run_module('demo', run_name='__main__')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("keras-vae demo: error: [Errno 27] File too")
    assert "TMPDIR" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.once
def test_standard_output_may_be_closed(run, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "demo", str(run.folder), "--port", port]
    code = f"import os; os.close(0); os.close(1); os.execv({sys.executable!r}, {command!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    )
    try:
        deadline, status = time.monotonic() + 120, None
        while status is None and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):  # until it is served
                status = httpx.get(f"http://127.0.0.1:{port}/config", trust_env=False).status_code
            time.sleep(0.2)
    finally:
        process.terminate()
        errors = process.communicate(timeout=60)[1]
    assert status == 200 and process.returncode == 143 and b"Traceback" not in errors


@pytest.mark.once
def test_a_link_that_cannot_be_made_is_said_and_the_page_stays(run, tmp_path):
    proxies = {name: "http://127.0.0.1:9" for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")}
    proxies |= {"NO_PROXY": "127.0.0.1,localhost", "HOME": str(tmp_path)}
    process = start(run.folder, "--share", cwd=tmp_path, **proxies)
    try:
        line = first_line(process)
        url = line.split(" at ")[1].split()[0]
        assert httpx.get(f"{url}config", trust_env=False).status_code == 200
        time.sleep(1)
    finally:
        process.terminate()
        output, errors = process.communicate(timeout=60)
    assert "anyone who has the link" in errors
    assert "No public link could be created" in errors and "gradio.live" not in output
