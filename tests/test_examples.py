"""What a run keeps of the test set, and what is refused of a file."""

import dataclasses

import numpy as np
import pytest

import keras_vae
from keras_vae import latent
from keras_vae.datasets import Dataset, Split, stream
from keras_vae.runs import examples
from keras_vae.runs.examples import Examples

NAMES = ("beard", "Smiling")
ATTRIBUTES = np.arange(37)[:, None] % [2, 3] == 0


def data_of(images, labels=None, label_names=(), attributes=None, attribute_names=()):
    split = Split(images, labels=labels, attributes=attributes)
    others = {"label_names": label_names, "attribute_names": attribute_names}
    return Dataset("made up", split, split, split, **others)


def assert_same(one, other):
    for field in dataclasses.fields(Examples):
        left, right = (getattr(each, field.name) for each in (one, other))
        np.testing.assert_array_equal(left, right)
        assert type(left) is type(right) and np.asarray(left).dtype == np.asarray(right).dtype


# What each backend must do.


@pytest.mark.parametrize("kind", [bool, int])
def test_there_and_back(make_vae, images, tmp_path, kind):
    model = make_vae()
    data = data_of(images, attributes=ATTRIBUTES.astype(kind), attribute_names=NAMES)
    kept = examples.collect(model, data)
    np.testing.assert_array_equal(kept.images, images)
    np.testing.assert_array_equal(kept.attributes, ATTRIBUTES)
    assert kept.images.dtype == np.uint8 and kept.attributes.dtype == bool
    assert kept.attribute_names == NAMES and kept.colour_names == ("not Smiling", "Smiling")
    assert kept.attribute_counts.tolist() == [[18, 19], [24, 13]]
    np.testing.assert_array_equal(kept.colours, ATTRIBUTES[:, 1])
    assert kept.title == "by 'Smiling'"
    z_mean, z_log_var = model.encode(images)
    np.testing.assert_array_equal(kept.codes, z_mean)
    for column, has in enumerate(ATTRIBUTES.T):
        without_and_with = np.stack([z_mean[~has].mean(axis=0), z_mean[has].mean(axis=0)])
        np.testing.assert_allclose(kept.attribute_means[column], without_and_with, atol=1e-6)
    expected = latent.kl_of_latents(z_mean, z_log_var)
    np.testing.assert_allclose(kept.carried, expected, rtol=1e-6)
    assert kept.codes.dtype == kept.carried.dtype == np.float32
    kept.save(tmp_path / "examples.npz")
    assert_same(Examples.load(tmp_path / "examples.npz"), kept)


def test_what_is_not_known_is_kept_as_such(make_vae, images, tmp_path):
    known = np.arange(37)[:, None] % [5, 4] > 0
    split = Split(images, attributes=ATTRIBUTES, known=known)
    data = Dataset("made up", split, split, split, attribute_names=NAMES)
    kept = examples.collect(make_vae(), data)
    np.testing.assert_array_equal(kept.known, known)
    assert kept.colour_names == ("not Smiling", "Smiling", "unknown")
    assert kept.title == "by 'Smiling', known for 27 of 37"
    expected = np.where(known[:, 1], ATTRIBUTES[:, 1], 2)
    np.testing.assert_array_equal(kept.colours, expected)
    # What is not known counts neither as with nor as without.
    assert kept.attribute_counts.sum(axis=1).tolist() == known.sum(axis=0).tolist()
    with_it = kept.codes[known[:, 1] & ATTRIBUTES[:, 1]].mean(axis=0)
    np.testing.assert_allclose(kept.attribute_means[1, 1], with_it, atol=1e-6)
    path = tmp_path / "examples.npz"
    kept.save(path)
    assert_same(Examples.load(path), kept)
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"known": known[:5]})
    with pytest.raises(ValueError, match=r"'known' of shape \(37, 2\), received \(5, 2\)"):
        Examples.load(path)
    np.savez(path, **arrays | {"known": known.astype(int)})
    with pytest.raises(ValueError, match="'known' holds something else"):
        Examples.load(path)


def test_a_plain_autoencoder_without_attributes(images, tmp_path):
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    kept = examples.collect(model, data_of(images))
    z = model.encode(images)
    np.testing.assert_array_equal(kept.codes, z)
    np.testing.assert_allclose(kept.carried, z.var(axis=0), rtol=1e-4)
    assert kept.attributes.shape == (37, 0) and kept.attribute_names == ()
    assert kept.attribute_means.shape == (0, 2, 2) and kept.attribute_counts.shape == (0, 2)
    assert kept.colour_names == ("all",) and not kept.colours.any()
    kept.save(tmp_path / "examples.npz")
    assert_same(Examples.load(tmp_path / "examples.npz"), kept)


def test_images_on_disk_give_the_same(make_vae, images, tmp_path, monkeypatch):
    many = np.concatenate([images] * 40)
    np.save(tmp_path / "images.npy", many)
    rows = stream.Rows(tmp_path / "images.npy", np.arange(len(many)))
    model = make_vae()
    expected = examples.collect(model, data_of(many))
    read, sizes = stream.Rows.__getitem__, []

    def watched(self, index):
        part = read(self, index)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(stream.Rows, "__getitem__", watched)
    assert_same(examples.collect(model, data_of(rows)), expected)
    assert expected.images.shape == (48, 6, 5, 3) and len(expected.codes) == len(many)
    assert max(sizes) <= 128


# What does not depend on the backend.

once = pytest.mark.once


@once
def test_of_large_images_there_are_fewer(make_vae, images, monkeypatch):
    data = data_of(images, attributes=ATTRIBUTES, attribute_names=NAMES)
    monkeypatch.setattr(examples, "CODES", 20)
    for most, expected in ((90 * 10 + 89, 10), (90, 1), (1, 1)):
        monkeypatch.setattr(examples, "MOST_BYTES", most)
        kept = examples.collect(make_vae(), data)
        assert len(kept.images) == len(kept.attributes) == expected
        assert len(kept.codes) == 20


@once
def test_means_are_of_all_codes_and_of_none_where_an_attribute_is_missing(make_vae, images):
    """Only 48 images are kept, and the means are of all codes."""
    many = np.concatenate([images] * 3)
    attributes = np.stack([np.arange(len(many)) >= 60, np.zeros(len(many), int)], axis=1)
    model = make_vae()
    kept = examples.collect(model, data_of(many, attributes=attributes, attribute_names=NAMES))
    assert len(kept.attributes) == 48 and not kept.attributes.any()
    assert kept.attribute_counts.tolist() == [[60, 51], [111, 0]]
    expected = model.encode(many)[0][60:].mean(axis=0)
    np.testing.assert_allclose(kept.attribute_means[0, 1], expected, atol=1e-6)
    np.testing.assert_array_equal(kept.attribute_means[1, 1], 0)


@once
def test_what_groups_there_are(images):
    labels = np.arange(37) % 3
    assert examples.colouring(data_of(images))[1:] == (("all",), "without labels")
    colours, names, title = examples.colouring(data_of(images, labels, ("a", "b", "c")), 5)
    assert (colours.tolist(), names, title) == ([0, 1, 2, 0, 1], ("a", "b", "c"), "by label")
    colours, names, _ = examples.colouring(data_of(images, labels - 1, ("a", "b")), 5)
    assert (colours.tolist(), names) == ([2, 0, 1, 2, 0], ("a", "b", "no label"))
    many = tuple(map(str, range(21)))  # too many for colours
    data = data_of(images, labels, many, ATTRIBUTES, ("beard", "smiling" * 9))
    colours, names, title = examples.colouring(data, 3)
    assert colours.tolist() == [1, 0, 1] and names == ("not beard", "beard")
    assert title == "by 'beard'"
    long = examples.colouring(
        data_of(images, attributes=ATTRIBUTES[:, 1:], attribute_names=("b" * 40,))
    )
    assert long[1][1] == "b" * 23 + "…"


@pytest.fixture
def arrays():
    """What a good file holds."""
    return {
        "images": np.zeros((3, 6, 5, 3), "uint8"),
        "attributes": np.zeros((3, 2), bool),
        "attribute_names": np.array(["beard", "Größe 😀"]),
        "attribute_means": np.zeros((2, 2, 2), "float32"),
        "attribute_counts": np.ones((2, 2), int),
        "codes": np.zeros((4, 2), "float32"),
        "carried": np.zeros(2, "float32"),
        "colours": np.arange(4) % 2,
        "colour_names": np.array(["a", "b"]),
        "title": np.array("by label"),
    }


def load(tmp_path, arrays):
    np.savez(tmp_path / "examples.npz", **arrays)
    return Examples.load(tmp_path / "examples.npz")


@once
def test_a_good_file_is_read(arrays, tmp_path):
    kept = load(tmp_path, arrays)
    assert kept.attribute_names == ("beard", "Größe 😀") and kept.title == "by label"
    assert kept.colours.tolist() == [0, 1, 0, 1]


@once
@pytest.mark.parametrize(
    "name, array, message",
    [
        ("images", np.zeros((3, 6, 5), "uint8"), r"'images' of shape .*received \(3, 6, 5\)"),
        ("images", np.zeros((0, 6, 5, 3), "uint8"), "'images' of shape"),
        ("images", np.zeros((3, 0, 5, 3), "uint8"), "'images' of shape"),
        ("images", np.zeros((3, 6, 5, 3)), "'images' to be uint8 or float32, received float64"),
        ("images", np.zeros((5, 6, 5, 3), "uint8"), r"'codes' of .*n >= 5.*received \(4, 2\)"),
        ("attributes", np.zeros((3, 2), "uint8"), "'attributes' holds something else"),
        ("attributes", np.zeros((3, 1), bool), r"of shape \(3, 2\), received \(3, 1\)"),
        ("attribute_names", np.zeros(2), "'attribute_names' holds something else"),
        ("attribute_names", np.array([["a", "b"]]), "'attribute_names' and .* to be lists"),
        ("attribute_names", np.array(["a", "a"]), "'attribute_names' without duplicates"),
        ("attribute_means", np.zeros((2, 2, 2)), "_means' to be float32, received float64"),
        ("attribute_means", np.full((2, 2, 2), np.inf, "float32"), "holds something else"),
        ("attribute_means", np.zeros((2, 2, 3), "float32"), r"of shape \(2, 2, 2\), received"),
        ("attribute_counts", np.zeros((2, 2)), "whole numbers of at least 0"),
        ("attribute_counts", np.full((2, 2), -1), "whole numbers of at least 0"),
        ("attribute_counts", np.zeros(2, int), r"of shape \(2, 2\), received \(2,\)"),
        ("codes", np.full((4, 2), np.nan, "float32"), "'codes' holds something else"),
        ("codes", np.full((4, 2), -np.inf, "float32"), "'codes' holds something else"),
        ("codes", np.zeros((4, 2)), "'codes' to be float32, received float64"),
        ("codes", np.zeros((4, 0), "float32"), "'codes' of shape"),
        ("codes", np.zeros(4, "float32"), "'codes' of shape"),
        ("carried", np.zeros(3, "float32"), r"'carried' of shape \(2,\), received \(3,\)"),
        ("carried", np.full(2, 3.2e38, "float32"), "'carried' holds something else"),
        ("colours", np.full(4, 2), "indices of the 2 'colour_names'"),
        ("colours", np.full(4, -1), "indices of the 2 'colour_names'"),
        ("colours", np.full(4, 2**63, "uint64"), "indices of the 2 'colour_names'"),
        ("colours", np.zeros(4), "indices of the 2 'colour_names'"),
        ("colours", np.zeros(3, int), r"'colours' of shape \(4,\), received \(3,\)"),
        ("colour_names", np.array("a"), "'colour_names' to be lists"),
        ("colour_names", np.array([], "U1"), "indices of the 0 'colour_names'"),
        ("title", np.array(["a"]), "'title' to be one string"),
        ("title", np.array(3), "'title' holds something else"),
        ("title", np.array(object()), "not a file of plain arrays"),
    ],
)
def test_a_bad_file_is_refused(arrays, tmp_path, name, array, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, arrays | {name: array})


@once
def test_a_damaged_file_is_refused(arrays, tmp_path):
    load(tmp_path, arrays)
    path = tmp_path / "examples.npz"
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:900] + b"xyz" + whole[903:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged, or not a file of plain arrays"):
            Examples.load(path)
    del arrays["title"]
    with pytest.raises(ValueError, match="damaged, or not a file of plain arrays"):
        load(tmp_path, arrays)
