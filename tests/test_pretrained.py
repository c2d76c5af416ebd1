"""The pretrained model, which is used where no run has been trained."""

import re
import tomllib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from test_demo import first_line, start

from keras_vae import latent, runs
from keras_vae.commands import main
from keras_vae.demo import app
from keras_vae.demo.actions import Actions
from keras_vae.demo.tabs import about
from keras_vae.start import folders

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run():
    return runs.load("pretrained")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory without runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_loads_as_float32_and_samples(run):
    assert {weight.dtype for weight in run.model.trainable_weights} == {"float32"}
    assert run.model.data_shape == (64, 64, 3) and run.sources == ("flow", "prior")
    images = run.sample(8, seed=0, attributes={"smiling": True})
    assert images.shape == (8, 64, 64, 3) and images.std() > 0.1
    reconstructed = run.model.reconstruct(run.examples.images)
    assert np.mean((reconstructed - run.examples.images / 255) ** 2) < 0.005


def test_an_edit_adds_a_smile(run):
    sad = ~run.examples.attributes[:, run.examples.attribute_names.index("smiling")]
    images = run.examples.images[sad]
    before, after = (
        latent.edit(run.model, images, run.edits, {"smiling": strength}) for strength in (0, 1.5)
    )
    changed = np.abs(after - before).mean(axis=(0, 3))
    assert changed[36:].mean() > 1.5 * changed[:16].mean()  # the mouth, not the hair
    smiles = run.flow.guess(latent.codes_of(run.model, after))[:, run.flow.names.index("smiling")]
    assert (smiles > 0.5).mean() > 0.8


def test_commands_use_it_and_say_so(elsewhere, command):
    code, output, errors = command("sample", "-n", 1, "-o", "face.png", "--seed", 0)
    assert (code, errors) == (0, main.PRETRAINED + "\n") and len(errors.splitlines()) == 1
    assert f"1 image from the flow of {folders.PRETRAINED}, seed 0" in output
    code, _, errors = command("edit", "face.png", "--set", "smiling=1")
    assert (code, errors) == (0, main.PRETRAINED + "\n")
    assert Image.open("edited.png").size == (64, 64)
    code, _, errors = command("interpolate", "pretrained", "face.png", "edited.png", "--steps", 2)
    assert (code, errors) == (0, "")  # it was asked for by name


@pytest.mark.once
def test_it_is_not_evaluated_in_place(elsewhere, command):
    for arguments in ([], ["pretrained"]):
        code, output, errors = command("evaluate", *arguments)
        assert (code, output) == (2, "") and len(errors.splitlines()) == 1
        assert "keras-vae pack pretrained -o faces && keras-vae evaluate faces" in errors
    assert command("pack", "pretrained", "-o", "faces")[0] == 0
    assert runs.load("faces").folder == Path("faces")


@pytest.mark.once
def test_without_it_a_run_must_be_trained(elsewhere, command, monkeypatch):
    monkeypatch.setattr(folders, "PRETRAINED", elsewhere / "pretrained")
    code, _, errors = command("sample")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "There are no completed runs in runs/. To train one: python train.py" in errors


@pytest.mark.once
def test_the_page_says_so(run, elsewhere):
    text = app.headline(run)
    assert "The model comes with the package; <code>python train.py</code>" in text
    page = str(app.build_demo(run).get_config_file())
    assert about.PRETRAINED.strip() in page
    (line,) = [line for line in about.code(run).splitlines() if "runs.load" in line]
    names = {"runs": runs}
    exec(line, names)
    assert names["run"].folder == run.folder
    assert Actions(run).attributes[0] == "smiling"


@pytest.mark.once
def test_the_demo_serves_it(elsewhere):
    process = start(cwd=elsewhere)
    try:
        line = first_line(process)
        assert f"{folders.PRETRAINED} is served at http://127.0.0.1:" in line
        url = line.split(" at ")[1].split()[0]
        assert "The model comes with the package" in httpx.get(url, trust_env=False).text
    finally:
        process.terminate()
        errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors) == (143, main.PRETRAINED + "\n")


@pytest.mark.once
def test_it_is_small_and_part_of_the_package():
    paths = list(folders.PRETRAINED.iterdir())
    assert folders.PRETRAINED == ROOT / "keras_vae" / "pretrained"
    assert {path.name for path in paths} <= set(runs.FILES)
    assert sum(path.stat().st_size for path in paths) < 10e6
    # Hatchling puts every file of a package into the wheel, unless git ignores it.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    targets = project["tool"]["hatch"]["build"]["targets"]
    assert (
        "keras_vae" in targets["wheel"]["packages"] and "keras_vae" in targets["sdist"]["include"]
    )
    ignored = (ROOT / ".gitignore").read_text()
    assert not re.search(r"keras|\.npz|\.json|pretrained", ignored)


@pytest.mark.once
def test_nothing_in_it_is_about_one_machine():
    text = (folders.PRETRAINED / "config.json").read_text()
    assert '"packed": true' in text and "/" not in text
