import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import evaluate, likelihoods
from keras_vae.likelihoods import data
from keras_vae.likelihoods.logistic import log_probability

RNG = np.random.default_rng(0)
X = RNG.random((3, 4, 5, 2)).astype("float32")
OUTPUTS = RNG.standard_normal((3, 4, 5, 2)).astype("float32")
PIXELS = 1 / (1 + np.exp(-OUTPUTS.astype("float64")))
SQUARED_ERROR = ((X - PIXELS) ** 2).sum(axis=(1, 2, 3))
ABSOLUTE_ERROR = np.abs(X - PIXELS).sum(axis=(1, 2, 3))
# Those whose mean is not the sigmoid of all outputs.
OF_PIXELS = sorted(n for n, kind in likelihoods.BY_NAME.items() if kind().data == data.Pixels())
OTHER_PIXELS = {"continuous_bernoulli", "logistic_mixture", "pixel_gaussian"}
DISCRETE = ("discretized_logistic", "logistic_mixture")
NEW = ("laplace", "continuous_bernoulli", "pixel_gaussian", *DISCRETE)


@pytest.fixture
def make_vae():
    """As in conftest.py, and the decoder's outputs are those that the likelihood needs."""

    def make(likelihood="mse", image_shape=(6, 5, 3), optimizer="adam", **arguments):
        keras.utils.set_random_seed(0)
        likelihood = likelihoods.get(likelihood)
        channels = likelihood.output_channels(image_shape[2])
        parts = keras_vae.build_mlp(image_shape, 2, hidden=(16,), output_channels=channels)
        model = keras_vae.VAE(*parts, likelihood, **{"seed": 0, **arguments})
        model.compile(optimizer)
        return model

    return make


def sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def nats(likelihood, x=X, outputs=OUTPUTS):
    return ops.convert_to_numpy(likelihood.nats(x, ops.convert_to_tensor(outputs)))


@pytest.mark.parametrize("name", sorted(set(OF_PIXELS) - OTHER_PIXELS))
def test_pixels_are_the_sigmoid_of_the_outputs(name):
    pixels = likelihoods.get(name).mean(OUTPUTS)
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


# Densities and probabilities of the others


def reference(name, x, outputs, scale):
    """Returns the nats of each image in float64, from the formulas of the class as they are."""
    x, outputs = np.asarray(x, "float64"), np.asarray(outputs, "float64")
    if name == "laplace":
        p = np.exp(-np.abs(x - sigmoid(outputs)) / scale) / (2 * scale)
    elif name == "continuous_bernoulli":
        p = sigmoid(outputs) ** x * sigmoid(-outputs) ** (1 - x)
        zero = np.abs(outputs) < 1e-7
        p *= np.where(zero, 2, outputs / np.tanh(np.where(zero, 1, outputs) / 2))
    elif name == "pixel_gaussian":
        mean, raw = np.split(outputs, 2, axis=-1)
        variance = 1 / 255**2 + np.log1p(np.exp(raw - 3))
        p = np.exp(-((x - sigmoid(mean)) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    elif name == "discretized_logistic":
        p = level_probability(x, sigmoid(outputs), scale)
    elif name == "logistic_mixture":
        return mixture_nats(x, outputs, 5)
    return -np.log(p).sum(axis=(1, 2, 3))


def level_probability(x, mean, scale):
    """Returns the difference of two sigmoids; the first and last levels reach to infinity."""
    level = np.rint(255 * x)
    above = np.where(level == 255, 1, sigmoid((level / 255 + 1 / 510 - mean) / scale))
    below = np.where(level == 0, 0, sigmoid((level / 255 - 1 / 510 - mean) / scale))
    return above - below


def mixture_parts(numbers, k, c):
    """Reads the numbers of one pixel as they are laid out; returns a list for each component."""
    numbers = iter(np.asarray(numbers, "float64"))

    def take(count):
        return np.array([next(numbers) for _ in range(count)])

    shared, logits = take(c), take(k)
    means, scales = ([take(c) for _ in range(k)] for _ in range(2))
    factors = [take(c * (c - 1) // 2) for _ in range(k)]
    assert next(numbers, None) is None
    weights = np.exp(logits) / np.exp(logits).sum()
    apart = np.linspace(-1, 1, k) if k > 1 else [0]
    means = [sigmoid(shared + mean + shift) for mean, shift in zip(means, apart)]
    scales = [1 / 1024 + np.log1p(np.exp(scale - 3)) for scale in scales]
    return weights, means, scales, [np.tanh(factor) for factor in factors]


def mixture_nats(x, outputs, k):
    """Returns the nats of each image under a mixture of K logistics, pixel by pixel."""
    n, height, width, c = x.shape
    total = np.zeros(n)
    for i, row, column in np.ndindex(n, height, width):
        pixel, p = x[i, row, column], 0.0
        parts = mixture_parts(outputs[i, row, column], k, c)
        for weight, mean, scale, factor in zip(*parts):
            before = iter(factor)
            for channel in range(c):
                moved = mean[channel]
                for other in range(channel):
                    moved += next(before) * (pixel[other] - mean[other])
                weight = weight * level_probability(pixel[channel], moved, scale[channel])
            p += weight
        total[i] -= np.log(p)
    return total


def an_example(name, rng):
    """Returns a likelihood, levels of uint8 ``(2, 2, 3, 2)`` as pixels, outputs, and a scale."""
    likelihood = likelihoods.get(name)
    x = (rng.integers(0, 256, (2, 2, 3, 2)) / 255).astype("float32")
    x[0, 0, 0], x[1, 0, 0] = (0, 1), (1, 0)
    shape = (2, 2, 3, likelihood.output_channels(2))
    outputs = rng.standard_normal(shape).astype("float32")
    return (
        likelihood,
        x,
        outputs,
        {"laplace": 0.5, "discretized_logistic": 0.1 + 1 / 1024}.get(name),
    )


@pytest.mark.parametrize("name", NEW)
def test_nats_are_the_negative_log_of_the_formula(name):
    likelihood, x, outputs, scale = an_example(name, np.random.default_rng(1))
    found = nats(likelihood, x, outputs)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, reference(name, x, outputs, scale), rtol=1e-4)


# The nats of each value


def values_for(name):
    """Returns a likelihood, data that it takes, of two channels or more, and outputs."""
    rng = np.random.default_rng(7)
    likelihood = likelihoods.get(name)
    if name in OF_PIXELS:
        return an_example(name, rng)[:3]
    x = rng.poisson(3, (4, 2, 3)).astype("float32")
    if name == "categorical":
        x = np.eye(3, dtype="float32")[rng.integers(0, 3, (4, 2))]
    if not likelihood.built:
        likelihood.build((None, 2, 3))
    likelihood.adapt(x)
    return likelihood, x, rng.standard_normal(x.shape).astype("float32")


def value_nats(likelihood, x, outputs):
    x, outputs = ops.convert_to_tensor(x), ops.convert_to_tensor(outputs)
    return ops.convert_to_numpy(likelihood.value_nats(x, outputs))


@pytest.mark.parametrize("name", likelihoods.BY_NAME)
def test_the_nats_of_values_add_up(name):
    likelihood, x, outputs = values_for(name)
    found = value_nats(likelihood, x, outputs)
    assert found.shape == (*x.shape[:-1], 1 if name == "logistic_mixture" else x.shape[-1])
    sums = found.reshape(len(x), -1).sum(axis=1)
    np.testing.assert_allclose(sums, nats(likelihood, x, outputs), rtol=1e-5, atol=1e-5)
    # Those of a part of the values are those of the part alone.
    part = nats(likelihood, x[:, 1:], outputs[:, 1:])
    sums = found[:, 1:].reshape(len(x), -1).sum(axis=1)
    np.testing.assert_allclose(sums, part, rtol=1e-5, atol=1e-5)


def test_groups_of_columns_have_the_nats_of_their_values():
    rng = np.random.default_rng(8)
    numbers, counts = rng.normal(100, 10, (5, 2)), rng.poisson(3, (5, 1))
    x = np.concatenate([numbers, np.eye(3)[[0, 2, 1, 0, 2]], counts], axis=1).astype("float32")
    x[0, 1], x[1, 5] = np.nan, np.nan
    kinds = likelihoods.Normal(missing=True), "categorical", likelihoods.Poisson(missing=True)
    likelihood = likelihoods.Columns(list(zip(kinds, (2, 3, 1))))
    likelihood.build((None, 6))
    likelihood.adapt(x)
    outputs = rng.standard_normal(x.shape).astype("float32")
    found = value_nats(likelihood, x, outputs)
    assert found.shape == x.shape and not found[np.isnan(x)].any()
    assert not found[:, 2:5][x[:, 2:5] == 0].any() and (found[:, 2:5][x[:, 2:5] == 1] > 0).all()
    expected = ((x - ops.convert_to_numpy(likelihood.mean(outputs))) / np.nanstd(x, axis=0)) ** 2
    expected = (expected / 2 + np.log(np.nanstd(x, axis=0)) + np.log(2 * np.pi) / 2)[:, :2]
    np.testing.assert_allclose(found[:, :2], np.where(np.isnan(x[:, :2]), 0, expected), rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), nats(likelihood, x, outputs), rtol=1e-5)


# The gradient, and scales that are learned


def bias_vae(likelihood, outputs):
    """A VAE without a KL whose decoder gives these outputs for any code; they are trained."""
    x, z = keras.Input((*outputs.shape[:2], 2)), keras.Input((1,))
    zero = keras.layers.Dense(1, kernel_initializer="zeros", trainable=False)
    codes = [zero(keras.layers.Flatten()(x))] * 2
    layer = keras.layers.Dense(outputs.size, kernel_initializer="zeros")
    picture = keras.layers.Reshape(outputs.shape)(layer(z))
    model = keras_vae.VAE(keras.Model(x, codes), keras.Model(z, picture), likelihood, seed=0)
    layer.bias.assign(outputs.ravel())
    model.compile(keras.optimizers.SGD(1.0))
    return model, layer.bias


AWKWARD = [0, 1e-6, -0.05, 0.0999, -0.1001, 20, -20, 3]  # logits


@pytest.mark.parametrize("name", NEW)
def test_the_gradient_is_that_of_the_formula(name):
    likelihood, x, outputs, scale = an_example(name, np.random.default_rng(2))
    outputs = outputs[0]
    if name == "continuous_bernoulli":
        outputs.ravel()[: len(AWKWARD)] = AWKWARD
    model, bias = bias_vae(likelihood, outputs)
    model.train_on_batch((255 * x).round().astype("uint8"))
    found = outputs.ravel() - ops.convert_to_numpy(bias)
    if name == "laplace":  # learned before the loss is computed
        scale = np.abs(x - sigmoid(outputs)).mean()
    expected, step = [], 1e-4
    for i in range(outputs.size):
        moved = [outputs.astype("float64").ravel() for _ in range(2)]
        moved[0][i], moved[1][i] = moved[0][i] + step, moved[1][i] - step
        ends = [
            reference(name, x, np.stack([m.reshape(outputs.shape)] * 2), scale).mean()
            for m in moved
        ]
        expected.append((ends[0] - ends[1]) / (2 * step))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_laplace_learns_the_mean_absolute_error():
    laplace = likelihoods.get("laplace")
    error = ABSOLUTE_ERROR.mean() / 40
    for step in range(1, 4):  # the first batches count alike
        laplace.update(X, OUTPUTS)
        assert float(laplace.scale) == pytest.approx(error, rel=1e-5)
        assert float(laplace.updates) == step
    best = nats(laplace).sum()
    for other in (0.9, 1.1):
        assert best < nats(likelihoods.Laplace(other * error)).sum() - 0.1
    for _ in range(200):  # then the past fades
        laplace.update(np.zeros_like(X), np.zeros_like(OUTPUTS))
    assert float(laplace.scale) == pytest.approx(0.5, rel=1e-3)


def test_the_scale_is_at_least_a_grey_step_and_follows_the_weights_of_images():
    laplace = likelihoods.Laplace(1e-9)
    assert float(laplace.scale) == pytest.approx(1 / 255, rel=1e-5)
    laplace.update(PIXELS.astype("float32"), OUTPUTS)
    assert float(laplace.scale) == pytest.approx(1 / 255, rel=1e-5)
    laplace = likelihoods.get("laplace")
    laplace.update(X, OUTPUTS, np.float32([0, 1, 3]))
    expected = (ABSOLUTE_ERROR[1] + 3 * ABSOLUTE_ERROR[2]) / 4 / 40
    assert float(laplace.scale) == pytest.approx(expected, rel=1e-5)
    laplace.update(X, OUTPUTS, np.zeros(3, "float32"))
    laplace.update(X, np.full_like(OUTPUTS, np.nan))
    assert float(laplace.scale) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("logit", [0, 1e-4, 0.05, -0.0999, 0.1001, 1, -3, 20, -20])
def test_a_continuous_bernoulli_is_a_density_with_this_mean(logit):
    likelihood = likelihoods.get("continuous_bernoulli")
    x = (np.arange(4000, dtype="float32") + 0.5) / 4000  # the middles of equal parts of [0, 1]
    outputs = np.full((4000, 1, 1, 1), logit, "float32")
    density = np.exp(-nats(likelihood, x.reshape(-1, 1, 1, 1), outputs).astype("float64"))
    assert density.mean() == pytest.approx(1, abs=2e-5)
    mean = ops.convert_to_numpy(likelihood.mean(outputs[:1])).item()
    assert mean == pytest.approx((x * density).mean(), abs=1e-5)


def test_a_continuous_bernoulli_is_finite_far_out():
    likelihood = likelihoods.get("continuous_bernoulli")
    outputs = np.float32([100, -100, 1000, -1000]).reshape(4, 1, 1, 1)
    x = np.float32([1, 0, 0, 1]).reshape(4, 1, 1, 1)
    # Where x is the likelier end the density is |l|, elsewhere |l| exp(-|l|).
    expected = np.array([0, 0, 1000, 1000]) - np.log([100, 100, 1000, 1000])
    np.testing.assert_allclose(nats(likelihood, x, outputs), expected, rtol=1e-5)
    pixels = ops.convert_to_numpy(likelihood.mean(outputs)).ravel()
    np.testing.assert_allclose(pixels, [0.99, 0.01, 0.999, 0.001], atol=1e-6)


LEVELS = (np.arange(256) / 255).astype("float32").reshape(256, 1, 1, 1)


@pytest.mark.parametrize("output", [-8, -0.3, 0, 2.5])
@pytest.mark.parametrize("scale", [1e-4, 0.003, 0.1, 2])
def test_the_levels_of_a_discretized_logistic_add_up_to_one(output, scale):
    likelihood = likelihoods.DiscretizedLogistic(scale)
    outputs = np.full((256, 1, 1, 1), output, "float32")
    probabilities = np.exp(-nats(likelihood, LEVELS, outputs).astype("float64"))
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    s = 1 / 1024 + scale
    np.testing.assert_allclose(
        probabilities, level_probability(LEVELS.ravel(), sigmoid(output), s), rtol=1e-3, atol=1e-6
    )
    tails = sigmoid((1 / 510 - sigmoid(output)) / s), sigmoid((sigmoid(output) - 1 + 1 / 510) / s)
    np.testing.assert_allclose(probabilities[[0, -1]], tails, rtol=1e-3, atol=1e-30)


@pytest.mark.parametrize("components", [1, 4])
def test_the_levels_of_a_mixture_add_up_to_one(components):
    likelihood = likelihoods.LogisticMixture(components)
    for numbers in np.random.default_rng(3).standard_normal((3, 1 + 3 * components)):
        outputs = np.broadcast_to(numbers.astype("float32"), (256, 1, 1, len(numbers)))
        found = nats(likelihood, LEVELS, outputs)
        assert np.exp(-found.astype("float64")).sum() == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(found, mixture_nats(LEVELS, outputs, components), rtol=1e-4)


@pytest.mark.parametrize("components", [1, 3])
def test_the_pairs_of_levels_of_a_mixture_add_up_to_one(components):
    """With two channels, of which the second depends on the first; their means are `pixels`."""
    likelihood = likelihoods.LogisticMixture(components)
    count = likelihood.output_channels(2)
    numbers = np.random.default_rng(4).standard_normal(count) / 2
    numbers[-3 * components : -components] = -1.0  # scales: narrow, so that tails hardly count
    numbers[-1] = -1.5  # factor
    pairs = np.array(list(itertools.product(range(256), repeat=2)), "float32") / 255
    x = pairs.reshape(-1, 1, 1, 2)
    outputs = np.broadcast_to(numbers.astype("float32"), (len(x), 1, 1, count))
    p = np.exp(-nats(likelihood, x, outputs).astype("float64"))
    assert p.sum() == pytest.approx(1, abs=1e-4)
    mean = ops.convert_to_numpy(likelihood.mean(outputs[:1])).ravel()
    np.testing.assert_allclose(p @ pairs, mean, atol=1e-3)
    if components == 1:  # x_2 = m_2 + tanh(-1.5) (x_1 - m_1) + noise
        covariance = np.cov(pairs.T, aweights=p)
        scale = 1 / 1024 + math.log1p(math.exp(-4))
        assert covariance[0, 0] == pytest.approx((math.pi * scale) ** 2 / 3, rel=0.02)
        slope = covariance[0, 1] / covariance[0, 0]
        assert slope == pytest.approx(math.tanh(-1.5), rel=0.01)


def test_a_mixture_agrees_with_plain_sigmoids_for_three_channels():
    rng = np.random.default_rng(5)
    likelihood = likelihoods.LogisticMixture(4)
    x = (rng.integers(0, 256, (3, 2, 2, 3)) / 255).astype("float32")
    x[0, 0, 0], x[0, 0, 1] = (0, 255 / 255, 0), (1, 0, 1)
    outputs = rng.standard_normal((3, 2, 2, likelihood.output_channels(3))).astype("float32")
    np.testing.assert_allclose(nats(likelihood, x, outputs), mixture_nats(x, outputs, 4), rtol=1e-4)
    means = np.zeros((3, 2, 2, 3))
    for place in np.ndindex(3, 2, 2):
        weights, parts, _, _ = mixture_parts(outputs[place], 4, 3)
        means[place] = sum(weight * mean for weight, mean in zip(weights, parts))
    pixels = ops.convert_to_numpy(likelihood.mean(outputs))
    np.testing.assert_allclose(pixels, means, rtol=1e-5)


@pytest.mark.parametrize("components", [1, 2, 5])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_mixture_knows_the_channels_of_the_images(components, channels):
    likelihood = likelihoods.LogisticMixture(components)
    count = likelihood.output_channels(channels)
    pairs = channels * (channels - 1) // 2
    assert count == channels + components * (1 + 2 * channels + pairs)
    assert likelihood.mean(np.zeros((1, 1, 1, count), "float32")).shape == (1, 1, 1, channels)


def test_probabilities_of_levels_keep_their_digits_far_from_the_mean():
    """Where a difference of two sigmoids in float32 is 0."""
    x, mean, scale = np.float32([0.8, 1, 0, 0.2]), np.float32([0.2, 0, 1, 0.8]), np.float32(0.004)
    found = ops.convert_to_numpy(log_probability(x, mean, ops.convert_to_tensor(scale)))
    s = float(scale)  # here S(a) is exp(a), for large negative a
    edges = np.array([-0.6, -1 + 1 / 510, -1 + 1 / 510, -0.6]) / s
    width = np.log(2 * np.sinh(1 / 510 / s))
    np.testing.assert_allclose(found, edges + np.array([width, 0, 0, width]), rtol=1e-4)


def test_the_scale_of_a_discretized_logistic_is_trained():
    likelihood, x, outputs, scale = an_example("discretized_logistic", np.random.default_rng(6))
    model, _ = bias_vae(likelihood, outputs[0])
    assert float(ops.convert_to_numpy(likelihood.scale())) == pytest.approx(scale, rel=1e-5)
    model.train_on_batch((255 * x).round().astype("uint8"))
    both, step = np.stack([outputs[0]] * 2), 1e-4
    ends = [
        reference("discretized_logistic", x, both, 1 / 1024 + 0.1 * math.exp(way * step)).mean()
        for way in (1, -1)
    ]
    found = math.log(0.1) - float(ops.convert_to_numpy(likelihood.log_scale))
    assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)


def test_a_pixel_gaussian_says_its_variance():
    likelihood = likelihoods.get("pixel_gaussian")
    outputs = np.zeros((1, 1, 2, 4), "float32")
    outputs[..., 1, 2:] = -50, 50
    variance = ops.convert_to_numpy(likelihood.variance(outputs)).ravel()
    start = math.log1p(math.exp(-3))
    least = 1 / 255**2
    np.testing.assert_allclose(variance, [start + least, start + least, least, 47], rtol=1e-4)
    pixels = ops.convert_to_numpy(likelihood.mean(outputs + 1))
    np.testing.assert_allclose(pixels, np.full((1, 1, 2, 2), sigmoid(1)), rtol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: likelihoods.Laplace(0), "Argument `scale` must be a finite number above 0"),
        (lambda: likelihoods.Laplace("1"), "Argument `scale` must be a finite number above 0"),
        (lambda: likelihoods.DiscretizedLogistic(-1), "Argument `scale` must be a finite number"),
        (
            lambda: likelihoods.LogisticMixture(0),
            "Argument `components` must be a positive integer",
        ),
        (lambda: likelihoods.LogisticMixture(2.0), "Argument `components` must be a positive"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_get_takes_a_name_an_object_and_a_saved_one():
    gaussian = likelihoods.Gaussian(0.1)
    assert likelihoods.get(gaussian) is gaussian
    saved = keras.saving.serialize_keras_object(gaussian)
    twin = keras.saving.deserialize_keras_object(saved)
    assert type(twin) is likelihoods.Gaussian and twin.get_config()["variance"] == 0.1


@pytest.mark.parametrize("name", NEW)
def test_the_others_are_made_by_name_and_from_their_config(name):
    likelihood = likelihoods.get(name)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert type(twin) is type(likelihood) is likelihoods.BY_NAME[name]
    assert twin.get_config() == likelihood.get_config()
    changed = {"laplace": ("scale", 0.2), "discretized_logistic": ("scale", 0.3)}
    changed["logistic_mixture"] = "components", 7
    if name in changed:
        argument, value = changed[name]
        other = type(likelihood)(value)
        assert other.get_config()[argument] == value != likelihood.get_config()[argument]


@pytest.mark.parametrize("wrong", ["mean", None, 3, object(), likelihoods.MSE])
def test_get_refuses_what_is_no_likelihood(wrong):
    names = (
        r"\['bernoulli', 'categorical', 'continuous_bernoulli', 'discretized_logistic', "
        r"'gaussian', 'laplace', 'logistic_mixture', 'mse', 'negative_binomial', 'normal', "
        r"'pixel_gaussian', 'poisson', 'student_t'\]"
    )
    message = f"`likelihood` must be one of {names} or a `keras_vae.likelihoods.Likelihood`"
    with pytest.raises(ValueError, match=message):
        likelihoods.get(wrong)


# A model with each of them


@pytest.mark.parametrize("name", OF_PIXELS)
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


# Levels, bits and outputs with more channels


@pytest.mark.parametrize("name", DISCRETE)
def test_bits_of_levels_are_the_nats_of_evaluate(make_vae, images, name):
    model = make_vae(likelihood=name)
    bits = evaluate.bits_per_dim(model, images)
    losses = model.evaluate(images, verbose=0, return_dict=True)
    nats_of_all = losses["reconstruction_loss"] + losses["kl_loss"]
    assert bits == pytest.approx(nats_of_all / 90 / math.log(2), rel=1e-5)
    # Random pixels need 8 bits, and this model does not know yet that they are random.
    assert 8 < bits < 11
    assert evaluate.bits_per_dim(model, images / 255) is None
    assert evaluate.test_metrics(model, images)["bits_per_dim"] == pytest.approx(bits, rel=1e-6)


@pytest.mark.parametrize("name", DISCRETE)
def test_bits_and_the_log_likelihood_are_those_of_the_formula(name):
    """Of a model that knows nothing: there is no KL, and all draws of z give the same."""
    likelihood, x, outputs, scale = an_example(name, np.random.default_rng(7))
    model, _ = bias_vae(likelihood, outputs[0])
    images = (255 * x).round().astype("uint8")
    expected = reference(name, x, np.stack([outputs[0]] * 2), scale)
    bits = expected.mean() / (2 * 3 * 2) / math.log(2)
    assert evaluate.bits_per_dim(model, images) == pytest.approx(bits, rel=1e-4)
    np.testing.assert_allclose(model.log_likelihood(images, k=3), -expected, rtol=1e-4)
    report = evaluate.fit_report(model, images, k=3)
    assert report["log_likelihood"] == pytest.approx(-expected.mean(), rel=1e-4)


@pytest.mark.parametrize("name", DISCRETE)
def test_levels_are_those_of_uint8_images_only(make_vae, images, name):
    model = make_vae(likelihood=name)
    assert model.likelihood.why_no_distribution(images) is None
    reason = f"{type(model.likelihood).__name__} is a distribution of uint8 pixels, .* are float64"
    with pytest.raises(ValueError, match=reason):
        model.log_likelihood(images / 255)
    report = evaluate.fit_report(model, images / 255, k=2)
    assert report["log_likelihood"] is None and "uint8" in report["log_likelihood_missing"]
    assert report["bits_per_dim"] is None


def test_a_decoder_with_too_few_channels_is_refused(images):
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,))
    message = (
        r"`decoder` must return one tensor of the data's shape with 53 channels for "
        r"LogisticMixture, \(None, 6, 5, 53\). Received: \(None, 6, 5, 3\)"
    )
    with pytest.raises(ValueError, match=message):
        keras_vae.VAE(*parts, "logistic_mixture")
    model = keras_vae.VAE(*parts, "mse")
    with pytest.raises(ValueError, match="with 6 channels for PixelGaussian"):
        model.likelihood = "pixel_gaussian"
    assert type(model.likelihood) is likelihoods.MSE
    wide = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,), output_channels=6)
    with pytest.raises(ValueError, match=r"of the data's shape \(None, 6, 5, 3\). Received"):
        keras_vae.VAE(*wide, "mse")
    model = keras_vae.VAE(*wide, "pixel_gaussian")
    model.compile()
    assert np.isfinite(model.evaluate(images, verbose=0)).all()


BUILDERS = {
    "mlp": lambda *shape, **arguments: keras_vae.build_mlp(*shape, (8,), **arguments),
    "conv": lambda *shape, **arguments: keras_vae.build_conv(*shape, (8,), **arguments),
    "patches": lambda *shape, **arguments: keras_vae.build_patches(*shape, (8, 3, 5), **arguments),
}


@pytest.mark.parametrize("image_shape", [(13, 9, 3), (70, 6, 1)])
@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("builder", BUILDERS)
def test_builders_with_more_outputs_start_from_the_mean_image(builder, straight, image_shape):
    mean = np.random.default_rng(0).uniform(0.1, 0.9, image_shape).astype("float32")
    channels = image_shape[2]
    encoder, decoder = BUILDERS[builder](
        image_shape, 2, pixel_mean=mean, straight=straight, output_channels=channels + 7
    )
    assert encoder.input_shape == (None, *image_shape)
    assert decoder.output_shape == (None, *image_shape[:2], channels + 7)
    outputs = ops.convert_to_numpy(decoder(np.zeros((1, 2), "float32")))[0]
    np.testing.assert_allclose(sigmoid(outputs[..., :channels]), mean, atol=1e-5)
    np.testing.assert_allclose(outputs[..., channels:], 0, atol=1e-5)
    moved = ops.convert_to_numpy(decoder(np.ones((1, 2), "float32")))[0] - outputs
    assert (np.abs(moved).max(axis=(0, 1)) > 1e-3).all()  # each channel depends on the code


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("wrong", [2, 3.0, "6", True])
def test_builders_name_a_wrong_number_of_outputs(builder, wrong):
    with pytest.raises(ValueError, match="Argument `output_channels` must be"):
        BUILDERS[builder]((6, 5, 3), 2, output_channels=wrong)


@pytest.mark.parametrize("name", NEW)
def test_models_with_the_others_are_trained_saved_and_used(make_vae, images, tmp_path, name):
    model = make_vae(likelihood=name, optimizer=keras.optimizers.Adam(1e-2))
    first = model.evaluate(images, batch_size=37, verbose=0)[0]
    model.fit(images, batch_size=37, epochs=20, verbose=0)
    trained = model.evaluate(images, batch_size=37, verbose=0)
    assert trained[0] < first
    for pixels in (model.reconstruct(images), model.sample(4, seed=0)):
        assert pixels.shape[1:] == (6, 5, 3) and pixels.min() >= 0 and pixels.max() <= 1
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.likelihood) is likelihoods.BY_NAME[name]
    assert loaded.evaluate(images, batch_size=37, verbose=0) == trained
    np.testing.assert_array_equal(loaded.sample(3, seed=0), model.sample(3, seed=0))
    if name in ("laplace", "discretized_logistic"):
        (scale, other) = (ops.convert_to_numpy(m.likelihood.weights[0]) for m in (model, loaded))
        assert scale == other != pytest.approx({"laplace": 0.5}.get(name, math.log(0.1)))


@pytest.mark.parametrize("name", NEW)
def test_half_precision_trains_and_keeps_losses_in_float32(images, name):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        likelihood = likelihoods.get(name)
        channels = likelihood.output_channels(3)
        parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,), output_channels=channels)
        model = keras_vae.VAE(*parts, likelihood, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2), initial_scale=256.0)
    model.compile(scaled)
    settings = {"validation_data": (images,), "batch_size": 37, "epochs": 20, "verbose": 0}
    losses = model.fit(images, **settings).history["val_loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert int(scaled.iterations) == 20  # no step was skipped
    losses = model.compute_losses((ops.convert_to_tensor(images),), training=False)
    assert {keras.backend.standardize_dtype(v.dtype) for v in losses.values()} == {"float32"}
    assert {w.dtype for w in likelihood.weights} <= {"float32"}


# A likelihood of one's own is one class


@keras.saving.register_keras_serializable(package="tests")
class L1(likelihoods.Likelihood):
    values = "continuous"
    omitted = np.log(2)

    def value_nats(self, x, outputs):
        return ops.abs(x - self.mean(outputs))


def test_a_new_likelihood_is_one_class(make_vae, images, tmp_path):
    model = make_vae(likelihood=L1())
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
    assert type(loaded.likelihood) is L1
    assert loaded.evaluate(images, verbose=0, return_dict=True) == losses


@keras.saving.register_keras_serializable(package="tests")
class Trained(L1):
    """With an argument, and a weight that the gradient trains."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.log_scale = self.add_weight((), keras.initializers.Constant(start), name="log_scale")

    def value_nats(self, x, outputs):
        return super().value_nats(x, outputs) / ops.exp(self.log_scale) + self.log_scale

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
    with pytest.raises(NotImplementedError, match="Likelihood must define `value_nats`"):
        make_vae(likelihood=likelihoods.Likelihood()).evaluate(images, verbose=0)


def test_a_likelihood_that_defines_only_sums_trains(make_vae, images):
    class Sums(likelihoods.Likelihood):
        def nats(self, x, outputs):
            return ops.sum(ops.square(x - self.mean(outputs)), axis=(1, 2, 3))

    losses = [
        make_vae(likelihood=kind()).train_on_batch(images) for kind in (Sums, likelihoods.MSE)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    with pytest.raises(NotImplementedError, match="Sums must define `value_nats`"):
        evaluate.value_losses(make_vae(likelihood=Sums()), images)


def test_a_likelihood_may_have_another_activation(make_vae, images):
    class Clipped(likelihoods.MSE):
        def mean(self, outputs):
            return ops.clip(outputs, 0, 1)

    model = make_vae(likelihood=Clipped())
    y = model(images, raw=True)
    outputs = ops.convert_to_numpy(y["outputs"])
    np.testing.assert_array_equal(ops.convert_to_numpy(y["reconstruction"]), outputs.clip(0, 1))
    assert outputs.min() < 0
