"""Array files as data sets."""

import zipfile

import numpy as np
import pytest

from keras_vae import datasets

pytestmark = pytest.mark.once

GREY = np.arange(40, dtype="uint8")[:, None, None] * np.ones((40, 5, 4), "uint8")


def numbers(split):
    return split.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    "images",
    [
        GREY,
        GREY[..., None],
        GREY.astype("int64"),
        (GREY / 255).astype("float32"),
        GREY / 255,
        np.asfortranarray(GREY),
    ],
    ids=["uint8", "channel", "int64", "float32", "float64", "fortran"],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_one_array_is_divided(tmp_path, images, ending):
    path = tmp_path / f"images.{ending}"
    np.save(path, images) if ending == "npy" else np.savez_compressed(path, images=images)
    data = datasets.load(path)
    assert data.name == "images" and data.image_shape == (5, 4, 1)
    everything = [n for p in (data.train, data.validation, data.test) for n in numbers(p)]
    assert sorted(everything) == list(range(40))


def test_bools_are_black_and_white_and_colour_stays(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((20, 4, 4, 3)) > 0.5)
    data = datasets.load(tmp_path / "a.npy")
    assert data.image_shape == (4, 4, 3) and set(np.unique(data.train.images)) == {0, 255}


def test_resized(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    data = datasets.load(tmp_path / "a.npy", image_size=8, resize="pad")
    assert data.image_shape == (8, 8, 1)


def test_labels_and_attributes(tmp_path):
    labels = np.array([b"cat", b"dog"])[np.arange(40) % 2]
    attributes = np.stack([np.arange(40) % 3 > 0, np.arange(40) > 5], axis=1)
    names = np.array(["third", "late"])
    np.savez(
        tmp_path / "a.npz", images=GREY, labels=labels, attributes=attributes, attribute_names=names
    )
    data = datasets.load(tmp_path / "a.npz")
    assert data.label_names == ("cat", "dog")
    assert data.attribute_names == ("third", "late", "cat", "dog")
    for n, label, row in zip(numbers(data.test), data.test.labels, data.test.attributes):
        assert label == n % 2
        assert row.tolist() == [n % 3 > 0, n > 5, n % 2 == 0, n % 2 == 1]


def test_attributes_may_be_unknown_or_scores(tmp_path):
    n = np.arange(40)
    columns = {
        "gaps": np.where(n % 4 == 0, np.nan, n % 3 == 0),
        "signs": np.where(n % 2, 1, -1),
        "score": n / 40,
        "size": n,
    }
    path = tmp_path / "a.npz"
    attributes, names = np.stack(list(columns.values()), axis=1), np.array(list(columns))
    np.savez(path, images=GREY, attributes=attributes, attribute_names=names)
    data = datasets.load(path)
    assert data.attribute_names == ("gaps", "signs")
    assert data.unused == {"score": "numbers from 0 to 0.975", "size": "numbers from 0 to 39"}
    for split in (data.train, data.validation, data.test):
        shown = np.array(numbers(split))
        known = np.ones(len(shown), bool) if split.known is None else split.known[:, 0]
        np.testing.assert_array_equal(known, shown % 4 > 0)
        np.testing.assert_array_equal(split.attributes[:, 0], known & (shown % 3 == 0))
        np.testing.assert_array_equal(split.attributes[:, 1], shown % 2 == 1)
    cut = datasets.load(path, cut_scores=True)
    assert cut.attribute_names == tuple(columns) and cut.cuts == {"score": 0.5, "size": 19.5}
    np.testing.assert_array_equal(cut.train.attributes[:, 2], np.array(numbers(cut.train)) > 20)
    np.savez(path, images=GREY, attributes=attributes, attribute_names=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="names an attribute twice"):
        datasets.load(path)


def test_the_names_that_keras_uses(tmp_path):
    labels = np.arange(40) % 10
    np.savez(
        tmp_path / "a.npz",
        x_train=GREY[:30],
        y_train=labels[:30],
        x_test=GREY[30:],
        y_test=labels[30:],
    )
    data = datasets.load(tmp_path / "a.npz")
    assert (len(data.train), len(data.validation), len(data.test)) == (27, 3, 10)
    assert sorted(numbers(data.test)) == list(range(30, 40))
    assert [data.label_names[i] for i in data.test.labels] == [
        str(n % 10) for n in numbers(data.test)
    ]


def test_given_parts(tmp_path):
    np.savez(tmp_path / "a.npz", train=GREY[:20], validation=GREY[20:30], test=GREY[30:])
    data = datasets.load(tmp_path / "a.npz")
    assert sorted(numbers(data.validation)) == list(range(20, 30))


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"images": GREY / 10}, r"floats in \[0, 1\]. Received: float64 from 0.0 to 3.9 "),
        ({"images": GREY.astype("int16") - 1}, r"integers in 0..255.*Received: int16 from -1"),
        ({"images": np.full((9, 4, 4), np.nan)}, "Received: float64 from nan"),
        ({"images": GREY.astype(complex)}, "must hold numbers. Received: dtype=complex128"),
        ({"images": np.array([{}] * 9)}, "holds Python objects, which are not loaded"),
        ({"images": np.zeros((64, 64, 3), "uint8")}, r"Received: shape=\(64, 64, 3\)"),
        ({"images": GREY, "x": GREY}, "both images and x"),
        ({"x_train": GREY, "x_test": GREY, "y_train": np.ones(40)}, "but not y_test"),
        ({"train": GREY, "test": GREY, "attributes": np.ones((80, 2))}, "but not y_train, y_test"),
        ({"images": GREY, "attributes": np.full((40, 2), "x")}, "must be numbers, with a row"),
        ({"images": GREY[0]}, r"must be images of shape .*Received: shape=\(5, 4\)"),
        ({"images": np.zeros((9, 3, 8, 8), "uint8")}, r"with 1 or 3 channels. Received: shape="),
        ({"images": np.zeros((0, 8, 8), "uint8")}, r"Received: shape=\(0, 8, 8\)"),
        ({"a": GREY, "b": GREY}, "has these arrays: a, b. Expected images"),
        ({"train": GREY, "test": GREY[:, :4]}, "differ in shape"),
        ({"images": GREY, "labels": np.arange(39)}, "one for each of the 40 images"),
        ({"images": GREY, "attributes": np.ones((40, 2))}, "needs `attribute_names`"),
        ({"images": GREY, "attributes": np.ones(40)}, "a row for each of the 40 "),
        ({"images": GREY, "labels": np.array([{}] * 40)}, "cannot be read as a NumPy file"),
    ],
)
def test_unusable_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path / "a.npz", pixels=True)


def test_a_header_that_lies(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    content = (tmp_path / "a.npy").read_bytes()
    for shape in (b"(-5, 5, 4)", b"(9999999999, 5, 4)"):
        lie = content.replace(b"(40, 5, 4), }" + b" " * (len(shape) - 10), shape + b", }")
        assert len(lie) == len(content) and lie != content
        (tmp_path / "a.npy").write_bytes(lie)
        with pytest.raises(ValueError, match=r"a.npy must be images|a.npy cannot be read"):
            datasets.load(tmp_path / "a.npy")


def test_broken_files(tmp_path):
    with pytest.raises(ValueError, match="There is no file"):
        datasets.load(tmp_path / "none.npy")
    np.save(tmp_path / "a.npy", GREY)
    np.savez(tmp_path / "a.npz", images=GREY)
    for name in ("a.npy", "a.npz"):
        content = (tmp_path / name).read_bytes()
        for size in (0, 5, 100, len(content) // 2):
            (tmp_path / name).write_bytes(content[:size])
            with pytest.raises(ValueError, match="cannot be read as a NumPy file"):
                datasets.load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("photo.txt", "hello")
    with pytest.raises(ValueError, match=r"has these arrays: none. Expected images"):
        datasets.load(tmp_path / "a.npz")
