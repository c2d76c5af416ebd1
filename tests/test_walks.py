"""Walks through latent space against geometry."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from keras_vae import latent

pytestmark = pytest.mark.once


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_a_straight_line():
    path = latent.interpolate([[0, 0], [2, 4]], steps=5)
    np.testing.assert_allclose(path, [[0, 0], [0.5, 1], [1, 2], [1.5, 3], [2, 4]])
    assert path.dtype == np.float32


@pytest.mark.parametrize("spherical", [False, True])
def test_along_several_every_code_is_met(spherical):
    codes = np.random.default_rng(0).standard_normal((4, 7)).astype("float32")
    path = latent.interpolate(codes, steps=6, spherical=spherical)
    assert path.shape == (16, 7)
    np.testing.assert_array_equal(path[::5], codes)
    np.testing.assert_array_equal(latent.interpolate(codes, 2, spherical), codes)


def test_on_a_sphere_direction_and_length_change_evenly():
    rng = np.random.default_rng(0)
    ends = rng.standard_normal((2, 32)) * [[1], [3]]
    path = latent.interpolate(ends, steps=9, spherical=True).astype("float64")
    lengths = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-5)
    angles = [np.arccos(cosine(a, b)) for a, b in pairwise(path)]
    np.testing.assert_allclose(angles, np.arccos(cosine(*ends)) / 8, rtol=1e-4)


def test_a_quarter_of_a_circle():
    path = latent.interpolate([[1, 0], [0, 1]], steps=3, spherical=True)
    np.testing.assert_allclose(path[1], [np.sqrt(0.5)] * 2, rtol=1e-6)


def test_on_a_sphere_opposite_same_or_no_direction():
    opposite = latent.interpolate([[0, 2, 0], [0, -2, 0]], steps=5, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(opposite, axis=1), 2, rtol=1e-6)
    same = latent.interpolate([[1, 1], [3, 3]], steps=3, spherical=True)
    np.testing.assert_allclose(same[1], [2, 2], rtol=1e-6)
    alone = latent.interpolate([[1], [-1]], steps=3, spherical=True)
    np.testing.assert_allclose(alone[1], [0])
    zero = latent.interpolate([[0, 0], [1, 1]], steps=3, spherical=True)
    np.testing.assert_allclose(zero[1], [0.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 1]], 3), "two or more"),
        (([0, 1], 3), "two or more"),
        (([[0], [1]], 1), "at least 2"),
        (([[0], [1]], 2.5), "steps"),
    ],
)
def test_no_way(arguments, message):
    with pytest.raises(ValueError, match=message):
        latent.interpolate(*arguments)


def test_order_is_by_kl_or_variance():
    rng = np.random.default_rng(0)
    z_mean = rng.standard_normal((500, 4)) * [0.1, 3, 1, 0.5]
    assert latent.order(z_mean).tolist() == [1, 2, 3, 0]
    z_log_var = np.tile(np.log([1e-6, 0.9, 0.9, 0.9]), (500, 1))
    assert latent.order(z_mean, z_log_var).tolist() == [0, 1, 2, 3]


def test_traverse_moves_one_latent_at_a_time():
    rng = np.random.default_rng(0)
    codes = rng.normal([1, -2, 0], [1, 0.5, 2], (1000, 3)).astype("float32")
    walks = latent.traverse(codes[0], codes, [2, 0], steps=5, reach=2)
    assert walks.shape == (2, 5, 3) and walks.dtype == np.float32
    for walk, moved in zip(walks, [2, 0]):
        rest = [j for j in range(3) if j != moved]
        np.testing.assert_array_equal(walk[:, rest], np.tile(codes[0, rest], (5, 1)))
        middle, spread = codes[:, moved].mean(), codes[:, moved].std()
        expected = middle + spread * np.array([-2, -1, 0, 1, 2])
        np.testing.assert_allclose(walk[:, moved], expected, rtol=1e-5)
    assert latent.traverse(codes[0], codes, steps=2).shape == (3, 2, 3)
    for wrong in ([3], [-1], [[0]], [1.7], [True, False, True]):
        with pytest.raises(ValueError, match=r"in 0\.\.2"):
            latent.traverse(codes[0], codes, wrong)


def test_the_manifold_is_a_grid_of_equally_likely_cells():
    codes = latent.manifold(10).reshape(10, 10, 2)
    cells = np.vectorize(NormalDist().cdf)(codes)
    np.testing.assert_allclose(cells[0, :, 0], (np.arange(10) + 0.5) / 10, atol=1e-6)
    np.testing.assert_allclose(cells[:, 0, 1], (np.arange(10)[::-1] + 0.5) / 10, atol=1e-6)
    assert (codes[:, :, 0] == codes[:1, :, 0]).all()
