"""Packed runs: small copies with weights in half precision."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_demo import add_examples, add_flow
from test_main import save_run

import keras_vae
from keras_vae import latent, runs
from keras_vae.runs import files, packing


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = save_run(
        tmp_path_factory.mktemp("runs") / "run",
        model=keras_vae.VAE(*keras_vae.build_mlp((8, 8, 3), 2, hidden=(400,)), seed=0),
        best_source="mixture",
        output="/home/me/run",
        cache="/home/me/cache",
    )
    files.write_json(folder / "metrics.json", {"test_mse": 0.5})
    (folder / "samples.png").touch()
    return add_flow(add_examples(folder, n=3000))


def size_of(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_copy_is_the_run_within_half_precision(run, tmp_path):
    target = tmp_path / "new" / "packed"
    assert runs.pack(run, target) == size_of(target) < size_of(run) / 3
    assert {path.name for path in target.iterdir()} == {
        *("config.json", "directions.npz", "examples.npz", "flow.keras", "metrics.json"),
        "model.keras",
    }
    assert [path.name for path in target.parent.iterdir()] == ["packed"]
    before, after = runs.load(run), runs.load(target)
    for one, other in ((before.model, after.model), (before.flow, after.flow)):
        for weight, copy in zip(one.weights, other.weights, strict=True):
            assert weight.dtype == copy.dtype
            expected, got = np.array(weight), np.array(copy)
            np.testing.assert_allclose(got, expected, rtol=2**-11, atol=2**-25)
    images = before.examples.images
    for strengths in ({"smiling": 1}, {"a=b": 1}):
        expected = latent.edit(before.model, images, before.edits, strengths)
        got = latent.edit(after.model, images, after.edits, strengths)
        np.testing.assert_allclose(got, expected, atol=0.01)
    assert after.model.compiled and len(after.examples.codes) == packing.CODES
    after.model.fit(images, verbose=0)


def test_a_copy_says_what_it_holds(run, tmp_path):
    runs.pack(run, tmp_path / "packed")
    packed = runs.load(tmp_path / "packed")
    assert packed.sources == ("flow", "prior") and packed.mixture is None
    config = json.loads((run / "config.json").read_text())
    del config["output"], config["cache"]
    assert packed.config == config | {"best_source": "flow", "packed": True}
    runs.pack(tmp_path / "packed", tmp_path / "again")
    for name in ("model.keras", "flow.keras"):
        first, second = (weights(tmp_path / folder / name) for folder in ("packed", "again"))
        assert first == second


def weights(path):
    with zipfile.ZipFile(path) as file:
        return packing.halved(file.read("model.weights.h5"))


def test_without_a_flow_the_mixture_is_kept(tmp_path):
    parts = keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,), variational=False)
    folder = save_run(tmp_path / "run", model=keras_vae.AutoEncoder(*parts), best_source="mixture")
    runs.pack(folder, tmp_path / "packed")
    assert runs.load(tmp_path / "packed").sources == ("mixture",)


@pytest.mark.once
def test_values_beyond_half_precision_stay_as_they_are():
    for values, kind in (([1.0, 7e4], "float32"), ([1.0, 6e4], "float16"), ([1, 2], "int64")):
        values = np.array(values, "float32" if isinstance(values[0], float) else "int64")
        assert packing.half(values).dtype == kind
        np.testing.assert_array_equal(packing.half(values), values)


@pytest.mark.once
def test_the_command(run, tmp_path, command):
    target = tmp_path / "packed"
    code, output, errors = command("pack", run, "-o", target)
    assert (code, errors) == (0, "") and output == f"{target}/: a copy of {run}, 0.5 MB\n"
    (target / "notes.txt").touch()
    (target / "samples.png").touch()
    code, output, errors = command("pack", run, "-o", target)
    assert (code, output) == (2, "") and errors == (
        f"keras-vae pack: error: The folder {target} is not empty. Choose another, or use "
        "--overwrite\n"
    )
    assert command("pack", run, "-o", target, "--overwrite")[0] == 0
    assert (target / "notes.txt").exists() and not (target / "samples.png").exists()
    runs.load(target)


@pytest.mark.once
@pytest.mark.parametrize(
    "output, message",
    [
        ("{run}", "is the run itself, which must not change"),
        ("{folder}/file", "is a file; expected a folder"),
        ("{folder}/file/packed", "File exists"),
        ("", "--output is empty; expected a folder"),
    ],
)
def test_an_impossible_target_gives_one_line(run, tmp_path, command, output, message):
    (tmp_path / "file").touch()
    output = output.format(run=run, folder=tmp_path)
    code, text, errors = command("pack", run, "--overwrite", "-o", output)
    assert (code, text) == (2, "") and message in errors and len(errors.splitlines()) == 1
    assert "-o/--output" in command("pack", run)[2]


@pytest.mark.once
def test_a_failure_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError("no space left")

    monkeypatch.setattr(files, "write_json", fail)
    for existing in (False, True):
        with pytest.raises(OSError):
            runs.pack(run, tmp_path / "packed")
        assert os.listdir(tmp_path) == ["packed"][: int(existing)]
        Path(tmp_path, "packed").mkdir(exist_ok=True)
    assert os.listdir(tmp_path / "packed") == []
