"""README.md and the other pages: their code runs, and what they link to and name exists."""

import functools
import re
from pathlib import Path
from urllib.parse import unquote

import gradio as gr
import keras
import numpy as np
import pytest
from PIL import Image
from test_main import save_run

import keras_vae
from keras_vae import datasets, latent
from keras_vae.runs import files

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("benchmarks/**/*.md")),
    )
}
CODE = {
    page: code
    for page, text in PAGES.items()
    if (code := re.findall(r"^ *```python\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE))
}
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


def test_all_code_is_tested():
    twice = ("demo", "losses", "training", "values")
    tested = {"README.md": 2} | dict.fromkeys((f"docs/{page}.md" for page in twice), 2)
    pages = ("data", "export", "latent-space", "models", "pieces")
    tested |= dict.fromkeys((f"docs/{page}.md" for page in pages), 1)
    assert {page: len(code) for page, code in CODE.items()} == tested


def test_the_model_in_15_lines_runs(tmp_path, monkeypatch):
    lines = [line for line in CODE["README.md"][0].splitlines() if line.strip()]
    assert len(lines) <= 15
    # The same code, with few images and on the backend under test.
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda name, limit: load(name, limit=64))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("\n".join(line for line in lines if "os.environ" not in line), names)
    assert names["z_mean"].shape == (2000, 32)
    assert names["images"].shape == (16, 64, 64, 3)
    assert isinstance(keras.saving.load_model("faces.keras"), keras_vae.VAE)


def test_a_training_that_can_be_continued_runs(tmp_path, monkeypatch, make_vae, images):
    monkeypatch.chdir(tmp_path)
    model = make_vae()
    model.fit = functools.partial(model.fit, verbose=0)
    line = CODE["docs/training.md"][0].replace("epochs=100", "epochs=1")
    exec(line, {"keras_vae": keras_vae, "model": model, "images": images})
    assert (tmp_path / "checkpoints").is_dir() and int(model.steps) == 2


def test_losses_and_pictures_are_logged_as_it_says(tmp_path, monkeypatch, make_vae, images):
    monkeypatch.chdir(tmp_path)
    model = make_vae()
    model.fit = functools.partial(model.fit, verbose=0)
    code = CODE["docs/training.md"][1].replace("epochs=20", "epochs=1")
    exec(code, {"model": model, "images": images})
    assert len(list((tmp_path / "logs" / "first").iterdir())) == 1


def test_a_model_is_exported(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    exec(CODE["docs/export.md"][0], {"keras_vae": keras_vae})
    assert {path.name for path in tmp_path.iterdir()} >= {"vae.onnx", "encoder.onnx"}


def test_a_model_of_other_networks_runs():
    names = {}
    exec(CODE["docs/models.md"][0], names)
    model = names["model"]
    model.compile()
    history = model.fit(np.zeros((8, 28, 28, 1), "uint8"), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.sample(3, seed=0).shape == (3, 28, 28, 1)


def test_a_table_is_learned_completed_and_judged(capsys):
    names = {}
    for code in CODE["docs/values.md"]:
        exec(code, names)
    assert np.isfinite(names["complete"]).all() and names["complete"].shape == (1000, 6)
    assert names["new_rows"].shape == (100, 6) and abs(names["new_rows"].mean() - 170) < 5
    assert len(names["scores"]) == 3 and names["scores"]["atypicality"].shape == (200,)
    numbers = capsys.readouterr().out.splitlines()[-1].split()
    assert len(numbers) == 2 and np.isfinite(list(map(float, numbers))).all()


@pytest.fixture
def run_of_faces(tmp_path, monkeypatch):
    """Makes the newest run one of faces, with little behind it."""
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda name: load(name, limit=64))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "faces"
    folder.mkdir(parents=True)
    model = keras_vae.VAE(*keras_vae.build_mlp((64, 64, 3), 3, (8,)))
    model.compile()
    directions = latent.Directions(("smiling", "eyeglasses"), np.eye(2, 3, dtype="f"), "regression")
    mixture = latent.Mixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None])
    codes = np.random.default_rng(0).standard_normal((60, 3))
    flow = latent.fit_flow(codes, codes[:, :2] > 0, directions.names, width=8, steps=2)
    parts = {"model.keras": model, "directions.npz": directions, "mixture.npz": mixture}
    parts["flow.keras"] = flow
    for name, part in parts.items():
        files.save(folder / name, part)
    files.write_json(folder / "config.json", {"completed": True})


def test_the_latent_space_is_used_as_it_says(run_of_faces, tmp_path):
    names = {}
    exec(CODE["docs/latent-space.md"][0], names)
    for name, shape in (("happy", 8), ("sharp", 8), ("new", 16), ("sad", 16), ("strip", 8)):
        assert names[name].shape == (shape, 64, 64, 3)
    assert names["codes"].shape == (4, 3)
    assert (tmp_path / "new.png").exists()


def test_a_face_is_edited_as_it_says(tmp_path, monkeypatch):
    """By the pretrained model: no run is needed."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(CODE["README.md"][1], names)
    assert names["happy"].shape == (8, 64, 64, 3)
    assert names["new"].shape == (16, 64, 64, 3)


@pytest.mark.once
def test_the_demo_is_used_as_it_says(tmp_path, monkeypatch):
    """The app.py of a Space serves the run beside it, and a program asks it."""
    client, space = CODE["docs/demo.md"]
    folder = save_run(tmp_path / "run")
    (folder / "directions.npz").unlink()
    directions = latent.Directions(("smiling",), np.eye(1, 2, dtype="f"), "regression")
    files.save(folder / "directions.npz", directions)
    pages, launch = [], gr.Blocks.launch

    def launch_here(page, **options):
        pages.append(page)
        return launch(page, prevent_thread_lock=True, quiet=True, **options)

    monkeypatch.setattr(gr.Blocks, "launch", launch_here)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in space.splitlines() if line]) <= 4
    exec(space, {})
    Image.new("RGB", (30, 20)).save("me.jpg")
    names = {}
    exec(client.replace("http://127.0.0.1:7860", pages[0].local_url), names)
    endpoints = names["client"].view_api(return_format="dict")["named_endpoints"]
    pages[0].close()
    assert Image.open(names["after"]).size == (8, 8)
    (listed,) = re.findall(r"lists the endpoints: (.*?)\. ", PAGES["docs/demo.md"])
    assert {f"/{name}" for name in re.findall(r"`(\w+)`", listed)} == set(endpoints)


@pytest.mark.once
def test_every_file_of_a_run_is_explained():
    for name, what in files.FILES.items():
        assert f"| `{name}` | {what}" in PAGES["docs/run-folder.md"]


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there(page):
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGES[page]):
        with Image.open((ROOT / page).parent / picture) as content:
            content.load()
            assert content.format == Path(picture).suffix[1:].upper()


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", PAGES[page])):
        if re.match(r"[a-z]+:", link):  # the web is left alone
            continue
        place, _, anchor = unquote(link).partition("#")
        path = ((ROOT / page).parent / place).resolve() if place else ROOT / page
        assert path.exists(), f"{page} links to {link}, which is not there"
        assert path.is_relative_to(ROOT), f"{page} links to {link}, which is outside"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {link}"


def anchors(text):
    """Returns what the headings of a page are called in links, by GitHub's rule."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page):
    """Paths in the source, such as `keras_vae/models/vae.py` or `demo/tabs/`."""
    places = r"(?:keras_vae|demo|benchmarks|tests|docs)/"
    named = re.findall(rf"`({places}[\w./-]*|train\.py)`", PAGES[page])
    folders = [path for path in named if path.endswith("/")]
    missing = [path for path in folders if not (ROOT / path).is_dir()]
    missing += [path for path in {*named} - {*folders} if not (ROOT / path).is_file()]
    assert not missing, f"{page} names {sorted(missing)}, which are not there"


@pytest.mark.once
def test_every_page_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\(([^)#\s]+)", PAGES["README.md"]))
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


def test_beta_is_annealed_as_it_says(make_vae, images):
    names = {"keras": keras}
    exec(CODE["docs/losses.md"][1], names)
    callbacks = [names["Anneal"]()]
    history = make_vae().fit(images, epochs=3, verbose=0, callbacks=callbacks).history
    np.testing.assert_allclose(history["kl_weight"], [0.0, 0.5, 1.0])


def test_a_likelihood_with_more_outputs_is_made_as_it_says():
    names = {"keras_vae": keras_vae}
    exec(CODE["docs/losses.md"][0], names)
    assert names["outputs"] == 16 == names["model"].decoder.output_shape[-1]
    names["model"].compile()
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), "uint8")
    assert np.isfinite(names["model"].evaluate(images, verbose=0)).all()


def test_a_condition_is_used_as_it_says():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (32, 28, 28, 1), "uint8"), rng.integers(10, size=32)
    names = {"keras_vae": keras_vae, "images": images, "labels": labels}
    exec(CODE["docs/pieces.md"][0], names)
    model = names["model"]
    assert model.reconstruct(images, condition=labels, to=3).shape == images.shape
    assert np.abs(model.sample(8, 0, condition=7) - model.sample(8, 0, condition=3)).max() > 1e-4


@pytest.mark.once
def test_sprites_are_painted_as_it_says():
    names = {}
    exec(CODE["docs/data.md"][0], names)
    assert names["new"].images.shape == (1000, 64, 64, 1)
    assert names["turning"].shape == (40, 64, 64, 1) and names["between"].shape == (1, 64, 64, 1)
