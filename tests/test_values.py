"""Data that are no pixels: rows of a table, signals, volumes, counts and categories."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import likelihoods
from keras_vae.datasets.stream import Rows
from keras_vae.likelihoods import Categorical, Columns, NegativeBinomial, Normal, Poisson, StudentT
from keras_vae.likelihoods.scaling import Standardise
from keras_vae.likelihoods.special import log_gamma

SHAPES = [(5,), (9, 2), (4, 5, 6, 2)]


def rows_of(*shape, seed=0):
    """Values around 100 with a scale of 10."""
    return np.random.default_rng(seed).normal(100, 10, shape).astype("float32")


def counts_of(*shape, seed=0):
    return np.random.default_rng(seed).poisson(3, shape).astype("float32")


def categories_of(n, k, seed=0):
    return np.eye(k, dtype="float32")[np.random.default_rng(seed).integers(0, k, n)]


def model_of(likelihood, shape, optimizer="adam", hidden=(8,), latent_dim=2, **arguments):
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp(shape, latent_dim, hidden)
    model = keras_vae.VAE(*parts, likelihood, seed=0, **arguments)
    model.compile(optimizer)
    return model


def nats_of(likelihood, x, outputs):
    if not likelihood.built:
        likelihood.build((None, *x.shape[1:]))
    x = ops.convert_to_tensor(x.astype("float32"))
    return ops.convert_to_numpy(likelihood.nats(x, ops.convert_to_tensor(outputs)))


def mixed():
    """A table of 60 rows: two numbers, a category of three and a count, and its likelihood."""
    rows = np.concatenate([rows_of(60, 2), categories_of(60, 3), counts_of(60, 1)], axis=1)
    return rows, Columns([("student_t", 2), ("categorical", 3), ("poisson", 1)])


# Numbers against closed forms


def test_log_gamma_is_that_of_the_standard_library():
    x = np.array([1e-3, 0.1, 0.5, 1, 1.5, 2, 3.3, 7.99, 8, 20, 1000, 1e6], "float32")
    expected = np.array([math.lgamma(value) for value in x])
    found = ops.convert_to_numpy(log_gamma(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=4e-6)


OUTPUTS = np.random.default_rng(1).standard_normal((4, 3)).astype("float32")


def test_normal_is_the_density_in_the_units_of_the_data():
    x = rows_of(4, 3)
    likelihood = Normal()
    likelihood.build((None, 3))
    likelihood.adapt(x)
    likelihood.variance.assign([0.2, 1.0, 3.0])
    mean, std = x.mean(axis=0), x.std(axis=0)
    np.testing.assert_allclose(likelihood.mean(OUTPUTS), OUTPUTS * std + mean, rtol=1e-5)
    scale = std * np.sqrt([0.2, 1.0, 3.0])
    e = (x - (OUTPUTS * std + mean)) / scale
    expected = np.sum(e**2 / 2 + np.log(scale) + np.log(2 * np.pi) / 2, axis=1)
    np.testing.assert_allclose(nats_of(likelihood, x, OUTPUTS), expected, rtol=1e-4)


def test_student_t_is_the_density_in_the_units_of_the_data():
    x = rows_of(4, 3)
    likelihood = StudentT()
    likelihood.build((None, 3))
    likelihood.adapt(x)
    likelihood.log_scale.assign(np.log([0.5, 1.0, 2.0]))
    nu = ops.convert_to_numpy(likelihood.freedom()).astype("float64")
    np.testing.assert_allclose(nu, 1 + np.log1p(np.exp(4)), rtol=1e-5)
    mean, std = x.mean(axis=0), x.std(axis=0)
    scale = std * [0.5, 1.0, 2.0]
    e = (x - (OUTPUTS * std + mean)) / scale
    gammas = math.lgamma((nu[0] + 1) / 2) - math.lgamma(nu[0] / 2)
    log_p = gammas - np.log(np.pi * nu) / 2 - np.log(scale) - (nu + 1) / 2 * np.log1p(e**2 / nu)
    np.testing.assert_allclose(nats_of(likelihood, x, OUTPUTS), -log_p.sum(axis=1), rtol=1e-4)


def test_poisson_is_the_probability_of_counts():
    x = counts_of(4, 3)
    likelihood = Poisson()
    likelihood.build((None, 3))
    likelihood.adapt(x)
    rate = np.exp(OUTPUTS) * x.mean(axis=0)
    np.testing.assert_allclose(likelihood.mean(OUTPUTS), rate, rtol=1e-5)
    expected = rate - x * np.log(rate) + np.vectorize(math.lgamma)(x + 1)
    np.testing.assert_allclose(nats_of(likelihood, x, OUTPUTS), expected.sum(axis=1), rtol=1e-4)


def test_negative_binomial_sums_to_one_and_has_the_mean_and_variance_that_it_says():
    k = np.arange(2000, dtype="float32")[:, None]
    likelihood = NegativeBinomial(standardise=False)
    likelihood.build((None, 1))
    likelihood.log_dispersion.assign([np.log(2.5)])
    p = np.exp(-nats_of(likelihood, k, np.full(k.shape, np.log(7), "float32")).astype("float64"))
    assert p.sum() == pytest.approx(1, abs=1e-4)
    mean = np.sum(p * k[:, 0])
    assert mean == pytest.approx(7, rel=1e-3)
    assert np.sum(p * (k[:, 0] - mean) ** 2) == pytest.approx(7 + 49 / 2.5, rel=1e-3)


def test_categorical_is_the_cross_entropy():
    x = categories_of(4, 3)
    p = np.exp(OUTPUTS) / np.exp(OUTPUTS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Categorical().mean(OUTPUTS), p, rtol=1e-5)
    expected = -np.log(p[x == 1])
    np.testing.assert_allclose(nats_of(Categorical(), x, OUTPUTS), expected, rtol=1e-4)


def test_columns_add_up():
    x, likelihood = mixed()
    outputs = np.random.default_rng(2).standard_normal(x.shape).astype("float32")
    likelihood.build((None, 6))
    likelihood.adapt(x)
    for part in likelihood.parts:
        assert part.is_adapted
    ends = (slice(0, 2), slice(2, 5), slice(5, 6))
    parts = [nats_of(part, x[:, s], outputs[:, s]) for part, s in zip(likelihood.parts, ends)]
    np.testing.assert_allclose(nats_of(likelihood, x, outputs), sum(parts), rtol=1e-5)
    mean = ops.convert_to_numpy(likelihood.mean(ops.convert_to_tensor(outputs)))
    for part, s in zip(likelihood.parts, ends):
        one = ops.convert_to_numpy(part.mean(ops.convert_to_tensor(outputs[:, s])))
        np.testing.assert_allclose(mean[:, s], one, rtol=1e-5)


@pytest.mark.parametrize(
    "likelihood, x",
    [
        (Normal, rows_of(6, 3)),
        (StudentT, rows_of(6, 3)),
        (Poisson, counts_of(6, 3)),
        (NegativeBinomial, counts_of(6, 3)),
    ],
)
def test_missing_values_count_nothing(likelihood, x):
    whole = likelihood(missing=True)
    whole.build((None, 3))
    whole.adapt(x)
    outputs = np.random.default_rng(1).standard_normal(x.shape).astype("float32")
    holes = x.copy()
    holes[1, 0] = holes[2, :] = np.nan
    alone = likelihood(missing=True)
    alone.build((None, 2))
    alone.adapt(x[:, 1:])
    found = nats_of(whole, holes, outputs)
    np.testing.assert_allclose(found[0], nats_of(whole, x, outputs)[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], nats_of(alone, x[:, 1:], outputs[:, 1:])[1], rtol=1e-5)
    assert found[2] == 0
    seen = ops.convert_to_numpy(whole.inputs(ops.convert_to_tensor(holes)))
    assert np.isfinite(seen).all() and seen[1, 0] == 0 and (seen[2] == 0).all()


def test_standardise_skips_missing_values_and_constants():
    x = rows_of(50, 3, 4)
    x[:7, 0, 0] = np.nan
    x[..., 2] = 5.0
    x[..., 3] = np.nan
    layer = Standardise()
    layer.build((None, 3, 4))
    layer.adapt(x)
    z = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(np.nanmean(z[..., :2], axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(z[..., :2], axis=(0, 1)), 1, rtol=1e-4)
    assert (z[..., 2] == 0).all() and np.isnan(z[..., 3]).all()
    back = ops.convert_to_numpy(layer.invert(ops.convert_to_tensor(z)))
    np.testing.assert_allclose(back, x, rtol=1e-5)


# Probabilistic PCA: what a linear VAE can reach at best


def test_a_linear_vae_is_probabilistic_pca():
    """Tipping & Bishop 1999: the best likelihood, variance and subspace, from eigenvalues."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(2, 5)) * [[2.0], [1.2]]
    x = (rng.normal(size=(400, 2)) @ axes + 0.6 * rng.normal(size=(400, 5)) + 7).astype("float32")
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    variance = values[:3].mean()
    best = (5 * np.log(2 * np.pi) + np.log(values[3:]).sum() + 3 * np.log(variance) + 5) / 2

    rate = keras.optimizers.schedules.CosineDecay(0.05, 1200)
    likelihood = Normal(per_channel=False, standardise=False)
    model = model_of(likelihood, (5,), keras.optimizers.Adam(rate), hidden=())
    model.fit(np.tile(x, (24, 1)), batch_size=400, epochs=50, shuffle=False, verbose=0)
    reached = model.evaluate(x, batch_size=400, verbose=0, return_dict=True)
    assert best - 0.02 < reached["loss"] < best + 0.08
    assert float(likelihood.variance) == pytest.approx(variance, rel=0.1)
    assert best - 0.01 < -model.log_likelihood(x, k=200, batch_size=2000).mean() < best + 0.06
    kernel = model.decode(np.eye(2)) - model.decode(np.zeros((1, 2)))
    span = np.linalg.qr(kernel.T)[0]
    cosines = np.linalg.svd(span.T @ vectors[:, 3:])[1]
    assert cosines.min() > 0.995


# Models


@pytest.mark.parametrize("shape", SHAPES)
def test_data_of_any_shape(shape):
    x = rows_of(20, *shape)
    model = model_of("normal", shape, keras.optimizers.Adam(1e-2))
    losses = model.fit(x, batch_size=8, epochs=8, verbose=0, validation_split=0.2).history
    assert losses["loss"][-1] < losses["loss"][0]
    assert model.data_shape == shape
    z_mean, z_log_var = model.encode(x)
    assert z_mean.shape == z_log_var.shape == (20, 2)
    reconstructions = model.reconstruct(x)
    assert reconstructions.shape == x.shape
    assert 90 < reconstructions.mean() < 110  # in the units of the data
    assert model.sample(3, seed=0).shape == (3, *shape)
    assert model.log_likelihood(x[:3], k=5).shape == (3,)
    assert model.predict(x, verbose=0)["reconstruction"].shape == x.shape


@pytest.mark.parametrize("shape", [(37, 2), (7, 9, 5, 2)])
@pytest.mark.parametrize("straight", [False, True])
def test_convolutions_of_signals_and_volumes(shape, straight):
    parts = keras_vae.build_conv(shape, 3, filters=(6, 8), straight=straight)
    model = keras_vae.VAE(*parts, "normal", seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    x = rows_of(20, *shape)
    losses = model.fit(x, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.reconstruct(x).shape == x.shape
    places = [*np.ndindex(*shape[:-1])]
    changed = np.zeros((1 + len(places), *shape), "float32")
    for row, place in zip(changed[1:], places):
        row[place] = 1
    codes = ops.convert_to_numpy(model.encoder(changed)[0])
    assert (np.abs(codes[1:] - codes[0]).max(axis=1) > 0).all()  # every value is read


def test_a_table_of_mixed_columns_is_learned_saved_and_continued(tmp_path):
    x, likelihood = mixed()
    model = model_of(likelihood, (6,), keras.optimizers.Adam(1e-2))
    losses = model.fit(x, epochs=5, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.likelihood.is_adapted and loaded.likelihood.widths == [2, 3, 1]
    np.testing.assert_allclose(loaded.reconstruct(x), model.reconstruct(x), rtol=1e-6)
    settings = {"epochs": 2, "verbose": 0, "shuffle": False}
    expected, found = (m.fit(x, **settings).history["loss"] for m in (model, loaded))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["normal", "student_t", "poisson", "negative_binomial"])
def test_missing_values_are_trained_on(name):
    x = (counts_of if name in ("poisson", "negative_binomial") else rows_of)(60, 4)
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    x[:, 3] = np.nan  # a column of which nothing is known
    model = model_of(likelihoods.BY_NAME[name](missing=True), (4,), keras.optimizers.Adam(1e-2))
    losses = model.fit(x, epochs=5, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert np.isfinite(model.reconstruct(x)).all()
    assert np.isfinite(model.log_likelihood(x, k=5)).all()
    for weight in model.get_weights():
        assert np.isfinite(weight).all()


def test_the_variance_of_each_channel_is_the_mean_error_of_its_known_values():
    x = rows_of(40, 3)
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    likelihood = Normal(missing=True)
    model = model_of(likelihood, (3,), keras.optimizers.SGD(0.0))
    weights = np.linspace(0, 2, 40).astype("float32")
    likelihood.adapt(x)
    eps = model.noise_of_steps(1, 40, True)["eps"][0]
    outputs = ops.convert_to_numpy(model(x, eps=eps, raw=True)["outputs"])
    model.train_on_batch(x, np.zeros(40), sample_weight=weights)
    errors = np.square((x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0) - outputs)
    known = weights[:, None] * ~np.isnan(x)
    expected = np.nansum(known * errors, axis=0) / known.sum(axis=0)
    np.testing.assert_allclose(ops.convert_to_numpy(likelihood.variance), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["normal", "student_t", "columns"])
def test_a_loss_depends_on_no_batch_size_and_all_loops_agree(tmp_path, name):
    x, columns = mixed()
    likelihood = columns if name == "columns" else name
    model = model_of(likelihood, (6,))
    model.fit(x, batch_size=20, shuffle=False, verbose=0)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return (x[20 * i : 20 * i + 20],)

    other = model_of(mixed()[1] if name == "columns" else name, (6,))
    with pytest.raises(ValueError, match=r"`model.likelihood.adapt` with an array"):
        other.fit(Batches(), verbose=0)
    other.likelihood.adapt(x)
    other.fit(Batches(), shuffle=False, verbose=0)
    expected = model.evaluate(x, verbose=0)
    for found in (
        model.evaluate(x, batch_size=1, verbose=0),
        model.evaluate(x, batch_size=60, verbose=0),
        model.evaluate(Batches(), verbose=0),
        other.evaluate(x, verbose=0),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_first_fit_adapts_to_the_training_data_alone():
    x = rows_of(40, 3)
    x[30:] += 1000
    model = model_of("normal", (3,))
    model.fit(x, validation_split=0.25, verbose=0)
    mean = ops.convert_to_numpy(model.likelihood.scaling.mean)
    np.testing.assert_allclose(mean, x[:30].mean(axis=0), rtol=1e-5)
    model.fit(x, verbose=0)
    np.testing.assert_array_equal(ops.convert_to_numpy(model.likelihood.scaling.mean), mean)


@pytest.mark.parametrize(
    "arguments",
    [
        {"prior": "mixture"},
        {"prior": keras_vae.priors.VampPrior(rows_of(5, 4), pixels=False)},
        {"bound": keras_vae.bounds.ImportanceWeighted(3, encoder_groups=3)},
        {"penalty": keras_vae.penalties.TotalCorrelation(2.0)},
        {"free_bits": 0.1, "kl_warmup_steps": 3},
        {"augmentation": keras.layers.GaussianNoise(0.1, dtype="float32")},
    ],
    ids=["prior", "pseudo-inputs", "bound", "penalty", "free bits", "augmentation"],
)
def test_pieces_go_with_real_values(arguments):
    x = rows_of(30, 4)
    model = model_of("normal", (4,), keras.optimizers.Adam(1e-2), **arguments)
    losses = model.fit(x, epochs=4, batch_size=10, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert 80 < model.sample(8, seed=0).mean() < 120
    assert np.isfinite(model.log_likelihood(x, k=4)).all()


def test_rows_have_a_condition():
    x = rows_of(60, 4)
    y = np.arange(60) % 3
    x += 50 * y[:, None]
    condition = keras_vae.Condition(range(3))
    parts = keras_vae.build_mlp((4,), 2, (16,), condition=condition.size)
    model = keras_vae.VAE(*parts, "normal", seed=0, condition=condition)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, y, epochs=60, batch_size=30, verbose=0)
    means = [model.sample(50, seed=0, condition=c).mean() for c in range(3)]
    assert means[1] - means[0] > 25 and means[2] - means[1] > 25


def test_networks_of_ones_own_with_an_lstm():
    """Signals of several lengths, padded with NaN: the network masks what the likelihood omits."""
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(12) * 0.5 + rng.uniform(0, 6, (40, 1)))[..., None].astype("float32")
    for row, length in zip(x, rng.integers(6, 13, 40)):
        row[length:] = np.nan
    signal = keras.Input((12, 1))
    hidden = keras.layers.LSTM(8)(keras.layers.Masking(0.0)(signal))
    encoder = keras.Model(signal, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
    z = keras.Input((2,))
    hidden = keras.layers.LSTM(8, return_sequences=True)(keras.layers.RepeatVector(12)(z))
    decoder = keras.Model(z, keras.layers.Dense(1)(hidden))
    model = keras_vae.VAE(encoder, decoder, Normal(missing=True), seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(x, batch_size=20, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and model.reconstruct(x).shape == x.shape


def test_a_plain_autoencoder_of_rows():
    x = rows_of(60, 4)
    parts = keras_vae.build_mlp((4,), 4, (16,), variational=False)
    model = keras_vae.AutoEncoder(*parts, "normal")
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, epochs=60, verbose=0)
    assert np.mean((model.reconstruct(x) - x) ** 2) < 0.5 * x.var()


def test_half_precision():
    x = rows_of(60, 6)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of("normal", (6,), keras.optimizers.Adam(1e-2))
    finally:
        keras.config.set_dtype_policy("float32")
    losses = model.fit(x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and 90 < model.reconstruct(x).mean() < 110


# Mistakes


@pytest.mark.once
@pytest.mark.parametrize(
    "likelihood, x, message",
    [
        ("normal", rows_of(9, 4), r"must have the shape \(n, 5\). Received: shape=\(9, 4\)"),
        ("normal", rows_of(5), r"shape=\(5,\). A single item needs a batch axis: `x\[None\]`"),
        ("normal", np.full((9, 5), "a"), "must be numbers. Received: dtype=<U1"),
        ("normal", np.full((9, 5), np.nan), "must be finite numbers. Received: 45 of 45 are NaN"),
        ("normal", np.full((9, 5), np.inf), "must be finite numbers. Received: values from inf"),
        (Normal(missing=True), np.full((9, 5), np.inf), "or NaN where a value is missing. Rec"),
        ("normal", np.ma.masked_array(rows_of(9, 5)), r"`x.filled\(np.nan\)` marks missing values"),
        ("poisson", rows_of(9, 5), "must be whole numbers of at least 0. Received: a value of"),
        ("poisson", -counts_of(9, 5) - 1, "must be whole numbers of at least 0"),
        ("categorical", counts_of(9, 5), "zeros, and a one for the category. Received: rows that"),
        (
            Columns([("normal", 2), ("poisson", 3)]),
            rows_of(9, 5),
            "Columns 2 to 4 of argument `x` must be whole numbers",
        ),
        ("mse", rows_of(9, 5), r"must be uint8 in 0..255 or float in \[0, 1\]"),
    ],
)
def test_data_that_do_not_fit_are_refused(likelihood, x, message):
    model = model_of(likelihood, (5,))
    with pytest.raises(ValueError, match=message):
        model.fit(x, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.encode(x)


@pytest.mark.once
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Normal(missing=1), "Argument `missing` must be True or False"),
        (lambda: Normal(standardise="no"), "Argument `standardise` must be True or False"),
        (lambda: Normal(per_channel=None), "Argument `per_channel` must be True or False"),
        (lambda: Poisson(missing=0), "Argument `missing` must be True or False"),
        (lambda: Categorical(missing=None), "Argument `missing` must be True or False"),
        (lambda: Columns([]), "Argument `groups` must be pairs"),
        (lambda: Columns("normal"), "Argument `groups` must be pairs"),
        (lambda: Columns(["normal"]), "Argument `groups` must be pairs"),
        (lambda: Columns([("normal", 0)]), "Argument `width` must be a positive integer"),
        (lambda: Columns([("mse", 1)]), "must have likelihoods of numbers. Received: MSE"),
        (lambda: Columns([("other", 1)]), "Argument `likelihood` must be one of"),
        (
            lambda: model_of(Columns([("normal", 2)]), (5,)),
            r"The groups of `Columns` have 2 columns together, \[2\]. Received: data of 5",
        ),
        (
            lambda: model_of("normal", (5,), prior=keras_vae.priors.VampPrior(np.ones((2, 5)))),
            r"`VampPrior\(pixels=True\)` for Normal",
        ),
        (lambda: keras_vae.priors.VampPrior(rows_of(2, 5), pixels=0), "`pixels` must be True or"),
        (lambda: keras_vae.build_conv((5,), 2), "must have one to three sides and the channels"),
        (lambda: keras_vae.build_patches((5, 2), 2), "Argument `data_shape` must be 3 positive"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_batches_of_data_sets_are_checked():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("about TensorFlow's data sets in TensorFlow")
    x = rows_of(40, 3)
    model = model_of("normal", (3,))
    model.likelihood.adapt(x)
    model.fit(tf.data.Dataset.from_tensor_slices(x).batch(10), verbose=0)
    x[33, 1] = np.inf
    with pytest.raises(ValueError, match=r"must be finite numbers. Received: values from"):
        model.fit(tf.data.Dataset.from_tensor_slices(x).batch(10), verbose=0)


def test_rows_on_disk(tmp_path):
    x = rows_of(40, 3)
    np.save(tmp_path / "rows.npy", x)
    model = model_of("normal", (3,))
    rows = Rows(tmp_path / "rows.npy", np.arange(40))
    model.likelihood.adapt(x)
    model.fit(rows, shuffle=False, verbose=0)
    other = model_of("normal", (3,))
    other.fit(x, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.evaluate(rows, verbose=0), other.evaluate(x, verbose=0), 1e-5)
