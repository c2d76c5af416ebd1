import numpy as np
import pytest

from keras_vae import evaluate


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
    assert set(map(type, numbers.values())) <= {int, float}


def test_metrics_do_not_depend_on_the_batch_size(make_vae, images):
    model = make_vae()
    one, other = (evaluate.test_metrics(model, images, batch_size) for batch_size in (5, 64))
    assert one == pytest.approx(other, rel=1e-5)


def test_active_units_counts_latents_that_vary():
    z_mean = np.random.default_rng(0).standard_normal((1000, 4)) * [1, 0.2, 0.05, 0]
    assert evaluate.active_units(z_mean) == 2


def test_mean_squared_error_scales_bytes():
    images = np.full((2, 2, 2, 1), 255, "uint8")
    assert evaluate.mean_squared_error(images, np.full((2, 2, 2, 1), 0.5)) == pytest.approx(0.25)
