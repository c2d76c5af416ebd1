import re
from pathlib import Path

import keras

import keras_vae
from keras_vae import datasets, runs

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_model_in_15_lines_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for line in code.splitlines() if line.strip()]
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


def test_every_file_of_a_run_is_explained():
    for name, what in runs.FILES.items():
        assert f"| `{name}` | {what}" in README


def test_the_picture_is_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (Path(__file__).parents[1] / picture).read_bytes().startswith(b"\x89PNG")
