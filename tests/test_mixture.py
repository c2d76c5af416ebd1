"""The Gaussian mixture on codes drawn from a known one."""

import numpy as np
import pytest

from keras_vae import latent

pytestmark = pytest.mark.once


def clusters(n, seed=0, scale=1.0):
    """Three of four codes near (4, 0), the others, in a long cloud, near (-4, 0)."""
    rng = np.random.default_rng(seed)
    left = rng.random(n) < 0.25
    here = rng.normal([4, 0], 0.5, (n, 2))
    there = rng.standard_normal((n, 2)) @ np.array([[1, 0.9], [0, 0.3]]) + [-4, 0]
    return np.where(left[:, None], there, here) * scale


@pytest.mark.parametrize("scale", [1, 1e-3, 1e3])
def test_samples_are_like_the_codes(scale):
    codes = clusters(4000, scale=scale)
    mixture = latent.fit_mixture(codes, clusters(1000, seed=1, scale=scale))
    assert len(mixture.weights) > 1
    samples = mixture.sample(4000, seed=0)
    assert samples.shape == (4000, 2) and samples.dtype == np.float32
    for part, share in ((samples[:, 0] < 0, 0.25), (samples[:, 0] > 0, 0.75)):
        assert part.mean() == pytest.approx(share, abs=0.03)
        like = codes[(codes[:, 0] < 0) if share < 0.5 else (codes[:, 0] > 0)]
        np.testing.assert_allclose(samples[part].mean(0), like.mean(0), atol=0.1 * scale)
        np.testing.assert_allclose(np.cov(samples[part].T), np.cov(like.T), atol=0.1 * scale**2)
    assert (np.abs(samples[:, 0]) < 0.5 * scale).mean() < 0.01  # nothing in the gap


def test_one_gaussian_needs_one_component():
    rng = np.random.default_rng(0)
    codes, others = rng.standard_normal((2, 2000, 8))
    mixture = latent.fit_mixture(codes, others)
    assert len(mixture.weights) == 1
    np.testing.assert_allclose(mixture.means[0], 0, atol=0.1)
    np.testing.assert_allclose(mixture.factors[0] @ mixture.factors[0].T, np.eye(8), atol=0.15)


def test_seed_and_temperature():
    mixture = latent.fit_mixture(clusters(500), clusters(100, seed=1), (2,))
    np.testing.assert_array_equal(mixture.sample(9, seed=1), mixture.sample(9, seed=1))
    assert not np.array_equal(mixture.sample(9, seed=1), mixture.sample(9, seed=2))
    cold = mixture.sample(9, seed=1, temperature=0)
    distances = np.abs(cold[:, None] - mixture.means).max(axis=2).min(axis=1)
    np.testing.assert_allclose(distances, 0, atol=1e-5)
    assert mixture.sample(0).shape == (0, 2)


def test_components_have_codes_enough():
    """Twenty clusters, but too few codes for twenty Gaussians of 30 latents."""
    rng = np.random.default_rng(0)
    middles = 10 * rng.standard_normal((20, 30))
    codes = middles[np.arange(2000) % 20] + rng.standard_normal((2000, 30))
    assert len(latent.fit_mixture(codes, codes, (1, 5, 20)).weights) == 5
    assert len(latent.fit_mixture(codes, codes, (20,)).weights) == 20


def test_few_codes_and_a_latent_that_never_changes():
    codes = np.column_stack([np.random.default_rng(0).standard_normal((3, 6)), np.ones(3)])
    mixture = latent.fit_mixture(codes, codes[:1])
    samples = mixture.sample(5, seed=0)
    assert np.isfinite(samples).all()
    np.testing.assert_allclose(samples[:, 6], 1, atol=1e-5)


def test_there_and_back(tmp_path):
    mixture = latent.fit_mixture(clusters(500), clusters(100, seed=1), (2,))
    mixture.save(tmp_path / "mixture.npz")
    loaded = latent.Mixture.load(tmp_path / "mixture.npz")
    np.testing.assert_array_equal(loaded.sample(9, seed=1), mixture.sample(9, seed=1))
    almost = mixture.weights * (1 + 5e-7)  # is refused by NumPy's choice
    np.savez(tmp_path / "almost.npz", weights=almost, means=mixture.means, factors=mixture.factors)
    assert latent.Mixture.load(tmp_path / "almost.npz").sample(9, seed=1).shape == (9, 2)
    np.savez(tmp_path / "bad.npz", weights=np.ones(3), means=np.ones((2, 2)), factors=[1])
    with pytest.raises(ValueError, match="do not fit together"):
        latent.Mixture.load(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 2)), np.zeros((1, 2))), "2 or more"),
        ((np.zeros((9, 2)), np.zeros((0, 2))), "1 or more"),
        ((np.full((9, 2), np.inf), np.zeros((9, 2))), "must be finite"),
        ((np.zeros((9, 2)), np.zeros((9, 2)), ()), "components"),
        ((np.zeros((9, 2)), np.zeros((9, 2)), (1,), -1), "seed"),
        ((np.zeros((9, 2)), np.zeros((9, 2)), (1,), 2**40), "seed"),
        ((np.zeros((9, 2)), np.zeros((9, 3))), "2 and 3"),
        ((np.zeros((9, 2)), np.zeros((9, 2)), (10,)), "10 components need at least as many codes"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        latent.fit_mixture(*arguments)


def test_mistakes_in_sampling():
    mixture = latent.Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    for arguments in ({"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "temperature": -1}):
        with pytest.raises(ValueError):
            mixture.sample(**arguments)
