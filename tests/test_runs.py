import csv
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import keras_vae
from keras_vae import latent, runs
from keras_vae.atomic import TEMPORARY, atomic, remove_temporary_files
from keras_vae.runs import files
from keras_vae.runs.examples import Examples
from keras_vae.start import folders as finding


@pytest.mark.once
def test_new_folders_never_collide(tmp_path):
    folders = {runs.create("faces", root=tmp_path) for _ in range(5)}
    assert len(folders) == 5
    assert all(folder.is_dir() and folder.name.startswith("faces-") for folder in folders)


@pytest.mark.once
def test_a_folder_with_files_is_refused_unless_it_may_be_overwritten(tmp_path):
    (tmp_path / "model.keras").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty.*--overwrite"):
        runs.create("faces", tmp_path)
    assert runs.create("faces", tmp_path, overwrite=True) == tmp_path
    assert (tmp_path / "model.keras").read_text() == "old"
    files.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.once
def test_an_impossible_folder_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        runs.create("faces", tmp_path / "file" / "run")


@pytest.mark.once
def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.once
def test_unfinished_files_can_be_removed(tmp_path):
    with atomic(tmp_path / "model.keras") as temporary:
        temporary.write_text("half")
        remove_temporary_files(tmp_path)
        assert not list(tmp_path.iterdir())
        temporary.write_text("whole")


@pytest.mark.once
def test_history_is_a_table_with_a_row_an_epoch(tmp_path):
    files.write_history(tmp_path / "history.csv", {"loss": [2.5, 1.25], "val_loss": [3.0, 2.0]})
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert rows == [
        {"epoch": "1", "loss": "2.5", "val_loss": "3"},
        {"epoch": "2", "loss": "1.25", "val_loss": "2"},
    ]


def test_a_model_goes_there_and_back(make_vae, images, tmp_path):
    model = make_vae()
    model.fit(images, verbose=0)
    files.save(tmp_path / "model.keras", model)
    loaded = runs.load_model(tmp_path)
    np.testing.assert_array_equal(loaded.reconstruct(images), model.reconstruct(images))


@pytest.mark.once
def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="There is no model in"):
        runs.load_model(tmp_path)


def make_run(folder, model, **config):
    """A run folder with a model in it, and settings."""
    folder.mkdir(parents=True)
    files.save(folder / "model.keras", model)
    files.write_json(folder / "config.json", {"completed": True, "dataset": "faces"} | config)
    return folder


DIRECTIONS = latent.Directions(("smiling",), np.array([[1, 2]], "float32"), "regression")
MIXTURE = latent.Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])


def examples_of(image_shape, latent_dim):
    """Three black test images, without attributes or groups."""
    return Examples(
        images=np.zeros((3, *image_shape), "uint8"),
        attributes=np.zeros((3, 0), bool),
        attribute_names=(),
        attribute_means=np.zeros((0, 2, latent_dim), "float32"),
        attribute_counts=np.zeros((0, 2), int),
        codes=np.zeros((4, latent_dim), "float32"),
        carried=np.zeros(latent_dim, "float32"),
        colours=np.zeros(4, int),
        colour_names=("all",),
        title="none",
    )


def test_a_run_is_loaded_with_what_is_known_of_its_latent_space(make_vae, images, tmp_path):
    model = make_vae()
    folder = make_run(tmp_path / "run", model, latent_dim=2)
    run = runs.load(folder)
    assert run.directions is None and run.mixture is None and run.examples is None
    files.save(folder / "directions.npz", DIRECTIONS)
    files.save(folder / "mixture.npz", MIXTURE)
    files.save(folder / "examples.npz", examples_of((6, 5, 3), 2))
    run = runs.load(str(folder))
    assert run.examples.images.shape == (3, 6, 5, 3) and run.examples.title == "none"
    assert run.folder == folder and run.config["latent_dim"] == 2
    np.testing.assert_array_equal(run.directions["smiling"], [1, 2])
    np.testing.assert_array_equal(run.mixture.sample(3, seed=0), MIXTURE.sample(3, seed=0))
    edited = latent.edit(run.model, images, run.directions, {"smiling": 0.5})
    expected = latent.edit(model, images, DIRECTIONS, {"smiling": 0.5})
    np.testing.assert_allclose(edited, expected, atol=1e-6)
    assert not list(folder.glob(f"{TEMPORARY}*"))


def test_new_images_come_from_the_mixture_or_the_prior(make_vae, tmp_path):
    model = make_vae()
    run = runs.Run(tmp_path, {}, model, None, MIXTURE)
    assert run.sources == ("mixture", "prior")
    drawn = model.decode(MIXTURE.sample(5, seed=3, temperature=0.5))
    for source in (None, "mixture"):
        images = run.sample(5, 3, 0.5, source)
        assert images.shape == (5, 6, 5, 3) and images.dtype == np.float32
        np.testing.assert_array_equal(images, drawn)
    images = run.sample(5, seed=3, temperature=0.5, source="prior")
    np.testing.assert_array_equal(images, model.sample(5, seed=3, temperature=0.5))
    assert not np.array_equal(run.sample(5), run.sample(5))
    for arguments in ({"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "temperature": np.nan}):
        with pytest.raises(ValueError, match="Argument"):
            run.sample(**arguments)
    with pytest.raises(ValueError, match=r"`source` must be None or one of.*source='posterior'"):
        run.sample(1, source="posterior")


@pytest.fixture(scope="module")
def flow():
    """A flow of two latents whose attribute is the sign of the first."""
    codes = np.random.default_rng(0).standard_normal((200, 2))
    codes[:, 0] += 4 * np.sign(codes[:, 0])
    has = codes[:, :1] > 0
    return latent.fit_flow(codes, has, ("smiling",), width=32, steps=300)


def test_a_run_with_a_flow(make_vae, images, flow, tmp_path):
    model = make_vae()
    folder = make_run(tmp_path / "run", model, edit_methods={"smiling": "flow"})
    for name, part in (("directions.npz", DIRECTIONS), ("mixture.npz", MIXTURE)):
        files.save(folder / name, part)
    files.save(folder / "flow.keras", flow)
    run = runs.load(folder)
    assert run.sources == ("flow", "mixture", "prior")
    np.testing.assert_allclose(
        run.sample(5, 3, 0.5), model.decode(flow.sample(5, 3, 0.5)), atol=1e-5
    )
    wish = {"smiling": True}
    codes = flow.sample(5, 3, attributes=wish)
    assert (codes[:, 0] > 0).all()
    np.testing.assert_allclose(run.sample(5, 3, attributes=wish), model.decode(codes), atol=1e-5)
    assert run.edits.method("smiling") == "flow"
    edited = latent.edit(run.model, images, run.edits, {"smiling": 0.5})
    expected = latent.edit(model, images, flow, {"smiling": 0.5})
    np.testing.assert_allclose(edited, expected, atol=1e-5)
    message = "Only the flow, and the prior of a model with a condition, can sample images with"
    with pytest.raises(ValueError, match=message):
        run.sample(1, source="prior", attributes=wish)
    with pytest.raises(ValueError, match="There is no attribute 'beard'"):
        run.sample(1, attributes={"beard": True})
    config = {**run.config, "best_source": "mixture"}
    assert dataclasses.replace(run, config=config).sources == ("mixture", "flow", "prior")
    without = dataclasses.replace(run, flow=None)
    assert without.edits.method("smiling") == DIRECTIONS.method
    with pytest.raises(
        ValueError, match=r"cannot sample images with given attributes: there is no flow\.keras"
    ):
        without.sample(1, attributes=wish)
    assert dataclasses.replace(run, directions=None).edits is None


def test_a_source_that_a_run_lacks_is_named(make_vae, tmp_path):
    run = runs.Run(tmp_path, {}, make_vae(), None, None)
    assert run.sources == ("prior",)
    np.testing.assert_array_equal(run.sample(2, seed=0), run.model.sample(2, seed=0))
    with pytest.raises(ValueError, match=r"there is no mixture\.npz\. Use .*source='prior'"):
        run.sample(1, source="mixture")
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    run = runs.Run(tmp_path, {}, model, None, MIXTURE)
    assert run.sources == ("mixture",)
    with pytest.raises(ValueError, match=r"has no prior\. Use .*source='mixture'"):
        run.sample(1, source="prior")
    run = runs.Run(tmp_path, {}, model, None, None)
    assert run.sources == ()
    for source in (None, "mixture", "prior"):
        with pytest.raises(ValueError, match=r"nothing to sample from: there is no flow.* and"):
            run.sample(1, source=source)


@pytest.mark.once
def test_the_newest_completed_run_is_found(make_vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.find() == runs.find("pretrained") == finding.PRETRAINED
    with monkeypatch.context() as patch:
        patch.setattr(finding, "PRETRAINED", tmp_path / "pretrained")
        with pytest.raises(ValueError, match=r"no completed runs in runs/.*python train\.py"):
            runs.find()
        with pytest.raises(ValueError, match=r"There is no run in pretrained"):
            runs.find("pretrained")
    model = make_vae()
    for name, started, completed in (
        ("b", "2026-01-02", True),
        ("a", "2026-01-03", True),
        ("c", "2026-01-04", False),
    ):
        make_run(tmp_path / "runs" / name, model, started=started, completed=completed)
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("{")
    (tmp_path / "runs" / "list").mkdir()
    (tmp_path / "runs" / "list" / "config.json").write_text("[]")
    assert [path.name for path in runs.completed()] == ["a", "b"]
    assert runs.load().folder.name == "a"
    assert runs.find("pretrained") == finding.PRETRAINED
    for folder in (tmp_path / "runs" / "pretrained", tmp_path / "pretrained"):  # the user's own
        make_run(folder, model, started="2026-01-01")
        assert runs.find("pretrained").resolve() == folder
    assert runs.find("c").name == "c"  # asked for by name, an interrupted one will do
    with pytest.raises(ValueError, match=r"no run in d\..*runs/a, runs/b"):
        runs.find("d")


def test_a_run_without_a_model_or_with_broken_files_is_named(make_vae, tmp_path):
    folder = make_run(tmp_path / "run", make_vae())
    other = latent.Directions(("smiling",), np.ones((1, 3), "float32"), "regression")
    files.save(folder / "directions.npz", other)
    message = r"directions\.npz must have 2 latents, like the model\. Received: 3 latents"
    with pytest.raises(ValueError, match=message):
        runs.load(folder)
    (folder / "directions.npz").unlink()
    for parts, message in (
        (((6, 5, 3), 3), r"examples\.npz must have 2 latents, .* Received: 3 latents"),
        (((5, 6, 3), 2), r"images of shape \(6, 5, 3\), like the model\. Received: \(5, 6, 3\)"),
    ):
        files.save(folder / "examples.npz", examples_of(*parts))
        with pytest.raises(ValueError, match=message):
            runs.load(folder)
    (folder / "examples.npz").unlink()
    (folder / "directions.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"directions\.npz cannot be read: "):
        runs.load(folder)
    (folder / "model.keras").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"model\.keras cannot be read: "):
        runs.load(folder)
    (folder / "model.keras").unlink()
    with pytest.raises(ValueError, match="There is no model in"):
        runs.load(folder)


def test_initial_weights_are_made_again_after_loading(make_vae, tmp_path):
    weights = make_vae().get_weights()
    folder = make_run(tmp_path / "run", make_vae())
    for weight, loaded in zip(weights, runs.load_model(folder).get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, weight)
    for weight, made in zip(weights, make_vae().get_weights(), strict=True):
        np.testing.assert_array_equal(made, weight)


@pytest.mark.once
def test_folders_are_found_without_keras(tmp_path):
    """The file by itself: whoever imports it from the package gets Keras along with it."""
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "model.keras").touch()
    files.write_json(folder / "config.json", {"completed": True})
    code = (
        "import runpy, sys\n"
        "find = runpy.run_path(sys.argv[1])['find']\n"
        "print(find(), find('a'))\n"
        "assert not {'keras', 'numpy'} & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, finding.__file__],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("runs/a runs/a\n", "")
