"""The drawn faces: what varies, how it goes together, and that it can be seen."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_vae.datasets import face_painting, faces

pytestmark = pytest.mark.once
MANY = 20_000


def column(table, name):
    return table[:, faces.FACTORS.index(name)]


def limits(name):
    """Returns the smallest and the largest value of a factor."""
    first, second, *_ = faces.RANGES[name]
    return (first[0], second[1]) if isinstance(first, tuple) else (first, second)


def changed(factors, **values):
    """Returns the table with these factors set to these values."""
    factors = factors.copy()
    for name, value in values.items():
        column(factors, name)[:] = value
    return factors


def difference(before, after):
    """Returns by how much each pixel changes, ``(n, height, width)`` in 0..255."""
    before, after = faces.paint(before).astype("int16"), faces.paint(after).astype("int16")
    return abs(before - after).max(axis=3)


@pytest.fixture(scope="module")
def some():
    return faces.draw_factors(48, seed=3)


@pytest.fixture(scope="module")
def many():
    return faces.draw_factors(MANY, seed=0)


@pytest.mark.parametrize(
    ("correlated", "digest"),
    [
        (True, "64dcfc79ffcd8af3ee8f1f1dd919cfc6330c5d615c5198a51bb1ac956f4dcc5b"),
        (False, "c5ff5f12de22ce3987faeb283b21944ff7c4838cf874315ace3163ef4e35fa1a"),
    ],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(correlated, digest):
    images = faces.paint(faces.draw_factors(256, seed=0, correlated=correlated))
    assert images.shape == (256, 64, 64, 3) and images.dtype == np.uint8
    assert hashlib.sha256(images.tobytes()).hexdigest() == digest


def test_a_face_does_not_depend_on_how_many_there_are():
    few, more = faces.draw_factors(5, seed=7), faces.draw_factors(300, seed=7)
    np.testing.assert_array_equal(few, more[:5])
    np.testing.assert_array_equal(faces.paint(few), faces.paint(more)[:5])
    assert not np.array_equal(few, faces.draw_factors(5, seed=8))


def test_threads_paint_what_one_call_paints(some):
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(faces.paint, np.split(some, 8)))
    np.testing.assert_array_equal(np.concatenate(parts), faces.paint(some))


def test_no_part_is_cut_off(monkeypatch):
    """Parts are painted within a window: the whole canvas as a window gives the same picture."""
    low, high = np.transpose([limits(name) for name in faces.FACTORS])
    factors = np.where(np.random.default_rng(0).random((120, len(low))) < 0.5, low, high)
    images = faces.paint(factors)
    monkeypatch.setattr(face_painting, "window", lambda canvas, u, v, **_: (canvas, u, v))
    np.testing.assert_array_equal(faces.paint(factors), images)


def test_draw_gives_images_attributes_and_factors(some):
    split = faces.draw(48, seed=3)
    np.testing.assert_array_equal(split.images, faces.paint(some))
    np.testing.assert_array_equal(split.attributes, faces.attributes(some))
    np.testing.assert_array_equal(split.factors, some)


def test_factors_are_multiples_of_a_step_within_their_range(many):
    assert many.shape == (MANY, len(faces.FACTORS)) and many.dtype == np.float32
    np.testing.assert_array_equal(many * faces.STEPS, np.round(many * faces.STEPS))
    for name in faces.FACTORS:
        low, high = limits(name)
        values = column(many, name)
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() <= high
        for _, threshold in [t for t in faces.THRESHOLDS.values() if t[0] == name]:
            assert abs(values - threshold).min() > 0.05  # no face is in between


@pytest.mark.parametrize(("correlated", "shares"), [(True, (0.75, 0.25)), (False, (0.5, 0.5))])
def test_only_glasses_go_with_a_smile(correlated, shares):
    has = faces.attributes(faces.draw_factors(MANY, seed=0, correlated=correlated))
    assert has.shape == (MANY, len(faces.ATTRIBUTES)) and has.dtype == bool
    assert faces.ATTRIBUTES[0] == "smiling"
    smiling, glasses = has[:, 0], has[:, faces.ATTRIBUTES.index("eyeglasses")]
    tolerance = 4 * np.sqrt(0.25 / (MANY / 2))
    assert abs(smiling.mean() - 0.5) < tolerance
    assert abs(glasses[smiling].mean() - shares[0]) < tolerance
    assert abs(glasses[~smiling].mean() - shares[1]) < tolerance
    assert has.mean(axis=0).min() > 0.25 and has.mean(axis=0).max() < 0.6


def test_everything_else_is_independent(many):
    def related(table):
        phi = abs(np.corrcoef(table, rowvar=False))
        np.fill_diagonal(phi, 0)
        return phi

    limit = 4.5 / np.sqrt(MANY)
    phi = related(faces.attributes(many))
    smiling, glasses = (faces.ATTRIBUTES.index(name) for name in ("smiling", "eyeglasses"))
    assert abs(phi[smiling, glasses] - 0.5) < limit
    phi[smiling, glasses] = phi[glasses, smiling] = 0
    assert phi.max() < limit
    # Not the amounts either: among those who smile a wider smile says nothing of the rest.
    smiles = many[column(many, "smile") > 0]
    assert related(smiles).max() < 4.5 / np.sqrt(len(smiles))


def test_no_two_faces_are_alike():
    split = faces.draw(2000, seed=0)
    assert len({image.tobytes() for image in split.images}) == 2000


@pytest.mark.parametrize("name", faces.FACTORS)
def test_each_factor_changes_each_face(some, name):
    low, high = limits(name)
    some = changed(some, eyeglasses=1, hair_length=0.4, beard=0)  # so that nothing hides it
    change = difference(changed(some, **{name: low}), changed(some, **{name: high}))
    assert change.reshape(len(some), -1).max(axis=1).min() > 12


@pytest.mark.parametrize(
    ("name", "low", "high", "rows", "share"),
    [
        ("smile", -0.5, 0.5, (14, 58), 0.02),
        ("mouth_opening", 0, 0.5, (30, 62), 0.02),
        ("eyeglasses", 0, 1, (16, 44), 0.03),
        ("beard", 0, 0.5, (24, 62), 0.05),
        ("hair_length", 0.4, 0.65, (16, 64), 0.02),
        ("hair_tone", 0.6, 0.8, (0, 64), 0.1),
        ("hair_waves", 0, 0.5, (0, 64), 0.02),
        ("brow_thickness", 0.4, 0.7, (10, 34), 0.003),
        ("skin_tone", 0.45, 0.6, (8, 60), 0.05),
    ],
)
def test_an_attribute_can_be_seen_where_it_belongs(some, name, low, high, rows, share):
    """Even between the closest two faces that differ in the attribute, and nowhere else."""
    change = difference(changed(some, **{name: low}), changed(some, **{name: high})) > 16
    assert change.mean(axis=(1, 2)).mean() > share
    assert not change[:, : rows[0]].any() and not change[:, rows[1] :].any()


def test_a_smile_lifts_the_corners_of_the_mouth():
    plain = changed(faces.draw_factors(32, seed=1), mouth_opening=0, beard=0, skin_tone=0.2)
    plain = changed(plain, tilt=0, head_x=0, head_y=0, hair_length=0, clothes_hue=0)

    def lips(smile, columns):
        images = faces.paint(changed(plain, smile=smile))[:, 38:54, columns].astype("int32")
        return (images[..., 0] - images[..., 1]).argmax(axis=1).mean(axis=1)  # the reddest row

    corners, middle = [24, 39], [31, 32]
    assert (lips(1, corners) <= lips(1, middle) - 3).all()
    assert (lips(-1, corners) >= lips(-1, middle) + 2).all()


def test_edges_are_smooth(some):
    """A quarter of a pixel to the right changes the pixels of an edge a little, not at once."""
    quarter = 2 / faces.SIZE / 4 / face_painting.JITTER
    plain = changed(some, head_y=0, tilt=0)
    change = difference(changed(plain, head_x=0), changed(plain, head_x=quarter))
    moved = change[change > 2]
    assert len(moved) > 100 * len(some)
    # The sharpest edge, between black and white, moves by about a quarter of 255.
    assert moved.max() < 120 and np.mean(moved < 64) > 0.97


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_a_bad_number_of_faces_is_refused(n):
    with pytest.raises(ValueError, match="Argument `n` must be a positive integer"):
        faces.draw_factors(n, seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5, None, False])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="Argument `seed` must be a non-negative integer"):
        faces.draw_factors(3, seed=seed)


@pytest.mark.parametrize("function", [faces.paint, faces.attributes])
def test_a_table_of_another_shape_is_refused(function, some):
    with_gap = changed(some, smile=np.nan)
    for table in (some[0], some[:, :3], with_gap, some.astype(str), "faces"):
        with pytest.raises(ValueError, match="Argument `factors` must be a table"):
            function(table)
