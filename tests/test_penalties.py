"""What is added to the loss to shape codes: numbers, weights of images, and models with them."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import penalties
from keras_vae.datasets.stream import Rows
from keras_vae.models.bounds import ImportanceWeighted
from keras_vae.models.penalties import DIP, MMD, SCALES, CodeNorm, Penalty, TotalCorrelation

MAKE = {
    "total_correlation": lambda weight=2.0: TotalCorrelation(weight),
    "stratified": lambda weight=2.0: TotalCorrelation(weight, 37, "stratified"),
    "mmd": lambda weight=50.0: MMD(weight),
    "dip": lambda weight=3.0: DIP(weight, diagonal=4.0),
    "dip_of_z": lambda weight=3.0: DIP(weight, of="z"),
    "code_norm": lambda weight=0.5: CodeNorm(weight),
}
KINDS = sorted(MAKE)
RNG = np.random.default_rng(0)
N, D = 7, 3
CODES = {
    "z_mean": RNG.standard_normal((N, D)).astype("float32"),
    "z_log_var": (RNG.standard_normal((N, D)) - 0.5).astype("float32"),
}
NOISE = RNG.standard_normal((N, D)).astype("float32")
CODES["z"] = CODES["z_mean"] + np.exp(CODES["z_log_var"] / 2) * NOISE
WEIGHTS = np.float32([0, 2, 1, 0, 0.5, 3, 1])


def rows(y, chosen):
    return {name: part[chosen] for name, part in y.items()}


def nats(penalty, y=CODES, shares=None, model=None):
    n = len(y["z"])
    shares = np.full(n, 1 / n) if shares is None else shares
    y = {name: ops.convert_to_tensor(part) for name, part in y.items()}
    found = penalty.nats(model, y, ops.convert_to_tensor(np.float32(shares)))
    return float(ops.convert_to_numpy(found))


def loss(penalty, y=CODES, weights=None, model=None):
    y = {name: ops.convert_to_tensor(part) for name, part in y.items()}
    return float(ops.convert_to_numpy(penalty.loss(model, y, weights)))


def normal(x, mean=0.0, variance=1.0):
    return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def total_correlation(y, weights, shares=None):
    """Returns the estimate with these weights of ``q(z|x_j)`` for z_i, ``(n, n)``."""
    z, means, variances = y["z"], y["z_mean"], np.exp(y["z_log_var"].astype("float64"))
    n, d = z.shape
    total = 0.0
    for i in range(n):
        joint, each = 0.0, np.zeros(d)
        for j in range(n):
            parts = [normal(z[i, k], means[j, k], variances[j, k]) for k in range(d)]
            joint += weights[i, j] * math.prod(parts)
            each += weights[i, j] * np.array(parts)
        share = 1 / n if shares is None else shares[i]
        total += share * (math.log(joint) - np.log(each).sum())
    return total


def squared_mmd(z, shares):
    """Returns the formula with loops; its terms with noise by closed forms."""
    n, d = z.shape
    total = 0.0
    for scale in SCALES:
        s = scale * d
        kernel = np.exp(-np.sum((z[:, None] - z) ** 2, axis=2) / (2 * s))
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        weights = [shares[i] * shares[j] for i, j in pairs]
        among = sum(w * kernel[pair] for w, pair in zip(weights, pairs)) / sum(weights)
        near = [(s / (s + 1)) ** (d / 2) * math.exp(-sum(row**2) / (2 * (s + 1))) for row in z]
        total += among - 2 * np.dot(shares, near) + (s / (s + 2)) ** (d / 2)
    return total / len(SCALES)


# Numbers


def test_weighted_total_correlation_is_a_double_loop():
    expected = total_correlation(CODES, np.full((N, N), 1 / N))
    assert nats(TotalCorrelation(1.0)) == pytest.approx(expected, rel=1e-4)
    assert nats(TotalCorrelation(1.0, images=1000)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("images", [7, 8, 1000])
def test_stratified_total_correlation_is_a_double_loop(images):
    weights = np.full((N, N), (1 - 1 / images) / (N - 1))
    np.fill_diagonal(weights, 1 / images)
    expected = total_correlation(CODES, weights)
    found = nats(TotalCorrelation(1.0, images, "stratified"))
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_batch_of_all_images_has_the_exact_total_correlation():
    one = nats(TotalCorrelation(1.0))
    assert nats(TotalCorrelation(1.0, N, "stratified")) == pytest.approx(one, rel=1e-4)
    # Codes at the corners of a square: a product, of each latent's own distribution.
    corners = np.array(list(itertools.product([-3, 3], repeat=2)), "float32")
    y = {"z": corners + 0.2, "z_mean": corners, "z_log_var": np.full((4, 2), -1, "float32")}
    assert nats(TotalCorrelation(1.0), y) == pytest.approx(0, abs=1e-5)
    # At two of them: each latent says the other.
    assert nats(TotalCorrelation(1.0), rows(y, [0, 3])) == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_stratified_density_is_exact_on_average_over_all_batches(size):
    """Over all batches of a size that have an image; for each image and latent, before the log."""
    penalty = TotalCorrelation(1.0, N, "stratified")
    weights = np.exp(
        ops.convert_to_numpy(penalty.log_weights(ops.convert_to_tensor(np.full(size, 1 / size))))
    )
    z, means, variances = CODES["z"], CODES["z_mean"], np.exp(CODES["z_log_var"])
    for i in range(N):
        given = [math.prod(map(normal, z[i], means[j], variances[j])) for j in range(N)]
        found = []
        for others in itertools.combinations(sorted(set(range(N)) - {i}), size - 1):
            for place in range(size):  # of the image in the batch
                batch = [*others[:place], i, *others[place:]]
                found.append(sum(w * given[j] for w, j in zip(weights[place], batch)))
        assert np.mean(found) == pytest.approx(np.mean(given), rel=1e-4)
        assert size == N or np.std(found) > 0.01 * np.mean(found)


def test_a_batch_of_one_image_has_no_total_correlation():
    y = rows(CODES, [2])
    for penalty in (MAKE["total_correlation"](), TotalCorrelation(1.0, 1, "stratified")):
        assert nats(penalty, y) == pytest.approx(0, abs=1e-4)
    assert math.isfinite(nats(TotalCorrelation(1.0, 10, "stratified"), y))


def test_mmd_is_the_formula():
    shares = np.full(N, 1 / N)
    assert nats(MMD()) == pytest.approx(squared_mmd(CODES["z"], shares), rel=1e-4)


def test_the_terms_of_mmd_with_noise_agree_with_draws_of_it():
    z = CODES["z"].astype("float64")
    rng = np.random.default_rng(1)
    e, other = rng.standard_normal((2, 200_000, D))
    total = 0.0
    for scale in SCALES:

        def kernel(a, b, s=scale * D):
            return np.exp(-np.sum((a - b) ** 2, axis=-1) / (2 * s))

        pairs = np.array([kernel(z[i], z[j]) for i in range(N) for j in range(N) if i != j])
        across = np.mean([kernel(row, e).mean() for row in z])
        total += pairs.mean() - 2 * across + kernel(e, other).mean()
    assert nats(MMD()) == pytest.approx(total / len(SCALES), abs=2e-3)


def test_mmd_is_zero_on_average_for_normal_codes_and_positive_for_others():
    rng = np.random.default_rng(2)

    def mean_and_error(shift, scale, size=20, times=200):
        found = [nats(MMD(), {"z": np.float32(codes(size, shift, scale))}) for _ in range(times)]
        return np.mean(found), np.std(found) / math.sqrt(times)

    def codes(size, shift, scale):
        return shift + scale * rng.standard_normal((size, D))

    mean, error = mean_and_error(0, 1)
    assert abs(mean) < 4 * error and error < 2e-3
    for shift, scale in ((0.7, 1), (0, 0.5), (0, 1.8)):
        mean, error = mean_and_error(shift, scale, times=20)
        assert mean > max(0.01, 4 * error)
    assert nats(MMD(), {"z": np.full((N, D), 50, "float32")}) < 2


@pytest.mark.parametrize("of", ["z_mean", "z"])
def test_dip_is_the_covariance(of):
    covariance = np.cov(CODES["z_mean"].T, bias=True)
    if of == "z":
        covariance = covariance + np.diag(np.exp(CODES["z_log_var"]).mean(axis=0))
    off = covariance - np.diag(np.diag(covariance))
    expected = np.sum(off**2) + 5 * np.sum((np.diag(covariance) - 1) ** 2)
    assert nats(DIP(1.0, diagonal=5, of=of)) == pytest.approx(expected, rel=1e-4)


def test_codes_with_the_identity_as_covariance_have_no_dip():
    corners = np.array(list(itertools.product([-1, 1], repeat=D)), "float32")
    y = {"z": corners, "z_mean": corners + 4, "z_log_var": 0 * corners - 50}
    for of in ("z_mean", "z"):
        assert nats(DIP(1.0, of=of), y) == pytest.approx(0, abs=1e-8)


def test_the_norm_of_codes():
    expected = np.sum(CODES["z"] ** 2) / N / 2
    assert nats(CodeNorm(1.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("builder", ["mlp", "conv", "patches"])
def test_the_norm_of_the_decoder_is_that_of_its_kernels(builder):
    """And not of its biases, such as the mean image, which has more than one axis."""
    widths = {"mlp": (4,), "conv": (4,), "patches": (4, 3, 5)}[builder]
    build = getattr(keras_vae, f"build_{builder}")
    parts = build((6, 5, 3), 2, widths, pixel_mean=0.9, variational=False, straight=True)
    model = keras_vae.AutoEncoder(*parts, penalty=CodeNorm(1.0, decoder=0.3))
    kernels = [w for w in model.decoder.trainable_weights if w.name == "kernel"]
    expected = 0.15 * sum(np.sum(ops.convert_to_numpy(w) ** 2) for w in kernels)
    assert len(kernels) > 1 and expected > 0.1
    found = nats(model.penalty, {"z": np.zeros((2, 2), "float32")}, model=model)
    assert found == pytest.approx(expected, rel=1e-4)


# Weights of images


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_weighted_penalty(kind):
    assert loss(MAKE[kind](0.7)) == pytest.approx(0.7 * nats(MAKE[kind]()), rel=1e-5)
    alike = np.full(N, 0.2, "float32")  # scales it, like all other losses
    assert loss(MAKE[kind](0.7), weights=alike) == pytest.approx(
        0.14 * nats(MAKE[kind]()), rel=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_weight_do_not_count(kind):
    some = WEIGHTS > 0
    whole = loss(MAKE[kind](), weights=WEIGHTS)
    alone = loss(MAKE[kind](), rows(CODES, some), WEIGHTS[some])
    # Divided by the number of all images, as in Keras.
    assert whole == pytest.approx(alone * some.sum() / N, rel=1e-4)
    ones = loss(MAKE[kind](), rows(CODES, some))
    assert loss(MAKE[kind](), weights=1.0 * some) == pytest.approx(ones * some.sum() / N, rel=1e-4)
    moved = np.float32(5 * (WEIGHTS == 0))[:, None]
    changed = {name: part + moved for name, part in CODES.items()}
    assert loss(MAKE[kind](), changed, WEIGHTS) == pytest.approx(whole, rel=1e-5)
    assert loss(MAKE[kind](), weights=np.zeros(N, "float32")) == 0


@pytest.mark.parametrize("kind", ["total_correlation", "dip", "dip_of_z", "code_norm"])
def test_a_weight_of_two_is_an_image_twice(kind):
    weights = np.float32([2, 1, 1, 1, 1, 1, 2])
    twice = rows(CODES, [0, 0, 1, 2, 3, 4, 5, 6, 6])
    expected = loss(MAKE[kind](), twice) * 9 / 7
    assert loss(MAKE[kind](), weights=weights) == pytest.approx(expected, rel=1e-4)


def test_pairs_count_by_the_weights_of_both():
    shares = WEIGHTS / WEIGHTS.sum()
    expected = squared_mmd(CODES["z"], shares)
    assert nats(MMD(), shares=shares) == pytest.approx(expected, rel=1e-4)
    found = loss(MMD(2.0), weights=WEIGHTS)
    assert found == pytest.approx(2 * expected * WEIGHTS.sum() / N, rel=1e-4)
    assert math.isfinite(nats(MMD(), shares=np.eye(N)[0]))  # no pair


def test_the_stratified_estimate_has_the_weights_of_the_others():
    shares = (WEIGHTS + 1) / (WEIGHTS + 1).sum()
    weights = np.stack([0.95 * shares / (1 - share) for share in shares])
    np.fill_diagonal(weights, 1 / 20)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    found = nats(TotalCorrelation(1.0, 20, "stratified"), shares=shares)
    assert found == pytest.approx(total_correlation(CODES, weights, shares), rel=1e-4)


# Models


def make_autoencoder(penalty=None, optimizer="adam", **arguments):
    keras.utils.set_random_seed(0)
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,), variational=False)
    model = keras_vae.AutoEncoder(*parts, penalty=penalty, **arguments)
    model.compile(optimizer)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_have_the_penalty(make_vae, images, kind):
    model = make_vae(beta=1.5, penalty=MAKE[kind]())
    plain = make_vae(beta=1.5)
    settings = {"batch_size": 37, "verbose": 0, "return_dict": True}
    losses, without = (m.evaluate(images, **settings) for m in (model, plain))
    model.reset_metrics()  # which count the images that an evaluation has seen
    eps = model.noise_of_steps(1, 37, training=False)["eps"][0]
    y = {name: ops.convert_to_numpy(part) for name, part in model(images, eps=eps).items()}
    expected = loss(MAKE[kind](), y)
    assert losses["penalty_loss"] == pytest.approx(expected, rel=1e-4)
    assert losses.pop("loss") == pytest.approx(without.pop("loss") + expected, rel=1e-5)
    assert losses.pop("penalty_loss") != pytest.approx(0, abs=1e-3)
    assert losses == without
    weights = np.linspace(0, 2, 37).astype("float32")
    given = {"y": np.zeros(37), "sample_weight": weights}
    weighted = model.evaluate(images, **given, **settings)
    assert weighted["penalty_loss"] == pytest.approx(loss(MAKE[kind](), y, weights), rel=1e-4)


@pytest.mark.parametrize("kind", ["mmd", "code_norm"])
def test_an_autoencoder_has_it_too(images, tmp_path, kind):
    model = make_autoencoder(MAKE[kind]())
    settings = {"batch_size": 37, "verbose": 0, "return_dict": True}
    losses, without = (m.evaluate(images, **settings) for m in (model, make_autoencoder()))
    expected = loss(MAKE[kind](), {"z": model.encode(images)})
    assert losses["penalty_loss"] == pytest.approx(expected, rel=1e-4)
    assert losses["loss"] == pytest.approx(without["loss"] + expected, rel=1e-5)
    assert losses["reconstruction_loss"] == without["reconstruction_loss"]
    history = model.fit(images, validation_data=(images,), batch_size=37, verbose=0).history
    names = {"loss", "reconstruction_loss", "penalty_loss"}
    assert set(history) == names | {f"val_{name}" for name in names}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.penalty.get_config() == model.penalty.get_config()
    assert loaded.evaluate(images, **settings) == model.evaluate(images, **settings)
    assert keras_vae.evaluate.test_metrics(model, images)["test_loss"] > 0


def test_with_several_draws_it_is_of_the_first(make_vae, images):
    penalty = TotalCorrelation(2.0)
    one = make_vae(penalty=penalty)
    other = make_vae(penalty=TotalCorrelation(2.0), bound=ImportanceWeighted(4))
    bound = make_vae(bound=ImportanceWeighted(4))
    found = [
        m.evaluate(images, batch_size=37, verbose=0, return_dict=True) for m in (one, other, bound)
    ]
    assert found[1]["penalty_loss"] == pytest.approx(found[0]["penalty_loss"], rel=1e-5)
    total = found[2]["loss"] + found[1]["penalty_loss"]
    assert found[1]["loss"] == pytest.approx(total, rel=1e-5)
    history = other.fit(images, batch_size=37, epochs=2, verbose=0).history
    assert np.isfinite(history["penalty_loss"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_training_reduces_it(make_vae, images, kind):
    """Where nothing else matters: the penalty has a large weight."""
    settings = {"batch_size": 37, "verbose": 0, "return_dict": True}
    penalty = MAKE[kind](1000.0)
    model = make_vae(latent_dim=3, beta=0.0, penalty=penalty)
    kernel = model.encoder.get_layer("z_mean").kernel
    kernel.assign(2 * ops.convert_to_numpy(kernel))
    model.compile(keras.optimizers.Adam(0.01))
    before = model.evaluate(images, **settings)["penalty_loss"]
    model.fit(images, batch_size=37, epochs=40, verbose=0)
    after = model.evaluate(images, **settings)["penalty_loss"]
    assert before > 5 and after < 0.6 * before


@pytest.mark.parametrize("kind", ["stratified", "mmd"])
def test_arrays_images_on_disk_and_data_sets_are_trained_on_alike(make_vae, images, tmp_path, kind):
    class Batches(keras.utils.PyDataset):  # which our loop leaves to Keras's
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return (images[10 * i : 10 * i + 10],)

    np.save(tmp_path / "images.npy", images[:30])
    on_disk = Rows(tmp_path / "images.npy", np.arange(30))
    results = []
    for x in (images[:30], on_disk, Batches()):
        model = make_vae(penalty=MAKE[kind](), optimizer=keras.optimizers.SGD(1e-2))
        size = {} if isinstance(x, Batches) else {"batch_size": 10}
        history = model.fit(x, epochs=2, shuffle=False, verbose=0, **size).history
        results.append([history["loss"], history["penalty_loss"]])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4)
    np.testing.assert_allclose(results[2], results[0], rtol=1e-4)


def test_its_weight_may_change(make_vae, images):
    settings = {"batch_size": 37, "verbose": 0, "return_dict": True}
    model = make_vae(penalty=MMD(50.0), optimizer=keras.optimizers.SGD(0.0))
    fitted = {"batch_size": 37, "verbose": 0, "shuffle": False}
    before = model.evaluate(images, **settings)
    trained = model.fit(images, epochs=3, **fitted).history["penalty_loss"]
    model.penalty.weight = 100.0
    after = model.evaluate(images, **settings)
    assert after["penalty_loss"] == pytest.approx(2 * before["penalty_loss"], rel=1e-5)
    total = before["loss"] + before["penalty_loss"]
    assert after["loss"] == pytest.approx(total, rel=1e-5)
    model.steps.assign(0)  # the same noise
    again = model.fit(images, epochs=3, **fitted).history["penalty_loss"]
    np.testing.assert_allclose(again, 2 * np.array(trained), rtol=1e-4)
    model.penalty.weight = 0
    assert model.evaluate(images, **settings)["penalty_loss"] == 0


class Anneal(keras.callbacks.Callback):
    """Sets the weight of the penalty in each epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.penalty.weight = float(epoch)


def test_a_callback_may_change_its_weight(make_vae, images):
    model = make_vae(penalty=CodeNorm(7.0), optimizer=keras.optimizers.SGD(0.0))
    settings = {"batch_size": 37, "epochs": 3, "verbose": 0, "validation_data": (images,)}
    losses = model.fit(images, callbacks=[Anneal()], **settings).history["val_penalty_loss"]
    assert losses[0] == 0 and losses[1] > 0.01
    assert losses[2] == pytest.approx(2 * losses[1], rel=1e-5)


def test_it_may_be_replaced_but_not_added_or_taken_away(make_vae, images):
    message = "A penalty can be replaced by another, but not added to a model or taken from it"
    model = make_vae()
    with pytest.raises(ValueError, match=message):
        model.penalty = MMD(1.0)
    assert model.penalty is None
    model.penalty = None
    model.fit(images, batch_size=37, verbose=0)
    model = make_vae(penalty=MMD(1.0))
    with pytest.raises(ValueError, match=message):
        model.penalty = None
    model.fit(images, batch_size=37, verbose=0)
    model.penalty = CodeNorm(2.0)
    made = make_vae(penalty=CodeNorm(2.0))
    made.set_weights(model.get_weights())
    settings = {"batch_size": 37, "verbose": 0}
    assert model.evaluate(images, **settings) == made.evaluate(images, **settings)
    model.fit(images, **settings)
    with pytest.raises(ValueError, match="needs the posterior"):
        make_autoencoder(MMD(1.0)).penalty = DIP(1.0)


SAVED = [
    TotalCorrelation(2.5, 37, "stratified"),
    MMD(7),
    DIP(2, diagonal=3, of="z"),
    CodeNorm(0.25, decoder=0.125),
]


@pytest.mark.parametrize("penalty", SAVED, ids=lambda penalty: type(penalty).__name__)
def test_a_saved_model_has_its_penalty(make_vae, images, tmp_path, penalty):
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(penalty))
    assert type(twin) is type(penalty) and twin.get_config() == penalty.get_config()
    model = make_vae(penalty=twin)
    model.fit(images, batch_size=37, verbose=0)
    model.penalty.weight = 3.5
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.penalty) is type(penalty) and loaded.penalty.weight == 3.5
    expected = {**penalty.get_config(), "weight": 3.5}
    assert loaded.penalty.get_config() == expected
    settings = {"batch_size": 37, "verbose": 0}
    assert loaded.evaluate(images, **settings) == model.evaluate(images, **settings)
    assert loaded.loss_names[-1] == "penalty_loss"
    assert "penalty_loss" in loaded.fit(images, **settings).history


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_keeps_it_in_float32(images, kind):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,))
        model = keras_vae.VAE(*parts, seed=0, penalty=MAKE[kind]())
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = keras.optimizers.Adam(1e-2)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0)
    model.compile(scaled)
    assert model.penalty.compute_dtype == "float32"
    losses = model.compute_losses((ops.convert_to_tensor(images),), training=False)
    assert {keras.backend.standardize_dtype(v.dtype) for v in losses.values()} == {"float32"}
    history = model.fit(images, batch_size=37, epochs=3, verbose=0).history
    assert np.isfinite(history["penalty_loss"]).all() and int(scaled.iterations) == 3


# One's own, and mistakes


@keras.saving.register_keras_serializable(package="tests")
class Sparse(Penalty):
    def nats(self, model, y, shares):
        return ops.sum(shares * ops.sum(ops.abs(y["z_mean"]), axis=1))


def test_a_penalty_of_ones_own_is_one_class(make_vae, images, tmp_path):
    model = make_vae(penalty=Sparse(4.0))
    losses = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    expected = 4 * np.abs(model.encode(images)[0]).sum(axis=1).mean()
    assert losses["penalty_loss"] == pytest.approx(expected, rel=1e-4)
    model.fit(images, batch_size=37, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.penalty) is Sparse and loaded.penalty.weight == 4
    with pytest.raises(ValueError, match="Sparse needs the posterior of a `VAE`"):
        make_autoencoder(Sparse())
    with pytest.raises(NotImplementedError, match="Penalty must define `nats`"):
        make_vae(penalty=Penalty()).evaluate(images, verbose=0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"mmd", "code_norm"}))
def test_an_autoencoder_has_no_posterior(kind):
    message = f"The penalty {type(MAKE[kind]()).__name__} needs the posterior of a `VAE`. .* MMD"
    with pytest.raises(ValueError, match=message):
        make_autoencoder(MAKE[kind]())


@pytest.mark.once
@pytest.mark.parametrize("wrong", ["mmd", 3.0, MMD, keras.regularizers.L2(1.0)])
def test_what_is_no_penalty_is_refused(make_vae, wrong):
    message = "Argument `penalty` must be None or a `keras_vae.penalties.Penalty`. Received: penal"
    with pytest.raises(ValueError, match=message):
        make_vae(penalty=wrong)
    with pytest.raises(ValueError, match=message):
        make_autoencoder(wrong)


@pytest.mark.once
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MMD(-1), "Argument `weight` must be a finite number of at least 0"),
        (lambda: MMD(math.inf), "Argument `weight` must be a finite number of at least 0"),
        (lambda: CodeNorm("1"), "Argument `weight` must be a finite number of at least 0"),
        (lambda: CodeNorm(1, decoder=-1), "Argument `decoder` must be a finite number of at least"),
        (lambda: DIP(1, diagonal=-1), "Argument `diagonal` must be a finite number of at least 0"),
        (lambda: DIP(1, of="x"), "Argument `of` must be 'z_mean' or 'z'. Received: of='x'"),
        (lambda: TotalCorrelation(1, 0), "Argument `images` must be"),
        (lambda: TotalCorrelation(1, 9.5), "Argument `images` must be"),
        (
            lambda: TotalCorrelation(1, estimate="stratified"),
            "Argument `images` must be a positive",
        ),
        (lambda: TotalCorrelation(1, 9, "exact"), "`estimate` must be 'weighted' or 'stratified'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.once
def test_they_are_public():
    assert keras_vae.penalties is penalties
    for kind in (TotalCorrelation, MMD, DIP, CodeNorm):
        assert getattr(keras_vae.penalties, kind.__name__) is kind
