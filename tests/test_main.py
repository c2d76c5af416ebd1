"""`keras-vae` as a user meets it: the commands, their pictures, their errors."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_vae
from keras_vae import latent, photos, runs
from keras_vae.commands.sample import columns_for, side_by_side
from keras_vae.runs import files
from keras_vae.start import backends

ROOT = Path(__file__).parents[1]
NAMES = ("smiling", "two words", "a=b", "8")


def save_run(folder, image_shape=(8, 8, 3), model=None, **settings):
    """Makes a small run and returns its folder."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    if model is None:
        keras.utils.set_random_seed(0)
        model = keras_vae.VAE(*keras_vae.build_mlp(image_shape, 2, hidden=(16,)), seed=0)
    model.compile("adam")
    model.fit(rng.integers(0, 256, (8, *image_shape), "uint8"), verbose=0)
    files.save(folder / "model.keras", model)
    vectors = 5 * rng.standard_normal((len(NAMES), 2)).astype("float32")
    files.save(folder / "directions.npz", latent.Directions(NAMES, vectors, "regression"))
    mixture = latent.Mixture(np.array([0.5, 0.5]), 3 * np.eye(2), np.stack([np.eye(2)] * 2))
    files.save(folder / "mixture.npz", mixture)
    config = {"completed": True, "started": "2026-01-01", "attribute_names": NAMES, **settings}
    files.write_json(folder / "config.json", config)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def photo(tmp_path):
    """A photo on disk, wider than the model's images and much larger."""
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def start(*arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # set by conftest.py, and not by users
    return subprocess.Popen(
        [sys.executable, "-m", "keras_vae", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read(path):
    return np.asarray(Image.open(path))


# What each backend must do.


def test_a_command_prints_one_line_and_no_chatter(run, tmp_path):
    path = tmp_path / "new.png"
    process = start("sample", run, "-n", 3, "--seed", 5, "-o", path)
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    assert output == f"{path}: 3 images from the mixture of {run}, seed 5\n"
    assert read(path).shape[2] == 3


def test_samples_depend_on_the_seed_and_on_where_they_come_from(run, command, tmp_path):
    pictures = {}
    for name, arguments in {
        "one": ["--seed", 1],
        "same": ["--seed", 1, "--from", "mixture"],
        "other": ["--seed", 2],
        "prior": ["--seed", 1, "--from", "prior"],
        "typical": ["--seed", 1, "--from", "prior", "--temperature", 0],
    }.items():
        path = tmp_path / f"{name}.png"
        code, output, errors = command("sample", run, "-n", 4, "-o", path, *arguments)
        assert (code, errors) == (0, "")
        assert output.startswith(f"{path}: 4 images from the ")
        pictures[name] = read(path).tobytes()
    assert pictures["one"] == pictures["same"]
    assert len(set(pictures.values())) == 4
    model = runs.load_model(run)
    scale = round(1000 / 18)
    first = np.rint(255 * model.sample(4, seed=1)[0]).astype("uint8")
    shown = read(tmp_path / "prior.png")[: 8 * scale : scale, : 8 * scale : scale]
    np.testing.assert_array_equal(shown, first)


def test_an_edit_is_the_models_drawing_of_the_edited_code(run, photo, command, tmp_path):
    path = tmp_path / "edited.png"
    arguments = ["--set", "smiling=1.5", "a=b=-1", "--set", "8=0.5", "two words=2"]
    code, output, errors = command("edit", run, photo, "-o", path, *arguments)
    assert (code, errors) == (0, "")
    assert output == f"{path}: {photo} with smiling=1.5 a=b=-1 8=0.5 two words=2 by {run}\n"
    loaded = runs.load(run)
    image = photos.view(photos.read(photo), (8, 8, 3))[None]
    strengths = {"smiling": 1.5, "a=b": -1, "8": 0.5, "two words": 2}
    expected = latent.edit(loaded.model, image, loaded.directions, strengths)[0]
    np.testing.assert_array_equal(read(path), np.rint(255 * expected).astype("uint8"))


def test_with_detail_the_photo_changes_only_where_and_as_far_as_asked(
    run, photo, command, tmp_path
):
    path = tmp_path / "edited.png"
    arguments = ["edit", run, photo, "--keep-detail", "-o", path, "--set"]
    assert command(*arguments, "smiling=0")[0] == 0
    np.testing.assert_array_equal(read(path), read(photo))
    assert command(*arguments, "smiling=2")[0] == 0
    changed = (read(path) != read(photo)).any(axis=2)
    assert changed[:, 15:45].mean() > 0.5
    assert not changed[:, :10].any() and not changed[:, 50:].any()


# What does not depend on the backend.

once = pytest.mark.once


@once
@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            [],
            "no command given; expected one of sample, edit, interpolate, score, encode, impute, "
            "evaluate, export, pack, page, push, demo",
        ),
        (["draw"], "invalid choice: 'draw'"),
        (["sample", "a", "b"], "unrecognized arguments: b"),
        (["sample", "--foo"], "unrecognized arguments: --foo"),
        (["sample", "-n", "0"], "-n must be a whole number from 1 to 10,000, not '0'"),
        (["sample", "-n", "-1"], "whole number from 1 to 10,000"),
        (["sample", "-n", "10001"], "whole number from 1 to 10,000"),
        (["sample", "--temperature", "-1"], "number from 0 to 100"),
        (["sample", "--temperature", "nan"], "number from 0 to 100"),
        (["sample", "--seed", "-1"], "whole number from 0 to 4,294,967,295"),
        (["sample", "--from", "x"], "argument --from: invalid choice: 'x'"),
        (["sample", "-o", "a.gif"], "'a.gif' must end in one of .png, .jpg, .jpeg, .webp"),
        (["sample", "-o", ""], "'' must end in one of"),
        (["sample", "-o", "{folder}/no/a.png"], "no of the output does not exist"),
        (["sample", "-o", "{folder}/folder.png"], "folder.png is a folder; expected a file"),
        (["edit"], "no photo given; expected: edit [RUN] PHOTO"),
        (["edit", "{folder}"], "no photo given; expected: edit {folder} PHOTO"),
        (["edit", "{run}", "{folder}"], "the photo {folder} is a folder"),
        (["edit", "{folder}/no.png"], "the photo {folder}/no.png does not exist"),
        (["edit", "a", "b", "c"], "unrecognized arguments: c"),
        (["edit", "{photo}", "--sett", "a=1"], "unrecognized arguments: --sett"),
        (["edit", "{photo}", "--set", "smiling"], "smiling: expected NAME=NUMBER"),
        (["edit", "--set", "a=1", "{photo}"], "RUN and PHOTO come before --set"),
        (["edit", "{photo}", "--set", "smiling=abc"], "expected a number from -100 to 100"),
        (["edit", "{photo}", "--set", "smiling=nan"], "expected a number from -100 to 100"),
        (["edit", "{photo}", "--set", "smiling=1e99"], "expected a number from -100 to 100"),
        (["edit", "{photo}", "--set", "a=1", "a=2"], "'a' is given more than once"),
        (["edit", "{photo}", "--set", "a=1", "-o", "{photo}"], "is the photo itself"),
        (["edit", "{run}", "{photo}"], "nothing to change; expected --set NAME=NUMBER. The attri"),
        (["edit", "{run}", "{photo}", "--set", "smile=1"], "There are: smiling, two words, a=b, 8"),
        (["edit", "{run}", "{folder}/text.png", "--set", "8=1"], "text.png: not an image in a"),
        (["edit", "{run}", "{folder}/empty.png", "--set", "8=1"], "not an image in a"),
        (["sample", "{folder}"], "There is no run in {folder}"),
        (["evaluate", "{folder}"], "There is no run in {folder}"),
        (["evaluate", "{run}"], "does not name its data set"),
        (["evaluate", "{run}", "--only", "all"], "argument --only: invalid choice: 'all'"),
        (["evaluate", "{run}", "x"], "unrecognized arguments: x"),
        (["evaluate", "-o", "a.png"], "unrecognized arguments: -o"),
    ],
)
def test_a_mistake_gives_one_line(run, photo, command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    before = {path.name for path in tmp_path.iterdir()}
    places = {"run": run, "photo": photo, "folder": tmp_path}
    code, output, errors = command(*(argument.format(**places) for argument in arguments))
    assert (code, output) == (2, "")
    assert re.match("keras-vae( [a-z]+)?: error: ", errors) and len(errors.splitlines()) == 1
    assert message.format(**places) in errors
    assert {path.name for path in tmp_path.iterdir()} == before


@once
def test_without_a_run_the_newest_one_is_used(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, started in (("a", "2026-01-02"), ("b", "2026-01-03"), ("c", "2026-01-01")):
        save_run(tmp_path / "runs" / name, started=started)
    assert "from the mixture of runs/b, seed " in command("sample", "-n", 1)[1]
    assert "1 image from the mixture of runs/a, seed " in command("sample", "a", "-n", 1)[1]
    assert (tmp_path / "samples.png").is_file()
    code, _, errors = command("sample", "d")
    assert code == 2 and "There is no run in d" in errors and "runs/b, runs/a, runs/c" in errors
    assert "no photo given; expected: edit a PHOTO" in command("edit", "a")[2]


@once
@pytest.mark.parametrize(
    "name, content, message",
    [
        ("model.keras", None, "There is no model in"),
        ("model.keras", "damaged", "model.keras cannot be read"),
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", "[]", "config.json cannot be read: expected a JSON object"),
        ("directions.npz", "damaged", "directions.npz cannot be read"),
        ("directions.npz", None, "has no directions.npz: too few of its images have an attribute"),
    ],
)
def test_a_damaged_run_gives_one_line(photo, command, tmp_path, name, content, message):
    folder = save_run(tmp_path / "run")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    arguments = ["--set", "smiling=1", "-o", tmp_path / "edited.png"]
    code, output, errors = command("edit", folder, photo, *arguments)
    assert (code, output) == (2, "") and not (tmp_path / "edited.png").exists()
    assert message in errors and len(errors.splitlines()) == 1


@once
def test_a_run_without_attributes_cannot_edit(photo, command, tmp_path):
    folder = save_run(tmp_path / "run", attribute_names=[])
    (folder / "directions.npz").unlink()
    _, _, errors = command("edit", folder, photo, "--set", "smiling=1")
    assert "has no directions.npz: its data have no attributes" in errors


@once
def test_samples_with_wishes(command, tmp_path):
    folder = save_run(tmp_path / "run")
    output = tmp_path / "new.png"
    codes = np.random.default_rng(0).standard_normal((60, 2))
    flow = latent.fit_flow(codes, codes > 0, ("wide", "7"), width=8, steps=2)
    files.save(folder / "flow.keras", flow)
    wishes = ["--set", "wide=0", "--class", "7"]
    code, text, _ = command("sample", folder, "-n", 3, "-o", output, "--seed", 4, *wishes)
    assert code == 0 and "3 images with wide=0 7=1 from the flow of" in text
    for wrong, message in (
        (["--set", "wide=2"], "expected NAME=1 for images that have it or NAME=0"),
        (["--set", "wide=1", "wide=0"], "'wide' is given more than once"),
        (["--set", "deep=1"], "There is no attribute 'deep'"),
        (["--set", "wide=1", "--from", "mixture"], "cannot be combined with --set and --class"),
        (["--set", "wide=1", "--from", "prior"], "Only the flow, and the prior of a model with a"),
        (["--class", "7", "--from", "prior"], "Only the flow, and the prior of a model with a"),
    ):
        code, _, errors = command("sample", folder, "-o", tmp_path / "no.png", *wrong)
        assert code == 2 and message in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "no.png").exists()


def test_samples_with_wishes_from_the_prior(command, tmp_path):
    """Of a model that was trained with the class of each image."""
    keras.utils.set_random_seed(0)
    condition = keras_vae.Condition(["cat", "dog", "8"])
    parts = keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,), condition=3)
    model = keras_vae.VAE(*parts, condition=condition, seed=0)
    folder, output = save_run(tmp_path / "run", model=model), tmp_path / "new.png"
    drawn = []
    for wishes, asked, told in (
        (["--class", "8"], "8", " with 8=1"),
        (["--set", "cat=0"], {"cat": False}, " with cat=0"),
        (["--set", "cat=0", "8=0", "--class", "dog"], "dog", " with cat=0 8=0 dog=1"),
        ([], None, ""),
    ):
        flags = "-n", 4, "--seed", 3, "--temperature", 0.5, "--from", "prior", *wishes
        code, text, errors = command("sample", folder, *flags, "-o", output)
        assert (code, errors) == (0, "")
        assert text == f"{output}: 4 images{told} from the prior of {folder}, seed 3\n"
        drawn.append(np.asarray(Image.open(output)).astype(int))
        expected = np.asarray(side_by_side(model.sample(4, 3, 0.5, condition=asked)))
        assert np.abs(drawn[-1] - expected).max() <= 1
    assert min(np.abs(one - drawn[0]).max() for one in drawn[1:]) > 1
    code, _, errors = command("sample", folder, "--from", "prior", "--class", "bird", "-o", output)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "The model has no condition 'bird'. There are: cat, dog, 8" in errors


def test_a_plain_autoencoder_samples_from_the_mixture_alone(command, tmp_path):
    parts = keras_vae.build_mlp((8, 8, 3), 2, hidden=(16,), variational=False)
    folder = save_run(tmp_path / "run", model=keras_vae.AutoEncoder(*parts))
    output = tmp_path / "new.png"
    assert "from the mixture of" in command("sample", folder, "-o", output)[1]
    _, _, errors = command("sample", folder, "-o", output, "--from", "prior")
    assert "a plain autoencoder has no prior. Use --from mixture" in errors
    (folder / "mixture.npz").unlink()
    assert "has nothing to sample from: there is no" in command("sample", folder, "-o", output)[2]


@once
def test_without_a_mixture_samples_come_from_the_prior(command, tmp_path):
    folder = save_run(tmp_path / "run")
    (folder / "mixture.npz").unlink()
    output = tmp_path / "new.png"
    assert "from the prior of" in command("sample", folder, "-o", output)[1]
    errors = command("sample", folder, "-o", output, "--from", "mixture")[2]
    assert "there is no mixture.npz. Use --from prior" in errors


@once
def test_a_grey_model_changes_all_channels_of_a_photo_alike(photo, command, tmp_path):
    folder, path = save_run(tmp_path / "run", (8, 8, 1), resize="pad"), tmp_path / "edited.png"
    pixels = np.full((40, 60, 3), (120, 130, 140), "uint8")
    Image.fromarray(pixels).save(photo)
    assert command("edit", folder, photo, "--set", "8=0.2", "-o", path)[0] == 0
    assert Image.open(path).mode == "L" and Image.open(path).size == (8, 8)
    assert command("edit", folder, photo, "--set", "8=0.2", "-o", path, "--keep-detail")[0] == 0
    change = read(path).astype(int) - pixels
    assert change.any() and (change == change[..., :1]).all()
    assert change[:, :5].any()  # padded, the model sees the whole photo


@once
def test_run_and_photo_stand_anywhere_before_set(run, photo, command, tmp_path):
    path = tmp_path / "edited.png"
    for arguments in (
        [run, "--keep-detail", photo, "-o", path, "--set", "8=1"],
        ["--keep-detail", "-o", path, run, photo, "--set", "8=1"],
        ["--set", "8=1", "--keep-detail", run, "-o", path, photo],
    ):
        assert command("edit", *arguments)[0] == 0
        assert read(path).shape == (40, 60, 3)


@once
@pytest.mark.parametrize("ending", [".png", ".JPG", ".jpeg", ".webp"])
def test_endings_and_colour_profile(run, photo, command, tmp_path, ending):
    path = tmp_path / f"edited{ending}"
    path.write_text("an earlier one")
    Image.open(photo).save(photo, icc_profile=b"profile")
    code, _, errors = command("edit", run, photo, "--set", "smiling=0", "-o", path, "--keep-detail")
    assert (code, errors) == (0, "")
    written = Image.open(path)
    assert written.size == (60, 40) and written.info["icc_profile"] == b"profile"


@once
def test_what_cannot_be_written_leaves_what_was_there(run, command, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    (tmp_path / "new.png").write_text("an earlier one")
    code, _, errors = command("sample", run, "-o", tmp_path / "new.png")
    assert code == 2 and errors.endswith("new.png cannot be written: No space left on device\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an earlier one"]


@once
@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused(run, command, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side in (40, 60):
        Image.new("RGB", (side, side)).save(tmp_path / "bomb.png")
        code, _, errors = command("edit", run, tmp_path / "bomb.png", "--set", "8=1")
        assert code == 2 and "bomb.png: refused: " in errors and len(errors.splitlines()) == 1


def frames_of(path):
    with Image.open(path) as picture:
        found = []
        for frame in range(picture.n_frames):
            picture.seek(frame)
            found.append(np.asarray(picture.convert("RGB"), "float32"))
        return picture.format, found


@pytest.mark.parametrize("keep_detail", [False, True])
def test_an_edit_may_move(run, photo, command, tmp_path, keep_detail):
    path = tmp_path / "smile.gif"
    flags = ["--keep-detail"] if keep_detail else []
    code, output, errors = command("edit", run, photo, "--set", "smiling=0.1", "-o", path, *flags)
    assert (code, errors) == (0, "")
    assert output == f"{path}: {photo} with smiling=0.1 by {run}\n"
    kind, frames = frames_of(path)
    assert kind == "GIF" and len(frames) == 22  # 12 forwards, 10 back
    change = [np.abs(frame - frames[0]).mean() for frame in frames]
    assert change[11] > change[1] > 0 and change[12:] == change[10:0:-1]
    # Enlarged to about 256 pixels: the model's 8x8, or the photo of 60x40.
    assert frames[0].shape == ((160, 240, 3) if keep_detail else (256, 256, 3))


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_an_animation_from_photo_to_photo(run, photo, command, tmp_path, ending):
    Image.open(photo).rotate(180).save(tmp_path / "other.png")
    path = tmp_path / f"morph.{ending}"
    arguments = ["interpolate", run, photo, tmp_path / "other.png", "-o", path, "--steps", 5]
    code, output, errors = command(*arguments)
    assert (code, errors) == (0, "")
    assert output == f"{path}: from {photo} to {tmp_path}/other.png, straight, by {run}\n"
    kind, frames = frames_of(path)
    assert (kind, len(frames)) == (ending.upper(), 8)
    model = runs.load_model(run)
    for frame, place in ((frames[0], photo), (frames[4], tmp_path / "other.png")):
        seen = photos.view(photos.read(place), (8, 8, 3))[None]
        drawn = Image.fromarray(np.rint(255 * model.reconstruct(seen)[0]).astype("uint8"))
        drawn = np.asarray(drawn.resize((256, 256), Image.Resampling.BICUBIC), "float32")
        assert np.abs(frame - drawn).mean() < 6  # of 255: the format's loss


@once
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["interpolate"], "two photos are needed; expected: interpolate [RUN] FIRST LAST"),
        (["interpolate", "{photo}"], "two photos are needed"),
        (["interpolate", "{photo}", "none.png"], "the photo none.png does not exist"),
        (["interpolate", "{photo}", "{photo}", "{photo}", "{photo}"], "unrecognized arguments"),
        (["interpolate", "{photo}", "{photo}", "-o", "a.png"], "must end in one of .gif, .webp"),
        (["interpolate", "{photo}", "{photo}", "--steps", "1"], "whole number from 2 to 200"),
        (["interpolate", "none", "{photo}", "{photo}"], "There is no run in none"),
    ],
)
def test_a_mistake_in_an_interpolation(photo, command, arguments, message):
    code, output, errors = command(*(argument.format(photo=photo) for argument in arguments))
    assert (code, output) == (2, "") and message in errors and len(errors.splitlines()) == 1


@once
@pytest.mark.parametrize(
    "n, columns",
    [(1, 1), (2, 2), (3, 3), (4, 2), (7, 4), (11, 4), (12, 4), (64, 8), (1000, 40), (10_000, 100)],
)
def test_a_grid_is_neat(n, columns):
    assert columns_for(n) == columns


@once
def test_the_backend_is_the_one_asked_for_or_the_first_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert backends.choose_backend() == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert backends.choose_backend() == "jax"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "tensorflow" or None)
    assert backends.choose_backend() == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ValueError, match=r"'jax' is not installed\. Install it with: pip install"):
        backends.choose_backend()


@once
def test_help_and_mistakes_do_not_wait_for_keras(run, photo):
    """With no backend at all, Keras cannot be loaded."""
    for arguments, code, message in (
        (["--help"], 0, "draw new images"),
        (["sample", "--help"], 0, "the same seed draws the same images"),
        (["edit", "--help"], 0, "edit [RUN] PHOTO --set NAME=NUMBER ..."),
        (["evaluate", "--help"], 0, "others are kept"),
        (["sample", "-n", "0"], 2, "must be a whole number from 1"),
        (["sample", "no\nne"], 2, r"There is no run in no\nne."),
        (["sample", run, "-o", "/proc/a.png"], 2, "the folder /proc of the output cannot be"),
        (["edit", run, photo], 2, "nothing to change; expected --set NAME=NUMBER"),
        (["edit", run, photo, "--set", "smile=1"], 2, "There is no attribute 'smile' in"),
        (["evaluate", run, "--watch", "smile"], 2, "There is no attribute 'smile' in"),
        (["sample", run], 2, "KERAS_BACKEND is 'foo'; expected one of jax, torch, tensorflow"),
    ):
        process = start(*arguments, KERAS_BACKEND="foo")
        output, errors = process.communicate(timeout=60)
        assert process.returncode == code and message in (errors if code else output)
        assert len(errors.splitlines()) == (1 if code else 0)


@once
def test_when_nobody_reads_a_command_ends_without_a_word(run, tmp_path):
    """As a program that SIGPIPE ends; the picture is there."""
    process = start("sample", run, "-n", 1, "-o", tmp_path / "a.png")
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(), errors) == (141, "") and (tmp_path / "a.png").is_file()
    process = start("--help")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() in (0, 141) and not errors


@once
def test_other_programs_get_the_package_as_it_is():
    """Keras's own error, its backend untouched, whatever the program's arguments are."""
    code = "import sys; sys.argv = ['-m', 'keras_vae']; import keras_vae; keras_vae.VAE"
    result = subprocess.run(
        [sys.executable, "-c", code, "keras_vae"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "foo"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1 and "Unable to import backend : foo" in result.stderr


@once
def test_ctrl_c_gives_one_line(run, tmp_path):
    """The photo is a pipe, so that the command waits for it."""
    os.mkfifo(tmp_path / "photo.png")
    process = start("edit", run, tmp_path / "photo.png", "--set", "8=1", "-o", tmp_path / "a.png")
    pipe = None
    deadline = time.monotonic() + 300
    while pipe is None and process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # until the command reads
            pipe = os.open(tmp_path / "photo.png", os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    os.close(pipe)
    assert (process.returncode, output, errors) == (130, "", "\nStopped.\n")
