"""log p(x) by importance sampling, where it is known exactly."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import multivariate_normal

import keras_vae
from keras_vae.datasets.stream import Rows
from keras_vae.models import importance

D, LATENTS, NOISE = 6, 2, 0.3
rng = np.random.default_rng(0)
# Rows at right angles: then the posterior of z has a diagonal covariance, as the encoder's.
W = np.linalg.qr(rng.standard_normal((D, LATENTS)))[0].T * [[0.9], [0.5]]
B = 0.5
X = (B + 0.15 * rng.standard_normal((37, 1, D, 1))).clip(0, 1).astype("float32")
COVARIANCE = W.T @ W + NOISE**2 * np.eye(D)
EXACT = multivariate_normal(np.full(D, B), COVARIANCE).logpdf(X.reshape(-1, D))


class Linear(keras_vae.likelihoods.Likelihood):
    """N(x; outputs, NOISE^2 I), half of whose constant is left out of `nats`."""

    name = "linear"
    values = "continuous"
    omitted = 0.5 * math.log(2 * math.pi)

    def mean(self, outputs):
        return outputs

    def nats(self, x, outputs):
        error = ops.sum(ops.square(x - outputs), axis=(1, 2, 3))
        return D * math.log(NOISE) + error / (2 * NOISE**2)


def linear_vae(weights, bias, variances, **arguments):
    """The encoder says N(x weights + bias, variances) of an image x; p(x|z) is linear in z."""
    x = keras.Input((1, D, 1))
    flat = keras.layers.Flatten()(x)
    mean, log_var = (keras.layers.Dense(LATENTS, name=name) for name in ("mean", "log_var"))
    encoder = keras.Model(x, [mean(flat), log_var(flat)])
    mean.set_weights([weights, np.array(bias)])
    log_var.set_weights([np.zeros((D, LATENTS)), np.log(variances)])
    z = keras.Input((LATENTS,))
    layer = keras.layers.Dense(D)
    decoder = keras.Model(z, keras.layers.Reshape((1, D, 1))(layer(z)))
    layer.set_weights([W, np.full(D, B)])
    return keras_vae.VAE(encoder, decoder, **{"likelihood": Linear(), **arguments})


def wrong_vae(**arguments):
    return linear_vae(np.full((D, LATENTS), 0.2), [-0.6, -0.5], [0.5, 0.3], **arguments)


def test_the_exact_posterior_gives_the_exact_marginal():
    variances = 1 / (1 + np.sum(W**2, axis=1) / NOISE**2)
    weights = W.T / NOISE**2 * variances
    model = linear_vae(weights, -(np.full(D, B) @ weights), variances)
    for k in (1, 10):
        np.testing.assert_allclose(model.log_likelihood(X, k=k), EXACT, atol=1e-3)


def test_a_wrong_posterior_gives_a_bound_that_rises_to_the_marginal():
    model = wrong_vae()
    x = X[:10]
    z_mean, z_log_var = (part.astype("float64") for part in model.encode(x))
    variances = np.exp(z_log_var)
    flat = x.reshape(-1, D)
    error = np.sum((flat - B - z_mean @ W) ** 2, axis=1) + variances @ np.sum(W**2, axis=1)
    nats = D / 2 * np.log(2 * np.pi * NOISE**2) + error / (2 * NOISE**2)
    elbo = -nats - 0.5 * np.sum(variances + z_mean**2 - 1 - z_log_var, axis=1)
    # The mean of the bound over many seeds, without a program for each of them.
    many = np.repeat(x, 400, axis=0)
    means = [model.log_likelihood(many, k, 4000).reshape(10, 400).mean(1) for k in (1, 10, 50)]
    errors = model.log_likelihood(many, 1, 4000).reshape(10, 400).std(1) / 20
    assert (abs(means[0] - elbo) < 4 * errors).all()
    assert (elbo < means[1]).all() and (means[1] < means[2]).all()
    assert (means[2] < EXACT[:10] + 0.02).all()
    estimate, bound = importance.estimates(model, x, 40000, 10000)
    np.testing.assert_allclose(estimate, EXACT[:10], atol=0.03)
    np.testing.assert_allclose(bound, elbo, atol=0.06)
    assert estimate.dtype == np.float64 and estimate.shape == (10,)


def test_bernoulli_agrees_with_the_integral():
    z, x = keras.Input((1,)), keras.Input((2, 2, 1))
    hidden = keras.layers.Dense(4, activation="tanh")(z)
    decoder = keras.Model(z, keras.layers.Reshape((2, 2, 1))(keras.layers.Dense(4)(hidden)))
    flat = keras.layers.Flatten()(x)
    layers = [keras.layers.Dense(1), keras.layers.Dense(1)]
    model = keras_vae.VAE(keras.Model(x, [layer(flat) for layer in layers]), decoder, "bernoulli")
    values = np.random.default_rng(1)
    for weight in decoder.weights:
        weight.assign(2 * values.standard_normal(weight.shape))
    layers[0].set_weights([values.standard_normal((4, 1)) / 4, np.zeros(1)])
    layers[1].set_weights([np.zeros((4, 1)), np.zeros(1)])
    images = np.array(list(itertools.product([0, 1], repeat=4)), "float32").reshape(-1, 2, 2, 1)
    grid = np.linspace(-8, 8, 2001, dtype="float32")[:, None]
    prior = np.exp(-0.5 * grid[:, 0] ** 2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])
    ones = model.decode(grid, 512)[:, None]
    given = np.prod(np.where(images == 1, ones, 1 - ones), axis=(2, 3, 4))
    exact = np.log(prior @ given)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-4)
    found = model.log_likelihood(images, 5000, 2500)
    np.testing.assert_allclose(found, exact, atol=0.15)
    assert np.exp(found).sum() == pytest.approx(1, abs=0.03)  # all images that there are
    as_bytes = (255 * images).astype("uint8")
    np.testing.assert_allclose(model.log_likelihood(as_bytes, 5000, 2500), found, atol=1e-4)
    with pytest.raises(ValueError, match="Bernoulli is a distribution of black and white"):
        model.log_likelihood(images / 2)


def test_mse_gets_the_constant_that_it_lacks(make_vae, images):
    one = make_vae(likelihood="mse")
    other = make_vae(likelihood=keras_vae.likelihoods.Gaussian(0.5))
    found = [model.log_likelihood(images[:5], 3) for model in (one, other)]
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 23])
def test_the_batch_size_changes_nothing(k):
    model = wrong_vae()
    expected = model.log_likelihood(X, k)
    for batch_size in (1, 7, 64):
        found = model.log_likelihood(X, k, batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    some = model.log_likelihood(X[:3], k)  # nor do the other images
    np.testing.assert_allclose(some, expected[:3], rtol=1e-5, atol=1e-4)


def test_the_estimate_is_that_of_numpy():
    """Each image has a generator of its own, whose first draws a larger k uses, too."""
    model = wrong_vae()
    z_mean, z_log_var = model.encode(X[:4])
    for k in (3, 9):
        expected = []
        for n in range(4):
            eps = np.random.default_rng((5, n)).standard_normal((9, LATENTS), "float32")[:k]
            z = z_mean[n] + np.exp(z_log_var[n] / 2) * eps
            noise = NOISE**2 * np.eye(D)
            logs = multivariate_normal(np.zeros(D), noise).logpdf(X[n].ravel() - B - z @ W)
            logs += 0.5 * np.sum(eps**2 - z**2 + z_log_var[n], axis=1)
            expected.append(np.log(np.mean(np.exp(logs))))
        found = model.log_likelihood(X[:4], k, batch_size=4, seed=5)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_twice_is_the_same_and_another_seed_is_not():
    model = wrong_vae()
    found = [model.log_likelihood(X, 4, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.any(found[0] == found[2])


def test_beta_and_what_else_training_optimises_do_not_matter():
    plain, other = wrong_vae(), wrong_vae(beta=7.0, free_bits=2.0, kl_warmup_steps=5)
    np.testing.assert_array_equal(plain.log_likelihood(X, 4), other.log_likelihood(X, 4))


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch compiles nothing here")
def test_ragged_batches_compile_nothing_new(monkeypatch):
    model, traced = wrong_vae(), []
    nats = model.likelihood.nats
    monkeypatch.setattr(model.likelihood, "nats", lambda *a: traced.append(1) or nats(*a))
    model.log_likelihood(X, k=23, batch_size=10)  # 8, 8 and 7 samples
    model.log_likelihood(X[:5], k=24, batch_size=10)
    assert len(traced) == 1
    model.log_likelihood(X, k=3, batch_size=20)  # 6 images at once, and the last one alone
    assert len(traced) == 2


def test_at_most_a_batch_is_decoded_at_once(monkeypatch):
    model, sizes = wrong_vae(), []
    make = importance.chunks
    monkeypatch.setattr(
        importance, "chunks", lambda *a: (sizes.append(c[1][3].shape) or c for c in make(*a))
    )
    for k, batch_size in ((1, 16), (5, 16), (16, 16), (17, 16), (100, 16)):
        sizes.clear()
        model.log_likelihood(X, k, batch_size)
        decodings = {images * samples for images, samples, _ in sizes}
        assert len(decodings) == 1 and batch_size / 2 < decodings.pop() <= batch_size


def test_streamed_images_and_progress(tmp_path, images, make_vae):
    np.save(tmp_path / "images.npy", images)
    rows = Rows(tmp_path / "images.npy", np.arange(37))
    model = make_vae(likelihood="gaussian")
    for k, batch_size in ((3, 30), (20, 8)):
        finished = []
        found = model.log_likelihood(rows, k, batch_size, progress=finished.append)
        np.testing.assert_allclose(found, model.log_likelihood(images, k), rtol=1e-5)
        assert sum(finished) == 37 and all(finished)


def test_no_images_have_none(make_vae, images):
    assert make_vae().log_likelihood(images[:0]).shape == (0,)


def test_half_precision_stays_finite(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras_vae.VAE(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,)), "gaussian")
    finally:
        keras.config.set_dtype_policy("float32")
    found = model.log_likelihood(images, 5)
    assert found.dtype == np.float64 and np.isfinite(found).all()


class Nothing(keras_vae.likelihoods.MSE):
    values = None


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"k": 0}, "Argument `k` must be a positive integer"),
        ({"k": 1.5}, "Argument `k` must be a positive integer"),
        ({"batch_size": 0}, "Argument `batch_size` must be"),
        ({"seed": -1}, "Argument `seed` must be"),
        ({"seed": None}, "Argument `seed` must be"),
    ],
)
def test_mistakes_are_named(make_vae, images, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_vae().log_likelihood(images, **arguments)


def test_what_has_no_likelihood_says_why(make_vae, images):
    with pytest.raises(ValueError, match="likelihood Nothing is not a distribution of pixels"):
        make_vae(likelihood=Nothing()).log_likelihood(images)
    with pytest.raises(ValueError, match="Bernoulli is a distribution of black and white"):
        make_vae(likelihood="bernoulli").log_likelihood(images)
    with pytest.raises(ValueError, match="must be a batch of images"):
        make_vae().log_likelihood(images[:, :3])
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), variational=False)
    with pytest.raises(ValueError, match="without a p\\(z\\) there is no p\\(x\\)"):
        keras_vae.AutoEncoder(*parts).log_likelihood(images)
