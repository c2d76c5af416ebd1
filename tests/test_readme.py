import re
from pathlib import Path

import gradio as gr
import keras
import numpy as np
import pytest
from PIL import Image
from test_main import save_run

import keras_vae
from keras_vae import datasets, latent, runs

README = (Path(__file__).parents[1] / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
MODEL, LATENT_SPACE, CLIENT, SPACE, ANNEAL = CODE


def test_the_model_in_15_lines_runs(tmp_path, monkeypatch):
    lines = [line for line in MODEL.splitlines() if line.strip()]
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


def test_the_latent_space_is_used_as_it_says(tmp_path, monkeypatch):
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
        runs.save(folder / name, part)
    runs.write_json(folder / "config.json", {"completed": True})
    names = {}
    exec(LATENT_SPACE, names)
    for name, shape in (("happy", 8), ("sharp", 8), ("new", 16), ("sad", 16), ("strip", 8)):
        assert names[name].shape == (shape, 64, 64, 3)
    assert names["codes"].shape == (4, 3)
    assert (tmp_path / "new.png").exists()


@pytest.mark.once
def test_the_demo_is_used_as_it_says(tmp_path, monkeypatch):
    """The app.py of a Space serves the run beside it, and a program asks it."""
    folder = save_run(tmp_path / "run")
    (folder / "directions.npz").unlink()
    directions = latent.Directions(("smiling",), np.eye(1, 2, dtype="f"), "regression")
    runs.save(folder / "directions.npz", directions)
    pages, launch = [], gr.Blocks.launch

    def launch_here(page, **options):
        pages.append(page)
        return launch(page, prevent_thread_lock=True, quiet=True, **options)

    monkeypatch.setattr(gr.Blocks, "launch", launch_here)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in SPACE.splitlines() if line]) <= 4
    exec(SPACE, {})
    Image.new("RGB", (30, 20)).save("me.jpg")
    names = {}
    exec(CLIENT.replace("http://127.0.0.1:7860", pages[0].local_url), names)
    pages[0].close()
    assert Image.open(names["after"]).size == (8, 8)


@pytest.mark.once
def test_every_file_of_a_run_is_explained():
    for name, what in runs.FILES.items():
        assert f"| `{name}` | {what}" in README


@pytest.mark.once
def test_the_picture_is_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (Path(__file__).parents[1] / picture).read_bytes().startswith(b"\x89PNG")


def test_beta_is_annealed_as_it_says(make_vae, images):
    names = {"keras": keras}
    exec(ANNEAL, names)
    callbacks = [names["Anneal"]()]
    history = make_vae().fit(images, epochs=3, verbose=0, callbacks=callbacks).history
    np.testing.assert_allclose(history["kl_weight"], [0.0, 0.5, 1.0])
