"""train.py and the commands on tables and arrays that are no images."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from test_tables import many, write

import keras_vae
from keras_vae import evaluate, runs
from keras_vae.runs import items, use

SMALL = ("--epochs", 3, "--widths", 16, "--latent-dim", 2, "--batch-size", 32)
USUAL = {
    "model.keras",
    "config.json",
    "history.csv",
    "metrics.json",
    "mixture.npz",
    "flow.keras",
    "examples.npz",
    "columns.csv",
    "columns.png",
    "latents.png",
    "latent_map.png",
    "history.png",
}


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return many(tmp_path_factory.mktemp("data") / "people.csv")


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    rng = np.random.default_rng(0)
    time = np.linspace(0, 6, 32)
    x = np.sin(time * rng.uniform(1, 3, (90, 1)))[..., None] * 50 + 200
    path = tmp_path_factory.mktemp("data") / "waves.npy"
    np.save(path, x + rng.normal(size=x.shape))
    return path


@pytest.fixture
def train(run_here, tmp_path):
    def call(data, *flags):
        folder = tmp_path / "run"
        code, output, errors = run_here("--dataset", data, *SMALL, *flags, "--output", folder)
        assert code == 0, errors
        return folder, output

    return call


@pytest.mark.once
def test_a_run_of_a_table(train, table, command, tmp_path):
    folder, output = train(table, "--prior", "vamp", "--components", 5)
    assert {path.name for path in folder.iterdir()} == USUAL | {"pairs.png", "samples.csv"}
    first = output.splitlines()[0]
    assert "people 5 ·" in first and "98 rows to train, 10 to validate, 12 to test" in first
    assert "nats per row." in output and "the linear model with as many latents has" in output
    assert "rows/s" in output and "image" not in output
    columns = {row["column"]: row for row in rows_of(folder / "columns.csv")}
    assert list(columns) == ["age", "income", "colour", "visits"] and not columns["colour"]["r2"]
    new = rows_of(folder / "samples.csv")
    assert len(new) == 1000 and {row["colour"] for row in new} == {"red", "blue"}
    assert {float(row["visits"]).is_integer() for row in new} == {True}
    metrics = json.loads((folder / "metrics.json").read_text())
    loaded = runs.load(folder)
    data = runs.load_data(loaded.config)
    complete = data.test.images[~np.isnan(data.test.images).any(axis=1)]
    assert metrics["compared"] == len(complete)
    nats = loaded.model.log_likelihood(complete, 100, 2000).mean()
    assert metrics["test_log_likelihood"] == pytest.approx(nats, rel=1e-5)

    code, text, errors = command("sample", folder, "-n", 7, "--seed", 1, "-o", tmp_path / "n.csv")
    assert (code, errors) == (0, "") and "7 rows from the" in text
    assert len(rows_of(tmp_path / "n.csv")) == 7
    code, text, _ = command("score", folder, table, "-o", tmp_path / "s.csv", "-k", 10)
    assert code == 0 and "scores of 120 rows" in text
    scores = rows_of(tmp_path / "s.csv")
    x = loaded.table.encode(keras_vae.tables.read(table))
    expected = evaluate.anomaly_scores(loaded.model, x, use.typical(loaded, 10), k=10)
    assert [row["line"] for row in scores] == [str(line) for line in range(2, 122)]
    for name, values_of in expected.items():
        found = [float(row[name]) for row in scores]
        np.testing.assert_allclose(found, values_of, rtol=1e-4, atol=1e-3)
    assert {row["most_unusual"] for row in scores} <= set(columns)

    code, text, _ = command("encode", folder, table, "-o", tmp_path / "c.csv")
    assert code == 0 and "codes of 120 rows" in text
    z_mean, z_log_var = loaded.model.encode(x)
    codes = rows_of(tmp_path / "c.csv")
    np.testing.assert_allclose([float(row["z_mean_2"]) for row in codes], z_mean[:, 1], rtol=1e-5)
    assert command("encode", folder, table, "-o", tmp_path / "c.npz")[0] == 0
    with np.load(tmp_path / "c.npz") as file:
        np.testing.assert_allclose(file["z_log_var"], z_log_var, rtol=1e-5)
        assert file["lines"][0] == "2"

    code, text, _ = command("impute", folder, table, "-o", tmp_path / "full.csv")
    assert code == 0 and "1 value filled" in text
    before, after = rows_of(table), rows_of(tmp_path / "full.csv")
    assert before[3]["age"] == "" and 0 < float(after[3]["age"]) < 90
    after[3]["age"] = ""
    assert before == after

    code, text, _ = command("evaluate", folder, "-n", 5, "-k", 5)
    assert code == 0 and "Fit to the test rows" in text and "nats per row" in text
    assert command("pack", folder, "-o", tmp_path / "small")[0] == 0
    again, _ = runs.load(tmp_path / "small").model.encode(x)
    np.testing.assert_allclose(again, z_mean, atol=1e-5)

    # What does not fit: one line, exit code 2, and no file.
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    for arguments, message in (
        (["sample", folder, "-o", tmp_path / "a.png"], "must end in .csv or .tsv or .parquet"),
        (["score", folder, photo, "-o", tmp_path / "b.csv"], "expected a .csv, .tsv or .parquet"),
        (["score", folder, "nothing.csv"], "nothing.csv do not exist"),
        (["score", folder], "no data given; expected: keras-vae score RUN DATA"),
        (["score", folder, table, "-o", table], "is the data, which must not change"),
        (["score", folder, table, "--heat-maps", tmp_path / "h"], "a model of rows, and not of im"),
        (["edit", folder, photo], "a model of rows, and not of images"),
        (["interpolate", folder, photo, photo], "a model of rows, and not of images"),
        (["impute", folder, table, "-o", tmp_path / "a.npy"], "-o must be a table"),
        (["impute", folder, write(tmp_path / "x.csv", "age", "1")], "has no column 'income'"),
    ):
        code, text, errors = command(*arguments)
        assert (code, text) == (2, ""), arguments
        assert message in errors and errors.count("\n") == 1, errors
    left = {"n.csv", "s.csv", "c.csv", "c.npz", "full.csv", "small", "photo.png", "x.csv", "run"}
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.once
def test_a_run_continues_with_the_same_table_only(train, table, run_here, tmp_path):
    changed = write(tmp_path / "t.csv", *table.read_text().splitlines())
    folder, _ = train(changed, "--model", "ae", "--likelihood", "student_t")
    config = json.loads((folder / "config.json").read_text()) | {"completed": False}
    (folder / "config.json").write_text(json.dumps(config))
    write(changed, *table.read_text().replace("red", "pink").splitlines())
    code, _, errors = run_here("--resume", folder)
    assert code == 2 and "their categories, have changed since the run began" in errors


@pytest.mark.once
def test_a_run_of_signals(train, signals, command, tmp_path):
    folder, output = train(signals, "--likelihood", "normal", "--network", "conv")
    assert {path.name for path in folder.iterdir()} == USUAL | {
        "reconstructions.png",
        "samples.png",
        "samples.npy",
    }
    assert "waves 32x1" in output and "items to train" in output and "image" not in output
    new = np.load(folder / "samples.npy", allow_pickle=False)
    assert new.shape == (1000, 32, 1) and 100 < new.mean() < 300
    command("sample", folder, "-n", 3, "-o", tmp_path / "n.npy")
    assert np.load(tmp_path / "n.npy").shape == (3, 32, 1)
    assert command("score", folder, signals, "-o", tmp_path / "s.csv", "-k", 5)[0] == 0
    assert rows_of(tmp_path / "s.csv")[-1]["item"] == "89"
    np.save(tmp_path / "short.npy", np.zeros((3, 31, 1)))
    code, _, errors = command("encode", folder, tmp_path / "short.npy", "-o", tmp_path / "c.csv")
    assert code == 2 and "must have arrays of the shape (n, 32, 1)" in errors
    assert not (tmp_path / "c.csv").exists()


@pytest.mark.once
def test_missing_values_of_arrays(train, signals, command, tmp_path):
    x = np.load(signals)
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    np.save(tmp_path / "holes.npy", x)
    folder, _ = train(tmp_path / "holes.npy", "--likelihood", "normal")
    code, text, _ = command("impute", folder, tmp_path / "holes.npy", "-o", tmp_path / "full.npy")
    full = np.load(tmp_path / "full.npy")
    assert code == 0 and f"{np.isnan(x).sum():,} values filled" in text
    known = ~np.isnan(x)
    np.testing.assert_array_equal(full[known], x[known].astype("float32"))
    assert np.isfinite(full).all()


@pytest.mark.once
@pytest.mark.parametrize(
    "flags, message",
    [
        (["--likelihood", "mse"], "--likelihood mse does not suit"),
        (["--network", "patches"], "--network patches is for images"),
        (["--augment"], "--augment mirrors images"),
        (["--latent-dim", "99"], "a row has only 5 values"),
        (["--group", "person"], "no column 'person' to group by"),
        (["--image-size", "8"], "`image_size` does not apply"),
    ],
)
def test_what_does_not_suit_a_table(flags, message, run_here, table, tmp_path):
    code, _, errors = run_here("--dataset", table, *flags, "--output", tmp_path / "run")
    assert code == 2 and message in errors
    assert errors.splitlines()[-1].startswith("train.py: error: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_what_does_not_suit_images(run_here, tmp_path):
    flags = "--likelihood", "normal", "--limit", 50
    code, _, errors = run_here("--dataset", "faces", *flags, "--output", tmp_path / "run")
    assert code == 2 and "--likelihood normal does not suit faces" in errors


@pytest.fixture
def image_run(make_vae, images, tmp_path):
    """A run of images in a folder, with a folder of pictures."""
    model = make_vae(likelihood="gaussian")
    model.fit(images, epochs=2, verbose=0)
    folder = tmp_path / "run"
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "config.json").write_text(json.dumps({"completed": True, "started": "2026-01-01"}))
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for index, image in enumerate(images[:5]):
        name = f"more/{index}.png" if index > 2 else f"{index}.png"
        Image.fromarray(image).save(photos / name)
    (photos / "bad.png").write_bytes(b"no picture")
    return folder, photos


@pytest.mark.once
def test_scores_and_codes_of_a_folder_of_images(image_run, images, command, tmp_path):
    folder, photos = image_run
    out = tmp_path / "s.csv"
    code, text, _ = command(
        "score", folder, photos, "-o", out, "-k", 5, "--heat-maps", tmp_path / "heat", "-n", 2
    )
    assert code == 0 and "scores of 5 images" in text and "skipped 1 that cannot be read" in text
    assert "without atypicality" in text  # config.json names no data set
    scores = rows_of(out)
    assert [row["file"] for row in scores] == [
        "0.png",
        "1.png",
        "2.png",
        "more/3.png",
        "more/4.png",
    ]
    model = runs.load_model(folder)
    expected = evaluate.anomaly_scores(model, images[:5], 0.0, k=5)
    for name in ("negative_log_likelihood", "reconstruction_loss"):
        found = [float(row[name]) for row in scores]
        np.testing.assert_allclose(found, expected[name], rtol=1e-4)
    order = np.argsort(-expected["reconstruction_loss"])[:2]
    names = [f"{rank}-{scores[row]['file'].replace('/', '-')}" for rank, row in enumerate(order, 1)]
    made = sorted(path.name for path in (tmp_path / "heat").iterdir())
    assert made == [f"00{name}" for name in names]
    with Image.open(tmp_path / "heat" / made[0]) as picture:
        assert picture.width > 2.5 * picture.height
    command("encode", folder, photos, "-o", tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as file:
        np.testing.assert_allclose(file["z_mean"], model.encode(images[:5])[0], atol=1e-5)
        assert file["files"][3] == "more/3.png"
    code, _, errors = command("impute", folder, photos)
    assert code == 2 and "images, which have no missing values" in errors


@pytest.mark.once
def test_an_autoencoder_has_its_reconstruction_loss_only(images, tmp_path):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (8,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile("adam")
    np.save(tmp_path / "x.npy", images)
    run = runs.Run(tmp_path, {}, model, None, None)
    ((x, columns),) = use.scores(run, tmp_path / "x.npy")
    assert list(columns) == ["item", "reconstruction_loss"] and len(x) == 37
    errors = np.square(model.reconstruct(images) - images / 255.0).sum(axis=(1, 2, 3))
    constant = model.likelihood.omitted * 90
    np.testing.assert_allclose(columns["reconstruction_loss"], errors + constant, rtol=1e-4)


@pytest.mark.once
def test_batches_are_bounded(images, tmp_path, make_vae):
    np.save(tmp_path / "x.npy", images)
    run = runs.Run(tmp_path, {}, make_vae(), None, None)
    parts = list(items.batches(run, tmp_path / "x.npy", together=10))
    assert [len(x) for _, x in parts] == [10, 10, 10, 7]
    np.testing.assert_array_equal(np.concatenate([x for _, x in parts]), images)
    assert parts[1][0][0] == "10"


@pytest.mark.once
def test_the_linear_model_of_a_mixed_table(table):
    """Numbers: as `LinearModel`; categories: frequencies; and their sum."""
    from keras_vae import datasets

    data = datasets.load(table)
    x = data.train.images[~np.isnan(data.train.images).any(axis=1)]
    linear = runs.values.linear_model(x, 1, data.table)
    numbers = x[:, [0, 1, 4]]
    expected = evaluate.LinearModel(numbers, 1).log_likelihood(numbers)
    shares = (x[:, 2:4].sum(axis=0) + 1) / (len(x) + 2)
    np.testing.assert_allclose(linear(x), expected + np.log(shares)[x[:, 2:4].argmax(axis=1)])


@pytest.mark.once
def test_an_autoencoder_of_a_table_of_categories(train, command, tmp_path):
    """It has no p(x): one score, no missing values filled, and no linear model beside it."""
    rows = [f"{'xyz'[i % 3]};{'pq'[i % 2]};{'' if i % 4 else 'k'}" for i in range(14)]
    path = write(tmp_path / "t.csv", "\ufeffa:category;b:category;c:label", *rows)
    folder, output = train(path, "--model", "ae")
    assert "linear model" not in output and "R²" not in output
    code, text, _ = command("score", folder, path, "-o", tmp_path / "s.csv")
    assert code == 0 and "without atypicality: a plain autoencoder has no p(x)" in text
    assert list(rows_of(tmp_path / "s.csv")[0]) == ["line", "reconstruction_loss", "most_unusual"]
    code, text, errors = command("impute", folder, path, "-o", tmp_path / "x.csv")
    assert (code, text) == (2, "") and "which has no distribution of missing values" in errors
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.once
def test_values_that_do_not_suit_the_likelihood(run_here, signals, tmp_path):
    flags = "--likelihood", "poisson", "--output", tmp_path / "run"
    code, _, errors = run_here("--dataset", signals, *flags)
    assert code == 2 and "must be whole numbers of at least 0" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_scores_have_the_same_columns_throughout(tmp_path):
    """Black and white images have a log-likelihood under Bernoulli, and grey ones none."""
    images = np.zeros((1500, 4, 4, 1), "uint8")
    images[1400] = 100
    np.save(tmp_path / "x.npy", images)
    parts = keras_vae.build_mlp((4, 4, 1), 2, (8,))
    model = keras_vae.VAE(*parts, "bernoulli")
    model.compile("adam")
    run = runs.Run(tmp_path, {}, model, None, None)
    with pytest.raises(ValueError, match=r"some items of .* have a log-likelihood and others none"):
        list(use.scores(run, tmp_path / "x.npy", k=1))
    np.save(tmp_path / "empty.npy", images[:0])
    with pytest.raises(ValueError, match="must hold numbers"):
        list(use.scores(run, tmp_path / "empty.npy", k=1))
