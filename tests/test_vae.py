import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae.models.vae import gaussian_kl

LOSSES = {"loss", "reconstruction_loss", "kl_loss", "kl_weight"}


def weights_of(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]


def predicted_with_noise(model, images):
    """What the model gives for images with the noise that `evaluate` uses."""
    model.reset_metrics()  # which count the images that an evaluation has seen
    eps = model.noise_of_steps(1, len(images), training=False)["eps"][0]
    given = model(images, eps=eps)
    return {name: ops.convert_to_numpy(value) for name, value in given.items()}


# Contract


def test_call_and_predict_give_a_dict(make_vae, images):
    model = make_vae(latent_dim=3)
    shapes = {
        "reconstruction": (37, 6, 5, 3),
        "z_mean": (37, 3),
        "z_log_var": (37, 3),
        "z": (37, 3),
    }
    for result in (model(images), model.predict(images, verbose=0)):
        assert {name: tuple(value.shape) for name, value in result.items()} == shapes
        assert {keras.backend.standardize_dtype(v.dtype) for v in result.values()} == {"float32"}
        pixels = ops.convert_to_numpy(result["reconstruction"])
        assert pixels.min() >= 0 and pixels.max() <= 1


def test_uint8_and_float_images_mean_the_same(make_vae, images):
    model = make_vae()
    from_bytes = model.predict(images, verbose=0)
    from_floats = model.predict(images.astype("float32") / 255, verbose=0)
    for name in from_bytes:
        np.testing.assert_allclose(from_bytes[name], from_floats[name], rtol=1e-5, atol=1e-6)


def test_encode_decode_reconstruct_and_sample_give_numpy(make_vae, images):
    model = make_vae()
    z_mean, z_log_var = model.encode(images)
    predicted = model.predict(images, verbose=0)
    np.testing.assert_allclose(z_mean, predicted["z_mean"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(z_log_var, predicted["z_log_var"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.decode(predicted["z"]), predicted["reconstruction"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(z_mean))
    assert model.sample(5).shape == (5, 6, 5, 3)
    for array in (z_mean, z_log_var, model.decode(z_mean), model.sample(2)):
        assert isinstance(array, np.ndarray) and array.dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 5, 37, 1000])
def test_the_batch_size_changes_nothing(make_vae, images, batch_size):
    model = make_vae()
    np.testing.assert_allclose(
        model.reconstruct(images, batch_size), model.reconstruct(images), rtol=1e-5, atol=1e-6
    )
    losses = model.evaluate(images, batch_size=batch_size, verbose=0)
    np.testing.assert_allclose(losses, model.evaluate(images, verbose=0), rtol=1e-5)


def test_no_images_give_no_codes(make_vae, images):
    model = make_vae()
    assert [part.shape for part in model.encode(images[:0])] == [(0, 2), (0, 2)]
    assert model.decode(np.zeros((0, 2))).shape == (0, 6, 5, 3)
    assert model.sample(0).shape == (0, 6, 5, 3)


def test_sample_follows_seed_and_temperature(make_vae):
    model = make_vae()
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1))
    assert not np.array_equal(model.sample(4, seed=1), model.sample(4, seed=2))
    assert not np.array_equal(model.sample(4), model.sample(4))
    z = np.random.default_rng(1).standard_normal((4, 2), "float32")
    np.testing.assert_array_equal(model.sample(4, seed=1, temperature=0.5), model.decode(0.5 * z))
    np.testing.assert_array_equal(
        model.sample(2, temperature=0)[0], model.decode(np.zeros((1, 2)))[0]
    )


def test_using_the_model_touches_no_training_state(make_vae, images):
    model = make_vae()
    model.fit(images, verbose=0)
    before = [ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]
    model.sample(3)
    model.reconstruct(images)
    model.predict(images, verbose=0)
    model.evaluate(images, verbose=0)
    after = [ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)


def test_decoding_keeps_no_gradient(make_vae, images):
    model = make_vae()
    model.reconstruct(images)
    decoded = model.programs.functions["_decode"](
        ops.convert_to_tensor(np.zeros((1, 2), "float32"))
    )
    assert not getattr(decoded, "requires_grad", False)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch compiles nothing here")
def test_decoding_compiles_for_few_sizes(make_vae, monkeypatch):
    model = make_vae()
    traced = []
    pixels = model.likelihood.mean
    monkeypatch.setattr(model.likelihood, "mean", lambda o: traced.append(o.shape) or pixels(o))
    for n in range(1, 33):
        assert model.decode(np.zeros((n, 2))).shape == (n, 6, 5, 3)
    assert 1 <= len(traced) <= 6  # 1, 2, 4, 8, 16 and 32


def test_compiling_anew_uses_new_parts(make_vae, images):
    model, other = make_vae(), make_vae()
    other.encoder.set_weights([weight + 0.1 for weight in other.encoder.get_weights()])
    before = model.encode(images)[0]
    model.encoder = other.encoder
    model.compile()
    assert not np.allclose(model.encode(images)[0], before)
    np.testing.assert_array_equal(model.encode(images)[0], other.encode(images)[0])


# Numbers


def test_gaussian_kl_is_the_closed_form():
    zeros = np.zeros((1, 3), "float32")
    assert float(gaussian_kl(zeros, zeros)[0]) == 0
    # KL[N(1, 4) || N(0, 1)] = (4 + 1 - 1 - log 4) / 2
    one_dimension = gaussian_kl(np.ones((1, 1), "float32"), np.full((1, 1), np.log(4), "float32"))
    assert float(one_dimension[0]) == pytest.approx((4 - np.log(4)) / 2, rel=1e-5)


def test_gaussian_kl_agrees_with_the_integral():
    rng = np.random.default_rng(0)
    z_mean, z_log_var = rng.standard_normal((2, 3))
    z = np.linspace(-30, 30, 200_001)[:, None]
    sigma = np.exp(z_log_var / 2)
    log_q = -0.5 * ((z - z_mean) / sigma) ** 2 - np.log(sigma)
    log_p = -0.5 * z**2
    density = np.exp(log_q) / np.sqrt(2 * np.pi)
    integral = np.sum(density * (log_q - log_p) * (z[1] - z[0]))
    kl = gaussian_kl(np.float32([z_mean]), np.float32([z_log_var]))
    assert float(kl[0]) == pytest.approx(integral, rel=1e-4)


@pytest.mark.parametrize("beta", [0, 1.0, 2.5])
def test_losses_are_the_elbo_of_the_outputs(make_vae, images, beta):
    model = make_vae(beta=beta)
    losses = model.evaluate(images, batch_size=37, verbose=0, return_dict=True)
    y = predicted_with_noise(model, images)
    error = (images / 255 - y["reconstruction"]) ** 2
    reconstruction_loss = error.sum(axis=(1, 2, 3)).mean()
    kl = -0.5 * (1 + y["z_log_var"] - y["z_mean"] ** 2 - np.exp(y["z_log_var"])).sum(axis=1).mean()
    assert losses["reconstruction_loss"] == pytest.approx(reconstruction_loss, rel=1e-5)
    assert losses["kl_loss"] == pytest.approx(kl, rel=1e-5)
    assert losses["loss"] == pytest.approx(reconstruction_loss + beta * kl, rel=1e-5)


@pytest.mark.parametrize("free_bits", [0.0, 1.5])
def test_free_bits_are_optimised_but_not_reported(make_vae, images, free_bits):
    # Nothing is learned at a learning rate of 0, so training sees the codes that `encode` gives.
    model = make_vae(beta=2, free_bits=free_bits, optimizer=keras.optimizers.SGD(0.0), latent_dim=4)
    trained = model.train_on_batch(images, return_dict=True)
    z_mean, z_log_var = model.encode(images)
    kl = -0.5 * (1 + z_log_var - z_mean**2 - np.exp(z_log_var)).mean(axis=0)
    penalty = np.maximum(free_bits, kl).sum()
    assert free_bits == 0 or penalty > kl.sum() + 0.01  # some latent is below the limit
    assert trained["kl_loss"] == pytest.approx(kl.sum(), rel=1e-5)
    expected = trained["reconstruction_loss"] + 2 * penalty
    assert trained["loss"] == pytest.approx(expected, rel=1e-5)
    tested = model.evaluate(images, verbose=0, return_dict=True)
    assert tested["kl_loss"] == pytest.approx(kl.sum(), rel=1e-5)
    expected = tested["reconstruction_loss"] + 2 * kl.sum()
    assert tested["loss"] == pytest.approx(expected, rel=1e-5)


def test_free_bits_follow_the_weights_of_images(make_vae, images):
    """Weighing all images alike scales the whole loss, its free bits too."""
    y = np.zeros(37)
    losses = []
    for weight in (1.0, 0.01):
        model = make_vae(free_bits=1.5, optimizer=keras.optimizers.SGD(0.0))
        weights = np.full(37, weight, "float32")
        losses.append(model.train_on_batch(images, y, sample_weight=weights, return_dict=True))
    assert losses[1]["loss"] == pytest.approx(0.01 * losses[0]["loss"], rel=1e-4)


def test_the_kl_warms_up_in_training_only(make_vae, images):
    model = make_vae(beta=2, kl_warmup_steps=4)
    weights = []
    for _ in range(6):
        model.reset_metrics()
        losses = model.train_on_batch(images, return_dict=True)
        weights.append(losses["kl_weight"])
        total = losses["reconstruction_loss"] + losses["kl_weight"] * losses["kl_loss"]
        assert losses["loss"] == pytest.approx(total, rel=1e-5)
        tested = model.evaluate(images, verbose=0, return_dict=True)
        assert tested["kl_weight"] == 2
        total = tested["reconstruction_loss"] + 2 * tested["kl_loss"]
        assert tested["loss"] == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(weights, [0, 0.5, 1, 1.5, 2, 2], rtol=1e-6)


def test_the_warm_up_goes_on_inside_fit_and_after_loading(make_vae, images, tmp_path):
    model = make_vae(kl_warmup_steps=10)
    weights = model.fit(images, batch_size=16, epochs=2, verbose=0).history["kl_weight"]
    means = [(16 * 0.0 + 16 * 0.1 + 5 * 0.2) / 37, (16 * 0.3 + 16 * 0.4 + 5 * 0.5) / 37]
    np.testing.assert_allclose(weights, means, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.train_on_batch(images, return_dict=True)["kl_weight"] == pytest.approx(0.6)


def test_a_warm_up_starts_without_the_kl(make_vae, images):
    """Its first step is the one of beta 0, in the gradient too and not in the log alone."""
    free, held = make_vae(kl_warmup_steps=10**6), make_vae(beta=0)
    for model in (free, held):
        keras.utils.set_random_seed(1)
        model.compile(keras.optimizers.SGD(1e-2))
        model.fit(images, batch_size=37, epochs=1, verbose=0)
    for one, other in zip(weights_of(free.encoder), weights_of(held.encoder)):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_noise_is_a_function_of_seed_step_and_row(make_vae, images):
    def noise_of(model, *arguments):
        return ops.convert_to_numpy(model.noise_of_steps(*arguments)["eps"])

    model = make_vae(seed=4)
    expected = noise_of(model, 5, 8, True)  # (steps, rows, latents)
    assert expected.shape == (5, 8, 2)
    model.train_on_batch(images[:8])
    assert int(model.steps) == 1
    np.testing.assert_array_equal(noise_of(model, 4, 8, True), expected[1:])
    np.testing.assert_array_equal(noise_of(model, 4, 3, True), expected[1:, :3])
    np.testing.assert_array_equal(noise_of(make_vae(seed=4), 5, 8, True), expected)
    assert not np.isin(noise_of(make_vae(seed=5), 5, 8, True), expected).any()
    model.reset_metrics()
    evaluated = noise_of(model, 2, 3, False)  # images that follow each other
    np.testing.assert_array_equal(evaluated.reshape(6, 2), noise_of(make_vae(), 1, 6, False)[0])


def test_a_model_of_an_earlier_version_can_be_loaded(make_vae, images, tmp_path):
    """Its file has no `noise_seed`, and `steps` only with a warm-up."""

    class Earlier(keras_vae.VAE):
        def save_own_variables(self, store):
            if self.kl_warmup_steps:
                store["0"] = np.array(self.steps)

    for warmup in (0, 9):
        model = make_vae(kl_warmup_steps=warmup, seed=7)
        model.fit(images, verbose=0)
        model.__class__ = Earlier
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = make_vae(kl_warmup_steps=warmup, seed=7)
        loaded.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_array_equal(loaded.encode(images)[0], model.encode(images)[0])
        assert int(loaded.noise_seed) == int(model.noise_seed)
        assert int(loaded.steps) == (2 if warmup else 0)


def test_sample_weights_weigh_images(make_vae, images):
    model = make_vae()
    weights = np.repeat([1.0, 0.0], [20, 17]).astype("float32")
    y = np.zeros(37)
    weighted = model.evaluate(images, y, sample_weight=weights, batch_size=37, verbose=0)
    alone = model.evaluate(images[:20], batch_size=37, verbose=0)
    np.testing.assert_allclose(weighted[:3], np.array(alone[:3]) * 20 / 37, rtol=1e-5)


def test_regularisers_of_the_parts_are_in_the_loss(images):
    encoder, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(4,))
    z = keras.Input((2,))
    regulariser = keras.regularizers.L2(0.5)
    outputs = keras.layers.Dense(90, kernel_regularizer=regulariser)(z)
    decoder = keras.Model(z, keras.layers.Reshape((6, 5, 3))(outputs))
    model = keras_vae.VAE(encoder, decoder)
    model.compile()
    losses = model.evaluate(images, verbose=0, return_dict=True)
    penalty = 0.5 * np.sum(ops.convert_to_numpy(decoder.layers[1].kernel) ** 2)
    total = losses["reconstruction_loss"] + losses["kl_loss"] + penalty
    assert losses["loss"] == pytest.approx(total, rel=1e-5)


# Training


def test_fit_reports_the_same_keys_and_consistent_means(make_vae, images):
    model = make_vae()
    history = model.fit(
        images, validation_data=(images,), batch_size=16, epochs=2, verbose=0
    ).history
    assert set(history) == LOSSES | {f"val_{name}" for name in LOSSES}
    for prefix in ("", "val_"):  # 16 + 16 + 5 images: a mean of batch means would break this
        total = np.add(history[f"{prefix}reconstruction_loss"], history[f"{prefix}kl_loss"])
        np.testing.assert_allclose(history[f"{prefix}loss"], total, rtol=1e-5)


def test_epoch_means_are_weighted_by_batch_size(make_vae, images):
    model = make_vae(optimizer=keras.optimizers.SGD(0.0))
    y = np.concatenate([images[:32], np.zeros_like(images[:1])])
    whole = model.evaluate(y, batch_size=33, verbose=0)
    ragged = model.evaluate(y, batch_size=32, verbose=0)
    np.testing.assert_allclose(ragged, whole, rtol=1e-5)


def test_fit_learns(make_vae):
    rng = np.random.default_rng(0)
    code = rng.random((256, 1, 1, 1))
    images = (255 * np.broadcast_to(code, (256, 6, 5, 3))).astype("uint8")
    model = make_vae(optimizer=keras.optimizers.Adam(1e-2))
    history = model.fit(images, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    mse = np.mean((model.reconstruct(images) - images / 255) ** 2)
    assert mse < 0.5 * np.var(images / 255)


def test_training_noise_is_fresh_at_each_step(images):
    # With a learning rate of 0 nothing but the noise can change the loss between epochs.
    keras.utils.set_random_seed(0)
    model = keras_vae.VAE(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(16,)), seed=0)
    model.compile(keras.optimizers.SGD(0.0))
    losses = model.fit(images, batch_size=37, epochs=4, verbose=0).history["reconstruction_loss"]
    assert len(set(losses)) == 4


def test_training_repeats_under_a_seed(make_vae, images):
    first, second = make_vae(), make_vae()
    for model in (first, second):
        keras.utils.set_random_seed(1)
        model.fit(images, batch_size=16, epochs=2, verbose=0)
    for one, other in zip(weights_of(first), weights_of(second)):
        np.testing.assert_array_equal(one, other)
    third = make_vae(seed=1)
    keras.utils.set_random_seed(1)
    third.fit(images, batch_size=16, epochs=2, verbose=0)
    assert any(not np.array_equal(a, b) for a, b in zip(weights_of(first), weights_of(third)))


def test_validation_does_not_change_training(make_vae, images):
    alone, validated = make_vae(), make_vae()
    alone.fit(images, batch_size=16, epochs=3, verbose=0)
    keras.utils.set_random_seed(0)
    validated = make_vae()
    use = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (validated.predict(images, verbose=0), validated.sample(2))
    )
    validated.fit(
        images,
        batch_size=16,
        epochs=3,
        verbose=0,
        validation_data=(images[:20],),
        callbacks=[use],
    )
    for one, other in zip(weights_of(alone), weights_of(validated)):
        np.testing.assert_array_equal(one, other)


def test_evaluating_twice_gives_the_same_numbers(make_vae, images):
    model = make_vae()
    assert model.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)


def test_train_on_batch_and_callbacks_work_as_in_keras(make_vae, images):
    model = make_vae()
    assert set(model.train_on_batch(images, return_dict=True)) == LOSSES
    assert set(model.test_on_batch(images, return_dict=True)) == LOSSES
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=1e9)
    history = model.fit(images, validation_data=(images,), epochs=9, callbacks=[stop], verbose=0)
    assert len(history.epoch) == 2


@pytest.mark.parametrize("kind", [keras_vae.VAE, keras_vae.AutoEncoder])
def test_layers_know_when_they_are_trained(images, kind):
    """Batch statistics move in training only; dropout acts in training only."""
    heads = 2 if kind is keras_vae.VAE else 1
    x = keras.Input((6, 5, 3))
    y = keras.layers.Dropout(0.5, seed=0)(keras.layers.Flatten()(x))
    y = keras.layers.BatchNormalization()(keras.layers.Dense(8)(y))
    codes = [keras.layers.Dense(2)(y) for _ in range(heads)]
    encoder = keras.Model(x, codes if heads == 2 else codes[0])
    _, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
    model = kind(encoder, decoder)
    model.compile(keras.optimizers.SGD(0.0))
    moving_mean = encoder.layers[-1 - heads].moving_mean

    def evaluate():
        return model.evaluate(images, verbose=0)[0]

    start, before = ops.convert_to_numpy(moving_mean), evaluate()
    assert evaluate() == before
    np.testing.assert_array_equal(ops.convert_to_numpy(moving_mean), start)
    losses = model.fit(images, batch_size=37, epochs=3, verbose=0).history["loss"]
    assert len(set(losses)) == 3  # dropout draws anew
    assert not np.array_equal(ops.convert_to_numpy(moving_mean), start)
    assert evaluate() != before


def test_a_frozen_part_stays_as_it_is(make_vae, images):
    model = make_vae()
    model.decoder.trainable = False
    model.compile("adam")
    frozen = [ops.convert_to_numpy(w) for w in model.decoder.weights]
    moving = [ops.convert_to_numpy(w) for w in model.encoder.trainable_weights]
    model.fit(images, verbose=0)
    for before, weight in zip(frozen, model.decoder.weights):
        np.testing.assert_array_equal(before, ops.convert_to_numpy(weight))
    for before, weight in zip(moving, model.encoder.trainable_weights):
        assert not np.array_equal(before, ops.convert_to_numpy(weight))


def mixed_model(policy, builder=keras_vae.build_mlp, optimizer="adam", **arguments):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras_vae.VAE(*builder((6, 5, 3), 2, (16,)), seed=0, **arguments)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(optimizer)
    return model


@pytest.mark.parametrize(
    "builder, policy",
    [(keras_vae.build_mlp, "mixed_float16"), (keras_vae.build_conv, "mixed_bfloat16")],
)
def test_mixed_precision_keeps_codes_and_losses_in_float32(images, policy, builder):
    model = mixed_model(policy, builder, likelihood="gaussian")
    history = model.fit(images, validation_data=(images,), epochs=2, verbose=0).history
    result = model(images, raw=True)
    assert {layer.compute_dtype for layer in model.encoder.layers} == {"float32", policy[6:]}
    assert np.isfinite(history["val_loss"]).all()
    assert {keras.backend.standardize_dtype(v.dtype) for v in result.values()} == {"float32"}
    losses = model.compute_losses((ops.convert_to_tensor(images),), training=False)
    assert {keras.backend.standardize_dtype(v.dtype) for v in losses.values()} == {"float32"}
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


@pytest.mark.parametrize("likelihood", ["mse", "gaussian"])
def test_a_step_that_overflows_float16_is_skipped_and_training_recovers(images, likelihood):
    model = mixed_model("mixed_float16", likelihood=likelihood)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(1e-2), initial_scale=2.0**40
    )
    model.compile(optimizer)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.train_on_batch(images)
    for one, other in zip(before, model.trainable_weights):
        np.testing.assert_array_equal(one, ops.convert_to_numpy(other))
    assert float(optimizer.dynamic_scale) == 2.0**39
    first = model.evaluate(images, verbose=0)[0]
    history = model.fit(images, batch_size=37, epochs=80, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert float(optimizer.dynamic_scale) < 2.0**30
    assert model.evaluate(images, verbose=0)[0] < first


# Saving


def test_config_round_trip(make_vae):
    arguments = {"beta": 0.5, "kl_warmup_steps": 7, "free_bits": 0.1, "seed": 3, "name": "faces"}
    model = make_vae(likelihood="bernoulli", **arguments)
    twin = keras_vae.VAE.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    numbers = {name: getattr(twin, name) for name in arguments}
    assert numbers | {name: twin.get_config()[name] for name in ("beta", "free_bits")} == arguments
    assert type(twin.likelihood).__name__ == "Bernoulli"


def test_save_and_load(make_vae, images, tmp_path):
    model = make_vae(beta=0.5)
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_vae.VAE
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)
    np.testing.assert_array_equal(loaded.sample(3, seed=0), model.sample(3, seed=0))
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 2
    loaded.fit(images, verbose=0)  # and goes on


def test_a_model_is_a_layer_of_another(make_vae, images):
    model = make_vae()
    x = keras.Input((6, 5, 3))
    outer = keras.Model(x, model(x)["reconstruction"])
    assert outer.output_shape == (None, 6, 5, 3)
    expected = model.predict(images, verbose=0)["reconstruction"]
    found = outer.predict(images / 255, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_summary_counts_the_parameters(make_vae, capsys):
    model = make_vae()
    model.summary()
    count = model.encoder.count_params() + model.decoder.count_params() + 2  # steps and noise_seed
    assert f"{count:,}" in capsys.readouterr().out


# Any two Keras models of the right shapes


class Encoder(keras.Model):
    """Made without keras.Input: its shapes are known only when images arrive."""

    def __init__(self, latent_dim):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.heads = [keras.layers.Dense(latent_dim) for _ in range(2)]

    def call(self, x):
        x = self.flatten(x)
        return [head(x) for head in self.heads]


def test_subclassed_parts_can_be_evaluated_first(images):
    decoder = keras.Sequential([keras.layers.Dense(90), keras.layers.Reshape((6, 5, 3))])
    model = keras_vae.VAE(Encoder(4), decoder)
    model.compile()
    losses = model.evaluate(images, verbose=0, return_dict=True)
    assert losses == model.evaluate(images, verbose=0, return_dict=True)


def test_subclassed_parts_are_checked_when_images_arrive(images):
    decoder = keras.Sequential([keras.layers.Dense(90), keras.layers.Reshape((6, 5, 3))])
    model = keras_vae.VAE(Encoder(4), decoder)
    model.compile()
    with pytest.raises(ValueError, match="has seen no images yet"):
        model.sample(1)
    with pytest.raises(ValueError, match="with values from"):
        model.fit(images.astype("float32"), verbose=0)
    assert set(model.fit(images, verbose=0).history) == LOSSES
    assert model.latent_dim == 4 and model.sample(2).shape == (2, 6, 5, 3)
    wrong = keras.Sequential([keras.layers.Dense(12), keras.layers.Reshape((2, 2, 3))])
    model = keras_vae.VAE(Encoder(4), wrong)
    model.compile()
    with pytest.raises(ValueError, match="Argument `decoder` must return one tensor"):
        model.fit(images, verbose=0)


# Mistakes


def part(inputs, *outputs):
    """A model from one shape to others, by dense layers."""
    x = keras.Input(inputs)
    flat = keras.layers.Flatten()(x)
    made = [keras.layers.Reshape(s)(keras.layers.Dense(int(np.prod(s)))(flat)) for s in outputs]
    return keras.Model(x, made if len(made) > 1 else made[0])


IMAGE = (6, 5, 3)


@pytest.mark.parametrize(
    "encoder, decoder, message",
    [
        (
            [IMAGE, (2,)],
            [(2,), IMAGE],
            "`encoder` of `VAE` must return z_mean and z_log_var.*1 output",
        ),
        ([IMAGE, (2,), (2,), (2,)], [(2,), IMAGE], "`encoder` of `VAE` must return.*3 output"),
        ([IMAGE, (2,), (3,)], [(2,), IMAGE], r"`encoder` of `VAE` must return.*\(None, 3\)"),
        ([IMAGE, (2, 2), (2, 2)], [(2,), IMAGE], "`encoder` of `VAE` must return"),
        ([(30,), (2,), (2,)], [(2,), IMAGE], r"`decoder` must return one tensor.*\(None, 30\)"),
        ([IMAGE, (2,), (2,)], [(3,), IMAGE], r"`decoder` must take codes.*\(None, 3\)"),
        ([IMAGE, (2,), (2,)], [(2,), (6, 5, 1)], r"`decoder` must return.*\(None, 6, 5, 1\)"),
        ([IMAGE, (2,), (2,)], [(2,), IMAGE, IMAGE], "`decoder` must return one tensor"),
    ],
)
def test_parts_that_do_not_fit_are_refused_at_construction(encoder, decoder, message):
    with pytest.raises(ValueError, match=message):
        keras_vae.VAE(part(*encoder), part(*decoder))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"beta": -1}, "Argument `beta` must be"),
        ({"beta": float("nan")}, "Argument `beta` must be"),
        ({"beta": "1"}, "Argument `beta` must be"),
        ({"beta": True}, "Argument `beta` must be"),
        ({"beta": float("inf")}, "Argument `beta` must be"),
        ({"kl_warmup_steps": -1}, "Argument `kl_warmup_steps` must be"),
        ({"kl_warmup_steps": 0.5}, "Argument `kl_warmup_steps` must be"),
        ({"beta": 1e39}, "Argument `beta` must be"),
        ({"beta": 10**400}, "Argument `beta` must be"),
        ({"kl_warmup_steps": 2**31}, "Argument `kl_warmup_steps` must be.* below 2147483648"),
        ({"kl_warmup_steps": True}, "Argument `kl_warmup_steps` must be"),
        ({"kl_warmup_steps": None}, "Argument `kl_warmup_steps` must be"),
        ({"free_bits": -0.1}, "Argument `free_bits` must be"),
        ({"free_bits": "1"}, "Argument `free_bits` must be"),
        ({"free_bits": float("nan")}, "Argument `free_bits` must be"),
        ({"seed": -1}, "Argument `seed` must be"),
        ({"seed": True}, "Argument `seed` must be"),
        ({"seed": 0.5}, "Argument `seed` must be"),
        ({"likelihood": "l2"}, "Argument `likelihood` must be"),
    ],
)
def test_bad_arguments_are_named(make_vae, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_vae(**arguments)


def test_parts_must_be_models():
    encoder, decoder = keras_vae.build_mlp(IMAGE, 2, hidden=(4,))
    with pytest.raises(ValueError, match="Argument `encoder` must be a Keras model"):
        keras_vae.VAE(lambda x: x, decoder)
    with pytest.raises(ValueError, match="Argument `decoder` must be a Keras model"):
        keras_vae.VAE(encoder, None)


METHODS = ("fit", "evaluate", "predict", "encode", "reconstruct", "__call__", "train_on_batch")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x.astype("float32"), "with values from 0.0 to 255.0"),
        (lambda x: x / 255 - 0.5, "float in"),
        (lambda x: np.full(x.shape, np.nan), "float in"),
        (lambda x: x.astype("int32") - 1, "dtype=int32, with values from -1 to 254"),
        (lambda x: x[0], r"`x\[None\]`"),
        (lambda x: x[..., 0], r"shape \(n, 6, 5, 3\)"),
        (lambda x: x[:, :3], r"shape \(n, 6, 5, 3\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(make_vae, images, change, message):
    model = make_vae()
    for method in METHODS:
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(change(images))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch"])
def test_tensors_are_checked_like_arrays(make_vae, images, method):
    with pytest.raises(ValueError, match="with values from"):
        getattr(make_vae(), method)(ops.convert_to_tensor(images.astype("float32")))


def test_a_list_is_no_batch(make_vae, images):
    with pytest.raises(ValueError, match="must be one array of images"):
        make_vae().fit([images], verbose=0)


def test_evaluate_before_compile_says_so(images):
    model = keras_vae.VAE(*keras_vae.build_mlp(IMAGE, np.int64(2), hidden=(4,)), beta=np.float32(2))
    with pytest.raises(ValueError, match="Call `compile`"):
        model.evaluate(images)


def test_validation_images_are_checked_too(make_vae, images):
    with pytest.raises(ValueError, match="with values from"):
        make_vae().fit(images, validation_data=(images.astype("float32"),), verbose=0)


def test_grey_images_without_a_channel_get_advice(make_vae):
    model = make_vae(image_shape=(6, 5, 1))
    with pytest.raises(ValueError, match=r"`x\[\.\.\., None\]`"):
        model.encode(np.zeros((4, 6, 5)))


def test_codes_sizes_and_temperatures_are_checked(make_vae, images):
    model = make_vae()
    with pytest.raises(ValueError, match=r"`z` must have the shape \(n, 2\)"):
        model.decode(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"`z` must have the shape \(n, 2\)"):
        model.decode(np.zeros(2))
    with pytest.raises(ValueError, match="Argument `n` must be"):
        model.sample(-1)
    with pytest.raises(ValueError, match="Argument `temperature` must be"):
        model.sample(1, temperature=-1)
    with pytest.raises(ValueError, match="Argument `temperature` must be"):
        model.sample(1, temperature="hot")
    with pytest.raises(ValueError, match="Argument `batch_size` must be"):
        model.encode(images, batch_size=0)


@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_compile_refuses_losses_and_metrics(make_vae, name):
    with pytest.raises(ValueError, match=f"takes no `{name}`"):
        make_vae().compile("adam", **{name: "mse"})
