"""Directions of codes made up so that the right ones are known."""

import numpy as np
import pytest

from keras_vae import latent

pytestmark = pytest.mark.once

NAMES = ("smiling", "eyeglasses", "with = and space")


def made_up(n=6000, latent_dim=6, together=0.8, seed=0):
    """Codes ``z = effects * attributes + noise``; the first two attributes go together."""
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.5
    second = np.where(rng.random(n) < together, first, ~first)
    third = rng.random(n) < 0.3
    attributes = np.column_stack([first, second, third])
    effects = np.zeros((3, latent_dim))
    effects[0, 0], effects[1, 1], effects[2, 2] = 2, 3, 1
    codes = attributes @ effects + rng.standard_normal((n, latent_dim))
    return codes.astype("float32"), attributes, effects


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("method", latent.METHODS)
def test_of_one_attribute_alone(method):
    codes, attributes, effects = made_up(together=0.5)
    directions = latent.fit_directions(codes, attributes[:, :1], NAMES[:1], method)
    assert directions.vectors.shape == (1, 6) and directions.vectors.dtype == np.float32
    assert cosine(directions["smiling"], effects[0]) > 0.99


@pytest.mark.parametrize("method", ["regression", "discriminant"])
def test_of_attributes_that_go_together(method):
    """Only the mean difference of the one carries the other along."""
    codes, attributes, effects = made_up()
    plain = latent.fit_directions(codes, attributes, NAMES, "mean_difference")
    other = latent.fit_directions(codes, attributes, NAMES, method)
    for i in range(3):
        assert cosine(other.vectors[i], effects[i]) > 0.99
    assert cosine(plain["smiling"], effects[0]) < 0.8
    dragged = [d["smiling"][1] / d["smiling"][0] for d in (plain, other)]
    assert dragged[0] > 0.8 and abs(dragged[1]) < 0.05


def test_the_discriminant_of_attributes_that_go_together():
    """Noise and effects that are not along the axes, so that it is not the regression."""
    rng = np.random.default_rng(0)
    _, attributes, _ = made_up(40_000)
    effects, shape = rng.standard_normal((3, 6)), rng.standard_normal((6, 6))
    codes = attributes @ effects + rng.standard_normal((len(attributes), 6)) @ shape
    covariance = shape.T @ shape
    shrunk = covariance + np.trace(covariance) / 6 * np.eye(6)
    vectors = latent.fit_directions(codes, attributes, NAMES).vectors
    for vector, effect in zip(vectors, effects):
        expected = np.linalg.solve(shrunk, effect)
        assert cosine(vector, expected) > 0.99
        assert cosine(effect, expected) < 0.98


def test_the_regression_is_that_of_scikit_learn():
    from sklearn.linear_model import LinearRegression

    codes, attributes, _ = made_up()
    vectors = latent.fit_directions(codes, attributes, NAMES, "regression").vectors
    for vector, expected in zip(vectors, LinearRegression().fit(attributes, codes).coef_.T):
        assert cosine(vector, expected) == pytest.approx(1, abs=1e-6)


def test_the_sign_is_what_the_attribute_does_by_itself():
    """Glasses darken, but those who wear them are in brighter pictures, all in all."""
    rng = np.random.default_rng(0)
    glasses = rng.random(5000) < 0.5
    outside = np.where(rng.random(5000) < 0.9, glasses, ~glasses)
    codes = (3.0 * outside - 1.0 * glasses + 0.1 * rng.standard_normal(5000))[:, None]
    attributes = np.column_stack([glasses, outside])
    for method, sign in (("mean_difference", 1), ("regression", -1), ("discriminant", -1)):
        vector = latent.fit_directions(codes, attributes, NAMES[:2], method)["smiling"]
        assert np.sign(vector[0]) == sign and abs(vector[0]) > 0.5


def test_the_discriminant_avoids_what_varies_anyway():
    """A nuisance nobody labelled, such as light, that differs a little between the groups."""
    rng = np.random.default_rng(0)
    has = rng.random(4000) < 0.5
    light = 0.7 * has + 3 * rng.standard_normal(4000)
    mouth = 1.0 * has + 0.3 * rng.standard_normal(4000)
    codes = np.column_stack([light, mouth])
    share = {}
    for method in latent.METHODS:
        vector = latent.fit_directions(codes, has[:, None], ["smiling"], method)["smiling"]
        share[method] = abs(vector[0] / vector[1])
    assert share["mean_difference"] == pytest.approx(share["regression"], rel=1e-4)
    assert share["mean_difference"] > 0.5
    assert share["discriminant"] < share["mean_difference"] / 2


def test_the_mean_difference_is_one():
    codes, attributes, _ = made_up()
    directions = latent.fit_directions(codes, attributes, NAMES, "mean_difference")
    for i, name in enumerate(NAMES):
        has = attributes[:, i]
        expected = codes[has].mean(axis=0) - codes[~has].mean(axis=0)
        np.testing.assert_allclose(directions[name], expected, atol=1e-5)


def test_the_discriminant_of_one_attribute_is_that_of_scikit_learn():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    turn = rng.standard_normal((6, 6))
    codes, attributes, _ = made_up()
    codes = codes @ turn
    directions = latent.fit_directions(codes, attributes[:, :1], NAMES[:1])
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)
    normal = lda.fit(codes, attributes[:, 0]).coef_[0]
    assert cosine(directions["smiling"], normal) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("method", latent.METHODS)
def test_one_unit_is_the_distance_of_the_means(method):
    codes, attributes, _ = made_up()
    directions = latent.fit_directions(codes, attributes, NAMES, method)
    for vector, has in zip(directions.vectors, attributes.T):
        length = np.linalg.norm(vector)
        along = codes @ (vector / length)
        assert length == pytest.approx(along[has].mean() - along[~has].mean(), rel=1e-4)


@pytest.mark.parametrize("method", latent.METHODS)
def test_of_classes(method):
    """Make this 3 an 8: classes sum to one, so they are collinear."""
    rng = np.random.default_rng(0)
    middles = 4 * rng.standard_normal((10, 12))
    labels = rng.integers(0, 10, 3000)
    codes = middles[labels] + rng.standard_normal((3000, 12))
    classes = labels[:, None] == np.arange(10)
    directions = latent.fit_directions(codes, classes, [str(i) for i in range(10)], method)
    threes = codes[labels == 3] + directions.shift({"8": 1, "3": -1})
    nearest = np.linalg.norm(threes[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == 8).mean() > 0.9


def test_a_copy_of_an_attribute_shares_its_effect():
    codes, attributes, effects = made_up()
    twice = np.column_stack([attributes, attributes[:, 0]])
    directions = latent.fit_directions(codes, twice, [*NAMES, "copy"], "regression")
    np.testing.assert_allclose(directions["copy"], directions["smiling"], atol=1e-4)
    assert cosine(directions["copy"], effects[0]) > 0.99


def test_shift_adds_several():
    codes, attributes, _ = made_up()
    directions = latent.fit_directions(codes, attributes, NAMES)
    shift = directions.shift({"smiling": 1.5, "eyeglasses": -1})
    expected = 1.5 * directions["smiling"] - directions["eyeglasses"]
    np.testing.assert_allclose(shift, expected, rtol=1e-6)
    assert shift.dtype == np.float32 and not directions.shift({}).any()


def test_they_are_listed_by_name():
    directions = latent.Directions(("a", "b"), np.eye(2), "regression")
    assert list(directions) == ["a", "b"] and len(directions) == 2
    assert "a" in directions and "c" not in directions
    assert directions == directions and hash(directions)


def test_there_and_back(tmp_path):
    codes, attributes, _ = made_up()
    names = (*NAMES[:2], "Größe 😀")
    directions = latent.fit_directions(codes, attributes, names)
    directions.save(tmp_path / "directions.npz")
    loaded = latent.Directions.load(tmp_path / "directions.npz")
    assert loaded.names == names and loaded.method == "discriminant"
    np.testing.assert_array_equal(loaded.vectors, directions.vectors)
    assert loaded.vectors.dtype == np.float32


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "directions.npz"
    np.savez(path, names=np.array(["a", object()]), vectors=np.ones((2, 3)), method="x")
    with pytest.raises(ValueError, match="not a file of plain arrays"):
        latent.Directions.load(path)


def test_a_file_that_does_not_fit_together(tmp_path):
    path = tmp_path / "directions.npz"
    np.savez(path, names=np.array(["a"]), vectors=np.ones((2, 3), "float32"), method="x")
    with pytest.raises(ValueError, match=r"1 names and vectors of shape \(2, 3\)"):
        latent.Directions.load(path)
    for vectors in (np.full((1, 3), np.nan), np.full((1, 3), 1e300), np.array([["a", "b", "c"]])):
        np.savez(path, names=np.array(["a"]), vectors=vectors, method="x")
        with pytest.raises(ValueError, match="'vectors' holds something else"):
            latent.Directions.load(path)
    np.savez(path, names=np.array([], "U1"), vectors=np.ones((0, 3)), method="x")
    with pytest.raises(ValueError, match="0 names"):
        latent.Directions.load(path)
    np.savez(path, names=np.array(["a"]), method="x")
    with pytest.raises(ValueError, match="damaged"):
        latent.Directions.load(path)
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(path)
    with pytest.raises(ValueError, match="damaged"):
        latent.Directions.load(path)
    np.savez_compressed(path, names=np.array(["a"]), vectors=np.ones((1, 3)), method="x")
    content = bytearray(path.read_bytes())
    content[60:100] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        latent.Directions.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "best"}, "must be one of"),
        ({"names": (), "attributes": np.zeros((6000, 0))}, "at least one attribute"),
        ({"names": (1, 2, 3)}, "must be distinct strings"),
        ({"names": NAMES[:2]}, r"here \(6000, 2\)"),
        ({"names": ("a", "a", "b")}, "must be distinct strings"),
        ({"codes": np.full((6000, 6), np.nan)}, "must be finite"),
        ({"codes": np.zeros(6000)}, r"\(n, latent_dim\)"),
        ({"attributes": np.full((6000, 3), 2)}, "only True and False"),
        ({"attributes": np.ones((6000, 3), bool)}, "'smiling' is the same in all 6000"),
    ],
)
def test_mistakes(change, message):
    codes, attributes, _ = made_up()
    arguments = {"codes": codes, "attributes": attributes, "names": NAMES} | change
    with pytest.raises(ValueError, match=message):
        latent.fit_directions(**arguments)


def test_mistakes_in_strengths():
    codes, attributes, _ = made_up()
    directions = latent.fit_directions(codes, attributes, NAMES)
    with pytest.raises(ValueError, match=r"no attribute 'Smiling'. There are: smiling, eye"):
        directions.shift({"Smiling": 1})
    for strength in (np.nan, np.inf, "1", None, True):
        with pytest.raises(ValueError, match=r"strengths\['smiling'\]"):
            directions.shift({"smiling": strength})


# Values that are not known


@pytest.mark.parametrize("method", latent.METHODS)
def test_what_is_not_known_does_not_count(method):
    """Whatever stands in unknown cells, the directions are the same, and right."""
    codes, attributes, _ = made_up(8000)
    rng = np.random.default_rng(1)
    known = rng.random(attributes.shape) < [0.5, 0.6, 1]
    lies = np.where(known, attributes, rng.random(attributes.shape) < 0.5)
    vectors = latent.fit_directions(codes, attributes, NAMES, method, known).vectors
    again = latent.fit_directions(codes, lies, NAMES, method, known).vectors
    np.testing.assert_array_equal(vectors, again)
    complete = latent.fit_directions(codes, attributes, NAMES, method).vectors
    for vector, expected in zip(vectors, complete):
        assert cosine(vector, expected) > 0.99
        assert np.linalg.norm(vector) == pytest.approx(np.linalg.norm(expected), rel=0.1)
    wrong = latent.fit_directions(codes, lies, NAMES, method).vectors
    assert np.linalg.norm(wrong[0]) < 0.8 * np.linalg.norm(vectors[0])


@pytest.mark.parametrize("method", latent.METHODS)
def test_all_known_is_the_same_as_no_mask(method):
    codes, attributes, _ = made_up(500)
    plain = latent.fit_directions(codes, attributes, NAMES, method).vectors
    masked = latent.fit_directions(codes, attributes, NAMES, method, np.ones((500, 3), bool))
    np.testing.assert_array_equal(plain, masked.vectors)


def test_attributes_that_no_image_has_both_known_of():
    """Two tables of one set: none of the rows is complete."""
    codes, attributes, effects = made_up(8000, together=0.5)
    known = np.ones(attributes.shape, bool)
    known[::2, 0] = known[1::2, 1] = False
    for method in latent.METHODS:
        found = latent.fit_directions(codes, attributes, NAMES, method, known)
        for vector, effect in zip(found.vectors, effects):
            assert cosine(vector, effect) > 0.98


def test_few_known_values_do_not_spoil_the_others():
    """One column of 30 known values beside 20 full ones."""
    rng = np.random.default_rng(0)
    attributes = rng.random((3000, 21)) < 0.5
    effects = rng.standard_normal((21, 32))
    codes = attributes @ effects + rng.standard_normal((3000, 32))
    known = np.ones(attributes.shape, bool)
    known[30:, 0] = False
    names = tuple(map(str, range(21)))
    vectors = latent.fit_directions(codes, attributes, names, "regression", known).vectors
    complete = latent.fit_directions(codes, attributes, names, "regression").vectors
    for vector, expected in zip(vectors[1:], complete[1:]):
        assert cosine(vector, expected) > 0.99


def test_a_mask_that_does_not_fit():
    codes, attributes, _ = made_up(100)
    for known in (np.ones((100, 2), bool), np.ones((100, 3))):
        with pytest.raises(ValueError, match=r"`known` must be bool of the shape .*\(100, 3\)"):
            latent.fit_directions(codes, attributes, NAMES, known=known)
    known = attributes.copy()  # known only of those that have it
    with pytest.raises(ValueError, match=r"is the same in all .* images in which it is known"):
        latent.fit_directions(codes, attributes, NAMES, known=known)
    unusual = np.where(known, attributes, 7)  # what is not known may be anything
    known[:, :] = attributes | (np.arange(100)[:, None] < 50)
    usable = np.where(known, attributes, 7)
    assert latent.fit_directions(codes, usable, NAMES, known=known).names == NAMES
    with pytest.raises(ValueError, match="only True and False"):
        latent.fit_directions(codes, unusual, NAMES)
