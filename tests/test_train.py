"""train.py as a user meets it: a process, its output, its exit code and its files."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import types
import zipfile
from pathlib import Path

import keras
import matplotlib.font_manager  # noqa: F401  (the first import builds a cache, and says so)
import numpy as np
import pytest
from conftest import INSTALLED
from PIL import Image

from keras_vae import datasets, latent, plots, runs
from keras_vae.atomic import TEMPORARY
from keras_vae.commands import launch
from keras_vae.commands.train import parse

pytestmark = pytest.mark.by_turns
ROOT = Path(__file__).parents[1]
BACKEND = keras.backend.backend()
SMALL = ("--limit", "200", "--epochs", "2", "--latent-dim", "4")
LONG = ("--epochs", 40)  # ended by the test; of more epochs only some have a line to wait for
EVALUATED = {"evaluation.json", *plots.EVALUATION}
OF_VALUES = {name for name, what in runs.FILES.items() if what.endswith(("no images)", "a table)"))}
CHECKPOINTS = {"checkpoint.npz", "checkpoint-before.npz"}
WISHED = {"tensorboard/"}
ALWAYS = set(runs.FILES) - OF_VALUES - EVALUATED - CHECKPOINTS - WISHED
ALWAYS -= {"skipped.txt", "manifold.png"}


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *map(str, arguments)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments, **environment):
    """Returns (exit code, standard output, standard error)."""
    process = start(*arguments, **environment)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def start_and_wait(*arguments, line="epoch "):
    """Returns the process of a run that has printed a line with this beginning."""
    process = start(*arguments)
    for printed in process.stdout:
        if printed.startswith(line):
            return process
    pytest.fail(process.stderr.read())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small finished run: its folder and what was printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    code, output, errors = run(*SMALL, "--output", folder)
    assert code == 0, errors
    return folder, output, errors


def test_a_run_leaves_every_file_and_nothing_else(finished):
    folder, output, _ = finished
    assert {path.name for path in folder.iterdir()} == ALWAYS
    assert "checkpoint" not in output
    for name in ALWAYS:
        if name.endswith(".png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_first_line_says_what_is_trained(finished):
    folder, output, _ = finished
    first = output.splitlines()[0]
    for part in (
        BACKEND,
        "faces 64x64x3",
        "200 images to train",
        "patches 512-32-128",
        "4 latents",
        "gaussian likelihood, beta 1",
        str(folder),
    ):
        assert part in first


def test_the_output_has_a_line_an_epoch_and_no_noise(finished):
    folder, output, errors = finished
    epochs = [line for line in output.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 2
    for part in ("loss", "reconstruction", "KL", "images/s", "left"):
        assert part in epochs[0]
    assert errors.splitlines() == ["Reading faces ..."]
    assert "Compiling" in output
    assert f"{folder}/" in output.splitlines() and "runs.load(" in output.splitlines()[-1]


def test_config_holds_settings_and_versions(finished):
    config = json.loads((finished[0] / "config.json").read_text())
    assert config["completed"] is True
    assert config["backend"] == BACKEND
    assert config["images"] == {"train": 200, "validation": 200, "test": 2000}
    expected = {"dataset": "faces", "latent_dim": 4, "epochs": 2, "model": "vae", "seed": 0}
    assert {name: config[name] for name in expected} == expected
    assert config["versions"]["keras"] == keras.__version__


def test_metrics_are_those_of_the_saved_model(finished):
    folder, _, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    model = runs.load_model(folder)
    test = datasets.load("faces", limit=1).test.images
    losses = model.evaluate(test, verbose=0, return_dict=True)
    for name in ("loss", "reconstruction_loss", "kl_loss"):
        assert metrics[f"test_{name}"] == pytest.approx(losses[name], rel=1e-5)
    assert metrics["test_elbo"] == pytest.approx(-losses["loss"], rel=1e-5)  # beta is 1
    assert 0 < metrics["bits_per_dim"] < 9
    mse = np.mean((model.reconstruct(test) - test / 255) ** 2)
    assert metrics["test_mse"] == pytest.approx(mse, rel=1e-4)
    assert 0 <= metrics["active_units"] <= 4
    assert metrics["train_seconds"] > 0 and metrics["images_per_second"] > 0


def test_directions_and_mixture_are_those_of_the_training_images(finished):
    run = runs.load(finished[0])
    faces = datasets.load("faces", limit=200)
    codes = latent.codes_of(run.model, faces.train.images)
    names = run.directions.names
    kept = [faces.attribute_names.index(name) for name in names]
    assert {"smiling", "eyeglasses"} <= set(names)
    expected = latent.fit_directions(codes, faces.train.attributes[:, kept], names)
    np.testing.assert_allclose(run.directions.vectors, expected.vectors, rtol=1e-3, atol=1e-4)
    others = latent.codes_of(run.model, faces.validation.images)
    mixture = latent.fit_mixture(codes, others, seed=0)
    np.testing.assert_allclose(run.mixture.means, mixture.means, rtol=1e-2, atol=1e-2)
    assert run.flow.names == names and run.config["best_source"] == run.sources[0]
    assert run.config["edit_methods"] == {}  # too few images to choose by a judge
    smiling = run.flow.sample(50, 0, attributes={"smiling": True})
    assert smiling.shape == (50, 4) and np.isfinite(smiling).all()


def test_examples_are_the_first_test_images(finished):
    folder, output, _ = finished
    run, test = runs.load(folder), datasets.load("faces", limit=1).test
    np.testing.assert_array_equal(run.examples.images, test.images[:48])
    np.testing.assert_array_equal(run.examples.attributes, test.attributes[:48])
    codes = latent.codes_of(run.model, test.images)
    np.testing.assert_allclose(run.examples.codes, codes, rtol=1e-5, atol=1e-5)
    smiles = test.attributes[:, run.examples.attribute_names.index("smiling")]
    np.testing.assert_array_equal(run.examples.colours, smiles)
    assert any(line.endswith(f" demo {folder}") for line in output.splitlines())


def test_the_command_it_prints_edits_a_photo(finished, tmp_path):
    (line,) = [line for line in finished[1].splitlines() if " edit " in line]
    command = [
        str(tmp_path / word) if word.endswith(".png") else word for word in shlex.split(line)
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert Image.open(tmp_path / "edited.png").size == (64, 64)


def test_history_has_the_best_epoch(finished):
    folder, _, _ = finished
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    losses = [float(row["val_loss"]) for row in rows]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["best_epoch"] == 1 + int(np.argmin(losses))


@pytest.mark.once
def test_an_autoencoder_has_no_kl(run_here, tmp_path):
    flags = "--model", "ae", "--tensorboard"
    code, output, errors = things_run(tmp_path / "run", run_here, flags)
    assert code == 0, errors
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == ALWAYS | {"tensorboard"} and "  tensorboard/         losses" in output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test_loss"] == metrics["test_reconstruction_loss"]
    assert "test_kl_loss" not in metrics and "KL" not in output


def test_a_folder_is_trained_on_from_disk(tmp_path):
    source = tmp_path / "my pictures"
    lines = ["file,person,happy"]
    for i in range(60):
        name = f"{'dog' if i % 2 else 'cat'}/{i}.jpg"
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 40), (4 * i, 99, 200)).save(source / name)
        lines.append(f"{name},{i % 20},{i % 3 // 2}")
    (source / "list.csv").write_text("\n".join(lines))
    (source / "cat" / "0.jpg").write_bytes(b"broken")
    folder = tmp_path / "run"
    code, output, errors = run(
        *("--dataset", source, "--attributes-file", source / "list.csv", "--group", "person"),
        *("--attributes", "happy", "dog", "--image-size", 16, 12, "--resize", "pad"),
        *("--memory", 0, "--cache", tmp_path / "cache", "--augment", "--batch-size", 16),
        *("--epochs", 2, "--latent-dim", 2, "--network", "mlp", "--widths", 8, "--output", folder),
        *("--attribute", "dog"),
        KERAS_VAE_CACHE="",
    )
    assert code == 0, errors
    assert errors.splitlines() == [f"Reading {source} ..."]
    first, second = output.splitlines()[:2]
    for part in ("my pictures 16x12x3", "streamed from disk, mirrored at random", "mlp 8"):
        assert part in first
    assert second == f"Skipped 1 file; the reasons are in {folder}/skipped.txt"
    others = OF_VALUES | EVALUATED | CHECKPOINTS | WISHED
    assert {path.name for path in folder.iterdir()} == set(runs.FILES) - others
    skipped = (folder / "skipped.txt").read_text()
    assert skipped == "cat/0.jpg: not an image in a supported format\n"
    config = json.loads((folder / "config.json").read_text())
    assert config["attribute_names"] == ["happy", "dog"] and config["streamed"] is True
    assert sum(config["images"].values()) == 59
    assert len(list((tmp_path / "cache").glob("*/images.npy"))) == 1
    assert (tmp_path / "cache/compiled").exists() == (BACKEND == "jax")
    code, output, errors = run("--clear-cache", KERAS_VAE_CACHE=str(tmp_path / "cache"))
    assert code == 0 and output.startswith("Removed ") and not errors
    assert not list((tmp_path / "cache").glob("*/images.npy"))
    assert not (tmp_path / "cache/compiled").exists()  # programs that JAX keeps


@pytest.mark.once
def test_unknown_values_and_scores_are_told_and_used(run_here, tmp_path):
    source, folder = tmp_path / "pictures", tmp_path / "run"
    source.mkdir()
    lines = ["file,Smiling,grin,age"]
    for i in range(120):
        Image.new("L", (8, 8), 2 * i).save(source / f"{i}.png")
        lines.append(f"{i}.png,{['1.000000', '0.0', ''][i % 3]},{i / 120:.3f},{i}")
    (source / "list.csv").write_text("\n".join(lines))
    flags = ("--dataset", source, "--attributes-file", source / "list.csv", "--epochs", 1)
    flags += ("--latent-dim", 2, "--widths", 8, "--network", "mlp", "--output", folder)
    code, output, errors = run_here(*flags)
    assert code == 0, errors
    told = output.splitlines()
    assert told[1] == (
        "Columns not used as attributes: grin (numbers from 0 to 0.992), age (numbers from 0 to "
        "119). If these are scores, use --cut-scores"
    )
    data = datasets.load(source, attributes_file=source / "list.csv")
    counts = f"Smiling ({data.train.known.sum()} of {len(data.train)})"
    assert told[2] == f"Known for only some training images: {counts}"
    assert f"Directions fitted to images with known values: {counts}" in told
    made = runs.load(folder)
    z, _ = made.model.encode(data.train.images)
    known = data.train.known
    expected = latent.fit_directions(z, data.train.attributes, ["Smiling"], known=known)
    np.testing.assert_allclose(made.directions.vectors, expected.vectors, rtol=1e-3, atol=1e-5)
    assert made.examples.colour_names == ("not Smiling", "Smiling", "unknown")
    np.testing.assert_array_equal(made.examples.known, data.test.known)
    assert runs.load_data(made.config).attribute_names == ("Smiling",)
    code, output, errors = run_here(*flags, "--cut-scores", "--overwrite")
    assert code == 0, errors
    assert output.splitlines()[1] == "Scores thresholded: grin at 0.5, age at 59.5"
    made = runs.load(folder)
    assert tuple(made.directions) == ("Smiling", "grin", "age")
    assert runs.load_data(made.config).attribute_names == ("Smiling", "grin", "age")


@pytest.mark.once
def test_every_setting_of_the_model_reaches_it(run_here, tmp_path):
    settings = {
        "network": "conv",
        "widths": [8, 16],
        "activation": "tanh",
        "likelihood": "bernoulli",
        "beta": 0.5,
        "kl_warmup": 1.5,
        "free_bits": 0.25,
        "precision": "mixed_bfloat16",
    }
    flags = ["--epochs", 2, "--batch-size", 100]
    for name, value in settings.items():
        values = value if isinstance(value, list) else [value]
        flags += [f"--{name.replace('_', '-')}", *values]
    folder = tmp_path / "run"
    code, output, errors = things_run(folder, run_here, flags)
    assert code == 0, errors
    first = output.splitlines()[0]
    for part in (
        "in mixed_bfloat16",
        "vae, conv 8-16, 3 latents, bernoulli likelihood",
        "beta 0.5 after 1.5 epochs of warm-up, 0.25 nats free per latent",
    ):
        assert part in first
    config = json.loads((folder / "config.json").read_text())
    assert {name: config[name] for name in settings} == settings
    model = runs.load_model(folder)
    assert (model.beta, model.kl_warmup_steps, model.free_bits) == (0.5, 3, 0.25)
    assert type(model.likelihood).__name__ == "Bernoulli"
    assert [layer.filters for layer in model.encoder.layers if hasattr(layer, "filters")] == [8, 16]
    assert "bfloat16" in {layer.compute_dtype for layer in model.encoder.layers}
    assert json.loads((folder / "metrics.json").read_text())["bits_per_dim"] is None
    with open(folder / "history.csv") as file:
        weights = [float(row["kl_weight"]) for row in csv.DictReader(file)]
    # Steps of 100 and of 50 images, with 0/3, 1/3, 2/3 and 3/3 of beta.
    np.testing.assert_allclose(weights, [1 / 18, 1 / 18 + 1 / 3], rtol=1e-4)


# Prior, bound, penalty and condition together; each of their flags: see test_pieces.py.
PIECES = ("--prior", "vamp", "--components", "5", "--bound", "importance", "--draws", "4")
PIECES += ("--penalty", "mmd", "--condition")
THINGS = ("cat", "dog", "fox")


def things_run(folder, start=run, pieces=PIECES):
    """Trains on drawn things of three classes, dark to bright; returns what `start` returns."""
    path = folder.parent / "things.npz"
    if not path.exists():
        rng = np.random.default_rng(0)
        labels = np.arange(240) % 3
        images = rng.integers(0, 60, (240, 8, 8, 1)) + 90 * labels[:, None, None, None]
        np.savez(path, images=images.astype("uint8"), labels=np.array(THINGS)[labels])
    flags = ("--dataset", path, "--limit", 150, "--network", "mlp", "--widths", 16)
    flags += ("--latent-dim", 3, "--epochs", 4, "--batch-size", 16, "--learning-rate", 0.02)
    return start(*flags, *pieces, "--output", folder)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A finished run with all pieces: its folder and what was printed."""
    folder = tmp_path_factory.mktemp("things") / "run"
    code, output, errors = things_run(folder)
    assert code == 0, errors
    return folder, output


@pytest.mark.once
def test_all_pieces_reach_the_run(things):
    folder, output = things
    assert {path.name for path in folder.iterdir()} == ALWAYS
    assert (
        "gaussian likelihood, beta 1, prior vamp, importance-weighted bound of 4 draws, given the "
        "class, penalty mmd x 100, "
    ) in output.splitlines()[0]
    (line,) = [line for line in output.splitlines() if line.startswith("Best epoch: ")]
    assert " nats per image; MSE " in line and " (reconstruction " in line  # not their sum
    config = json.loads((folder / "config.json").read_text())
    settings = {"prior": "vamp", "components": 5, "bound": "importance", "draws": 4}
    settings |= {"penalty": "mmd", "penalty_weight": 100, "condition": [], "completed": True}
    assert {name: config[name] for name in settings} == settings
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert {"penalty_loss", "val_penalty_loss"} <= set(rows[0])
    loaded = runs.load(folder)
    model = loaded.model
    assert (model.prior.shape, model.bound.draws) == ((5, 8, 8, 1), 4)
    assert (type(model.penalty).__name__, model.penalty.weight) == ("MMD", 100)
    assert (model.condition.names, model.condition.exclusive) == (THINGS, True)
    data = runs.load_data(config)
    x, y = data.test.images, data.test.labels
    metrics = json.loads((folder / "metrics.json").read_text())
    losses = model.evaluate(x, y, batch_size=128, verbose=0, return_dict=True)
    for name in ("loss", "reconstruction_loss", "kl_loss"):
        assert metrics[f"test_{name}"] == pytest.approx(losses[name], rel=1e-5)
    untold = model.evaluate(x, batch_size=128, verbose=0)[0]
    assert abs(untold - losses["loss"]) > 1e-3  # training and metrics were told the classes
    told = [float(row["val_reconstruction_loss"]) for row in rows]
    validation = model.evaluate(
        data.validation.images, data.validation.labels, verbose=0, return_dict=True
    )
    assert told[metrics["best_epoch"] - 1] == pytest.approx(
        validation["reconstruction_loss"], rel=1e-4
    )
    pictures = model.reconstruct(x, condition=y)
    assert metrics["test_mse"] == pytest.approx(np.mean((pictures - x / 255) ** 2), rel=1e-4)


@pytest.mark.once
def test_samples_and_measurements_of_a_run_with_all_pieces(things, command, tmp_path):
    folder, _ = things
    model = runs.load_model(folder)
    light = [model.sample(100, seed=0, condition=name).mean() for name in THINGS]
    assert light[0] + 0.1 < light[1] < light[2] - 0.1  # the classes are dark to bright
    for wishes in (["--class", "dog"], ["--set", "dog=1"]):
        flags = "-n", 3, "--seed", 1, "--from", "prior", *wishes
        code, text, errors = command("sample", folder, *flags, "-o", tmp_path / "new.png")
        assert (code, errors) == (0, "")
        assert text.endswith(f"3 images with dog=1 from the prior of {folder}, seed 1\n")
    code, text, _ = command("sample", folder, "-n", 3, "-o", tmp_path / "new.png", "--class", "fox")
    assert code == 0 and "with fox=1 from the flow of" in text
    runs.pack(folder, tmp_path / "small")  # in half precision
    small = runs.load(tmp_path / "small").sample(3, 0, source="prior", attributes={"fox": True})
    np.testing.assert_allclose(small, model.sample(3, 0, condition="fox"), atol=0.01)
    code, text, errors = command("evaluate", folder, "--only", "fit", "latents", "-k", 5, "-n", 20)
    assert code == 0, errors
    found = json.loads((folder / "evaluation.json").read_text())
    for name in plots.EVALUATION:
        (folder / name).unlink(missing_ok=True)
    (folder / "evaluation.json").unlink()
    test = runs.load_data(json.loads((folder / "config.json").read_text())).test
    nats = model.log_likelihood(test.images[:20], 5, condition=test.labels[:20])
    assert found["fit"]["log_likelihood"] == pytest.approx(nats.mean(), rel=1e-4)
    z_mean, z_log_var = model.encode(test.images)
    z = z_mean + np.exp(z_log_var / 2) * np.random.default_rng(0).standard_normal(z_mean.shape)
    log_q = -0.5 * np.sum((z - z_mean) ** 2 / np.exp(z_log_var) + z_log_var, axis=1)
    log_q -= 1.5 * np.log(2 * np.pi)
    z = keras.ops.convert_to_tensor(z.astype("float32"))
    log_p = keras.ops.convert_to_numpy(model.prior.log_prob(z))
    assert found["latents"]["kl_loss"] == pytest.approx(np.mean(log_q - log_p), rel=1e-3)


@pytest.mark.once
def test_a_killed_run_with_all_pieces_continues_with_them(things, tmp_path):
    expected, folder = things[0], tmp_path / "run"
    process = things_run(folder, start=start)
    while process.poll() is None and not (folder / "checkpoint.npz").exists():
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=300)
    code, output, errors = run("--resume", folder)
    assert code == 0, errors
    assert "Continuing with epoch" in output and "prior vamp" in output.splitlines()[0]
    for path in expected.iterdir():
        one, other = content(path), content(folder / path.name)
        if path.name == "config.json":  # the data are the same, in another place
            one, other = ({**part, "dataset": ""} for part in (one, other))
        assert one == other, path.name


@pytest.mark.once
def test_a_run_may_be_given_some_attributes(run_here, tmp_path):
    pieces = "--prior", "flow", "--condition", "fox", "cat"
    code, output, errors = things_run(tmp_path / "run", run_here, pieces)
    assert code == 0, errors
    assert "beta 1, prior flow, given fox cat, " in output.splitlines()[0]
    made = runs.load(tmp_path / "run")
    assert (made.model.condition.names, made.model.condition.exclusive) == (("fox", "cat"), False)
    light = [
        made.sample(100, 0, source="prior", attributes=wish).mean()
        for wish in ({"cat": True, "fox": False}, {"cat": False, "fox": True})
    ]
    assert light[0] + 0.2 < light[1]


@pytest.mark.once
def test_the_straight_path_may_be_left_out(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    import train

    images = np.zeros((9, 64, 64, 3), "uint8")
    split = datasets.dataset.Split(images)
    data = types.SimpleNamespace(
        is_of_images=True, table=None, image_shape=images.shape[1:], train=split
    )
    for flags, expected in (((), True), (("--no-straight",), False)):
        args = parse(["--network", "mlp", "--widths", "8", *flags])
        train.fill_in_defaults(args, data)
        model = train.build(args, data)
        for part in (model.encoder, model.decoder):
            assert ("straight" in {layer.name for layer in part.layers}) == expected


def test_minutes_end_a_run_with_all_its_files(run_here, tmp_path):
    code, output, errors = run_here(
        *("--minutes", "0.05", "--limit", "200", "--network", "mlp", "--widths", "8"),
        *("--latent-dim", "4", "--output", tmp_path),
    )
    assert code == 0, errors
    assert {path.name for path in tmp_path.iterdir()} == ALWAYS
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["completed"] and config["minutes"] == 0.05
    with open(tmp_path / "history.csv", newline="") as file:
        assert config["epochs"] == len(list(csv.DictReader(file)))
    assert "epoch   1  loss" in output  # there is no number of epochs to count towards


def test_the_speed_of_the_first_steps_decides(monkeypatch):
    """A machine that is ten times faster has the network of ten times the minutes."""
    monkeypatch.syspath_prepend(ROOT)
    import train
    from keras_vae.training import clock, recipes

    rows = {
        0: {"network": "mlp", "images_per_second": 100, "epochs": 9, "widths": [8]},
        5: {"network": "mlp", "images_per_second": 50, "epochs": 9, "widths": [16]},
    }
    monkeypatch.setitem(recipes.WITH_TIME, "faces", rows)

    class Images(list):
        images = np.zeros((9, 64, 64, 3), "uint8")

    class Plan:
        speed = 1.0
        minutes = property(lambda self: 1.0 * self.speed)

    data = types.SimpleNamespace(
        is_of_images=True, table=None, image_shape=(64, 64, 3), train=Images(range(9))
    )
    for speed, flags, widths in (
        (100, (), [8]),
        (1000, (), [16]),  # ten minutes
        (1000, ("--widths", "4"), [4]),  # what is given is used
    ):
        monkeypatch.setattr(clock, "first_steps", lambda model, images, size, speed=speed: speed)
        args = parse(["--minutes", "1", "--network", "mlp", *flags])
        model = train.make_model(args, data, Plan())
        assert args.widths == widths
        assert args.widths[0] in {
            layer.units for layer in model.encoder.layers if hasattr(layer, "units")
        }
    speeds = iter([1000, 10] * 5)  # each calls for the other network
    monkeypatch.setattr(clock, "first_steps", lambda model, images, size: next(speeds))
    train.make_model(parse(["--minutes", "1", "--network", "mlp"]), data, Plan())
    assert len(list(speeds)) == 7


@pytest.mark.once
@pytest.mark.parametrize(
    "flags, shape, images, expected",
    [
        ((), (64, 64, 3), 1000, ("patches", 64, 16)),
        (("--network", "conv"), (64, 64, 3), 1000, ("conv", 64, 8)),
        (("--dataset", "mnist"), (28, 28, 1), 1000, ("mlp", 32, 20)),
        (("--dataset", "photos"), (32, 32, 1), 1000, ("mlp", 32, 20)),
        (("--dataset", "photos"), (32, 32, 3), 10_000, ("conv", 256, 13)),
        (("--dataset", "photos"), (64, 64, 3), 1000, ("conv", 256, 50)),
        (("--dataset", "photos"), (64, 64, 3), 10**7, ("conv", 256, 1)),
        (("--dataset", "photos", "--network", "mlp"), (64, 64, 3), 10_000, ("mlp", 256, 13)),
        (("--dataset", "photos", "--network", "patches"), (4, 2, 3), 10_000, ("patches", 12, 13)),
        (("--dataset", "photos", "--epochs", "7"), (130, 100, 3), 10**7, ("conv", 256, 7)),
    ],
)
def test_what_is_left_open_suits_the_data(flags, shape, images, expected, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    import train

    args = parse(["--backend", BACKEND, *flags])
    train.fill_in_defaults(
        args,
        types.SimpleNamespace(
            is_of_images=True, table=None, image_shape=shape, train=range(images)
        ),
    )
    assert (args.network, args.latent_dim, args.epochs) == expected
    assert args.straight is True


@pytest.mark.once
def test_a_loss_that_is_no_number_gives_one_line(run_here, tmp_path):
    folder = tmp_path / "run"
    code, _, errors = things_run(folder, run_here, ("--learning-rate", "1e30"))
    assert code == 2 and "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert last.startswith("train.py: error: The loss at step 2 of epoch 1 is nan")
    assert "lower learning rate" in last
    assert not folder.exists()  # there is no model


@pytest.mark.once
def test_a_network_that_does_not_fit_into_memory_is_refused_before_it_is_made(run_here, tmp_path):
    folder = tmp_path / "runs" / "run"
    network = ["--network", "mlp", "--no-straight", "--widths", 2_000_000_000]
    code, output, errors = run_here("--limit", 50, *network, "--output", folder)
    assert (code, output) == (2, "")
    _, last = errors.splitlines()
    assert last.startswith("train.py: error: not enough memory: training 49,544,000.0M parameters")
    assert not folder.parent.exists()


def test_ctrl_c_stops_saves_and_says_so(tmp_path):
    folder = tmp_path / "run"
    process = start_and_wait(*SMALL, *LONG, "--output", folder)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Stopping after this step" in errors and "Traceback" not in errors
    assert errors.endswith(f"To continue: python train.py --resume {folder}\n")
    assert {path.name for path in folder.iterdir()} >= {*ALWAYS, "checkpoint.npz"}
    assert json.loads((folder / "config.json").read_text())["completed"] is False
    metrics = json.loads((folder / "metrics.json").read_text())
    assert np.isfinite(metrics["test_loss"])
    assert runs.load_model(folder).sample(1).shape == (1, 64, 64, 3)


def test_a_second_ctrl_c_stops_at_once_with_whole_files(tmp_path):
    folder = tmp_path / "run"
    process = start_and_wait("--limit", 2000, *LONG, "--output", folder)
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if "Stopping" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in errors
    assert not list(folder.glob(f"{TEMPORARY}*"))
    assert json.loads((folder / "config.json").read_text())["completed"] is False
    assert runs.load_model(folder).sample(1).shape == (1, 64, 64, 3)


def content(path):
    """The content of a file of a run, without times and what differs between processes."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            return file.read("model.weights.h5")
    if path.suffix != ".json":
        return path.read_bytes()
    passing = "started", "output", "train_seconds", "images_per_second"
    return {k: v for k, v in json.loads(path.read_text()).items() if k not in passing}


def test_a_killed_run_continues_and_ends_with_the_same_bits(finished, tmp_path):
    expected, _, _ = finished
    folder = tmp_path / "run"
    process = start_and_wait(*SMALL, "--output", folder, line="epoch 1/2")
    while process.poll() is None and not (folder / "checkpoint.npz").exists():
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=300)
    code, output, errors = run("--resume", folder)
    assert code == 0, errors
    assert "Continuing with epoch" in output
    assert {path.name for path in folder.iterdir()} == {path.name for path in expected.iterdir()}
    for path in expected.iterdir():
        assert content(path) == content(folder / path.name), path.name


def test_sigterm_saves_and_says_how_to_continue(tmp_path):
    folder = tmp_path / "a run"
    process = start_and_wait(*SMALL, *LONG, "--output", folder)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143
    assert errors.splitlines()[1:] == [f"To continue: python train.py --resume '{folder}'"]
    assert (folder / "checkpoint.npz").exists()
    with pytest.warns(UserWarning, match="is not complete: using its best model so far"):
        assert runs.load(folder).model.sample(1).shape == (1, 64, 64, 3)


def test_two_devices_give_the_same_run(finished, tmp_path):
    folder = tmp_path / "run"
    code, output, errors = run(*SMALL, "--devices", 2, "--output", folder)
    assert (code, errors.count("Reading")) == (0, 1), errors
    assert output.splitlines()[0].startswith(f"{BACKEND} on 2 x ")
    assert {path.name for path in folder.iterdir()} == ALWAYS
    one, two = (
        np.loadtxt(path / "history.csv", delimiter=",", skiprows=1)
        for path in (finished[0], folder)
    )
    np.testing.assert_allclose(two, one, rtol=1e-4)
    config = json.loads((folder / "config.json").read_text())
    assert not set(launch.PLACES) & set(config)


@pytest.mark.once
@pytest.mark.skipif("torch" not in INSTALLED, reason="needs torch")
def test_a_device_that_dies_is_named_and_the_run_continues_on_one(tmp_path):
    folder = tmp_path / "run"
    flags = "--backend", "torch", "--devices", 2, "--limit", 600, "--epochs", 30, "--latent-dim", 4
    process = start_and_wait(*flags, "--output", folder, line="epoch  2/")
    is_second = b"\0RANK=1\0"
    (second,) = (
        child
        for child in launch.torch_launcher().children(process.pid)
        if is_second in Path(f"/proc/{child}/environ").read_bytes()
    )
    os.kill(second, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert "process 0 of 2 stops, since another process has ended" in errors
    assert "process 1 of 2 was ended by SIGKILL, and the others with it" in errors
    assert "Traceback" not in errors
    checkpoint = np.load(folder / "checkpoint.npz", allow_pickle=False)
    assert json.loads(str(checkpoint["state"]))["epoch"] >= 1
    process = start_and_wait("--resume", folder, "--devices", 1, line="Continuing with epoch")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143


@pytest.mark.once
def test_what_cannot_be_continued(tmp_path, monkeypatch, run_here, things):
    complete, _ = things
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "a"
    for arguments, message in (
        ((), "There is no unfinished run in runs/"),
        (("b",), "There is no run in b. Unfinished runs, newest first: none"),
        ((complete,), f"{complete} is complete: there is nothing to continue"),
        ((complete, "--epochs", 3), "--epochs cannot be combined with --resume: the run keeps its"),
    ):
        code, output, errors = run_here("--resume", *arguments)
        assert (code, output) == (2, "") and errors.startswith(f"train.py: error: {message}")
    config = json.loads((complete / "config.json").read_text())
    folder.mkdir(parents=True)

    def fails(message, **changes):
        text = json.dumps(config | {"completed": False} | changes)
        (folder / "config.json").write_text(text)
        code, _, errors = run_here("--resume", "a")
        assert code == 2 and "Traceback" not in errors
        assert errors.splitlines()[-1].startswith(f"train.py: error: {message}")

    fails("runs/a ended with an error: the loss is nan. Train anew", problem="the loss is nan")
    changed = f"The data set {config['dataset']} has changed: expected the images that"
    fails(changed, images={"train": 3})
    for name in ("checkpoint.npz", "checkpoint-before.npz"):
        (folder / name).write_bytes(b"?")
    fails("runs/a/checkpoint.npz and runs/a/checkpoint-before.npz cannot be read: damaged. Delete")
    assert sorted(path.name for path in folder.iterdir())[0] == "checkpoint-before.npz"


@pytest.mark.once
def test_help_and_quick_mistakes_load_no_framework(tmp_path):
    (tmp_path / "file").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import train\n"
        "try: train.main()\n"
        "finally: assert not {'keras', 'numpy', 'jax', 'torch', 'tensorflow'} & set(sys.modules)\n"
    )
    for arguments, expected, message in (
        (["--help"], 0, ""),
        (["--epochs", "0"], 2, "--epochs must be a whole number from 1"),
        (["--dataset", "./none"], 2, "--dataset ./none cannot be read: No such file"),
        (["--dataset", "/no\nne"], 2, r"--dataset /no\nne cannot be read: No such file"),
        (["--attributes-file", "none"], 2, "--attributes-file none cannot be read: No such file"),
        (["--cache", "file"], 2, "--cache file is a file; expected a folder"),
        (["--cache", "file/cache"], 2, "--cache file/cache cannot be used: Not a directory"),
        (["--output", "file"], 2, "--output file cannot be used: File exists"),
        (["--output", "file/a/b"], 2, "--output file/a/b cannot be used: Not a directory"),
        (["--output", "n" * 300], 2, "cannot be used: File name too long"),
    ):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == expected, result.stderr
        assert message in result.stderr and len(result.stderr.splitlines()) == bool(message)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.once
def test_output_may_be_closed_or_end_early(tmp_path):
    """The run stops at the next line it cannot print, and leaves nothing unfinished."""
    folder = tmp_path / "run"
    reading = f"Reading {tmp_path}/things.npz ...\n"
    epochs = "--epochs", 400  # a line after each tenth
    process = things_run(folder, start, epochs)
    assert "things 8x8x1" in process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(), errors) == (141, reading)
    assert not folder.exists()  # closed before the first epoch had ended
    process = things_run(folder, start_and_wait, epochs)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 141
    assert errors == f"{reading}To continue: python train.py --resume {folder}\n"
    assert {path.name for path in folder.iterdir()} - CHECKPOINTS == {
        "config.json",
        "data.png",
        "model.keras",
    }
    assert json.loads((folder / "config.json").read_text())["completed"] is False
    code = (
        f"import os, sys; os.close(1); os.execv(sys.executable, {[sys.executable]} + sys.argv[1:])"
    )

    def start_closed(*arguments):
        command = [sys.executable, "-c", code, str(ROOT / "train.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    result = things_run(tmp_path / "two", start_closed, ())
    assert (result.returncode, result.stderr) == (0, reading)
    assert {path.name for path in (tmp_path / "two").iterdir()} == ALWAYS


MISTAKES = [
    (["--backend", "theano"], "jax"),
    (["--epochs", "0"], "must be a whole number from 1 to 2,147,483,647, not "),
    (["--epochs", "many"], "--epochs must be a whole number from 1 to 2,147,483,647, not 'many'"),
    (["--batch-size", "-3"], "must be a whole number from 1 to 2,147,483,647, not "),
    (["--limit", "0"], "must be a whole number from 1 to 2,147,483,647, not "),
    (["--latent-dim", "0"], "must be a whole number from 1 to 2,147,483,647, not "),
    (["--learning-rate", "0"], "--learning-rate must be a number above 0, not '0'"),
    (["--learning-rate", "inf"], "must be a number above 0, not 'inf'"),
    (["--minutes", "0"], "--minutes must be a number above 0, at most 100,000, not '0'"),
    (["--beta", "-1"], "--beta must be a number from 0 to 1,000,000, not '-1'"),
    (["--beta", "nan"], "--beta must be a number from 0 to 1,000,000, not 'nan'"),
    (["--seed", "-1"], "--seed must be a whole number from 0 to 4,294,967,295"),
    (["--seed", str(2**32)], "from 0 to 4,294,967,295"),
    (["--model", "gan"], "vae"),
    (["--network", "resnet"], "conv"),
    (["--widths", "64", "0"], "must be a whole number from 1 to 2,147,483,647, not "),
    (["--activation", "softmax"], "silu"),
    (["--likelihood", "l1"], "gaussian"),
    (["--kl-warmup", "-1"], "must be a number from 0 to 100,000"),
    (["--free-bits", "nan"], "must be a number from 0 to 1,000,000"),
    (["--precision", "float16"], "mixed_float16"),
    (["--model", "ae", "--free-bits", "0"], "--free-bits cannot be combined with --model ae"),
    (["--batch-size", "1" + "0" * 20], "from 1 to 2,147,483,647"),
    (["--memory", "-1"], "--memory must be a number of at least 0, not '-1'"),
    (["--output", ""], "--output is empty"),
    (["--dataset", ""], "--dataset is empty; expected faces, or the name or path of a data set"),
    (["--cache", ""], "--cache is empty; expected a folder"),
    (["--tensorboard", ""], "--tensorboard is empty; expected a folder"),
    (["--attributes-file", ""], "--attributes-file is empty; expected a file"),
    (["--resize", "a\nb\x1b"], r"invalid choice: 'a\nb\x1b'"),
    (["--image-size", "4097"], "from 1 to 4,096"),
    (["--image-size", "0"], "--image-size must be a whole number from 1 to 4,096, not '0'"),
    (["--image-size", "8", "8", "8"], "--image-size takes one number or two"),
    (["--resize", "stretch"], "'crop', 'pad'"),
    (["--dataset", "mnist", "--augment"], "mirrors images, which does not suit mnist"),
    (["--dataset", "emnist/letters", "--augment"], "mirrors images, which does not suit emnist"),
    (["--devices", "0"], "--devices must be a whole number from 1 to 65,536, not '0'"),
    (
        ["--backend", "torch", "--coordinator", "host:1"],
        "are for JAX. On torch start train.py with",
    ),
    (["--backend", "jax", "--process", "1"], "must be given together"),
    (
        ["--backend", "jax", "--coordinator", "host:1", "--processes", "2", "--process", "2"],
        "--process must be below --processes, 2, not 2",
    ),
    (["--no-such-flag"], "unrecognized"),
]


@pytest.mark.once
@pytest.mark.parametrize("arguments, message", MISTAKES)
def test_a_mistake_in_a_flag_gives_one_line_and_exit_code_2(
    arguments, message, monkeypatch, capsys
):
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    output = capsys.readouterr()
    assert (stop.value.code, output.out) == (2, "")
    assert output.err.startswith("train.py: error: ") and len(output.err.splitlines()) == 1
    assert message in output.err


@pytest.mark.once
def test_a_backend_that_is_not_there_is_named():
    hide = (
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name: None if name in {} else find(name)"
    )
    for hidden, arguments, message in (
        (
            {"torch"},
            ["--backend", "torch"],
            "'torch' is not installed. Install it with: pip install \"keras_vae[torch]\"",
        ),
        ({"jax", "torch", "tensorflow"}, [], "no backend is installed"),
    ):
        code = f"{hide.format(hidden)}; import train; train.main()"
        environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 2
        assert message in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.once
def test_the_backend_comes_from_the_environment_or_is_the_first_installed(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert parse([]).backend == "tensorflow"
    assert parse(["--backend", "jax"]).backend == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    assert parse([]).backend == "jax"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "jax" or None)
    assert parse([]).backend == "torch"


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dataset", "cats"], "Unknown data set 'cats'. Expected 'faces', 'sprites', the"),
        (["--latent-dim", "20000", "--limit", "10"], "an image has only 12288 values"),
        (["--condition", "smilling"], "--condition: there is no 'smilling' in the data. There are"),
        (
            ["--prior", "flow", "--latent-dim", "1", "--limit", "10"],
            "The prior `FlowPrior` needs at least 2 latents",
        ),
        (["--attributes", "smilling"], "no attribute 'smilling' in faces. There are: smiling, ey"),
        (
            ["--attribute", "Smiling"],
            "--attribute: there is no 'Smiling' in the data. There are: sm",
        ),
        (["--image-size", "32"], "`image_size` does not apply to the data set faces"),
        (["--dataset", "{folder}"], "There are no images in the folder"),
        (["--dataset", "{folder}/full/model.keras"], "is a file. Expected a folder of images"),
        (["--output", "{folder}/full"], "is not empty"),
        (["--dataset", "mnist:9.9.9"], "'mnist' has no version '9.9.9'. Available: 3.0.1"),
        (["--dataset", "two\nlines"], r"Unknown data set 'two\nlines'"),
        (["--dataset", "{folder}/two\nlines.npy"], r"two\nlines.npy"),
        (
            ["--dataset", "{folder}", "--cut-scores"],
            "columns of `attributes_file`, which is missing",
        ),
        (["--dataset", "cats", "--output", "{folder}/full", "--overwrite"], "Unknown data set"),
        (["--dataset", "cats", "--output", "{folder}/a/b/c"], "Unknown data set 'cats'"),
        (["--output", "{folder}/full/model.keras"], "File exists"),
        (["--output", "{folder}/full/model.keras/run"], "Not a directory"),
    ],
)
def test_a_mistake_that_only_the_library_sees_gives_one_line_too(
    run_here, tmp_path, arguments, message
):
    full = tmp_path / "full"
    full.mkdir()
    (full / "model.keras").write_text("mine")
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    code, output, errors = run_here(
        *arguments, *(() if "--output" in arguments else ("--output", tmp_path / "new"))
    )
    assert (code, output) == (2, "")
    lines = [
        line
        for line in errors.splitlines()
        if not (line.startswith("Reading ") and line.endswith(" ..."))
    ]
    assert len(lines) == 1 and lines[0].startswith("train.py: error: ") and message in lines[0]
    assert (full / "model.keras").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["full"]  # nothing half-made stays


@pytest.mark.once
def test_a_full_disk_gives_one_line(tmp_path):
    """A file size limit stands in for a full disk: the model does not fit."""
    (tmp_path / "run").mkdir()
    code = (
        "import resource, signal, sys, train\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.exit(train.main())\n"
    )
    arguments = [*SMALL, "--output", str(tmp_path / "run")]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("train.py: error: ")
    assert not list((tmp_path / "run").iterdir())  # the folder was there before


@pytest.mark.once
def test_a_run_on_a_terminal_shows_a_bar(capsys):
    import io

    from keras_vae.runs.callbacks import Progress

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    progress = Progress(images=100, batch_size=40, epochs=1, file=screen)
    progress.on_train_begin()
    progress.bar.mininterval = 0
    progress.on_epoch_begin(0)
    for batch in range(3):
        time.sleep(0.01)
        progress.on_train_batch_end(
            batch, {"loss": 3.0, "reconstruction_loss": 2.0, "kl_loss": 1.0}
        )
    logs = {"loss": 3.0, "reconstruction_loss": 2.0, "kl_loss": 1.0, "val_loss": 4.0}
    progress.on_epoch_end(0, logs)
    progress.on_train_end()
    shown = screen.getvalue()
    for part in (
        "epoch 1/1",
        "loss 3.00  reconstruction 2.00  KL 1.00",
        "images/s",
        "100%",
        "left",
    ):
        assert part in shown
    assert "validation 4.00" in shown
    assert progress.bar.n == 100
