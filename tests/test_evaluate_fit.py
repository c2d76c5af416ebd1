import json
import math

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import evaluate
from keras_vae.datasets.stream import Rows


def test_metrics_agree_with_an_independent_computation(make_vae, images):
    model = make_vae(latent_dim=3)
    numbers = evaluate.test_metrics(model, images)
    losses = model.evaluate(images, batch_size=128, verbose=0, return_dict=True)
    assert numbers["test_loss"] == losses["loss"]
    assert numbers["test_reconstruction_loss"] == losses["reconstruction_loss"]
    assert numbers["test_kl_loss"] == losses["kl_loss"]
    z_mean, _ = model.encode(images)
    mse = np.mean((model.decode(z_mean).astype("float64") - images / 255) ** 2)
    assert numbers["test_mse"] == pytest.approx(mse, rel=1e-6)
    assert numbers["active_units"] == sum(np.var(z_mean[:, j]) > 0.01 for j in range(3))
    assert numbers["test_elbo"] == -(losses["reconstruction_loss"] + losses["kl_loss"])
    assert set(map(type, numbers.values())) <= {int, float}


def test_the_elbo_has_no_beta(make_vae, images):
    numbers = [evaluate.test_metrics(make_vae(beta=beta), images) for beta in (0, 1, 4)]
    assert len({n["test_elbo"] for n in numbers}) == len({n["bits_per_dim"] for n in numbers}) == 1
    assert len({n["test_loss"] for n in numbers}) == 3


def test_metrics_do_not_depend_on_the_batch_size(make_vae, images):
    model = make_vae()
    one, other = (evaluate.test_metrics(model, images, batch_size) for batch_size in (5, 64))
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.once
def test_active_units_counts_latents_that_vary():
    z_mean = np.random.default_rng(0).standard_normal((1000, 4)) * [1, 0.2, 0.05, 0]
    assert evaluate.active_units(z_mean) == 2


@pytest.mark.once
def test_mean_squared_error_scales_bytes():
    images = np.full((2, 2, 2, 1), 255, "uint8")
    assert evaluate.mean_squared_error(images, np.full((2, 2, 2, 1), 0.5)) == pytest.approx(0.25)


class Code(keras.layers.Layer):
    """An encoder's heads that say the same of every image: exactly the prior."""

    def call(self, x):
        zeros = keras.ops.zeros((keras.ops.shape(x)[0], 2))
        return [zeros, zeros]

    def compute_output_shape(self, input_shape):
        return [(input_shape[0], 2)] * 2


def blind_vae(likelihood, pixel):
    """A VAE that knows nothing: no KL, and `pixel` everywhere."""
    x, z = keras.Input((4, 4, 1)), keras.Input((2,))
    bias = keras.initializers.Constant(math.log(pixel / (1 - pixel)))
    outputs = keras.layers.Dense(16, kernel_initializer="zeros", bias_initializer=bias)(z)
    decoder = keras.Model(z, keras.layers.Reshape((4, 4, 1))(outputs))
    model = keras_vae.VAE(keras.Model(x, Code()(x)), decoder, likelihood)
    model.compile()
    return model


GREY = np.random.default_rng(0).integers(0, 256, (500, 4, 4, 1), "uint8")


def test_bits_per_dim_is_the_gaussian_density_of_dequantised_images():
    variance = 0.02
    model = blind_vae(keras_vae.likelihoods.Gaussian(variance), 0.4)
    # E over u of ((x + u) / 256 - 0.4)^2, exactly
    error = np.mean(((GREY + 0.5) / 256 - 0.4) ** 2) + 1 / (12 * 256**2)
    nats = 0.5 * math.log(2 * math.pi * variance) + error / (2 * variance)
    expected = nats / math.log(2) + 8
    assert evaluate.bits_per_dim(model, GREY) == pytest.approx(expected, rel=1e-3)


def test_bits_per_dim_gives_mse_the_constant_it_lacks():
    one = evaluate.bits_per_dim(blind_vae("mse", 0.4), GREY)
    other = evaluate.bits_per_dim(blind_vae(keras_vae.likelihoods.Gaussian(0.5), 0.4), GREY)
    assert one == pytest.approx(other, rel=1e-5)


def test_bits_per_dim_bounds_the_exact_log_probability():
    """The probability of a grey value is the integral of the density over its 256th."""
    variance = 0.02
    model = blind_vae(keras_vae.likelihoods.Gaussian(variance), 0.4)
    edges = np.arange(257) / 256
    normal = np.array([0.5 * (1 + math.erf((e - 0.4) / math.sqrt(2 * variance))) for e in edges])
    exact = -np.log2(np.diff(normal))[GREY].mean()
    assert exact <= evaluate.bits_per_dim(model, GREY) < exact + 0.01


def test_bits_per_dim_of_bernoulli_needs_binary_images():
    model = blind_vae("bernoulli", 0.25)
    assert evaluate.bits_per_dim(model, GREY) is None
    binary = np.where(GREY < 100, 255, 0).astype("uint8")
    share = np.mean(binary == 255)
    expected = -(share * np.log2(0.25) + (1 - share) * np.log2(0.75))
    assert evaluate.bits_per_dim(model, binary) == pytest.approx(expected, rel=1e-5)
    assert evaluate.bits_per_dim(model, binary / 255) is None
    assert json.dumps(evaluate.test_metrics(model, GREY))  # None has a place in a file, too


def test_bits_per_dim_does_not_depend_on_the_batch_size(make_vae, images):
    model = make_vae(likelihood="gaussian")
    one, other = (evaluate.bits_per_dim(model, images, batch_size) for batch_size in (5, 64))
    assert one == pytest.approx(other, rel=1e-5)


def test_a_plain_autoencoder_has_no_bits_and_no_images_no_numbers(make_vae, images):
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    assert evaluate.bits_per_dim(model, images) is None
    with pytest.raises(ValueError, match="at least one image"):
        evaluate.test_metrics(model, images[:0])


# Pictures


@pytest.mark.once
def test_psnr_is_the_mean_of_the_images():
    images = np.full((2, 3, 3, 1), 255, "uint8")
    pictures = np.ones((2, 3, 3, 1), "float32")
    assert evaluate.psnr(images, pictures) == 100  # and not infinite
    pictures[0] -= 0.1
    assert evaluate.psnr(images, pictures) == pytest.approx((20 + 100) / 2, rel=1e-5)
    as_bytes = np.rint(255 * pictures).astype("uint8")
    assert evaluate.psnr(images, as_bytes) == pytest.approx(60, abs=0.1)


@pytest.mark.once
def test_ssim_agrees_with_its_formula():
    """At the middle of an image of the window's size: means, variances, covariance."""
    generator = np.random.default_rng(0)
    x, y = generator.random((2, 11, 11))
    offsets = np.arange(-5, 6)
    window = np.exp(-0.5 * (offsets[:, None] ** 2 + offsets**2) / 1.5**2)
    window /= window.sum()
    means = np.sum(window * x), np.sum(window * y)
    variances = [np.sum(window * part**2) - m**2 for part, m in zip((x, y), means)]
    covariance = np.sum(window * x * y) - means[0] * means[1]
    up = (2 * means[0] * means[1] + 0.01**2) * (2 * covariance + 0.03**2)
    down = (means[0] ** 2 + means[1] ** 2 + 0.01**2) * (sum(variances) + 0.03**2)
    images, pictures = x[None, ..., None], y[None, ..., None]
    assert evaluate.ssim(images, pictures) == pytest.approx(up / down, rel=1e-6)


@pytest.mark.once
def test_ssim_of_bytes_floats_and_small_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 12, 3), "uint8")
    assert evaluate.ssim(images, images) == pytest.approx(1)
    assert evaluate.ssim(images, images / np.float32(255)) == pytest.approx(1, abs=1e-5)
    assert evaluate.ssim(images, 255 - images) < 0
    assert evaluate.ssim(images[:, :10], images[:, :10]) is None


@pytest.mark.once
@pytest.mark.parametrize("measure", [evaluate.psnr, evaluate.ssim])
def test_pictures_that_do_not_fit_are_refused(measure, images):
    with pytest.raises(ValueError, match="must have the same shape"):
        measure(images, images[:, :3])
    with pytest.raises(ValueError, match="at least one"):
        measure(images[:0], images[:0])


# The report


def test_the_report_of_a_vae(make_vae, images):
    model = make_vae(likelihood="gaussian", beta=3)
    finished = []
    report = evaluate.fit_report(model, images, k=20, n=10, progress=finished.append)
    metrics = evaluate.test_metrics(model, images)
    assert {name: report[name] for name in metrics} == metrics
    nats = model.log_likelihood(images[:10], 20)
    assert report["log_likelihood"] == nats.mean()
    error = report["log_likelihood_standard_error"]
    assert error == pytest.approx(nats.std(ddof=1) / math.sqrt(10))
    assert (report["log_likelihood_images"], report["log_likelihood_samples"]) == (10, 20)
    assert report["log_likelihood_elbo"] < report["log_likelihood"]
    assert report["test_psnr"] == evaluate.psnr(images, model.reconstruct(images))
    assert report["test_ssim"] is None and sum(finished) == 10
    assert set(map(type, report.values())) <= {int, float, type(None)} and json.dumps(report)


def test_the_elbo_of_the_report_is_that_of_the_metrics(make_vae, images):
    """Up to the draws of z, and the constant that the loss leaves out."""
    model = make_vae()
    report = evaluate.fit_report(model, images, k=500, n=1000, batch_size=500)
    constant = 90 * math.log(math.pi) / 2
    assert report["log_likelihood_images"] == 37
    elbo = report["test_elbo"] - constant
    assert report["log_likelihood_elbo"] == pytest.approx(elbo, rel=0.01)


def test_the_report_says_why_there_is_no_likelihood(make_vae, images):
    report = evaluate.fit_report(make_vae(likelihood="bernoulli"), images)
    assert report["log_likelihood"] is None and "grey" in report["log_likelihood_missing"]
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    report = evaluate.fit_report(model, images)
    assert "plain autoencoder" in report["log_likelihood_missing"] and report["test_psnr"] > 0
    with pytest.raises(ValueError, match="Argument `n` must be"):
        evaluate.fit_report(model, images, n=0)


def test_the_report_of_streamed_images_and_of_one(make_vae, images, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", images)
    rows = Rows(tmp_path / "images.npy", np.arange(37))
    model = make_vae(likelihood="gaussian")
    monkeypatch.setattr("keras_vae.evaluate.fit.CHUNK", 10)
    streamed, plain = (evaluate.fit_report(model, x, k=3, n=9) for x in (rows, images))
    assert streamed.pop("test_ssim") is plain.pop("test_ssim") is None
    assert streamed == pytest.approx(plain, rel=1e-5)
    assert evaluate.fit_report(model, images[:1])["log_likelihood_standard_error"] is None
