"""p(z): densities, draws, and what a `VAE` does with them."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import priors
from keras_vae.datasets.stream import Rows

PSEUDO = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), "uint8")
MAKE = {
    "normal": priors.StandardNormal,
    "mixture": lambda: priors.MixturePrior(3),
    "vamp": lambda: priors.VampPrior(PSEUDO),
    "flow": lambda: priors.FlowPrior(layers=3, width=8),
}
KINDS = sorted(MAKE)
LEARNED = [kind for kind in KINDS if kind != "normal"]


def moved(model, by=0.5, seed=0):
    """Moves all weights of a model's prior at random; returns the prior."""
    rng = np.random.default_rng(seed)
    for weight in model.prior.weights:
        weight.assign(ops.convert_to_numpy(weight) + by * rng.standard_normal(weight.shape))
    if isinstance(model.prior, priors.VampPrior):  # components that differ, and not narrow
        model.encoder.get_layer("z_mean").kernel.assign(
            2 * ops.convert_to_numpy(model.encoder.get_layer("z_mean").kernel)
        )
        model.encoder.get_layer("z_log_var").bias.assign(np.full(model.latent_dim, -1.5))
    return model.prior


def log_prob(prior, z):
    return ops.convert_to_numpy(prior.log_prob(ops.convert_to_tensor(np.float32(z))))


def kl(prior, *arguments):
    return ops.convert_to_numpy(prior.kl(*map(ops.convert_to_tensor, arguments)))


def log_normal(z, mean=0.0, log_var=0.0):
    """Returns the log density in float64, ``(...)``."""
    z, mean, log_var = (np.asarray(part, "float64") for part in (z, mean, log_var))
    return -0.5 * np.sum((z - mean) ** 2 / np.exp(log_var) + log_var + np.log(2 * np.pi), axis=-1)


def log_sum(log_weights, logs):
    return np.log(sum(np.exp(weight + part) for weight, part in zip(log_weights, logs)))


def to_noise(prior, z):
    """Returns the noise of codes, and the log of the determinant of that map, in float64."""
    kernels, biases = (
        [ops.convert_to_numpy(w).astype("float64") for w in weights]
        for weights in (prior.kernels, prior.biases)
    )
    z, half, log_volume = np.asarray(z, "float64"), z.shape[1] // 2, 0.0
    for layer in range(prior.layers):
        x = z[:, :half]
        for i in range(3 * layer, 3 * layer + 3):
            x = x @ kernels[i] + biases[i]
            x = x / (1 + np.exp(-x)) if i % 3 < 2 else x
        log_scale, shift = np.split(x, 2, axis=1)
        log_scale = np.tanh(log_scale)
        z = np.concatenate([z[:, :half], z[:, half:] * np.exp(log_scale) + shift], axis=1)[:, ::-1]
        log_volume = log_volume + log_scale.sum(axis=1)
    return z, log_volume


def reference(model, z):
    """Returns log p(z) of codes ``(n, latent_dim)`` in float64, without the class's own code."""
    prior = model.prior
    if isinstance(prior, priors.MixturePrior):
        means, log_vars, logits = map(
            ops.convert_to_numpy, (prior.means, prior.log_vars, prior.logits)
        )
        log_weights = logits - np.log(np.exp(logits).sum())
    elif isinstance(prior, priors.VampPrior):
        logits = ops.convert_to_numpy(prior.pseudo_logits).astype("float64")
        means, log_vars = model.encode(1 / (1 + np.exp(-logits)))
        log_weights = np.full(len(means), -np.log(len(means)))
    elif isinstance(prior, priors.FlowPrior):
        noise, log_volume = to_noise(prior, z)
        return log_normal(noise) + log_volume
    else:
        return log_normal(z)
    return log_sum(log_weights, [log_normal(z, *part) for part in zip(means, log_vars)])


SIDE = np.linspace(-10, 10, 401)  # of a grid of codes with two numbers
GRID = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), axis=-1).reshape(-1, 2)
AREA = (SIDE[1] - SIDE[0]) ** 2


class Batches(keras.utils.PyDataset):
    """Images that go through Keras's loop."""

    def __init__(self, images, size):
        super().__init__()
        self.images, self.size = images, size

    def __len__(self):
        return len(self.images) // self.size

    def __getitem__(self, i):
        return (self.images[self.size * i : self.size * (i + 1)],)


# Densities and draws


@pytest.mark.parametrize("latent_dim", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_the_formula_for_one_draw_and_for_several(make_vae, kind, latent_dim):
    model = make_vae(latent_dim=latent_dim, prior=MAKE[kind]())
    prior = moved(model)
    z = 2 * np.random.default_rng(2).standard_normal((35, latent_dim)).astype("float32")
    found = log_prob(prior, z)
    assert found.shape == (35,) and found.dtype == np.float32
    expected = reference(model, z)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    several = log_prob(prior, z.reshape(7, 5, latent_dim))
    np.testing.assert_allclose(several, expected.reshape(7, 5), rtol=1e-4, atol=1e-4)
    for same in (prior(ops.convert_to_tensor(z)), prior.log_prob(z)):  # of a tensor or an array
        np.testing.assert_allclose(ops.convert_to_numpy(same), found, rtol=1e-6)
    assert kind == "normal" or np.abs(expected - log_normal(z)).max() > 0.5


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_a_flow_changes_variables(make_vae, latent_dim):
    """``log p(codes(e)) = log N(e) - log |det d codes / d e|``, with a numerical derivative."""
    prior = moved(make_vae(latent_dim=latent_dim, prior=MAKE["flow"]()), by=0.3)

    def codes(noise):
        return ops.convert_to_numpy(prior.codes(ops.convert_to_tensor(np.float32(noise))))

    noise, step = np.random.default_rng(3).standard_normal((20, latent_dim)), 5e-3
    z = codes(noise)
    np.testing.assert_allclose(to_noise(prior, z)[0], noise, atol=1e-4)
    assert np.abs(z - noise).max() > 0.5
    columns = [
        (codes(noise + step * row) - codes(noise - step * row)) / (2 * step)
        for row in np.eye(latent_dim)
    ]
    _, log_det = np.linalg.slogdet(np.stack(columns, axis=-1).astype("float64"))
    assert np.abs(log_det).max() > 0.2
    np.testing.assert_allclose(log_prob(prior, z), log_normal(noise) - log_det, atol=5e-3)


def test_a_flow_starts_as_the_identity(make_vae):
    prior = make_vae(latent_dim=3, prior="flow").prior
    z = np.random.default_rng(4).standard_normal((9, 3)).astype("float32")
    np.testing.assert_allclose(log_prob(prior, z), log_normal(z), rtol=1e-5)
    # Six layers, each of which reverses the numbers.
    np.testing.assert_allclose(ops.convert_to_numpy(prior.codes(z)), z, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_density_has_the_integral_one_and_its_draws_have_its_moments(make_vae, kind):
    prior = moved(make_vae(prior=MAKE[kind]()), by=0.3)
    p = np.exp(log_prob(prior, GRID).astype("float64")) * AREA
    assert p.sum() == pytest.approx(1, abs=2e-3)
    mean, covariance = p @ GRID, np.cov(GRID.T, aweights=p)
    draws = prior.sample(40_000, seed=5)
    errors = np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * errors).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, rtol=0.06, atol=0.06)
    # Not the moments alone: how often a draw is where the density is above its median.
    heights = log_prob(prior, draws)
    for level in np.quantile(heights, [0.2, 0.5, 0.8]):
        share = p[log_prob(prior, GRID) > level].sum()
        assert share == pytest.approx(np.mean(heights > level), abs=0.015)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_seed_and_temperature(make_vae, kind):
    prior = moved(make_vae(latent_dim=3, prior=MAKE[kind]()))
    draws = prior.sample(6, seed=1)
    assert draws.shape == (6, 3) and draws.dtype == np.float32 and type(draws) is np.ndarray
    np.testing.assert_array_equal(prior.sample(6, seed=1), draws)
    assert not np.isin(prior.sample(6, seed=2), draws).any()
    assert not np.array_equal(prior.sample(6), prior.sample(6))
    assert prior.sample(0).shape == (0, 3)
    cold, warm = prior.sample(500, seed=1, temperature=0), prior.sample(500, 1, temperature=2)
    if kind in ("mixture", "vamp"):  # only which component is left to chance
        means = prior.means if kind == "mixture" else prior.components()[0]
        np.testing.assert_array_equal(
            np.unique(cold, axis=0), np.unique(ops.convert_to_numpy(means), axis=0)
        )
    else:
        np.testing.assert_allclose(cold, np.broadcast_to(cold[0], cold.shape), rtol=1e-5)
    assert kind != "normal" or not cold.any()
    assert np.var(warm - cold) > 2 * np.var(prior.sample(500, seed=1) - cold)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": -1}, "Argument `n` must be a non-negative integer"),
        ({"n": 1.0}, "Argument `n` must be a non-negative integer"),
        ({"n": 1, "seed": -1}, "Argument `seed` must be None or a non-negative integer"),
        ({"n": 1, "temperature": -0.5}, "Argument `temperature` must be a finite number"),
        ({"n": 1, "temperature": math.nan}, "Argument `temperature` must be a finite number"),
    ],
)
def test_arguments_of_draws_are_checked(make_vae, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_vae(prior="mixture").prior.sample(**arguments)


def test_components_are_drawn_by_their_weights(make_vae):
    prior = make_vae(prior=priors.MixturePrior(3)).prior
    prior.means.assign([[-9, 0], [0, 0], [9, 0]])
    prior.logits.assign(np.log([1, 2, 5]))
    drawn = np.rint(prior.sample(20_000, seed=0)[:, 0] / 9)
    shares = [np.mean(drawn == where) for where in (-1, 0, 1)]
    np.testing.assert_allclose(shares, np.array([1, 2, 5]) / 8, atol=0.02)


@pytest.mark.parametrize("log_var, error", [(0.0, 1e-4), (-4.0, 1e-3), (-9.0, 0.05)])
def test_both_ways_to_compute_a_mixture_agree(monkeypatch, log_var, error):
    """As differences, and on a CPU as products of matrices, which lose digits."""
    rng = np.random.default_rng(6)
    means = rng.standard_normal((7, 8)).astype("float32")
    log_vars = (log_var + 0.5 * rng.standard_normal((7, 8))).astype("float32")
    log_weights = np.log(rng.dirichlet(np.ones(7))).astype("float32")
    chosen = rng.integers(7, size=30)
    z = means[chosen] + np.exp(log_vars[chosen] / 2) * rng.standard_normal((30, 8))
    z = np.float32(z.reshape(10, 3, 8))
    expected = log_sum(log_weights, [log_normal(z, *part) for part in zip(means, log_vars)])
    found = {}
    for device in ("cpu", "gpu"):
        monkeypatch.setattr(priors, "device_name", lambda device=device: device)
        parts = map(ops.convert_to_tensor, (z, means, log_vars, log_weights))
        found[device] = ops.convert_to_numpy(priors.log_mixture(*parts))
    np.testing.assert_allclose(found["gpu"], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found["cpu"], expected, rtol=1e-5, atol=error)


# The KL


@pytest.mark.parametrize("kind", KINDS)
def test_the_kl_has_one_term_or_one_for_each_latent(make_vae, kind):
    prior = moved(make_vae(latent_dim=3, prior=MAKE[kind]()))
    rng = np.random.default_rng(7)
    mean, log_var = rng.standard_normal((2, 4, 3)).astype("float32")
    z = rng.standard_normal((4, 6, 3)).astype("float32")
    terms = kl(prior, mean, log_var, z)
    assert terms.shape == ((4, 3) if kind == "normal" else (4, 1))
    assert kl(prior, mean, log_var, z[:, 0]).shape == terms.shape
    if kind == "normal":
        closed = -0.5 * (1 + log_var - mean**2 - np.exp(log_var))
        np.testing.assert_allclose(terms, closed, rtol=1e-5, atol=1e-6)
        return
    log_q = log_normal(z, mean[:, None], log_var[:, None])
    logs = log_q - log_prob(prior, z)
    np.testing.assert_allclose(terms[:, 0], logs.mean(axis=1), rtol=1e-4, atol=1e-4)
    one = kl(prior, mean, log_var, z[:, 0])[:, 0]
    np.testing.assert_allclose(one, logs[:, 0], rtol=1e-4, atol=1e-4)


def test_a_mixture_that_is_the_normal_has_its_kl():
    one, other = priors.MixturePrior(1), priors.StandardNormal()
    for prior in (one, other):
        prior.build((None, 3))
    one.means.assign(np.zeros((1, 3)))
    rng = np.random.default_rng(8)
    mean, log_var = rng.standard_normal((2, 4, 3)).astype("float32")
    z = mean[:, None] + np.exp(log_var / 2)[:, None] * rng.standard_normal((4, 20_000, 3))
    z = z.astype("float32")
    exact = kl(other, mean, log_var, z).sum(axis=1)
    errors = np.std(log_normal(z, mean[:, None], log_var[:, None]) - log_normal(z), axis=1)
    errors /= math.sqrt(20_000)
    assert errors.max() < 0.05
    assert (np.abs(kl(one, mean, log_var, z)[:, 0] - exact) < 4 * errors).all()


@pytest.mark.parametrize("kind", LEARNED)
def test_the_losses_have_the_kl_of_the_draws(make_vae, images, kind):
    model = make_vae(beta=2.5, prior=MAKE[kind]())
    moved(model)
    losses = model.evaluate(images, verbose=0, return_dict=True)
    model.reset_metrics()  # which count the images that an evaluation has seen
    eps = model.noise_of_steps(1, 37, training=False)["eps"][0]
    y = {name: ops.convert_to_numpy(value) for name, value in model(images, eps=eps).items()}
    log_q = log_normal(y["z"], y["z_mean"], y["z_log_var"])
    expected = np.mean(log_q - reference(model, y["z"]))
    assert losses["kl_loss"] == pytest.approx(expected, rel=1e-4)
    total = losses["reconstruction_loss"] + 2.5 * expected
    assert losses["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("kind", LEARNED)
def test_free_bits_are_of_the_whole_kl(make_vae, images, kind):
    for share in (0.5, 1.5):  # of the KL
        model = make_vae(latent_dim=4, prior=MAKE[kind](), optimizer=keras.optimizers.SGD(0.0))
        plain = model.train_on_batch(images, return_dict=True)
        model = make_vae(
            latent_dim=4,
            prior=MAKE[kind](),
            optimizer=keras.optimizers.SGD(0.0),
            beta=2,
            free_bits=share * plain["kl_loss"],
        )
        losses = model.train_on_batch(images, return_dict=True)
        assert plain["kl_loss"] > 1
        assert losses["kl_loss"] == pytest.approx(plain["kl_loss"], rel=1e-5)
        charged = max(share, 1) * plain["kl_loss"]
        expected = losses["reconstruction_loss"] + 2 * charged
        assert losses["loss"] == pytest.approx(expected, rel=1e-5)


# What a model does with it


@pytest.mark.parametrize("kind", KINDS)
def test_new_images_come_from_the_prior(make_vae, kind):
    model = make_vae(prior=MAKE[kind]())
    moved(model)
    codes = model.prior.sample(7, seed=3, temperature=0.8)
    np.testing.assert_array_equal(model.sample(7, seed=3, temperature=0.8), model.decode(codes))
    plain = np.random.default_rng(3).standard_normal((7, 2), "float32")
    assert np.allclose(codes, np.float32(0.8) * plain) == (kind == "normal")


BINARY = np.array(list(itertools.product([0, 1], repeat=4)), "float32").reshape(-1, 2, 2, 1)


def binary_vae(prior):
    """A model of four binary pixels with two latents, whose posterior is wide and wrong."""
    keras.utils.set_random_seed(0)
    x, z = keras.Input((2, 2, 1)), keras.Input((2,))
    hidden = keras.layers.Dense(4, activation="tanh")(z)
    decoder = keras.Model(z, keras.layers.Reshape((2, 2, 1))(keras.layers.Dense(4)(hidden)))
    flat = keras.layers.Flatten()(x)
    layers = [keras.layers.Dense(2), keras.layers.Dense(2)]
    encoder = keras.Model(x, [layer(flat) for layer in layers])
    model = keras_vae.VAE(encoder, decoder, "bernoulli", prior=prior)
    rng = np.random.default_rng(1)
    for weight in decoder.weights:
        weight.assign(1.5 * rng.standard_normal(weight.shape))
    layers[0].set_weights([0.3 * rng.standard_normal((4, 2)), np.array([0.3, -0.3])])
    layers[1].set_weights([np.zeros((4, 2)), np.full(2, 1.5)])
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_agrees_with_the_integral_over_the_prior(kind):
    prior = {**MAKE, "vamp": lambda: priors.VampPrior(BINARY[[0, 7, 15]])}[kind]()
    model = binary_vae(prior)
    rng = np.random.default_rng(9)
    if kind != "vamp":
        for weight in prior.weights:
            weight.assign(ops.convert_to_numpy(weight) + 0.4 * rng.standard_normal(weight.shape))
    grid = GRID.reshape(401, 401, 2)[::2, ::2].reshape(-1, 2)  # from -10 to 10 by 0.1
    ones = model.decode(grid, 4096)[:, None].astype("float64")
    given = np.prod(np.where(BINARY == 1, ones, 1 - ones), axis=(2, 3, 4))
    exact = np.log(np.exp(reference(model, grid.astype("float32"))) * 0.1**2 @ given)
    assert np.exp(exact).sum() == pytest.approx(1, abs=2e-3)
    plain = np.log(np.exp(log_normal(grid)) * 0.1**2 @ given)
    assert (np.abs(exact - plain).max() > 0.3) == (kind != "normal")
    found = model.log_likelihood(BINARY, 20_000, 20_000)
    np.testing.assert_allclose(found, exact, atol=0.1)
    assert np.exp(found).sum() == pytest.approx(1, abs=0.03)  # all images that there are


@pytest.mark.parametrize("kind", LEARNED)
def test_arrays_images_on_disk_and_data_sets_train_it_alike(make_vae, images, tmp_path, kind):
    np.save(tmp_path / "images.npy", images[:30])
    rows = Rows(tmp_path / "images.npy", np.arange(30))
    results = []
    for x in (images[:30], rows, Batches(images[:30], 10)):
        model = make_vae(prior=MAKE[kind](), optimizer=keras.optimizers.SGD(1e-2))
        start = [ops.convert_to_numpy(w) for w in model.prior.weights]
        size = {} if isinstance(x, Batches) else {"batch_size": 10}
        history = model.fit(x, epochs=2, shuffle=False, verbose=0, **size).history
        end = [ops.convert_to_numpy(w) for w in model.prior.weights]
        assert any(not np.array_equal(*pair) for pair in zip(start, end))
        results.append((history["loss"], end))
    for losses, weights in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-4)
        for one, other in zip(weights, results[0][1]):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", LEARNED)
def test_images_without_weight_do_not_train_it(make_vae, images, kind):
    changes = []
    for x, weights in ((images[:20], None), (images, np.repeat([20 / 37, 0], [20, 17]) * 37 / 20)):
        model = make_vae(prior=MAKE[kind](), optimizer=keras.optimizers.SGD(1.0))
        moved(model)
        before = [ops.convert_to_numpy(w) for w in model.prior.weights]
        given = {} if weights is None else {"y": np.zeros(37), "sample_weight": weights}
        model.train_on_batch(x, **given)
        changes.append([b - ops.convert_to_numpy(w) for b, w in zip(before, model.prior.weights)])
    largest = max(np.abs(change).max() for change in changes[0])
    assert largest > 1e-3
    for one, other in zip(*changes):  # a mean over 20 images and one over 37
        np.testing.assert_allclose(20 / 37 * one, other, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("kind", LEARNED)
def test_it_learns_where_codes_are(make_vae, kind):
    """Of black images and white ones, with an encoder that is not trained."""
    images = np.repeat(np.uint8([10, 240]), 32).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(images, (64, 6, 5, 3))
    prior = (
        priors.VampPrior(np.full((3, 6, 5, 3), 128, "uint8")) if kind == "vamp" else MAKE[kind]()
    )
    model = make_vae(prior=prior)
    if kind == "vamp":  # all alike, they would have the same gradient
        prior.pseudo_logits.assign(np.random.default_rng(0).standard_normal((3, 6, 5, 3)))
    kernel = model.encoder.get_layer("z_mean").kernel
    kernel.assign(4 * ops.convert_to_numpy(kernel))
    model.encoder.trainable = False
    model.compile(keras.optimizers.Adam(0.1))
    before = model.evaluate(images, batch_size=64, verbose=0, return_dict=True)["kl_loss"]
    model.fit(images, batch_size=64, epochs=80, verbose=0)
    after = model.evaluate(images, batch_size=64, verbose=0, return_dict=True)["kl_loss"]
    assert before > 4 and after < 0.4 * before


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_has_its_prior(make_vae, images, tmp_path, kind):
    model = make_vae(prior=MAKE[kind](), likelihood="gaussian")
    moved(model)
    model.fit(images, batch_size=37, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.prior) is type(model.prior)
    settings = {"batch_size": 37, "verbose": 0}
    assert loaded.evaluate(images, **settings) == model.evaluate(images, **settings)
    np.testing.assert_array_equal(loaded.sample(5, seed=0), model.sample(5, seed=0))
    np.testing.assert_array_equal(
        loaded.log_likelihood(images[:3], 4), model.log_likelihood(images[:3], 4)
    )
    for one, other in zip(loaded.prior.weights, model.prior.weights, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (one, other)))
    loaded.fit(images, batch_size=37, verbose=0)  # and goes on


@pytest.mark.parametrize("kind", LEARNED)
def test_half_precision_keeps_the_prior_in_float32(images, kind):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,))
        model = keras_vae.VAE(*parts, seed=0, prior=MAKE[kind]())
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = keras.optimizers.Adam(1e-2)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0)
    model.compile(scaled)
    assert {w.dtype for w in model.prior.weights} == {"float32"}
    before = [ops.convert_to_numpy(w) for w in model.prior.weights]
    settings = {"validation_data": (images,), "batch_size": 37, "epochs": 5, "verbose": 0}
    history = model.fit(images, **settings).history
    assert np.isfinite(history["val_loss"]).all() and int(scaled.iterations) == 5
    after = [ops.convert_to_numpy(w) for w in model.prior.weights]
    assert any(not np.array_equal(*pair) for pair in zip(before, after))
    assert log_prob(model.prior, np.zeros((2, 2))).dtype == np.float32
    assert np.isfinite(model.sample(3)).all()


def test_pseudo_images_start_from_the_given_ones_and_are_learned(make_vae, images):
    for given in (PSEUDO, PSEUDO / 255):
        prior = priors.VampPrior(given)
        pixels = ops.convert_to_numpy(prior.pseudo_inputs())
        np.testing.assert_allclose(pixels, (PSEUDO / 255).clip(0.01, 0.99), atol=1e-6)
    model = make_vae(prior=prior, optimizer=keras.optimizers.Adam(0.1))
    mean, log_var = map(ops.convert_to_numpy, prior.components())
    np.testing.assert_allclose(mean, model.encode(pixels)[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_var, model.encode(pixels)[1], rtol=1e-4, atol=1e-5)
    model.fit(images, batch_size=37, epochs=2, verbose=0)
    learned = ops.convert_to_numpy(prior.pseudo_inputs())
    assert learned.min() > 0 and learned.max() < 1 and np.abs(learned - pixels).max() > 0.01


def test_a_regulariser_of_activities_counts_the_images_and_not_the_pseudo_images(images):
    losses = []
    for prior in ("normal", priors.VampPrior(np.full((5, 6, 5, 3), 255, "uint8"))):
        keras.utils.set_random_seed(0)
        x = keras.Input((6, 5, 3))
        flat = keras.layers.Flatten()(x)
        regulariser = keras.regularizers.L2(1.0)
        heads = [keras.layers.Dense(2, activity_regularizer=regulariser) for _ in range(2)]
        encoder = keras.Model(x, [head(flat) for head in heads])
        _, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,))
        model = keras_vae.VAE(encoder, decoder, prior=prior, seed=0)
        model.compile()
        found = model.test_on_batch(images, return_dict=True)
        losses.append(found["loss"] - found["reconstruction_loss"] - found["kl_loss"])
    assert losses[0] > 0.1
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


# Another prior


def test_a_prior_may_be_replaced(make_vae, images):
    model = make_vae()
    normal = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    drawn, bound = model.sample(4, seed=0), model.log_likelihood(images[:2], 2)
    model.prior = priors.MixturePrior(5)
    assert model.prior.latent_dim == 2 and len(model.prior.weights) == 3
    model.prior.means.assign(ops.convert_to_numpy(model.prior.means) + 3)
    changed = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    assert changed["reconstruction_loss"] == normal["reconstruction_loss"]
    assert changed["kl_loss"] > normal["kl_loss"] + 0.5
    assert not np.allclose(model.sample(4, seed=0), drawn)
    assert not np.allclose(model.log_likelihood(images[:2], 2), bound)
    model.compile("adam")
    before = ops.convert_to_numpy(model.prior.means)
    model.fit(images, batch_size=37, verbose=0)
    assert not np.array_equal(ops.convert_to_numpy(model.prior.means), before)
    model.prior = "normal"
    assert not any("mixture" in weight.path for weight in model.weights)
    np.testing.assert_array_equal(model.sample(4, seed=0), model.decode(model.prior.sample(4, 0)))


def test_a_trained_model_must_be_compiled_for_a_prior_with_other_weights(make_vae, images):
    model = make_vae()
    model.fit(images, batch_size=37, verbose=0)
    model.prior = "mixture"
    with pytest.raises(ValueError, match="Call `compile` again before training"):
        model.fit(images, batch_size=37, verbose=0)
    model.compile("adam")
    model.fit(images, batch_size=37, verbose=0)


def test_pseudo_images_may_come_later(make_vae, images):
    model = make_vae(seed=3)
    model.fit(images, batch_size=37, verbose=0)
    model.prior = priors.VampPrior(images[:6])
    z = model.encode(images[:6])[0]
    assert log_prob(model.prior, z).mean() > log_normal(z).mean()
    model.compile("adam")
    assert set(model.fit(images, batch_size=37, verbose=0).history) >= {"loss", "kl_loss"}


class Encoder(keras.Model):
    """Made without keras.Input: its shapes are known only when images arrive."""

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.heads = [keras.layers.Dense(3) for _ in range(2)]

    def call(self, x):
        x = self.flatten(x)
        return [head(x) for head in self.heads]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["fit", "encode"])
def test_it_is_built_when_images_arrive(images, kind, first):
    decoder = keras.Sequential([keras.layers.Dense(90), keras.layers.Reshape((6, 5, 3))])
    model = keras_vae.VAE(Encoder(), decoder, prior=MAKE[kind]())
    model.compile("adam")
    assert not model.prior.built
    getattr(model, first)(images, **({} if first == "encode" else {"verbose": 0}))
    assert model.prior.built and model.prior.latent_dim == 3
    before = [ops.convert_to_numpy(w) for w in model.prior.weights]
    model.fit(images, verbose=0)
    after = [ops.convert_to_numpy(w) for w in model.prior.weights]
    assert kind == "normal" or any(not np.array_equal(*pair) for pair in zip(before, after))
    assert model.sample(2).shape == (2, 6, 5, 3)


@keras.saving.register_keras_serializable(package="tests")
class Uniform(priors.Prior):
    """Uniform in a cube, smoothly: a product of two logistic functions, with one learned side."""

    def __init__(self, sharpness=4.0, **kwargs):
        super().__init__(**kwargs)
        self.sharpness = sharpness

    def make(self, latent_dim):
        self.side = self.add_weight((), keras.initializers.Constant(3.0), name="side")

    def log_prob(self, z):
        inside = -ops.softplus(self.sharpness * (ops.abs(z) - self.side / 2))
        return ops.sum(inside - ops.log(self.side), axis=-1)

    def draw(self, n, rng, temperature):
        side = ops.convert_to_numpy(self.side)
        return temperature * side * (rng.random((n, self.latent_dim), "float32") - 0.5)

    def get_config(self):
        return {**super().get_config(), "sharpness": self.sharpness}


def test_a_prior_of_ones_own_is_one_class(make_vae, images, tmp_path):
    model = make_vae(prior=Uniform(5.0))
    model.fit(images, verbose=0)
    side = float(ops.convert_to_numpy(model.prior.side))
    assert side != 3 and any(w is model.prior.side for w in model.trainable_weights)
    assert np.abs(model.prior.sample(999, seed=0)).max() <= side / 2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.prior) is Uniform and loaded.prior.sharpness == 5.0
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)
    np.testing.assert_array_equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


def test_a_prior_without_its_methods_says_what_is_missing(make_vae, images):
    with pytest.raises(NotImplementedError, match="Prior must define `log_prob`"):
        make_vae(prior=priors.Prior()).evaluate(images, verbose=0)
    with pytest.raises(NotImplementedError, match="Prior must define `draw`"):
        make_vae(prior=priors.Prior()).sample(2)


# Configs and mistakes


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_is_made_from_its_config(kind):
    prior = MAKE[kind]()
    config = keras.saving.serialize_keras_object(prior)
    twin = keras.saving.deserialize_keras_object(config)
    assert type(twin) is type(prior) and twin.get_config() == prior.get_config()
    arguments = {
        "mixture": {"components": 3},
        "flow": {"layers": 3, "width": 8},
        "vamp": {"pseudo_inputs": [4, 6, 5, 3]},
    }
    assert prior.get_config().items() >= arguments.get(kind, {}).items()
    assert len(str(config)) < 2000  # without the images
    twin.build((None, 3))
    assert [w.shape for w in twin.weights] == [w.shape for w in made(prior).weights]


def made(prior):
    prior.build((None, 3))
    return prior


@pytest.mark.once
def test_get_takes_a_name_or_an_object():
    names = {
        "normal": priors.StandardNormal,
        "mixture": priors.MixturePrior,
        "flow": priors.FlowPrior,
    }
    assert {name: type(priors.get(name)) for name in names} == names
    prior = priors.MixturePrior(2)
    assert priors.get(prior) is prior


@pytest.mark.once
@pytest.mark.parametrize("wrong", ["vamp", None, 3, priors.MixturePrior, keras.layers.Dense(2)])
def test_get_refuses_what_is_no_prior(make_vae, wrong):
    message = (
        r"Argument `prior` must be one of \['flow', 'mixture', 'normal'\] or a "
        "`keras_vae.priors.Prior`. Received: prior="
    )
    with pytest.raises(ValueError, match=message):
        priors.get(wrong)
    with pytest.raises(ValueError, match=message):
        make_vae(prior=wrong)
    model = make_vae()
    with pytest.raises(ValueError, match=message):
        model.prior = wrong
    assert type(model.prior) is priors.StandardNormal


@pytest.mark.once
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: priors.MixturePrior(0), "Argument `components` must be a positive integer"),
        (lambda: priors.MixturePrior(2.0), "Argument `components` must be a positive integer"),
        (lambda: priors.FlowPrior(0), "Argument `layers` must be a positive integer"),
        (lambda: priors.FlowPrior(width="8"), "Argument `width` must be a positive integer"),
        (lambda: priors.VampPrior(PSEUDO[0, 0, 0]), "must be a batch of images of shape"),
        (lambda: priors.VampPrior(PSEUDO[:0]), "`pseudo_inputs` must hold at least one image"),
        (lambda: priors.VampPrior(PSEUDO * 1.0), "`pseudo_inputs` must be .* with values from"),
        (lambda: priors.VampPrior(PSEUDO / 255 - 1), "`pseudo_inputs` must be .* with values from"),
        (lambda: priors.VampPrior("faces"), "`pseudo_inputs` must be"),
        (lambda: priors.VampPrior(7), "`pseudo_inputs` must be"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.once
def test_a_flow_needs_two_latents(make_vae):
    with pytest.raises(ValueError, match="`FlowPrior` needs at least 2 latents"):
        make_vae(latent_dim=1, prior="flow")


@pytest.mark.once
def test_pseudo_images_need_a_model():
    prior = priors.VampPrior(PSEUDO)
    prior.build((None, 2))
    for use in (prior.sample, lambda n: log_prob(prior, np.zeros((n, 2)))):
        with pytest.raises(
            ValueError, match="needs the encoder of its model: make the `VAE` first"
        ):
            use(1)


@pytest.mark.once
@pytest.mark.parametrize("shape", [(4, 6, 5, 1), (4, 5, 6, 3), (4, 12, 10, 3)])
def test_pseudo_images_of_another_shape_are_refused(make_vae, images, shape):
    with pytest.raises(ValueError, match=r"6, 5, 3\)"):
        make_vae(prior=priors.VampPrior(np.zeros(shape, "uint8"))).evaluate(images, verbose=0)
