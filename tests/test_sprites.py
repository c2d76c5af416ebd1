"""The sprites: the grid of factors, what each factor does to the pixels, and the data set."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from keras_vae import datasets
from keras_vae.datasets import sprites
from keras_vae.evaluate.judges import Judges
from keras_vae.runs import report

pytestmark = pytest.mark.once
ROWS = np.arange(sprites.COUNT).reshape(sprites.GRID)


def pictures(rows):
    """Returns pictures of rows of the grid, as booleans: the shape of `rows`, and 64 x 64."""
    images = sprites.paint(sprites.grid_factors(np.ravel(rows)))[..., 0] == 255
    return images.reshape(*np.shape(rows), sprites.SIZE, sprites.SIZE)


def changed(factors, **values):
    """Returns the table with these factors set to these values."""
    factors = factors.copy()
    for name, value in values.items():
        factors[:, sprites.FACTORS.index(name)] = value
    return factors


@pytest.fixture(scope="module")
def forms():
    """Every shape, scale and orientation, in the middle of the pixel (16, 16)."""
    return pictures(ROWS[..., 0, 0])


@pytest.fixture(scope="module")
def some():
    """Factors between those of the grid."""
    factors = sprites.draw_factors(48, seed=3)
    factors[:, 1:] = np.random.default_rng(0).uniform((0.5, 0, 0, 0), (1, 7, 1, 1), (48, 4))
    return factors


@pytest.fixture(scope="module")
def loaded():
    return datasets.load("sprites", limit=2000)


def test_a_seed_gives_the_same_bytes_on_every_machine():
    factors = sprites.draw_factors(2048, seed=0)
    spread = {"scale": np.linspace(0.5, 1, 2048), "orientation": np.linspace(0, 7, 2048)}
    between = changed(factors, x=np.linspace(0, 1, 2048), y=np.linspace(1, 0, 2048), **spread)
    for table, digest in ((factors, "17333c08a7f8c459"), (between, "6ba87c13a4255671")):
        images = sprites.paint(table)
        assert images.shape == (2048, 64, 64, 1) and images.dtype == np.uint8
        assert set(np.unique(images)) == {0, 255}
        assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == digest


def test_a_sprite_does_not_depend_on_how_many_there_are():
    few, more = sprites.draw_factors(5, seed=7), sprites.draw_factors(300, seed=7)
    np.testing.assert_array_equal(few, more[:5])
    np.testing.assert_array_equal(sprites.paint(few), sprites.paint(more)[:5])
    assert not np.array_equal(few, sprites.draw_factors(5, seed=8))
    assert sprites.paint(few[:0]).shape == (0, 64, 64, 1)


def test_threads_paint_what_one_call_paints(some):
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(sprites.paint, np.split(some, 8)))
    np.testing.assert_array_equal(np.concatenate(parts), sprites.paint(some))


# The grid


def test_the_grid_is_that_of_dsprites():
    assert sprites.COUNT == 737_280 and sprites.GRID == (3, 6, 40, 32, 32)
    assert sprites.FACTORS == ("shape", "scale", "orientation", "x", "y")
    first, *_, last = sprites.grid_factors([0, 1, sprites.COUNT - 1])
    np.testing.assert_array_equal(first, [0, 0.5, 0, 0, 0])
    np.testing.assert_allclose(last, [2, 1, 2 * np.pi * 39 / 40, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("axis, name", enumerate(sprites.FACTORS))
def test_an_axis_of_the_grid_is_a_factor(axis, name):
    rows = np.moveaxis(ROWS, axis, 0)[:, 1, 2, 3, 1]
    factors = sprites.grid_factors(rows)
    assert factors.dtype == np.float32 and len(factors) == len(sprites.VALUES[name])
    np.testing.assert_array_equal(factors[:, axis], np.float32(sprites.VALUES[name]))
    assert (np.delete(factors, axis, axis=1) == np.delete(factors[0], axis)).all()


def test_draw_gives_images_labels_and_factors_of_the_whole_grid():
    split = sprites.draw(100, seed=5)
    factors = sprites.draw_factors(100, seed=5)
    np.testing.assert_array_equal(split.images, sprites.paint(factors))
    np.testing.assert_array_equal(split.factors, factors)
    np.testing.assert_array_equal(split.labels, factors[:, 0])
    many = sprites.draw_factors(20_000, seed=5)
    for column, values in zip(many.T, sprites.VALUES.values()):
        found, counts = np.unique(column, return_counts=True)
        np.testing.assert_array_equal(found, np.float32(values))
        expected = len(many) / len(values)
        assert abs(counts - expected).max() < 4.5 * np.sqrt(expected)


# Pixels


def test_sprites_are_whole_wherever_they_are(forms):
    corners = pictures(ROWS[:, -1][..., [[0, 0], [-1, -1]], [[0, -1], [0, -1]]])
    edge = np.ones((64, 64), bool)
    edge[2:-2, 2:-2] = False
    assert not corners[..., edge].any()
    counts = corners.sum(axis=(-1, -2))
    assert (counts == forms[:, -1].sum(axis=(-1, -2))[..., None, None]).all()


def test_a_step_of_a_position_is_one_pixel(forms):
    x, y = 20, 11
    moved = pictures(ROWS[:, ::3, ::7, x, y])
    np.testing.assert_array_equal(moved, np.roll(forms[:, ::3, ::7], (y, x), axis=(-2, -1)))


def test_the_centre_follows_the_position_between_the_steps_too(some):
    images = sprites.paint(some)[..., 0] == 255
    pixels = np.arange(64)
    for axis, name in ((1, "x"), (2, "y")):
        found = (images.sum(axis=axis) * pixels).sum(axis=1) / images.sum(axis=(1, 2))
        expected = 16 + 31 * some[:, sprites.FACTORS.index(name)]
        assert abs(found - expected).max() < 0.35
        assert abs(np.mean(found - expected)) < 0.05


def test_the_area_grows_with_the_square_of_the_scale_alike_for_all_shapes(forms):
    areas = forms.sum(axis=(-1, -2))
    expected = (18.4 * np.linspace(0.5, 1, 6)) ** 2
    np.testing.assert_allclose(areas.mean(axis=2), np.tile(expected, (3, 1)), rtol=0.03)
    np.testing.assert_allclose(areas, np.broadcast_to(expected[:, None], areas.shape), rtol=0.12)


@pytest.mark.parametrize("number, turn", [(0, 10), (1, 20), (2, 40)])
def test_a_shape_looks_the_same_after_its_turn_and_not_before(forms, number, turn):
    turned = forms[number]
    assert sprites.TURNS[number] == turn
    np.testing.assert_array_equal(turned, np.roll(turned, turn, axis=1))
    assert len({image.tobytes() for image in turned.reshape(-1, 64 * 64)}) == 6 * turn


def test_orientation_turns_clockwise(forms):
    """A quarter turn turns the picture; a small one moves the tip of a heart to the left."""
    around = forms[2, :, :, :33, :33]  # the centre is in the middle of these
    np.testing.assert_array_equal(around[:, 10:20], np.rot90(around[:, :10], -1, axes=(2, 3)))
    upright, turned = around[-1, 0], around[-1, 2]
    tips = [
        image[np.flatnonzero(image.any(axis=1))[-1]].nonzero()[0] for image in (upright, turned)
    ]
    assert tips[0].mean() == 16 and tips[1].mean() < 14
    np.testing.assert_array_equal(upright, upright[:, ::-1])


def test_shapes_have_their_outline(forms):
    square, ellipse, heart = forms[:, -1, 0]
    assert square[7:26, 7:26].all() and square.sum() == 19 * 19
    assert (ellipse.any(axis=0).sum(), ellipse.any(axis=1).sum()) == (25, 17)
    assert heart[22, 16] and not heart[8, 16] and heart[8, 11] and heart[8, 21]  # between lobes


def test_pixels_do_not_hang_on_the_last_digit(monkeypatch):
    """No centre of a pixel is so close to an outline that rounding could decide."""
    forms = sprites.grid_factors(ROWS[..., 0, 0].ravel())
    images = sprites.paint(forms)
    for factor in (1 - 1e-5, 1 + 1e-5):
        for name in ("in_square", "in_ellipse", "in_heart"):
            inside = getattr(sprites, name)
            monkeypatch.setattr(
                sprites, name, lambda u, v, f=factor, inside=inside: inside(u * f, v * f)
            )
        np.testing.assert_array_equal(sprites.paint(forms), images)
        monkeypatch.undo()


# The data set


def test_the_data_set_has_images_factors_and_shapes_as_classes(loaded):
    assert loaded.image_shape == (64, 64, 1) and loaded.factor_names == sprites.FACTORS
    assert loaded.label_names == loaded.attribute_names == sprites.SHAPES
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (2000, 2000, 4200)
    for split in (loaded.train, loaded.validation, loaded.test):
        np.testing.assert_array_equal(split.images, sprites.paint(split.factors))
        np.testing.assert_array_equal(split.labels, split.factors[:, 0])
        np.testing.assert_array_equal(split.attributes, split.labels[:, None] == np.arange(3))


def test_no_two_pictures_are_alike(loaded):
    splits = (loaded.train, loaded.validation, loaded.test)
    assert len({image.tobytes() for split in splits for image in split.images}) == 8200
    rows = sprites.rows_of_the_set()
    assert len(rows) == 46_200 == len(set(rows))
    factors = sprites.grid_factors(rows)
    factors[:, 2] = (
        np.round(factors[:, 2] / (2 * np.pi / 40)) % sprites.TURNS[sprites.labels(factors)]
    )
    assert len(np.unique(factors, axis=0)) == 46_200


def test_the_rows_of_the_data_set_never_change():
    rows = sprites.rows_of_the_set()
    assert hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16] == "78d6b52b676fa2d2"


def test_factors_are_uniform_and_independent():
    factors = sprites.grid_factors(sprites.rows_of_the_set())
    for part in np.split(factors, [sprites.DEVELOPMENT_SIZE]):
        assert np.unique(part[:, 0], return_counts=True)[1].tolist() == [len(part) // 3] * 3
        for column, values in zip(part.T, sprites.VALUES.values()):
            found, counts = np.unique(column, return_counts=True)
            np.testing.assert_array_equal(found, np.float32(values))
            expected = len(part) / len(values)
            assert abs(counts - expected).max() < 4.5 * np.sqrt(expected)
        related = abs(np.corrcoef(part, rowvar=False)) - np.eye(5)
        assert related.max() < 4.5 / np.sqrt(len(part))


# Evaluation


def test_disentanglement_is_measured_on_test_images(loaded):
    """Codes that are the area and the centre of the white pixels say all of scale, x and y."""

    def codes(images, batch_size):
        np.testing.assert_array_equal(images, loaded.test.images[: report.KNOWN])
        white, pixels = images[..., 0] == 255, np.arange(64)
        area = white.sum(axis=(1, 2))
        centre = [(white.sum(axis=axis) * pixels).sum(axis=1) / area for axis in (1, 2)]
        return np.stack([area, *centre], axis=1)

    run, options = SimpleNamespace(model=SimpleNamespace(codes=codes)), SimpleNamespace(seed=0)
    numbers = report.disentanglement(run, loaded, None, options, report.no_bar)
    assert numbers["images"] == report.KNOWN and numbers["left_out"] == []
    found = {factor["name"]: factor for factor in numbers["factors"]}
    assert list(found) == list(sprites.FACTORS)
    assert {factor["kind"] for factor in found.values()} == {"continuous"}
    for latent, name in enumerate(("scale", "x", "y"), 1):
        assert found[name]["latent"] == latent
        assert found[name]["mig"] > 0.8 and found[name]["informativeness"] > 0.9
    for name in ("shape", "orientation"):
        assert found[name]["mig"] < 0.15


def test_judges_learn_the_sprites_themselves(loaded):
    assert Judges(loaded).data is loaded


# Errors


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_a_bad_number_of_sprites_is_refused(n):
    with pytest.raises(ValueError, match="Argument `n` must be a positive integer"):
        sprites.draw_factors(n, seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5, None, False])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="Argument `seed` must be a non-negative integer"):
        sprites.draw(3, seed=seed)


@pytest.mark.parametrize("rows", [3, [[3]], [0.5], [-1], [sprites.COUNT], [True], "3"])
def test_rows_outside_the_grid_are_refused(rows):
    with pytest.raises(ValueError, match="Argument `rows` must be integers from 0 to 737279"):
        sprites.grid_factors(rows)


def test_a_table_of_another_shape_is_refused(some):
    with_gap, endless = changed(some, x=np.nan), changed(some, orientation=np.inf)
    for table in (some[0], some[:, :3], with_gap, endless, some.astype(str), "sprites"):
        with pytest.raises(ValueError, match="Argument `factors` must be a table"):
            sprites.paint(table)


@pytest.mark.parametrize(
    "name, value", [("shape", 3), ("shape", 0.5), ("scale", 0.4), ("scale", 2), ("x", -1), ("y", 9)]
)
def test_a_factor_out_of_its_range_is_refused(some, name, value):
    with pytest.raises(ValueError, match=f"a scale from 0.5 to 1.* Received: {name}={value}"):
        sprites.paint(changed(some, **{name: value}))


def test_sprites_have_no_other_options():
    for option in ({"correlated": False}, {"image_size": 32}):
        with pytest.raises(ValueError, match="does not apply to the data set sprites"):
            datasets.load("sprites", **option)
