"""What training maximises: values and gradients of the importance-weighted bounds."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import bounds, likelihoods, priors
from keras_vae.datasets.stream import Rows
from keras_vae.models.bounds import ELBO, ImportanceWeighted

DRAWS = 6


def weights_of(part):
    return [ops.convert_to_numpy(weight).astype("float64") for weight in part.trainable_weights]


def wide(model):
    """Widens the posterior of a model, so that its draws have very different weights."""
    model.encoder.get_layer("z_log_var").bias.assign(np.full(model.latent_dim, -0.5))
    return model


def numbers(y):
    return {name: ops.convert_to_numpy(y[name]) for name in ("z", "z_mean", "z_log_var", "outputs")}


def seen(model, images, training=False):
    """What the model gives for images, with the noise of `evaluate` or of the next step."""
    model.reset_metrics()  # which count the images that an evaluation has seen
    eps = model.noise_of_steps(1, len(images), training)["eps"][0]
    return numbers(model(images, eps=eps, raw=True))


def log_normal(z, mean=0.0, log_var=0.0):
    return -0.5 * np.sum((z - mean) ** 2 / np.exp(log_var) + log_var + np.log(2 * np.pi), axis=-1)


def log_weights(y, images, beta=1.0, variance=None):
    """Returns log w_i and the nats of log p(x|z_i), ``(n, draws)``, in float64.

    Of the likelihood MSE, or of a Gaussian with this variance.
    """
    y = {name: part.astype("float64") for name, part in y.items()}
    n, draws, _ = y["z"].shape
    pixels = 1 / (1 + np.exp(-y["outputs"].reshape(n, draws, *images.shape[1:])))
    nats = np.sum((images[:, None] / 255 - pixels) ** 2, axis=(2, 3, 4))
    if variance is not None:
        nats = nats / (2 * variance) + images[0].size / 2 * np.log(2 * np.pi * variance)
    kl = log_normal(y["z"], y["z_mean"][:, None], y["z_log_var"][:, None]) - log_normal(y["z"])
    return -nats - beta * kl, nats


def value(log_w, groups=1, elbo_share=0.0):
    """Returns the bound of each image, group by group."""
    parts = np.split(log_w, groups, axis=1)
    bound = np.mean([np.log(np.mean(np.exp(part), axis=1)) for part in parts], axis=0)
    return elbo_share * log_w.mean(axis=1) + (1 - elbo_share) * bound


def normalised(log_w):
    return np.exp(log_w) / np.exp(log_w).sum(axis=1, keepdims=True)


SETTINGS = [
    {},
    {"groups": 2},
    {"groups": DRAWS},
    {"elbo_share": 0.3},
    {"groups": 3, "elbo_share": 0.6},
]


# Values


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_value_is_the_formula(settings):
    log_w = np.random.default_rng(0).standard_normal((5, DRAWS)).astype("float32")
    found = ImportanceWeighted(DRAWS, **settings).value(ops.convert_to_tensor(log_w))
    np.testing.assert_allclose(ops.convert_to_numpy(found), value(log_w, **settings), rtol=1e-5)


def test_the_value_of_large_numbers_is_exact():
    log_w = np.float32([[-4000, -4001], [-9000, -10_000], [3000, 3000]])
    found = ops.convert_to_numpy(ImportanceWeighted(2).value(ops.convert_to_tensor(log_w)))
    expected = [-4000 + np.log((1 + np.exp(-1)) / 2), -9000 - np.log(2), 3000]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_the_losses_are_the_bound_and_means_over_the_draws(make_vae, images, settings, beta):
    model = wide(make_vae(beta=beta, bound=ImportanceWeighted(DRAWS, **settings)))
    losses = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    y = seen(model, images)
    assert y["z"].shape == (37, DRAWS, 2) and y["outputs"].shape == (37 * DRAWS, 6, 5, 3)
    log_w, nats = log_weights(y, images, beta)
    kl = -0.5 * (1 + y["z_log_var"] - y["z_mean"] ** 2 - np.exp(y["z_log_var"])).sum(axis=1)
    assert losses["loss"] == pytest.approx(-value(log_w, **settings).mean(), rel=1e-5)
    assert losses["reconstruction_loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert losses["kl_loss"] == pytest.approx(kl.mean(), rel=1e-5)
    assert losses["kl_weight"] == beta
    assert set(losses) == {"loss", "reconstruction_loss", "kl_loss", "kl_weight"}


def test_the_prior_is_in_the_weights(make_vae, images):
    model = wide(make_vae(prior=priors.MixturePrior(3), bound=ImportanceWeighted(DRAWS)))
    losses = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    y = seen(model, images)
    log_p = ops.convert_to_numpy(model.prior.log_prob(ops.convert_to_tensor(y["z"])))
    log_w = log_weights(y, images)[0] - log_normal(y["z"]) + log_p
    assert losses["loss"] == pytest.approx(-value(log_w).mean(), rel=1e-5)
    log_q = log_normal(y["z"], y["z_mean"][:, None], y["z_log_var"][:, None])
    assert losses["kl_loss"] == pytest.approx((log_q - log_p).mean(), rel=1e-4)


def test_more_draws_in_a_group_are_a_tighter_bound(make_vae, images):
    """For the same draws the loss falls for each image, by Jensen's inequality."""
    model, losses = wide(make_vae()), []
    elbo = model.evaluate(images, batch_size=37, verbose=0)[0]
    for bound in (
        ImportanceWeighted(24, groups=24),
        ImportanceWeighted(24, groups=6),
        ImportanceWeighted(24, elbo_share=0.2),
        ImportanceWeighted(24),
    ):
        model.bound = bound
        losses.append(model.evaluate(images, batch_size=37, verbose=0)[0])
    assert losses[0] > losses[1] + 0.1 and losses[1] > losses[3] + 0.1
    assert losses[2] == pytest.approx(0.2 * losses[0] + 0.8 * losses[3], rel=1e-5)
    log_w, _ = log_weights(seen(model, images), images)
    error = np.sqrt(np.mean(np.var(log_w, axis=1)) / 37)
    assert abs(losses[0] - elbo) < 4 * error  # one draw for each image, and many
    exact = -np.mean(model.log_likelihood(images, 500, 5000)) - 45 * np.log(np.pi)
    assert exact < losses[3] < elbo


def test_the_first_draw_is_that_of_the_elbo(make_vae, images):
    one, other = make_vae(), make_vae(bound=ImportanceWeighted(DRAWS))
    for training in (True, False):
        first = ops.convert_to_numpy(one.noise_of_steps(2, 9, training)["eps"])
        all_draws = ops.convert_to_numpy(other.noise_of_steps(2, 9, training)["eps"])
        assert all_draws.shape == (2, 9, DRAWS, 2)
        np.testing.assert_array_equal(all_draws[:, :, 0], first)
        assert len(np.unique(all_draws)) > 0.99 * all_draws.size


def test_evaluating_gives_the_same_in_every_call_and_batch_size(make_vae, images):
    model = wide(make_vae(bound=ImportanceWeighted(DRAWS, encoder_groups=2)))
    settings = {"validation_data": (images,), "epochs": 2, "verbose": 0}
    history = model.fit(images, validation_batch_size=5, **settings).history
    expected = model.evaluate(images, verbose=0)
    assert expected == model.evaluate(images, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(expected[0], rel=1e-5)
    for batch_size in (1, 5, 37):
        found = model.evaluate(images, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_images_have_weights(make_vae, images):
    model = wide(make_vae(bound=ImportanceWeighted(DRAWS)))
    weights = np.repeat([2.0, 0.0], [20, 17]).astype("float32")
    y = np.zeros(37)
    weighted = model.evaluate(images, y, sample_weight=weights, batch_size=37, verbose=0)
    alone = model.evaluate(images[:20], batch_size=37, verbose=0)
    np.testing.assert_allclose(weighted[:3], np.array(alone[:3]) * 2 * 20 / 37, rtol=1e-5)


# Gradients


def gradients(make_vae, images, bound, sample_weight=None, **arguments):
    """Returns what a step of plain SGD changes: the gradients of encoder, decoder and prior."""
    model = wide(make_vae(optimizer=keras.optimizers.SGD(1.0), bound=bound, **arguments))
    parts = model.encoder, model.decoder, model.prior
    before = [weights_of(part) for part in parts]
    given = {} if sample_weight is None else {"y": np.zeros(37), "sample_weight": sample_weight}
    losses = model.train_on_batch(images, return_dict=True, **given)
    assert np.isfinite(list(losses.values())).all()
    return losses, [
        np.concatenate([(b - a).ravel() for b, a in zip(old, weights_of(part))] or [np.zeros(0)])
        for old, part in zip(before, parts)
    ]


def assert_same(one, other):
    scale = np.abs(other).max(initial=0)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * max(scale, 1e-6))


def differ(one, other):
    return np.linalg.norm(one - other) > 0.02 * np.linalg.norm(other)


def linear_vae(bound, **arguments):
    """p(x|z) = N(z w, 1/2 I) of two pixels, up to a constant, with the exact posterior."""

    class Linear(likelihoods.MSE):
        def mean(self, outputs):
            return outputs

    keras.utils.set_random_seed(0)
    w = np.array([[0.8, -0.6]])
    x, z = keras.Input((1, 2, 1)), keras.Input((1,))
    mean, log_var = (keras.layers.Dense(1, name=name) for name in ("mean", "log_var"))
    flat = keras.layers.Flatten()(x)
    layer = keras.layers.Dense(2)
    decoder = keras.Model(z, keras.layers.Reshape((1, 2, 1))(layer(z)))
    model = keras_vae.VAE(
        keras.Model(x, [mean(flat), log_var(flat)]), decoder, Linear(), bound=bound, **arguments
    )
    variance = 1 / (1 + np.sum(w**2) / 0.5)
    mean.set_weights([w.T / 0.5 * variance, np.zeros(1)])
    log_var.set_weights([np.zeros((2, 1)), np.full(1, np.log(variance))])
    layer.set_weights([w, np.zeros(2)])
    model.compile(keras.optimizers.SGD(1.0))
    return model


def disturbed(model):
    """Makes the posterior of the linear model somewhat wrong."""
    for name, by in (("mean", [0.4, -0.3]), ("log_var", [0.5, 0.2])):
        kernel, bias = model.encoder.get_layer(name).weights
        kernel.assign(ops.convert_to_numpy(kernel) + np.array(by)[:, None])
        bias.assign(ops.convert_to_numpy(bias) + 0.2)
    return model


PIXELS = np.random.default_rng(2).random((7, 1, 2, 1)).astype("float32")


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_is_that_of_the_loss(settings):
    """For each weight of encoder, decoder and prior, by differences of losses."""
    bound = ImportanceWeighted(DRAWS, **settings)
    model = disturbed(linear_vae(bound, seed=0, beta=1.5, prior=priors.MixturePrior(2)))
    start, step = weights_of(model), 0.01
    model.train_on_batch(PIXELS)
    found = [a - b for a, b in zip(start, weights_of(model))]
    model.compile(keras.optimizers.SGD(0.0))
    for weight, w in zip(model.trainable_weights, start):
        weight.assign(w)
    assert sum(w.size for w in start) == 6 + 4 + 6
    for weight, w, gradient in zip(model.trainable_weights, start, found):
        for place in np.ndindex(w.shape):
            ends = []
            for way in (step, -step):
                moved = w.copy()
                moved[place] += way
                weight.assign(moved)
                model.steps.assign(0)  # the same noise
                model.reset_metrics()
                ends.append(model.train_on_batch(PIXELS)[0])
            difference = (ends[0] - ends[1]) / (2 * step)
            assert difference == pytest.approx(gradient[place], rel=1e-2, abs=1e-3)
        weight.assign(w)
    assert np.abs(np.concatenate([part.ravel() for part in found])).min() > 1e-3


@pytest.mark.parametrize(
    "elbo_share, arguments",
    [
        (0.0, {}),
        (0.4, {"beta": 2.0}),
        (0.0, {"beta": 0.3, "prior": "mixture"}),
        (0.0, {"likelihood": "gaussian", "prior": "flow"}),
        (0.0, {"sample_weight": np.linspace(0, 2, 37).astype("float32")}),
    ],
    ids=["plain", "beta", "mixture", "flow", "weights"],
)
def test_encoder_and_decoder_have_groups_of_their_own(make_vae, images, elbo_share, arguments):
    """PIWAE: the decoder has the gradient of one bound, the encoder that of another."""
    both = ImportanceWeighted(DRAWS, encoder_groups=3, elbo_share=elbo_share)
    losses, found = gradients(make_vae, images, both, **arguments)
    bound = ImportanceWeighted(DRAWS, elbo_share=elbo_share)
    of_decoder, plain = gradients(make_vae, images, bound, **arguments)
    bound = ImportanceWeighted(DRAWS, groups=3, elbo_share=elbo_share)
    _, grouped = gradients(make_vae, images, bound, **arguments)
    assert_same(found[0], grouped[0])
    assert_same(found[1], plain[1])
    assert_same(found[2], plain[2])
    assert differ(plain[0], grouped[0]) and differ(plain[1], grouped[1])
    assert losses == pytest.approx(of_decoder, rel=1e-5)  # it is the decoder's bound that is logged


def test_the_decoder_may_have_more_groups_than_the_encoder(make_vae, images):
    both = ImportanceWeighted(DRAWS, groups=DRAWS, encoder_groups=1)
    _, found = gradients(make_vae, images, both)
    assert_same(found[0], gradients(make_vae, images, ImportanceWeighted(DRAWS))[1][0])
    elbo = ImportanceWeighted(DRAWS, groups=DRAWS)
    assert_same(found[1], gradients(make_vae, images, elbo)[1][1])


def test_the_same_groups_are_the_plain_gradient(make_vae, images):
    _, found = gradients(make_vae, images, ImportanceWeighted(DRAWS, 2, encoder_groups=2))
    _, plain = gradients(make_vae, images, ImportanceWeighted(DRAWS, groups=2))
    for one, other in zip(found, plain):
        assert_same(one, other)


def test_draws_without_weight_in_all_still_count_in_their_group(make_vae, images):
    """Weights of the draws that differ by hundreds of nats, as those of large images do."""
    arguments = {"likelihood": Sharp()}
    log_w, _ = log_weights(seen(wide(make_vae(bound=ImportanceWeighted(DRAWS))), images), images)
    assert np.median(np.ptp(Sharp.FACTOR * log_w, axis=1)) > 200
    both = ImportanceWeighted(DRAWS, encoder_groups=3)
    _, found = gradients(make_vae, images, both, **arguments)
    _, plain = gradients(make_vae, images, ImportanceWeighted(DRAWS), **arguments)
    _, grouped = gradients(make_vae, images, ImportanceWeighted(DRAWS, groups=3), **arguments)
    assert_same(found[1], plain[1])
    assert_same(found[0], grouped[0])


class Sharp(likelihoods.MSE):
    """With errors that cost a hundred times as much."""

    FACTOR = 100.0

    def nats(self, x, outputs):
        return self.FACTOR * super().nats(x, outputs)


class Sums(keras.optimizers.Optimizer):
    """Changes no weight; adds up the gradients, and their squares."""

    def __init__(self):
        super().__init__(learning_rate=0.0)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.sums, self.squares = (
            [self.add_variable_from_reference(variable, name) for variable in variables]
            for name in ("sum", "square")
        )

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        self.assign_add(self.sums[i], gradient)
        self.assign_add(self.squares[i], ops.square(gradient))


STEPS = 80


def mean_gradients(model, images):
    """Returns mean and variance of the encoder's gradients over the noise of many steps."""
    optimizer = Sums()
    model.compile(optimizer)
    model.fit(images, batch_size=len(images), epochs=STEPS, shuffle=False, verbose=0)
    assert int(optimizer.iterations) == STEPS
    own = [optimizer._get_variable_index(weight) for weight in model.encoder.trainable_weights]
    sums, squares = (
        np.concatenate([ops.convert_to_numpy(kept[i]).ravel() for i in own]).astype("float64")
        for kept in (optimizer.sums, optimizer.squares)
    )
    mean = sums / STEPS
    return mean, squares / STEPS - mean**2


def scores(one, other):
    """Returns the differences of two mean gradients in standard errors, where there is noise."""
    (mean, variance), (found, less) = one, other
    some = variance > 1e-3 * variance.max()
    return (found - mean)[some] / np.sqrt((variance + less)[some] / STEPS)


DOUBLY = [
    {},
    {"beta": 2.5},
    {"beta": 0.3},
    {"groups": 2},
    {"groups": DRAWS, "beta": 0.5},  # "sticking the landing"
    {"elbo_share": 0.4, "beta": 1.5},
    {"groups": 3, "encoder_groups": 1},
]


def two_bounds(settings):
    """Returns beta, a bound, and the same one with the other gradient."""
    settings = dict(settings)
    beta = settings.pop("beta", 1.0)
    parts = [ImportanceWeighted(DRAWS, **settings, doubly_reparameterised=d) for d in (False, True)]
    return beta, *parts


@pytest.mark.parametrize("settings", DOUBLY)
def test_the_doubly_reparameterised_gradient_is_the_plain_one_on_average(settings):
    """Of a model with few weights, whose posterior is somewhat wrong, for many draws."""
    beta, *parts = two_bounds(settings)
    found = []
    for bound in parts:
        model = disturbed(linear_vae(bound, seed=0, beta=beta))
        found.append(mean_gradients(model, np.repeat(PIXELS, 100, axis=0)))
    assert np.abs(scores(*found)).max() < 4.5
    (mean, variance), (_, less) = found
    assert np.abs(mean).max() > 20 * np.sqrt((variance + less).max() / STEPS)
    if beta == 1:
        assert less.sum() < 0.5 * variance.sum()


@pytest.mark.parametrize("settings", DOUBLY[:2])
def test_the_doubly_reparameterised_gradient_of_a_network(make_vae, images, settings):
    beta, *parts = two_bounds(settings)
    # The decoder's is the same for the same noise, and the encoder's is another.
    one, two = (gradients(make_vae, images, bound, beta=beta, prior="mixture") for bound in parts)
    assert_same(two[1][1], one[1][1])
    assert_same(two[1][2], one[1][2])
    assert differ(two[1][0], one[1][0])
    assert two[0] == pytest.approx(one[0], rel=1e-5)
    found = [
        mean_gradients(wide(make_vae(bound=bound, beta=beta)), np.repeat(images[:3], 50, axis=0))
        for bound in parts
    ]
    # Weights have gradients that depend on each other, so not all squares are near 1.
    assert np.mean(scores(*found) ** 2) < 2.5 and np.abs(scores(*found)).max() < 6


@pytest.mark.parametrize("settings", [{}, {"groups": 3}, {"groups": DRAWS}, {"elbo_share": 0.5}])
def test_at_the_exact_posterior_the_gradient_has_no_noise(settings):
    sizes = []
    for doubly in (True, False):
        bound = ImportanceWeighted(DRAWS, **settings, doubly_reparameterised=doubly)
        model = linear_vae(bound, seed=0)
        before = weights_of(model.encoder)
        loss = model.train_on_batch(PIXELS)[0]
        changes = [a - b for a, b in zip(before, weights_of(model.encoder))]
        sizes.append(max(np.abs(change).max() for change in changes))
    assert sizes[0] < 1e-5 and sizes[1] > 1e-2
    # All weights are p(x), without half of its constant for two pixels.
    covariance = np.outer([0.8, -0.6], [0.8, -0.6]) + 0.5 * np.eye(2)
    flat = PIXELS.reshape(7, 2).astype("float64")
    squares = np.sum(flat @ np.linalg.inv(covariance) * flat, axis=1)
    log_p = -0.5 * (squares + np.log(np.linalg.det(2 * np.pi * covariance)))
    assert loss == pytest.approx(-np.mean(log_p) - np.log(np.pi), rel=1e-5)


def test_it_learns(make_vae):
    code = np.random.default_rng(0).random((64, 1, 1, 1))
    images = (255 * np.broadcast_to(code, (64, 6, 5, 3))).astype("uint8")
    bound = ImportanceWeighted(DRAWS, encoder_groups=2, doubly_reparameterised=True)
    model = make_vae(bound=bound, optimizer=keras.optimizers.Adam(1e-2))
    losses = model.fit(images, batch_size=64, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert np.mean((model.reconstruct(images) - images / 255) ** 2) < 0.3 * np.var(images / 255)


# In training


def test_the_variance_is_the_mean_error_by_the_weights_of_draws_and_images(make_vae, images):
    for weights in (None, np.linspace(0, 2, 37).astype("float32")):
        for settings in ({}, {"groups": 2}, {"elbo_share": 0.5}):
            bound = ImportanceWeighted(DRAWS, **settings)
            gaussian = likelihoods.Gaussian(0.02)
            model = make_vae(likelihood=gaussian, optimizer=keras.optimizers.SGD(0.0), bound=bound)
            log_w, nats = log_weights(seen(wide(model), images, True), images, variance=0.02)
            errors = (nats - 45 * np.log(2 * np.pi * 0.02)) * 2 * 0.02 / 90
            groups = settings.get("groups", 1)
            parts = [normalised(part) / groups for part in np.split(log_w, groups, axis=1)]
            shares = np.concatenate(parts, axis=1)
            shares = shares if "elbo_share" not in settings else 0.5 * shares + 0.5 / DRAWS
            given = {} if weights is None else {"y": np.zeros(37), "sample_weight": weights}
            losses = model.train_on_batch(images, return_dict=True, **given)
            each = np.sum(shares * errors, axis=1)
            expected = np.average(each, weights=weights)
            assert expected < 0.99 * np.average(errors.mean(axis=1), weights=weights)
            assert float(gaussian.variance) == pytest.approx(expected, rel=1e-4)
            mean = np.mean(value(log_w, **settings) * (1 if weights is None else weights))
            assert losses["loss"] == pytest.approx(-mean, rel=1e-5)


def test_the_kl_warms_up(make_vae, images):
    model = wide(make_vae(beta=2, kl_warmup_steps=2, bound=ImportanceWeighted(DRAWS)))
    model.compile(keras.optimizers.SGD(0.0))
    for weight in (0.0, 1.0, 2.0, 2.0):
        log_w, _ = log_weights(seen(model, images, True), images, beta=weight)
        losses = model.train_on_batch(images, return_dict=True)
        assert losses["kl_weight"] == weight
        assert losses["loss"] == pytest.approx(-value(log_w).mean(), rel=1e-5)
        tested = model.evaluate(images, verbose=0, return_dict=True)
        assert tested["kl_weight"] == 2


@pytest.mark.parametrize("settings", [{}, {"encoder_groups": 2}, {"doubly_reparameterised": True}])
def test_arrays_images_on_disk_and_data_sets_are_trained_on_alike(
    make_vae, images, tmp_path, settings
):
    class Batches(keras.utils.PyDataset):  # which our loop leaves to Keras's
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return (images[10 * i : 10 * i + 10],)

    np.save(tmp_path / "images.npy", images[:30])
    rows = Rows(tmp_path / "images.npy", np.arange(30))
    results = []
    for x in (images[:30], rows, Batches()):
        bound = ImportanceWeighted(DRAWS, **settings)
        model = wide(make_vae(bound=bound, optimizer=keras.optimizers.SGD(1e-2)))
        size = {} if isinstance(x, Batches) else {"batch_size": 10}
        history = model.fit(x, epochs=3, shuffle=False, verbose=0, **size).history
        results.append((history["loss"], weights_of(model)))
    for losses, weights in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-4)
        for one, other in zip(weights, results[0][1]):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"encoder_groups": 3}, {"doubly_reparameterised": True}])
def test_half_precision_has_about_the_same_gradients(images, settings):
    """Also in the encoder, to which they come through a network of float16."""
    found = []
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,))
            model = keras_vae.VAE(*parts, seed=0, bound=ImportanceWeighted(DRAWS, **settings))
        finally:
            keras.config.set_dtype_policy("float32")
        optimizer = keras.optimizers.SGD(1.0)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0)
        wide(model).compile(optimizer)
        before = weights_of(model.encoder)
        losses = model.train_on_batch(images, return_dict=True)
        assert np.isfinite(list(losses.values())).all()
        changes = [(a - b).ravel() for a, b in zip(before, weights_of(model.encoder))]
        found.append(np.concatenate(changes))
        model.fit(images, batch_size=37, epochs=2, verbose=0)
    assert np.linalg.norm(found[1] - found[0]) < 0.05 * np.linalg.norm(found[0])


# Changes, files and mistakes


def test_a_bound_may_be_replaced(make_vae, images):
    model = wide(make_vae())
    elbo = model.evaluate(images, batch_size=37, verbose=0)
    model.fit(images, batch_size=37, verbose=0)
    model.bound = ImportanceWeighted(DRAWS)
    made = wide(make_vae(bound=ImportanceWeighted(DRAWS)))
    made.set_weights(model.get_weights())
    settings = {"batch_size": 37, "verbose": 0}
    assert model.evaluate(images, **settings) == made.evaluate(images, **settings)
    assert len(model.fit(images, **settings).history["loss"]) == 1  # needs no new optimizer
    model.bound.groups = 2
    one = model.evaluate(images, **settings)[0]
    model.bound = ImportanceWeighted(DRAWS, groups=2)
    assert model.evaluate(images, **settings)[0] == one
    other = wide(make_vae())
    other.bound = "elbo"
    assert other.evaluate(images, **settings) == elbo


def test_a_saved_model_has_its_bound(make_vae, images, tmp_path):
    settings = {
        "draws": 6,
        "groups": 2,
        "encoder_groups": 3,
        "elbo_share": 0.25,
        "doubly_reparameterised": True,
    }
    model = make_vae(bound=ImportanceWeighted(**settings))
    model.fit(images, batch_size=37, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.bound) is ImportanceWeighted
    assert loaded.bound.get_config().items() >= settings.items()
    assert loaded.bound.get_config() == model.bound.get_config()
    evaluated = [m.evaluate(images, batch_size=37, verbose=0) for m in (model, loaded)]
    assert evaluated[0] == evaluated[1]
    assert not model.bound.weights
    keras.utils.set_random_seed(1)
    histories = [m.fit(images, batch_size=37, shuffle=False, verbose=0) for m in (model, loaded)]
    np.testing.assert_allclose(histories[0].history["loss"], histories[1].history["loss"])


@pytest.mark.once
def test_get_takes_a_name_or_an_object():
    assert type(bounds.get("elbo")) is ELBO and bounds.get("elbo").draws == 1
    assert type(bounds.get("importance")) is ImportanceWeighted
    assert bounds.get("importance").draws == 50
    bound = ImportanceWeighted(np.int64(4), elbo_share=1)
    assert bounds.get(bound) is bound
    assert bound.get_config()["draws"] == 4 and bound.get_config()["encoder_groups"] is None


@pytest.mark.once
@pytest.mark.parametrize("wrong", ["iwae", None, 5, ImportanceWeighted, priors.StandardNormal()])
def test_get_refuses_what_is_no_bound(make_vae, wrong):
    message = (
        r"Argument `bound` must be one of \['elbo', 'importance'\] or a `keras_vae.bounds.Bound`"
    )
    with pytest.raises(ValueError, match=message):
        bounds.get(wrong)
    with pytest.raises(ValueError, match=message):
        make_vae(bound=wrong)


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"draws": 1}, "Argument `draws` must be an integer of at least 2"),
        ({"draws": 2.0}, "Argument `draws` must be an integer of at least 2"),
        ({"draws": True}, "Argument `draws` must be an integer of at least 2"),
        ({"groups": 0}, "Argument `groups` must be a positive integer"),
        ({"groups": None}, "Argument `groups` must be a positive integer"),
        ({"groups": 4}, "`groups` must divide the 6 draws. Received: groups=4"),
        ({"groups": 12}, "`groups` must divide the 6 draws. Received: groups=12"),
        ({"encoder_groups": 0}, "Argument `encoder_groups` must be None or a positive integer"),
        ({"encoder_groups": 5}, "`encoder_groups` must divide the 6 draws. Received: encoder_gr"),
        ({"elbo_share": -0.1}, r"Argument `elbo_share` must be a number in \[0, 1\]"),
        ({"elbo_share": 1.1}, r"Argument `elbo_share` must be a number in \[0, 1\]"),
        ({"elbo_share": "half"}, r"Argument `elbo_share` must be a number in \[0, 1\]"),
        ({"doubly_reparameterised": 1}, "`doubly_reparameterised` must be True or False"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImportanceWeighted(**{"draws": 6, **arguments})


def test_free_bits_are_refused(make_vae):
    message = "Free bits change the KL of a batch, .* use free_bits=0, or the bound 'elbo'"
    with pytest.raises(ValueError, match=message):
        make_vae(bound=ImportanceWeighted(DRAWS), free_bits=0.5)
    model = make_vae(bound=ImportanceWeighted(DRAWS))
    with pytest.raises(ValueError, match=message):
        model.free_bits = 0.5
    assert float(ops.convert_to_numpy(model.free_bits)) == 0
    model.free_bits = 0.0
    model = make_vae(free_bits=0.5)
    with pytest.raises(ValueError, match=message):
        model.bound = "importance"
    assert type(model.bound) is ELBO
    model.free_bits = 0
    model.bound = "importance"
    assert model.bound.draws == 50
