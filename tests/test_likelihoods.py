import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import evaluate, likelihoods

RNG = np.random.default_rng(0)
X = RNG.random((3, 4, 5, 2)).astype("float32")
OUTPUTS = RNG.standard_normal((3, 4, 5, 2)).astype("float32")
PIXELS = 1 / (1 + np.exp(-OUTPUTS.astype("float64")))
SQUARED_ERROR = ((X - PIXELS) ** 2).sum(axis=(1, 2, 3))


def nats(likelihood, x=X, outputs=OUTPUTS):
    return ops.convert_to_numpy(likelihood.nats(x, ops.convert_to_tensor(outputs)))


@pytest.mark.parametrize("name", sorted(likelihoods.BY_NAME))
def test_pixels_are_the_sigmoid_of_the_outputs(name):
    pixels = likelihoods.get(name).pixels(OUTPUTS)
    np.testing.assert_allclose(ops.convert_to_numpy(pixels), PIXELS, rtol=1e-5)


def test_mse_is_the_squared_error_summed_over_pixels():
    found = nats(likelihoods.get("mse"))
    assert found.shape == (3,)
    np.testing.assert_allclose(found, SQUARED_ERROR, rtol=1e-5)


def test_mse_is_a_gaussian_of_variance_one_half_without_its_constant():
    constant = likelihoods.MSE.omitted * 40
    np.testing.assert_allclose(
        nats(likelihoods.Gaussian(0.5)), nats(likelihoods.MSE()) + constant, rtol=1e-5
    )


def test_bernoulli_is_the_log_probability_of_binary_images():
    x = (X > 0.5).astype("float32")
    expected = -np.log(np.where(x == 1, PIXELS, 1 - PIXELS)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(nats(likelihoods.get("bernoulli"), x), expected, rtol=1e-5)


def test_bernoulli_is_exact_where_probabilities_would_be_clipped():
    outputs = np.float32([100, -100, 100, -100]).reshape(1, 2, 2, 1)
    x = np.float32([0, 1, 1, 0]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(nats(likelihoods.get("bernoulli"), x, outputs), [200], rtol=1e-6)


@pytest.mark.parametrize("variance", [0.5, 0.01, 7])
def test_gaussian_is_the_log_density(variance):
    density = np.exp(-((X - PIXELS) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    expected = -np.log(density).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(nats(likelihoods.Gaussian(variance)), expected, rtol=1e-5)


def test_gaussian_learns_the_mean_squared_error():
    gaussian = likelihoods.get("gaussian")
    mse = SQUARED_ERROR.mean() / 40
    for step in range(1, 4):  # the first batches count alike
        gaussian.update(X, OUTPUTS)
        assert float(gaussian.variance) == pytest.approx(mse, rel=1e-5)
        assert float(gaussian.updates) == step
    for _ in range(200):  # then the past fades
        gaussian.update(np.zeros_like(X), np.zeros_like(OUTPUTS))
    assert float(gaussian.variance) == pytest.approx(0.25, rel=1e-3)


def test_the_variance_is_at_least_that_of_a_grey_step():
    gaussian = likelihoods.get("gaussian")
    gaussian.update(PIXELS.astype("float32"), OUTPUTS)
    assert float(gaussian.variance) == pytest.approx(1 / 255**2, rel=1e-5)
    assert float(likelihoods.Gaussian(1e-9).variance) == pytest.approx(1 / 255**2, rel=1e-5)


def test_images_without_weight_and_broken_batches_do_not_count():
    gaussian = likelihoods.get("gaussian")
    gaussian.update(X, OUTPUTS, np.float32([0, 2, 0]))
    assert float(gaussian.variance) == pytest.approx(SQUARED_ERROR[1] / 40, rel=1e-5)
    gaussian.update(X, OUTPUTS, np.zeros(3, "float32"))
    gaussian.update(X, np.full_like(OUTPUTS, np.nan))
    assert float(gaussian.variance) == pytest.approx(SQUARED_ERROR[1] / 40, rel=1e-5)
    assert float(gaussian.updates) == 1


def test_get_takes_a_name_an_object_and_a_saved_one():
    gaussian = likelihoods.Gaussian(0.1)
    assert likelihoods.get(gaussian) is gaussian
    saved = keras.saving.serialize_keras_object(gaussian)
    twin = keras.saving.deserialize_keras_object(saved)
    assert type(twin) is likelihoods.Gaussian and twin.get_config()["variance"] == 0.1


@pytest.mark.parametrize("wrong", ["mean", None, 3, object(), likelihoods.MSE])
def test_get_refuses_what_is_no_likelihood(wrong):
    message = r"Argument `likelihood` must be one of \['bernoulli', 'gaussian', 'mse'\]"
    with pytest.raises(ValueError, match=message):
        likelihoods.get(wrong)


# A model with each of them


@pytest.mark.parametrize("name", sorted(likelihoods.BY_NAME))
def test_a_loss_depends_on_no_batch_size(make_vae, images, name):
    model = make_vae(likelihood=name)
    model.fit(images, epochs=2, verbose=0)
    expected = model.evaluate(images, batch_size=1, verbose=0)
    for batch_size in (32, 1000):
        found = model.evaluate(images, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_variance_is_learned_in_training_only_and_saved(make_vae, images, tmp_path):
    model = make_vae(likelihood="gaussian", optimizer=keras.optimizers.SGD(0.0))
    model.fit(images, batch_size=37, epochs=200, verbose=0)
    learned = float(model.likelihood.variance)
    # With a learning rate of 0 it is the mean squared error of reconstructions from samples.
    model.reset_metrics()  # which count the images that an evaluation has seen
    y = model(images, eps=model.noise_of_steps(1, 37, training=False)["eps"][0])
    y = {name: ops.convert_to_numpy(value) for name, value in y.items()}
    assert learned == pytest.approx(np.mean((images / 255 - y["reconstruction"]) ** 2), rel=0.02)
    model.evaluate(images, verbose=0)
    model.reconstruct(images)
    model.sample(2)
    assert float(model.likelihood.variance) == learned
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.likelihood.variance) == learned
    assert float(loaded.likelihood.updates) == 200
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)


def test_an_autoencoder_has_likelihoods_too(images):
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), variational=False)
    model = keras_vae.AutoEncoder(*parts, "gaussian")
    model.compile()
    model.fit(images, verbose=0)
    assert float(model.likelihood.updates) == 2
    losses = model.evaluate(images, verbose=0, return_dict=True)
    variance = float(model.likelihood.variance)
    error = np.mean(np.sum((model.reconstruct(images) - images / 255) ** 2, axis=(1, 2, 3)))
    expected = 45 * np.log(2 * np.pi * variance) + error / (2 * variance)
    assert losses["loss"] == pytest.approx(expected, rel=1e-4)


# A fifth likelihood is one class


@keras.saving.register_keras_serializable(package="tests")
class Laplace(likelihoods.Likelihood):
    values = "continuous"
    omitted = np.log(2)

    def nats(self, x, outputs):
        return ops.sum(ops.abs(x - self.pixels(outputs)), axis=(1, 2, 3))


def test_a_new_likelihood_is_one_class(make_vae, images, tmp_path):
    model = make_vae(likelihood=Laplace())
    model.fit(images, verbose=0)
    model.reset_metrics()  # which count the images that an evaluation has seen
    y = model(images, eps=model.noise_of_steps(1, 37, training=False)["eps"][0])  # evaluate's noise
    y = {name: ops.convert_to_numpy(value) for name, value in y.items()}
    losses = model.evaluate(images, verbose=0, return_dict=True)
    error = np.abs(y["reconstruction"] - images / 255).sum(axis=(1, 2, 3)).mean()
    assert losses["reconstruction_loss"] == pytest.approx(error, rel=1e-5)
    numbers = evaluate.test_metrics(model, images)
    assert numbers["bits_per_dim"] > 8
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.likelihood) is Laplace
    assert loaded.evaluate(images, verbose=0, return_dict=True) == losses


@keras.saving.register_keras_serializable(package="tests")
class Trained(Laplace):
    """With an argument, and a weight that the gradient trains."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.log_scale = self.add_weight((), keras.initializers.Constant(start), name="log_scale")

    def nats(self, x, outputs):
        return super().nats(x, outputs) / ops.exp(self.log_scale) + 90 * self.log_scale

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def test_weights_of_a_likelihood_are_trained_and_saved(make_vae, images, tmp_path):
    model = make_vae(likelihood=Trained(0.5))
    model.fit(images, verbose=0)
    learned = float(model.likelihood.log_scale)
    assert learned != 0.5 and any(v is model.likelihood.log_scale for v in model.trainable_weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.likelihood.start, float(loaded.likelihood.log_scale)) == (0.5, learned)


def test_a_likelihood_without_its_nats_says_what_is_missing(make_vae, images):
    with pytest.raises(NotImplementedError, match="Likelihood must define `nats`"):
        make_vae(likelihood=likelihoods.Likelihood()).evaluate(images, verbose=0)


def test_a_likelihood_may_have_another_activation(make_vae, images):
    class Clipped(likelihoods.MSE):
        def pixels(self, outputs):
            return ops.clip(outputs, 0, 1)

    model = make_vae(likelihood=Clipped())
    y = model(images, raw=True)
    outputs = ops.convert_to_numpy(y["outputs"])
    np.testing.assert_array_equal(ops.convert_to_numpy(y["reconstruction"]), outputs.clip(0, 1))
    assert outputs.min() < 0
