"""Tables: files of rows, their columns as numbers, and back."""

import csv
import importlib.util
import os

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import datasets, tables
from keras_vae.tables import Table

HEADER = (
    "age,income,colour:category,visits:count,site:label,patient:group,note:ignore,unit:category"
)
ROWS = [
    "41.5,30000,red,2,north,a,x,kg",
    "NA,25000,blue,0,south,a,y,kg",
    "33,,green,5,north,b,z,kg",
    "29.25,41000,,1,?,c,x,kg",
]


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "table.csv", HEADER, *ROWS)


def many(path, n=120):
    """Writes a table whose columns depend on one number."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=n)
    rows = [
        f"{40 + 10 * a:.2f},{30000 + 5000 * a + 500 * b:.0f},{'red' if a > 0 else 'blue'},"
        f"{rng.poisson(np.exp(1 + a / 2))}"
        for a, b in zip(z, rng.normal(size=n))
    ]
    rows[3] = ",".join(["", *rows[3].split(",")[1:]])
    return write(path, "age,income,colour:category,visits:count", *rows)


@pytest.mark.once
def test_columns_are_what_the_header_says(path):
    table = Table.of(tables.read(path))
    kinds = {column.name: column.kind for column in table.columns}
    assert kinds == {
        "age": "number",
        "income": "number",
        "colour": "category",
        "visits": "count",
        "site": "label",
        "patient": "group",
        "note": "ignore",
        "unit": "constant",
    }
    assert table.columns[2].categories == ("blue", "green", "red")
    assert table.width == 6 and [c.name for c in table.modelled] == list(kinds)[:4]


@pytest.mark.once
def test_rows_become_numbers_and_rows_again(path):
    cells = tables.read(path)
    table = Table.of(cells)
    x = table.encode(cells)
    nan = np.nan
    np.testing.assert_array_equal(
        x,
        np.array(
            [
                [41.5, 30000, 0, 0, 1, 2],
                [nan, 25000, 1, 0, 0, 0],
                [33, nan, 0, 1, 0, 5],
                [29.25, 41000, nan, nan, nan, 1],
            ],
            "float32",
        ),
    )
    columns = table.decode(x)
    assert columns["colour"].tolist() == ["red", "blue", "green", ""]
    np.testing.assert_array_equal(columns["visits"], [2, 0, 5, 1])
    assert columns["unit"].tolist() == ["kg"] * 4
    tables.write(path.with_name("again.csv"), columns)
    again = list(csv.reader(path.with_name("again.csv").read_text().splitlines()))
    assert again[0] == ["age", "income", "colour", "visits", "unit"]
    assert again[1] == ["41.5", "30000", "red", "2", "kg"] and again[4][2] == ""
    assert Table.from_json(table.to_json()) == table


@pytest.mark.once
def test_columns_may_have_another_order_and_others_beside_them(path, tmp_path):
    table = Table.of(tables.read(path))
    other = write(tmp_path / "new.csv", "visits;colour;x;income;age", "1;red;hello;5;6")
    np.testing.assert_array_equal(table.encode(tables.read(other)), [[6, 5, 0, 0, 1, 1]])


@pytest.mark.once
def test_large_numbers_keep_their_digits(tmp_path):
    """Seconds since 1970 have more digits than float32."""
    times = [1_700_000_000 + 7 * i for i in range(20)]
    path = write(tmp_path / "t.csv", "time,x", *(f"{t},{i % 3}" for i, t in enumerate(times)))
    cells = tables.read(path)
    table = Table.of(cells)
    assert table.decode(table.encode(cells))["time"].tolist() == times


@pytest.mark.once
def test_a_file_is_read_in_parts(tmp_path):
    path = many(tmp_path / "many.csv")
    whole = tables.read(path)
    parts = list(tables.chunks(path, 50))
    assert [len(part) for part in parts] == [50, 50, 20]
    for name, column in whole.columns.items():
        assert np.concatenate([part.columns[name] for part in parts]).tolist() == column.tolist()
    assert parts[1].lines[0] == 52


@pytest.mark.once
@pytest.mark.skipif(
    not (importlib.util.find_spec("polars") or importlib.util.find_spec("pyarrow")),
    reason="needs polars or pyarrow",
)
def test_parquet(path, tmp_path):
    cells = tables.read(path)
    columns = Table.of(cells).decode(Table.of(cells).encode(cells))
    tables.write(tmp_path / "t.parquet", columns)
    again = tables.read(tmp_path / "t.parquet")
    np.testing.assert_allclose(again.columns["age"], columns["age"])
    assert again.columns["colour"].tolist() == columns["colour"].tolist()


@pytest.mark.once
def test_parquet_without_a_reader(monkeypatch, tmp_path):
    for name in ("polars", "pandas"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="pip install polars"):
        tables.read(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="pip install polars"):
        tables.write(tmp_path / "new.parquet", {"x": [1.0]})
    assert not (tmp_path / "new.parquet").exists()


@pytest.mark.once
@pytest.mark.parametrize(
    "lines, message",
    [
        (["a,b", "1,x", "2,y"], r"Line 2 of .*'b' has the text 'x'.*b:category"),
        (["a,b:count", "1,2", "2,2.5"], "Line 3 of .*'b' has 2.5; expected a whole number"),
        (["a,b:count", "1,2", "2,-1"], "has -1; expected a whole number"),
        (["a,b", "1,2", "2,inf"], "Line 3 of .*'b' has inf; expected a finite number"),
        (["a,b", "1,2", "2,1e300"], "'b' has 1e.300; expected a finite number"),
        (["a,b", "1,2,3"], "Line 2 of .* has 3 values; expected 2"),
        (["a,a", "1,2"], "two columns called 'a'"),
        (["a,a:count", "1,2"], "two columns called 'a'"),
        (["a,", "1,2"], "Column 2 of .* has no name"),
        (["a,b"], "no rows below"),
        ([""], "must begin with a line of column names"),
        (["a,b", "1,2", "1,2"], "no column to learn"),
        (["a:ignore,b:group", "1,2"], "no column to learn"),
        (["a,b:group,c:group", "1,2,3", "2,3,4"], "several columns of kind 'group'"),
        (["a:category,b", *(f"x{i},{i}" for i in range(1200))], "1,200 categories"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(lines, message, tmp_path):
    path = write(tmp_path / "bad.csv", *lines)
    with pytest.raises(ValueError, match=message):
        Table.of(tables.read(path))


@pytest.mark.once
def test_new_rows_that_do_not_fit(path, tmp_path):
    table = Table.of(tables.read(path))
    for lines, message in (
        (["age,income,visits", "1,2,3"], "no column 'colour'"),
        (["age,income,colour,visits", "1,2,pink,3"], "Line 2 .*'pink', which is not in the train"),
        (["age,income,colour,visits", "1,2,red,x"], "has the text 'x'"),
    ):
        with pytest.raises(ValueError, match=message):
            table.encode(tables.read(write(tmp_path / "new.csv", *lines)))


@pytest.mark.once
def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = many(tmp_path / "many.csv")
    parts = tables.chunks(path, 50)
    next(parts)
    with open(path, "a") as file:
        file.write("1,2,red,3\n")
    os.utime(path, (1, 1))
    with pytest.raises(ValueError, match="has changed while it was read"):
        list(parts)


@pytest.mark.once
def test_no_file_and_no_text(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        tables.read(tmp_path / "none.csv")
    for content in (b"a,b\xff\xfe\n1,2\n", b"\0\0\0"):
        (tmp_path / "bin.csv").write_bytes(content)
        with pytest.raises(ValueError, match="not a text file in UTF-8"):
            tables.read(tmp_path / "bin.csv")


@pytest.mark.once
def test_a_hundred_thousand_columns(tmp_path):
    count = 100_000
    rows = np.random.default_rng(0).integers(0, 99, (3, count)).astype(str)
    header = ",".join(f"c{i}" for i in range(count))
    path = write(tmp_path / "wide.csv", header, *(",".join(row) for row in rows))
    cells = tables.read(path)
    table = Table.of(cells)
    assert count - 100 < table.width <= count
    assert table.encode(cells).shape == (3, table.width)


@pytest.mark.once
def test_groups_stay_together_and_labels_are_classes(tmp_path):
    rows = [f"{i + 0.5},{i // 3},{'well' if i % 6 < 3 else 'ill'}" for i in range(90)]
    path = write(tmp_path / "t.csv", "x,patient:group,state:label", *rows)
    data = datasets.load(path)
    assert data.label_names == data.attribute_names == ("ill", "well")
    assert (data.noun, data.is_of_images, data.image_shape) == ("rows", False, (1,))
    everything = np.concatenate([p.images for p in (data.train, data.validation, data.test)])
    assert len(everything) == 90
    place = {float(np.float32(row.split(",")[0])): i for i, row in enumerate(rows)}
    parts = (data.train, data.validation, data.test)
    patients = [{place[float(x)] // 3 for x in part.images[:, 0]} for part in parts]
    assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
    assert {data.label_names[i] for i in data.test.labels} <= {"ill", "well"}
    plain = write(tmp_path / "plain.csv", "x,patient", *(row.rpartition(",")[0] for row in rows))
    again = datasets.load(plain, group="patient")
    assert again.table.columns[1].kind == "group"


@pytest.mark.once
def test_too_few_rows(tmp_path):
    for rows in (["1,2"], ["1,2", "3,4"]):
        with pytest.raises(ValueError, match=r"has only . rows?; at least 3 are needed"):
            datasets.load(write(tmp_path / "t.csv", "a,b", *rows))


@pytest.mark.once
def test_options_of_images_do_not_apply(path):
    with pytest.raises(ValueError, match="`image_size` does not apply"):
        datasets.load(path, image_size=8)


@pytest.mark.once
@pytest.mark.parametrize("shape", [(40, 3), (40, 16, 2), (40, 4, 4, 4, 1)])
def test_arrays_of_any_shape(shape, tmp_path):
    x = np.random.default_rng(0).normal(170, 10, shape)
    np.save(tmp_path / "x.npy", x)
    data = datasets.load(tmp_path / "x.npy", pixels=None if len(shape) != 3 else False)
    assert (data.image_shape, data.noun, data.streamed) == (shape[1:], "items", False)
    assert data.train.images.dtype == "float32" and data.train.images.mean() > 100


@pytest.mark.once
def test_whether_an_array_holds_images(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40, 8, 8)))
    assert datasets.load(tmp_path / "x.npy").is_of_images
    data = datasets.load(tmp_path / "x.npy", pixels=False)
    assert not data.is_of_images and data.image_shape == (8, 8)
    np.save(tmp_path / "y.npy", np.full((40, 3), np.inf))
    with pytest.raises(ValueError, match="finite numbers"):
        datasets.load(tmp_path / "y.npy")


def test_a_model_learns_a_mixed_table(tmp_path):
    data = datasets.load(many(tmp_path / "many.csv", 400))
    likelihood = data.table.likelihood("student_t")
    assert [type(part).__name__ for part in likelihood.parts] == [
        "StudentT",
        "Categorical",
        "NegativeBinomial",
    ]
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp(
        data.image_shape, 1, (16,), output_channels=likelihood.output_channels(5)
    )
    model = keras_vae.VAE(*parts, likelihood, seed=0)
    model.compile(keras.optimizers.Adam(0.02))
    losses = model.fit(data.train.images, batch_size=64, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 1
    means = model.sample(2000, seed=1)
    new = likelihood.draw(means, np.random.default_rng(0))
    assert new.dtype == "float32" and np.isfinite(new).all()
    assert set(np.unique(new[:, 2:4])) == {0, 1} and (new[:, 2:4].sum(axis=1) == 1).all()
    np.testing.assert_array_equal(new[:, 4], np.rint(new[:, 4]))
    # Draws have the variance that the means lack.
    assert new[:, 4].var() > means[:, 4].var() + 0.5
    real = np.nanmedian(data.train.images, axis=0)
    np.testing.assert_allclose(np.median(new[:, :2], axis=0), real[:2], rtol=0.1)


@pytest.mark.parametrize("name", ["normal", "student_t", "poisson", "negative_binomial"])
def test_draws_have_the_distribution_of_the_likelihood(name):
    """Their mean negative logarithm is that of the likelihood, its entropy."""
    likelihood = keras_vae.likelihoods.get(name)
    likelihood.build((None, 2))
    likelihood.adapt(np.random.default_rng(0).poisson(4, (500, 2)).astype("float32") + 1)
    outputs = keras.ops.zeros((40_000, 2))
    means = keras.ops.convert_to_numpy(likelihood.mean(outputs))
    x = likelihood.draw(means, np.random.default_rng(0))
    again = likelihood.draw(means, np.random.default_rng(0))
    np.testing.assert_array_equal(x, again)
    assert abs(x.mean() - means.mean()) < 0.1
    # The histogram of the draws and the densities agree.
    values, counts = np.unique(np.rint(x[:, 0]), return_counts=True)
    if name in ("poisson", "negative_binomial"):
        grid = np.repeat(values[:, None].astype("float32"), 2, axis=1)
        nats = likelihood.value_nats(
            keras.ops.convert_to_tensor(grid), keras.ops.zeros((len(grid), 2))
        )
        expected = np.exp(-keras.ops.convert_to_numpy(nats)[:, 0])
    else:
        grid = np.linspace(-60, 80, 14_001, dtype="float32")
        nats = likelihood.value_nats(
            keras.ops.convert_to_tensor(np.repeat(grid[:, None], 2, axis=1)),
            keras.ops.zeros((len(grid), 2)),
        )
        density = np.exp(-keras.ops.convert_to_numpy(nats)[:, 0])
        expected = [density[np.abs(grid - v) <= 0.5].sum() * 0.01 for v in values]
    np.testing.assert_allclose(counts / len(x), expected, atol=0.012)


@pytest.mark.once
def test_names_and_cells_in_quotes(tmp_path):
    """A delimiter in a quoted name is none; a row's number is that of its first line."""
    path = write(tmp_path / "t.csv", '"a;b;c",d:ignore', '1,"x', 'y"', '2,"z"')
    cells = tables.read(path)
    assert list(cells.columns) == ["a;b;c", "d:ignore"] and cells.lines.tolist() == [2, 4]


@pytest.mark.once
def test_long_numbers_stay_whole(tmp_path):
    ids = ["12345678901", "12345678902", "NA", "?"]
    rows = [f"{i},{person},98765432101" for i, person in enumerate(ids)]
    path = write(tmp_path / "t.csv", "x,id:group,k", *rows)
    cells = tables.read(path)
    table = Table.of(cells)
    assert table.decode(table.encode(cells))["k"].tolist() == ["98765432101"] * 4
    numbers = np.array([12345678901.0, np.nan, 1700000003.25])
    tables.write(tmp_path / "n.csv", {"x": numbers})
    assert (tmp_path / "n.csv").read_text().split() == ["x", "12345678901", '""', "1700000003.25"]
