"""Scores of anomalies, imputed values and the linear model, against closed forms."""

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import evaluate, likelihoods
from keras_vae.evaluate import LinearModel, anomaly_scores, value_losses
from keras_vae.models.importance import reconstruction_losses

MEAN = np.zeros(3)  # which the encoder sees in place of missing values
AXIS = np.array([[1.0, -2.0, 0.5]])
NOISE = 0.3


def linear_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    noise = NOISE * rng.standard_normal((n, 3))
    return (rng.standard_normal((n, 1)) @ AXIS + MEAN + noise).astype("float32")


@pytest.fixture
def exact():
    """A VAE that is ``N(MEAN, AXIS^T AXIS + NOISE^2 I)``, with a posterior that is too wide."""
    parts = keras_vae.build_mlp((3,), 1, hidden=())
    likelihood = likelihoods.Normal(standardise=False, per_channel=False, missing=True)
    model = keras_vae.VAE(*parts, likelihood, seed=0)
    likelihood.variance.assign(NOISE**2)
    variance = 1 / (1 + np.sum(AXIS**2) / NOISE**2)
    kernel = AXIS.T / NOISE**2 * variance
    encoder, decoder = model.encoder, model.decoder
    shift = np.full(3, 0.5)  # which the encoder subtracts
    encoder.get_layer("z_mean").set_weights([kernel, (shift - MEAN) @ kernel])
    encoder.get_layer("z_log_var").set_weights([np.zeros((3, 1)), np.full(1, np.log(0.5))])
    dense = next(layer for layer in decoder.layers if isinstance(layer, keras.layers.Dense))
    dense.set_weights([AXIS])
    decoder.layers[-1].set_weights([MEAN])
    model.compile("adam")
    return model


COVARIANCE = AXIS.T @ AXIS + NOISE**2 * np.eye(3)


def log_density(x):
    e = x - MEAN
    squares = np.sum(e @ np.linalg.inv(COVARIANCE) * e, axis=1)
    return -0.5 * (squares + np.log(np.linalg.det(2 * np.pi * COVARIANCE)))


def test_scores_are_those_of_the_density(exact):
    x = linear_rows(20)
    x[0] = MEAN  # more likely than usual
    x[1] += [2, 2, -2]  # off the line
    x[2] = MEAN + 6 * AXIS[0]  # on the line, far away
    reference = linear_rows(500, seed=1)
    scores = anomaly_scores(exact, x, reference, k=2000, batch_size=20_000)
    surprise = -log_density(x)
    np.testing.assert_allclose(scores["negative_log_likelihood"], surprise, rtol=0.02, atol=0.05)
    usual = -log_density(reference).mean()
    expected = np.abs(surprise - usual)
    np.testing.assert_allclose(scores["atypicality"], expected, rtol=0.02, atol=0.06)
    z = exact.codes(x)
    errors = np.sum((x - (z @ AXIS + MEAN)) ** 2, axis=1)
    nats = errors / (2 * NOISE**2) + 1.5 * np.log(2 * np.pi * NOISE**2)
    np.testing.assert_allclose(scores["reconstruction_loss"], nats, rtol=1e-3, atol=1e-3)
    assert scores["reconstruction_loss"].argmax() == 1
    assert scores["negative_log_likelihood"].argsort()[-2:].tolist() in ([1, 2], [2, 1])
    assert scores["atypicality"][0] > 0.5 and scores["negative_log_likelihood"].argmin() == 0


def test_missing_values_are_imputed_with_their_conditional_mean(exact):
    x = linear_rows(30)
    holes = x.copy()
    holes[:10, 1] = holes[10:20, 0] = holes[10:20, 2] = np.nan
    found = exact.impute(holes, k=4000, batch_size=20_000)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    np.testing.assert_array_equal(found[~np.isnan(holes)], x[~np.isnan(holes)])
    for row, values in zip(holes[:20], found):
        missing = np.isnan(row)
        cross = COVARIANCE[np.ix_(missing, ~missing)]
        inverse = np.linalg.inv(COVARIANCE[np.ix_(~missing, ~missing)])
        expected = MEAN[missing] + cross @ inverse @ (row - MEAN)[~missing]
        np.testing.assert_allclose(values[missing], expected, atol=0.06)
    in_parts = exact.impute(holes[:3], k=4000, batch_size=700)
    np.testing.assert_allclose(in_parts, found[:3], atol=1e-4)


def test_a_missing_category_gets_probabilities():
    rng = np.random.default_rng(0)
    x = np.eye(3, dtype="float32")[rng.integers(0, 3, 60)]
    x[:5] = np.nan
    likelihood = likelihoods.Categorical(missing=True)
    model = keras_vae.VAE(*keras_vae.build_mlp((3,), 1, (8,)), likelihood, seed=0)
    model.compile("adam")
    model.fit(x, verbose=0)
    found = model.impute(x, k=8)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found[:5] < 1).all() and (found[:5] > 0).all()


def test_scores_of_images(make_vae, images):
    model = make_vae(likelihood="gaussian")
    scores = anomaly_scores(model, images[:9], images[9:], k=3)
    assert set(scores) == {"negative_log_likelihood", "reconstruction_loss", "atypicality"}
    np.testing.assert_allclose(
        scores["negative_log_likelihood"], -model.log_likelihood(images[:9], k=3)
    )
    with pytest.raises(ValueError, match="must hold at least one item"):
        anomaly_scores(model, images, images[:0])
    parts = keras_vae.build_mlp((6, 5, 3), 2, (8,), variational=False)
    with pytest.raises(ValueError, match="must be a `VAE`"):
        anomaly_scores(keras_vae.AutoEncoder(*parts), images, images)
    with pytest.raises(ValueError, match="the likelihood Bernoulli is a distribution of black"):
        anomaly_scores(make_vae(likelihood="bernoulli"), images, images)


def test_the_losses_of_values_say_which_column_is_unusual(exact):
    x = linear_rows(20)
    x[3, 2] += 9
    x[5, 0] = np.nan
    found = value_losses(exact, x, batch_size=8)
    assert found.dtype == np.float32 and found.shape == x.shape
    assert np.unravel_index(found.argmax(), x.shape) == (3, 2) and found[5, 0] == 0
    errors = (x - exact.reconstruct(x)) ** 2
    nats = errors / (2 * NOISE**2) + 0.5 * np.log(2 * np.pi * NOISE**2)
    np.testing.assert_allclose(found, np.where(np.isnan(x), 0, nats), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), reconstruction_losses(exact, x), rtol=1e-5)
    assert value_losses(exact, x[:0]).shape == (0, 3)


class Pairs(likelihoods.MSE):
    """One number for the channels of each pixel."""

    def value_nats(self, x, outputs):
        return keras.ops.sum(super().value_nats(x, outputs), axis=-1, keepdims=True)


@pytest.mark.parametrize("likelihood, channels", [("mse", 3), ("gaussian", 3), (Pairs(), 1)])
def test_the_losses_of_values_include_the_omitted_constant(make_vae, images, likelihood, channels):
    model = make_vae(likelihood=likelihood)
    found = value_losses(model, images, batch_size=16)
    assert found.dtype == np.float32 and found.shape == (37, 6, 5, channels)
    expected = reconstruction_losses(model, images)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), expected, rtol=1e-5)
    errors = (images / 255.0 - model.reconstruct(images)) ** 2
    if channels == 1:
        errors = errors.sum(axis=-1, keepdims=True)
    # The first variance of "gaussian" is that of "mse", 1/2.
    constant = 3 / channels * np.log(np.pi) / 2
    np.testing.assert_allclose(found, errors + constant, rtol=1e-4, atol=1e-5)


def test_the_losses_of_values_of_other_models(images):
    encoder, decoder = keras_vae.build_mlp((6, 5, 3), 2, (8,), variational=False)
    model = keras_vae.AutoEncoder(encoder, decoder)
    errors = (images / 255.0 - model.reconstruct(images)) ** 2
    found = value_losses(model, images)
    np.testing.assert_allclose(found, errors + np.log(np.pi) / 2, rtol=1e-4, atol=1e-5)
    condition = keras_vae.Condition(range(3))
    parts = keras_vae.build_mlp((6, 5, 3), 2, (8,), condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition)
    y = np.arange(37) % 3
    found = value_losses(model, images, condition=y)
    errors = (images / 255.0 - model.reconstruct(images, condition=y)) ** 2
    np.testing.assert_allclose(found, errors + np.log(np.pi) / 2, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="Argument `x` must be a batch of images of shape"):
        value_losses(model, images[:, :4], condition=y)
    with pytest.raises(ValueError, match="Argument `batch_size` must be a positive integer"):
        value_losses(model, images, batch_size=0, condition=y)


@pytest.mark.once
def test_the_linear_model_is_the_best_gaussian_of_its_kind():
    x = linear_rows(4000)
    model = LinearModel(x, 1, standardise=False)
    assert model.variance == pytest.approx(NOISE**2, rel=0.05)
    np.testing.assert_allclose(
        model.log_likelihood(x).mean(), log_density(x.astype("float64")).mean(), atol=0.01
    )
    fitted = x.mean(axis=0), np.cov(x.T, bias=True)
    e = x - fitted[0]
    full = -0.5 * (
        np.sum(e @ np.linalg.inv(fitted[1]) * e, axis=1)
        + np.log(np.linalg.det(2 * np.pi * fitted[1]))
    )
    assert full.mean() - 0.01 < model.log_likelihood(x).mean() < full.mean()
    scaled = x * [1, 10, 1e6] + [0, 5, 7]
    shift = np.log([1, 10, 1e6]).sum()
    one, other = LinearModel(x, 2), LinearModel(scaled, 2)
    np.testing.assert_allclose(
        other.log_likelihood(scaled), one.log_likelihood(x) - shift, rtol=1e-4
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "x, latent_dim, message",
    [
        (linear_rows(9), 3, "Argument `latent_dim` must be a positive integer below 3"),
        (linear_rows(9), 0, "Argument `latent_dim` must be a positive integer below 3"),
        (linear_rows(1), 1, "Argument `x` must be two finite items or more"),
        (np.full((9, 3), np.nan), 1, "Argument `x` must be two finite items or more"),
    ],
)
def test_the_linear_model_refuses(x, latent_dim, message):
    with pytest.raises(ValueError, match=message):
        LinearModel(x, latent_dim)


@pytest.mark.once
def test_the_names_are_public():
    assert {"LinearModel", "anomaly_scores", "value_losses"} <= set(dir(evaluate))
