"""`keras-vae evaluate`: a small run from its folder to the table."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import datasets, latent, plots, runs
from keras_vae.__main__ import main
from keras_vae.atomic import TEMPORARY
from keras_vae.commands.evaluate import QUESTIONS
from keras_vae.commands.main import parse
from keras_vae.evaluate import Classifier, classifiers, edits, judges
from keras_vae.runs import files, report, words

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def quick(monkeypatch, cache):
    """Judges of random weights, kept from test to test: what they say does not matter here."""

    def train(images, attributes, names, seed=0, pictures=0, known=None):
        keras.utils.set_random_seed(0)
        return Classifier(classifiers.build_network(images.shape[1:], len(names)), names)

    monkeypatch.setenv("KERAS_VAE_CACHE", str(cache))
    monkeypatch.setattr(classifiers, "train_classifier", train)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of 300 images of two classes, a square at the top or at the bottom."""
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.5
    images = rng.integers(0, 100, (300, 8, 8, 1), "uint8")
    images[labels, :4] += 150
    images[~labels, 4:] += 150
    path = tmp_path_factory.mktemp("data") / "squares.npz"
    np.savez(path, images=images, labels=np.array(["low", "top"])[labels.astype(int)])
    return path


@pytest.fixture(scope="module")
def build(data):
    """Returns a function that makes a run on `data`, as train.py does."""

    def make(folder, variational=True, directions=True, seed=0, **settings):
        folder.mkdir(parents=True)
        keras.utils.set_random_seed(seed)
        parts = keras_vae.build_mlp((8, 8, 1), 2, hidden=(16,), variational=variational)
        model = keras_vae.VAE(*parts, seed=0) if variational else keras_vae.AutoEncoder(*parts)
        model.compile("adam")
        config = {"completed": True, "dataset": str(data), **settings}
        loaded = runs.load_data(config | {"dataset": str(data)})
        model.fit(loaded.train.images, verbose=0)
        files.save(folder / "model.keras", model)
        config["attribute_names"] = loaded.attribute_names
        parts = ("train", "validation", "test")
        config["images"] = {part: len(getattr(loaded, part)) for part in parts}
        files.write_json(folder / "config.json", config)
        codes = latent.codes_of(model, loaded.train.images)
        names = loaded.attribute_names
        if directions:
            found = latent.fit_directions(codes, loaded.train.attributes, names)
            files.save(folder / "directions.npz", found)
        return folder

    return make


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    return build(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(built, tmp_path):
    return shutil.copytree(built, tmp_path / "run")


@pytest.fixture
def evaluated(capsys):
    """Returns a function that evaluates and gives (exit code, output, errors)."""

    def call(*arguments):
        capsys.readouterr()
        code = 0
        try:
            main(["evaluate", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def numbers_of(folder):
    return json.loads((folder / "evaluation.json").read_text())


def test_all_of_a_run(run, evaluated, monkeypatch):
    monkeypatch.setattr("keras_vae.evaluate.edits.MEASURABLE", 0)  # random weights can tell little
    code, output, errors = evaluated(run, "-n", 7, "-k", 3)
    assert code == 0
    assert [line for line in errors.splitlines() if "Training a judge" not in line] == []
    numbers = numbers_of(run)
    assert list(numbers) == ["version", "model", *QUESTIONS]
    assert numbers["fit"]["log_likelihood_images"] == 7
    assert numbers["fit"]["log_likelihood_samples"] == 3
    loaded = runs.load_data(json.loads((run / "config.json").read_text()))
    mse = runs.load(run).model.reconstruct(loaded.test.images) - loaded.test.images / 255
    assert numbers["fit"]["test_mse"] == pytest.approx(np.mean(mse**2), rel=1e-4)
    assert numbers["latents"]["latent_dim"] == 2
    assert list(numbers["edits"]["attributes"]) == ["low", "top"]
    methods = numbers["edits"]["attributes"]["low"]["methods"]
    assert set(methods) == set(latent.METHODS)
    assert numbers["edits"]["attributes"]["low"]["method"] == "discriminant"
    assert "faces" in numbers["disentanglement"]["missing"]
    assert list(numbers["samples"]["rows"]) == ["train", "reconstructions", "prior"]
    assert numbers["samples"]["n"] == len(loaded.test) == 30
    for part in ("Fit to the test images", "nats per image", "n = 7, k = 3", "\nLatents"):
        assert part in output
    assert "\nEdits\n  30 test images, judge" in output
    assert "\n  > discriminant" in output
    assert "\nDisentanglement: not measured, because only the images of the data" in output
    assert "\nNew images\n" in output and "train (real images)" in output
    figures = ["edit_strengths.png", "edit_leakage.png"]
    assert output.endswith(f"{run}/: evaluation.json, {', '.join(figures)}\n")
    written = {"evaluation.json", *figures}
    assert {path.name for path in run.iterdir()} - written == {
        "model.keras",
        "config.json",
        "directions.npz",
    }
    assert all((run / name).stat().st_size > 1000 for name in written)


def test_parts_that_are_not_asked_for_are_kept_for_the_same_model(run, build, evaluated, tmp_path):
    assert evaluated(run, "--only", "latents")[0] == 0
    before = numbers_of(run)
    assert list(before) == ["version", "model", "latents"]
    (run / "disentanglement.png").write_bytes(b"of an earlier model")
    _, output, _ = evaluated(run, "--only", "fit", "-n", 2, "-k", 2)
    after = numbers_of(run)
    assert not (run / "disentanglement.png").exists()
    assert (
        list(after) == ["version", "model", "fit", "latents"]
        and after["latents"] == before["latents"]
    )
    assert "Latents" in output
    other = build(tmp_path / "other", seed=1)
    (other / "model.keras").replace(run / "model.keras")
    _, output, _ = evaluated(run, "--only", "latents")
    assert list(numbers_of(run)) == ["version", "model", "latents"] and "Fit" not in output
    assert numbers_of(run)["model"] != before["model"]
    for damaged in ("[]", "{", json.dumps(numbers_of(run) | {"fit": {}, "samples": 3})):
        (run / "evaluation.json").write_text(damaged)
        assert evaluated(run, "--only", "latents")[0] == 0
        assert list(numbers_of(run)) == ["version", "model", "latents"]


def test_a_plain_autoencoder(build, evaluated, tmp_path):
    run = build(tmp_path / "run", variational=False)
    code, output, _ = evaluated(run, "--only", "fit", "latents", "samples")
    numbers = numbers_of(run)
    assert code == 0 and "KL" not in output
    assert "log p(x) not estimated: a plain autoencoder" in output
    assert numbers["fit"]["log_likelihood"] is None and "kl_loss" not in numbers["latents"]
    assert list(numbers["samples"]["rows"]) == ["train", "reconstructions"]


def test_what_is_missing_has_a_reason(build, evaluated, tmp_path, data):
    run = build(tmp_path / "run", directions=False)
    code, output, _ = evaluated(run, "--only", "edits")
    assert code == 0 and "Edits: not measured, because the run has no directions" in output
    assert list(run.glob("*.png")) == []
    with np.load(data) as arrays:
        np.save(tmp_path / "plain.npy", arrays["images"])
    settings = {"dataset": str(tmp_path / "plain.npy"), "attribute_names": []}
    config = json.loads((run / "config.json").read_text())
    files.write_json(run / "config.json", config | settings)
    _, output, _ = evaluated(run, "--only", "edits", "samples")
    assert "New images: not measured, because there are no attributes or classes" in output


def test_an_attribute_without_a_direction(run, evaluated):
    directions = latent.Directions(("low",), np.eye(1, 2, dtype="float32"), "regression")
    files.save(run / "directions.npz", directions)
    code, output, errors = evaluated(run, "--attribute", "top")
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1
    assert "has no direction for 'top'" in errors and "directions for: low" in errors


def test_a_run_that_was_stopped_is_reported(run, evaluated):
    config = json.loads((run / "config.json").read_text())
    files.write_json(run / "config.json", config | {"completed": False})
    (run / "directions.npz").unlink()
    code, output, errors = evaluated(run, "--only", "edits")
    reason = "Edits: not measured, because the run has no directions: it was stopped"
    assert code == 0 and reason in output
    assert "is not complete: using its best model so far" in errors


def test_the_headline_of_a_run(run, monkeypatch):
    """What train.py adds to metrics.json, and the sentence that it makes of it."""
    loaded = runs.load(run)
    data = runs.load_data(loaded.config)
    parts = loaded, data, judges.Judges(data)
    assert report.headline(*parts) == {}  # too few training images
    monkeypatch.setattr(report, "MIN_TRAINING_IMAGES", 10)
    without = dataclasses.replace(loaded, directions=None)
    assert report.headline(without, *parts[1:]) == {}
    monkeypatch.setattr("keras_vae.evaluate.edits.MEASURABLE", 2)
    assert report.headline(*parts) == {}
    monkeypatch.setattr("keras_vae.evaluate.edits.MEASURABLE", 0)
    numbers = report.headline(*parts)
    assert numbers["edit_attribute"] == "low" and numbers["edit_strength"] in edits.STRENGTHS
    assert 0 <= numbers["edit_flip_rate"] <= 1 and json.dumps(numbers)
    assert numbers["edit_identity"] is numbers["edit_largest_leakage"] is None  # of classes
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    from keras_vae.runs import summary

    assert numbers["edit_method"] == "discriminant"
    line = f"Edits: low={numbers['edit_strength']:g} by discriminant works on"
    assert summary.edit_line(numbers).startswith(line)
    more = {"edit_largest_leakage": 0.25, "edit_leaks_into": "red", "edit_identity": 0.5}
    assert "leakage 25.0% into red, 50.0% still recognised." in summary.edit_line(numbers | more)


def test_methods_are_chosen_where_there_is_a_choice(run, monkeypatch):
    loaded = runs.load(run)
    data = runs.load_data(loaded.config)
    codes = latent.codes_of(loaded.model, data.train.images)
    flow = latent.fit_flow(codes, data.train.attributes, loaded.directions.names, steps=2, width=8)
    both = dataclasses.replace(loaded, flow=flow)
    assert report.choose_methods(both, data, judges.Judges(data)) == {}  # too few training images
    monkeypatch.setattr(report, "MIN_TRAINING_IMAGES", 10)
    assert report.choose_methods(loaded, data, judges.Judges(data)) == {}  # no flow
    chosen = report.choose_methods(both, data, judges.Judges(data))
    assert set(chosen) == {"low", "top"} and set(chosen.values()) <= {"discriminant", "flow"}


def test_faces_are_drawn_only_for_a_judge(monkeypatch):
    faces = datasets.load("faces", limit=4)
    lines = []
    made = judges.Judges(faces, lines.append)
    assert lines == []
    monkeypatch.setattr(judges.datasets, "load", lambda *_, **settings: settings)
    assert made.data == {"correlated": False, "attributes": faces.attribute_names}
    assert lines == ["Loading faces with uncorrelated attributes ..."]


def test_too_few_test_images_for_samples(run, evaluated, tmp_path, data):
    with np.load(data) as arrays:
        np.savez(tmp_path / "few.npz", **{name: array[:39] for name, array in arrays.items()})
    config = json.loads((run / "config.json").read_text())
    config |= {"dataset": str(tmp_path / "few.npz"), "images": None}
    files.write_json(run / "config.json", config)
    code, output, _ = evaluated(run, "--only", "latents", "samples")
    assert code == 0 and "New images: not measured, because there are fewer than 4 test" in output


def test_data_that_have_changed_are_refused(run, evaluated, tmp_path, data):
    """Their split is different, so the test images could include training images."""
    with np.load(data) as arrays:
        np.savez(tmp_path / "more.npz", **{n: np.r_[a, a[:7]] for n, a in arrays.items()})
        arrays = dict(arrays)
        np.savez(tmp_path / "names.npz", **arrays | {"labels": arrays["labels"] == "low"})
    config = json.loads((run / "config.json").read_text())
    for name, what in (
        ("more.npz", "Expected images: {'train'"),
        ("names.npz", "Expected attributes: ["),
    ):
        files.write_json(run / "config.json", config | {"dataset": str(tmp_path / name)})
        code, output, errors = evaluated(run, "--only", "fit")
        assert (code, output) == (2, "") and len(errors.splitlines()) == 1
        assert "has changed since" in errors and what in errors


@pytest.mark.parametrize("gone", ["deleted", "never"])
def test_data_that_are_gone_give_one_line(run, evaluated, tmp_path, gone):
    config = json.loads((run / "config.json").read_text())
    del config["dataset"]
    if gone == "deleted":
        config["dataset"] = str(tmp_path / "gone.npz")
    files.write_json(run / "config.json", config)
    code, output, errors = evaluated(run)
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1
    assert ("gone.npz" if gone == "deleted" else "does not name its data set") in errors
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--only", "edits", "--attribute", "nose"],
            "There is no attribute 'nose' in",
        ),
        (
            ["--only", "edits", "--attribute", "low", "--watch", "nose"],
            "There are: low, top",
        ),
        (["--only", "all"], "invalid choice: 'all'"),
        (["-n", "0"], "whole number from 1 to 10,000,000"),
        (["-k", "0"], "whole number from 1 to 1,000,000"),
        (["--seed", "-1"], "whole number from 0"),
    ],
)
def test_a_mistake_gives_one_line(run, evaluated, arguments, message):
    code, output, errors = evaluated(run, *arguments)
    assert (code, output) == (2, "") and message in errors
    (line,) = [line for line in errors.splitlines() if "Training a judge" not in line]
    assert line.startswith("keras-vae evaluate: error: ")
    assert not (run / "evaluation.json").exists()


def test_a_folder_that_cannot_be_written_gives_one_line(run, evaluated):
    (run / "evaluation.json").mkdir()
    code, output, errors = evaluated(run, "--only", "latents")
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1
    assert f"{run}/evaluation.json is a folder" in errors
    assert not list(run.glob(f"{TEMPORARY}*"))


def test_only_and_its_defaults():
    options = parse(["evaluate"])
    assert options.parts == QUESTIONS == tuple(report.MEASURES) == tuple(words.TABLES)
    assert (options.n, options.k, options.seed) == (500, 100, 0)
    options = parse(["evaluate", "a", "--attribute", "x", "y", "--attribute", "z"])
    assert options.attribute == ["x", "y", "z"] and options.watch is None and options.run == "a"


# The table and the figures, of numbers that are made up.


def point(rate=0.9, leak=0.1, identity=0.8, into="red", **more):
    def interval(value):
        return None if value is None else [value - 0.05, min(1, value + 0.025)]

    return {
        "n": 1234,
        "flip_rate": rate,
        "flip_rate_interval": interval(rate),
        "largest_leakage": leak,
        "largest_leakage_interval": interval(leak),
        "leaks_into": into,
        "identity": identity,
        "identity_interval": interval(identity),
        "identity_ceiling": None if identity is None else 0.95,
        "leakage": {} if leak is None else {into: leak},
        **more,
    }


def edit_numbers(**nothing):
    mirror = point(0.7, **nothing) if not nothing else point(**nothing)
    curve = [{"strength": strength, **point(**nothing)} for strength in (0.5, 1)]
    whole = {"mirror": mirror, "strength": 1.5, "curve": curve}
    detail = point(**nothing, mirror=mirror)
    hat = {
        "measurable": True,
        "method": "regression",
        "methods": {
            "regression": point(**nothing, **whole, keep_detail=detail),
            "discriminant": point(**nothing, **whole),
        },
    }
    accuracy = {
        "hat": {"photos": 0.91, "reconstructions": None, "measurable": True},
        "red": {"photos": None, "reconstructions": 0.5, "measurable": False},
    }
    return {
        "judge": {"digest": "abc", "balanced_accuracy": accuracy},
        "images": {"validation": 5, "curve": 6, "test": 2000},
        "watched": ["red"],
        "attributes": {"hat": hat, "red": {**hat, "measurable": False}},
    }


FACTOR = {
    "name": "size",
    "kind": "continuous",
    "mig": 0.3,
    "latent": 2,
    "informativeness": 0.8,
    "sap": 0.2,
}
DISENTANGLEMENT = {
    "mig": 0.3,
    "dci_disentanglement": 0.4,
    "dci_completeness": 0.5,
    "dci_informativeness_r2": 0.6,
    "dci_informativeness_accuracy": None,
    "sap": 0.2,
    "factors": [FACTOR, {**FACTOR, "name": "hue", "mig": 0.7, "latent": 1}],
}


def test_the_table_of_edits():
    text = words.text({"edits": edit_numbers()})
    assert "2,000 test images, judge abc" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["hat"][1:] == ["?", "0.910", "-"]
    assert rows[">"][1:] == [
        *("regression", "1.5", "0.900", "±0.050", "1,234"),
        *("0.100", "±0.050", "into", "red", "0.800", "±0.050", "0.950", "0.700"),
    ]
    assert rows["red"][1] == "*" and rows["keep_detail"][1] == "0.900"
    assert rows["discriminant"][1:3] == ["1.5", "0.900"]
    assert "?: the judge is unreliable on unedited reconstructions" in text
    assert "below 0.85: red (-, recons. 0.500)" in text


def test_the_table_without_numbers():
    nothing = {"rate": None, "leak": None, "identity": None, "into": None}
    text = words.text({"edits": edit_numbers(**nothing)})
    assert "None" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("  hat")]
    assert row.split() == ["hat", "?", "0.910", "-"]
    row = next(line for line in text.splitlines() if line.startswith("  > regression"))
    assert row.split() == [">", "regression", "1.5", "-", "1,234", "-", "-", "-", "-"]
    no_edits = {**edit_numbers(), "attributes": {}}
    assert "not measurable" in words.text({"edits": no_edits})
    text = words.text({"edits": {"missing": "of a reason"}})
    assert text == "Edits: not measured, because of a reason."
    assert words.text({}) == ""


def test_the_table_of_fit():
    numbers = {
        "test_loss": 1234.5,
        "test_reconstruction_loss": 1200,
        "test_kl_loss": 34.5,
        "test_mse": 0.01,
        "test_psnr": 20.0,
        "test_ssim": None,
        "bits_per_dim": None,
        "log_likelihood": None,
        "log_likelihood_missing": "grey pixels",
    }
    text = words.text({"fit": numbers})
    assert "loss 1,234.50 = reconstruction 1,200.00 + KL 34.50" in text
    assert "log p(x) not estimated: grey pixels" in text
    assert "SSIM" not in text and "bits" not in text
    numbers |= {"test_ssim": 0.5, "bits_per_dim": 3.25, "log_likelihood": -1000.0}
    numbers |= {"log_likelihood_standard_error": None, "log_likelihood_elbo": -1001.0}
    numbers |= {"log_likelihood_images": 1, "log_likelihood_samples": 100}
    text = words.text({"fit": numbers})
    assert "log p(x) -1,000.00 nats per image, ELBO -1,001.00; n = 1, k = 100" in text
    assert "SSIM 0.500" in text and "at most 3.250 bits" in text
    numbers["log_likelihood_standard_error"] = 2.5
    assert "ELBO -1,001.00, standard error 2.50;" in words.text({"fit": numbers})


def test_the_table_of_latents_and_of_factors():
    numbers = {"latent_dim": 8, "active_units": 3, "advice": ["Do this."]}
    text = words.text({"latents": numbers, "disentanglement": DISENTANGLEMENT})
    assert "3 of 8 latents are active" in text and "KL" not in text and "  Do this." in text
    assert "MIG 0.300" in text and "R² 0.600" in text and "balanced accuracy" not in text
    assert "hue in z 1 (0.70), size in z 2 (0.30)" in text
    numbers |= {"kl_loss": 5.0, "mutual_information": 3.0, "mutual_information_cap": 3.05}
    numbers |= {"mutual_information_is_capped": True, "kl_aggregate_posterior": 2.0}
    assert "mutual information at least 3.00" in words.text({"latents": numbers})


def test_long_lists_and_names_leave_the_lines_short():
    names = [f"attribute {i} with a name that never ends" for i in range(40)]
    weak = {"photos": 0.5, "reconstructions": 0.5, "measurable": False}
    numbers = edit_numbers()
    numbers["judge"]["balanced_accuracy"] |= dict.fromkeys(names, weak)
    lines = words.text({"edits": numbers}).splitlines()
    assert max(map(len, lines)) <= 120 and sum("attribute 39" in line for line in lines) == 1


def test_figures_of_what_was_measured(tmp_path):
    assert plots.evaluation({}) == {}
    parts = {"edits": {"missing": "x"}, "disentanglement": {"missing": "x"}, "fit": {}}
    assert plots.evaluation(parts) == {}
    assert plots.evaluation({"edits": {**edit_numbers(), "attributes": {}}}) == {}
    nothing = {"rate": None, "leak": None, "identity": None, "into": None}
    for numbers in (edit_numbers(), edit_numbers(**nothing)):
        found = plots.evaluation({"edits": numbers, "disentanglement": DISENTANGLEMENT})
        assert list(found) == ["edit_strengths.png", "edit_leakage.png", "disentanglement.png"]
        for name, figure in found.items():
            figure.savefig(tmp_path / name)
    figures = plots.evaluation({"edits": edit_numbers()})
    panel = figures["edit_strengths.png"].axes[0]
    assert panel.get_title(loc="left") == "hat"
    assert [list(line.get_ydata()) for line in panel.lines[1:4]] == [
        [0.9] * 2,
        [0.8] * 2,
        [0.1] * 2,
    ]
    legend = figures["edit_strengths.png"].legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        "flip rate",
        "identity",
        "largest leakage",
    ]
    only_flips = edit_numbers(leak=None, identity=None, into=None)
    legend = plots.evaluation({"edits": only_flips})["edit_strengths.png"].legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["flip rate"]
    shown = figures["edit_leakage.png"].axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, [[0.9, 0.1], [np.nan, 0.9]])
