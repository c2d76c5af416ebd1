"""What a user changes in a model between two calls, or during `fit`: no program is out of date."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae.models.settings import number

BATCH = 10


class Batches(keras.utils.PyDataset):
    """Images that go through Keras's loop."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return -(-len(self.images) // BATCH)

    def __getitem__(self, i):
        return (self.images[BATCH * i : BATCH * (i + 1)],)


def fit(model, images, loop, **arguments):
    data = images if loop == "ours" else Batches(images)
    size = {"batch_size": BATCH} if loop == "ours" else {}
    return model.fit(data, shuffle=False, verbose=0, **size, **arguments).history


def evaluate(model, images, loop):
    data = images if loop == "ours" else Batches(images)
    size = {"batch_size": BATCH} if loop == "ours" else {}
    return model.evaluate(data, verbose=0, return_dict=True, **size)


def arrays(model):
    return [ops.convert_to_numpy(variable) for variable in model.weights]


loops = pytest.mark.parametrize("loop", ["ours", "keras"])


class Anneal(keras.callbacks.Callback):
    """Raises beta by one in each epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.beta = float(epoch)


# Settings


@loops
def test_beta_may_be_annealed_by_a_callback(make_vae, images, loop):
    model = make_vae(optimizer=keras.optimizers.SGD(0.0), beta=7)
    validation = images if loop == "ours" else Batches(images)
    history = fit(model, images, loop, epochs=3, callbacks=[Anneal()], validation_data=validation)
    for prefix in ("", "val_"):
        np.testing.assert_allclose(history[f"{prefix}kl_weight"], [0, 1, 2], rtol=1e-6)
        kl = np.arange(3) * history[f"{prefix}kl_loss"]
        total = np.add(history[f"{prefix}reconstruction_loss"], kl)
        np.testing.assert_allclose(history[f"{prefix}loss"], total, rtol=1e-5)
    assert number(model.beta) == 2


@loops
def test_a_callback_that_holds_the_model_may_set_beta_at_each_step(make_vae, images, loop):
    model = make_vae()
    model.compile(keras.optimizers.SGD(0.0), steps_per_execution=1)

    def set_beta(batch, logs=None):
        model.beta = float(batch)

    each = keras.callbacks.LambdaCallback(on_train_batch_begin=set_beta)
    history = fit(model, images[:30], loop, callbacks=[each])
    assert history["kl_weight"] == pytest.approx([1.0])
    assert number(model.beta) == 2


@loops
@pytest.mark.parametrize("setting, value", [("beta", 4.0), ("free_bits", 1.5)])
def test_a_setting_changed_between_two_fits_is_trained_with(make_vae, images, loop, setting, value):
    changed = make_vae(optimizer=keras.optimizers.SGD(0.0), seed=3)
    made = make_vae(optimizer=keras.optimizers.SGD(0.0), seed=3, **{setting: value})
    before = arrays(changed)
    for model in (changed, made):
        fit(model, images, loop, epochs=4)  # compiled, and recorded; nothing is learned
        setattr(model, setting, value)
        model.optimizer.learning_rate = 1e-3
        fit(model, images, loop, epochs=4)
    assert any(not np.allclose(*pair) for pair in zip(before, arrays(made)))
    for one, other in zip(arrays(changed), arrays(made)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_settings_are_saved_as_they_are_now(make_vae, images, tmp_path):
    model = make_vae()
    model.fit(images, verbose=0)
    model.beta, model.free_bits = 0.1, 0.3
    assert model.get_config()["beta"] == 0.1 and model.get_config()["free_bits"] == 0.3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (number(loaded.beta), number(loaded.free_bits)) == (0.1, 0.3)
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)
    own = [model.steps, model.noise_seed]
    assert len(model.weights) == len(model.encoder.weights + model.decoder.weights + own)


@pytest.mark.parametrize("value", [-1, float("nan"), "1", True, None])
@pytest.mark.parametrize("setting", ["beta", "free_bits"])
def test_settings_are_checked_when_they_are_set(make_vae, setting, value):
    model = make_vae()
    with pytest.raises(ValueError, match=f"Argument `{setting}` must be a finite number"):
        setattr(model, setting, value)
    assert number(getattr(model, setting)) == {"beta": 1.0, "free_bits": 0.0}[setting]


def test_losses_of_ones_own_may_use_the_settings(images):
    class Doubled(keras_vae.VAE):
        def compute_losses(self, data, training, **noise):
            losses = super().compute_losses(data, training, **noise)
            return losses | {"loss": losses["loss"] + 100 * self.beta}

    model = Doubled(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,)))
    model.compile("adam")
    first = model.evaluate(images, verbose=0, return_dict=True)
    model.beta = 2
    second = model.evaluate(images, verbose=0, return_dict=True)
    assert second["loss"] == pytest.approx(first["loss"] + 100 + first["kl_loss"], rel=1e-4)


# Weights


def freeze(model):
    model.encoder.trainable = False


def add_lora(model):
    model.decoder.layers[-2].enable_lora(2)


def quantize(model):
    model.quantize("int8")


@loops
@pytest.mark.parametrize("change", [freeze, add_lora, quantize])
def test_other_weights_to_train_ask_for_compile(images, loop, change):
    encoder, _ = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
    decoder = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(90), keras.layers.Reshape((6, 5, 3))]
    )
    model = keras_vae.VAE(encoder, decoder, seed=0)
    model.compile("adam")
    fit(model, images, loop, epochs=4)
    change(model)
    before = arrays(model)
    with pytest.raises(ValueError, match="Call `compile` again before training"):
        fit(model, images, loop)
    with pytest.raises(ValueError, match="Call `compile` again before training"):
        model.train_on_batch(images)
    for one, other in zip(before, arrays(model)):
        np.testing.assert_array_equal(one, other)
    model.compile("adam")
    frozen = arrays(model.encoder) if change is freeze else []
    fit(model, images, loop, epochs=4)
    assert any(not np.array_equal(*pair) for pair in zip(before, arrays(model)))
    for one, other in zip(frozen, arrays(model.encoder)):
        np.testing.assert_array_equal(one, other)


@loops
def test_freezing_a_part_in_a_callback_raises(make_vae, images, loop):
    model = make_vae()
    late = keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: e and freeze(model))
    with pytest.raises(ValueError, match="Call `compile` again before training"):
        fit(model, images, loop, epochs=2, callbacks=[late])


@loops
def test_what_is_frozen_before_the_first_step_stays(make_vae, images, loop):
    model = make_vae()
    model.encode(images)
    freeze(model)
    before = arrays(model.encoder)
    fit(model, images, loop, epochs=4)
    for one, other in zip(before, arrays(model.encoder)):
        np.testing.assert_array_equal(one, other)


# Parts


@loops
def test_a_quantized_model_is_what_is_used(make_vae, images, loop):
    model = make_vae(latent_dim=4)
    results = []
    for quantized in (False, True):
        if quantized:
            model.quantize("int8")
        codes, pictures = model.encode(images)[0], model.predict(images, verbose=0)
        np.testing.assert_allclose(codes, pictures["z_mean"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            codes, ops.convert_to_numpy(model(images)["z_mean"]), rtol=1e-4, atol=1e-5
        )
        results.append((codes, model.decode(codes), evaluate(model, images, loop)["loss"]))
    assert not np.allclose(results[0][0], results[1][0], rtol=1e-6, atol=1e-7)
    assert not np.allclose(results[0][1], results[1][1], rtol=1e-6, atol=1e-7)
    assert results[0][2] != results[1][2]
    other = "keras" if loop == "ours" else "ours"
    assert evaluate(model, images, other)["loss"] == pytest.approx(results[1][2], rel=1e-5)


def test_a_new_encoder_is_used_without_compile(make_vae, images):
    model, other = make_vae(), make_vae()
    other.encoder.set_weights([weight + 0.1 for weight in other.encoder.get_weights()])
    before = model.encode(images)[0], evaluate(model, images, "ours")
    model.encoder = other.encoder
    np.testing.assert_array_equal(model.encode(images)[0], other.encode(images)[0])
    assert not np.allclose(model.encode(images)[0], before[0])
    found, expected = (evaluate(one, images, "ours") for one in (model, other))
    assert found == pytest.approx(expected, rel=1e-5) and found != before[1]


@keras.saving.register_keras_serializable(package="tests")
class Scaled(keras_vae.likelihoods.Likelihood):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def nats(self, x, outputs):
        return self.scale * ops.sum(ops.abs(x - self.mean(outputs)), axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@loops
def test_a_setting_of_a_likelihood_is_noticed(make_vae, images, loop):
    model = make_vae(likelihood=Scaled(), optimizer=keras.optimizers.SGD(0.0))
    first = evaluate(model, images, loop)
    trained = fit(model, images, loop, epochs=2)
    model.likelihood.scale = 3.0
    second = evaluate(model, images, loop)
    again = fit(model, images, loop, epochs=2)
    name = "reconstruction_loss"
    assert second[name] == pytest.approx(3 * first[name], rel=1e-5)
    # The noise of training is another one.
    assert again[name][1] == pytest.approx(3 * trained[name][1], rel=0.3)


@loops
def test_another_likelihood_is_used_learns_and_is_saved(make_vae, images, loop, tmp_path):
    model = make_vae(likelihood=keras_vae.likelihoods.Gaussian(0.3))
    evaluate(model, images, loop)
    model.likelihood = "gaussian"
    fit(model, images, loop, epochs=3)
    assert float(model.likelihood.updates) == 12
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.likelihood.variance) == float(model.likelihood.variance) < 0.3
    assert evaluate(loaded, images, loop) == pytest.approx(evaluate(model, images, loop))
    for wrong in ("l2", keras.layers.Dense(1)):
        with pytest.raises(ValueError, match="Argument `likelihood` must be"):
            model.likelihood = wrong
    kinds = [type(layer).__name__ for layer in model._flatten_layers()]
    assert kinds.count("Gaussian") == 1  # the one before is gone


def test_programs_are_kept_while_nothing_changes(make_vae, images):
    model = make_vae(likelihood="gaussian", kl_warmup_steps=9)
    for _ in range(2):
        model.fit(images, validation_data=(images,), epochs=2, batch_size=BATCH, verbose=0)
        model.beta = 0.5
        model.optimizer.learning_rate = 1e-4
        model.evaluate(images, batch_size=BATCH, verbose=0)
        model.reconstruct(images)
        programs = {**model.programs.functions, **model.programs.steps}
    assert len(programs) >= 4
    model.fit(images, validation_data=(images,), batch_size=BATCH, verbose=0)
    model.reconstruct(images)
    now = {**model.programs.functions, **model.programs.steps}
    assert now.keys() == programs.keys()
    assert all(now[name] is program for name, program in programs.items())


# Noise, and means


@pytest.mark.parametrize("batch_size", [1, 10, 101])
def test_predict_does_not_depend_on_the_batch_size(make_vae, images, batch_size):
    model = make_vae()
    expected = model.reconstruct(images)
    found = model.predict(images, batch_size=batch_size, verbose=0)
    np.testing.assert_allclose(found["reconstruction"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["z"], found["z_mean"])
    called = ops.convert_to_numpy(model(images[5:9])["reconstruction"])
    np.testing.assert_allclose(called, expected[5:9], rtol=1e-5, atol=1e-6)
    draws = [ops.convert_to_numpy(model(images, training=True)["z"]) for _ in range(2)]
    assert not np.allclose(*draws) and not np.allclose(draws[0], found["z_mean"])


@loops
@pytest.mark.parametrize("inner", ["ours", "keras", "one batch"])
def test_evaluating_in_an_epoch_leaves_its_means(make_vae, images, loop, inner):
    results, seen = [], []
    for evaluates in (False, True):
        model = make_vae()
        model.compile("adam", steps_per_execution=1)
        logged = []

        def look(batch, logs, model=model, evaluates=evaluates, logged=logged):
            logged.append(float(logs["loss"]))
            if evaluates and batch == 1:
                if inner == "one batch":
                    seen.append(model.test_on_batch(images[:9], return_dict=True)["loss"])
                else:
                    seen.append(evaluate(model, images[:9], inner)["loss"])
                model.predict(images[:9], verbose=0)
                model.encode(images[:9])

        each = keras.callbacks.LambdaCallback(on_train_batch_end=look)
        history = fit(model, images, loop, epochs=2, callbacks=[each])
        results.append([*history.values(), logged])
    assert len(seen) == 2 and np.isfinite(seen).all()
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-5)


# float16


class Wide(keras.layers.Layer):
    """Gives a z_log_var near 12, whose KL's gradient overflows float16 at first."""

    def call(self, x):
        return x * 0.01 + 12


def test_skipping_every_step_warns_once(images):
    x = keras.Input((6, 5, 3))
    dense = keras.layers.Dense(2, dtype="mixed_float16")
    flat = keras.layers.Flatten(dtype="mixed_float16")(x)
    heads = [keras.layers.Dense(2, dtype="float32")(dense(flat))]
    heads.append(Wide(dtype="float32")(dense(flat)))
    _, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
    model = keras_vae.VAE(keras.Model(x, heads), decoder, seed=0)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3), initial_scale=2.0**30)
    model.compile(scaled)
    with pytest.warns(UserWarning, match="Nothing was learned in epoch 1: .*float16") as told:
        model.fit(images, batch_size=BATCH, epochs=3, verbose=0)
    assert sum("Nothing was learned" in str(one.message) for one in told) == 1
    assert int(model.optimizer.iterations) == 0
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3), initial_scale=1.0)
    model.compile(scaled)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Nothing was learned")
        model.fit(images, batch_size=BATCH, epochs=3, verbose=0)
