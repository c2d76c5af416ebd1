"""The loop of `fit` and `evaluate`: executions of several steps, with unchanged results."""

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae.images import aligned_empty
from keras_vae.training import backends
from keras_vae.training.batches import MOST_STEPS
from keras_vae.training.recipes import WarmUpAndCosine, make_optimizer
from keras_vae.training.sources import ArraySource, aligned

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax

    from keras_vae.training.backends.jax import in_one_program
if BACKEND == "torch":
    import torch

    from keras_vae.training.backends.torch_recording import STEPS_BEFORE, leave_out_repeats, trace

BATCH = 4  # of 37 images: nine steps, and one of a single image
if BACKEND == "torch":  # of a recording, after `training`: no labels, no weights
    KEY = None, (BATCH, 6, 5, 3), torch.uint8, (True, True)


class Seen(keras.callbacks.Callback):
    """Sees each step."""

    def __init__(self):
        super().__init__()
        self.began, self.ended, self.losses = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.began.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)
        self.losses.append(logs["loss"])


def train(model, images, steps="auto", optimizer=None, **arguments):
    model.compile(optimizer or keras.optimizers.Adam(1e-3), steps_per_execution=steps)
    return model.fit(
        images, **{"batch_size": BATCH, "epochs": 3, "verbose": 0, "shuffle": False, **arguments}
    )


def weights_of(model):
    return [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]


def assert_same(one, other, rtol=2e-4):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=1e-6)


# How many steps at once


@pytest.mark.parametrize("likelihood", ["mse", "gaussian"])
def test_steps_in_one_go_change_no_number(make_vae, images, likelihood):
    arguments = {"likelihood": likelihood, "kl_warmup_steps": 12, "free_bits": 0.1}
    weights = np.linspace(0, 2, 37)
    results = []
    for steps in (1, 4, "auto"):
        model = make_vae(**arguments)
        history = train(
            model, images, steps, sample_weight=weights, validation_data=(images,), epochs=4
        )
        results.append([*weights_of(model), *history.history.values()])
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_loop_gives_the_numbers_of_keras_loop(images, network):
    class Batches(keras.utils.PyDataset):  # which our loop leaves to Keras's
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return (images[BATCH * i : BATCH * (i + 1)],)

    def make():
        keras.utils.set_random_seed(0)
        if network == "mlp":
            parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
        else:
            parts = keras_vae.build_conv((6, 5, 3), 2, filters=(4, 6), patch=2)
        return keras_vae.VAE(*parts, "gaussian", seed=0)

    # So large that rounding, which Adam makes steps of where gradients are 0, is not.
    ours, keras_loop, epsilon = make(), make(), 1e-1
    one = train(ours, images, optimizer=keras.optimizers.Adam(1e-2, epsilon=epsilon), epochs=1)
    keras_loop.compile(keras.optimizers.Adam(1e-2, epsilon=epsilon))
    other = keras_loop.fit(Batches(), epochs=1, shuffle=False, verbose=0)
    assert_same(one.history.values(), other.history.values())
    # Sums of gradients that cancel are off by rounding of the largest, not of themselves.
    for left, right in zip(weights_of(ours), weights_of(keras_loop), strict=True):
        rounding = 1e-6 + 1e-4 * np.abs(right).max()
        np.testing.assert_allclose(left, right, rtol=2e-4, atol=rounding)


def test_images_of_another_type_mean_the_same(make_vae, images):
    model = make_vae()
    train(model, images, validation_data=(images,))
    pixels = images / 255
    for _ in range(2):
        expected = model.evaluate(images, batch_size=BATCH, verbose=0)
        for other in (pixels, pixels.astype("float32")):
            found = model.evaluate(other, batch_size=BATCH, verbose=0)
            assert found == pytest.approx(expected, rel=1e-5)


def test_means_over_an_epoch_are_exact_with_a_small_last_batch(images):
    images = np.concatenate([images[:36], np.full_like(images[:1], 255)])  # the last is unlike them

    def loss_of(part):
        keras.utils.set_random_seed(0)
        model = keras_vae.AutoEncoder(  # which draws no noise
            *keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,), variational=False)
        )
        still = keras.optimizers.SGD(0.0)
        return train(model, part, optimizer=still, epochs=1, batch_size=36).history["loss"][0]

    whole, first, last = loss_of(images), loss_of(images[:36]), loss_of(images[36:])
    assert last > 1.5 * first
    assert whole == pytest.approx((36 * first + last) / 37, rel=1e-5)


def test_callbacks_see_each_step_if_steps_per_execution_is_1(make_vae, images):
    seen = Seen()
    train(make_vae(), images, steps=1, callbacks=[seen], epochs=2)
    assert seen.began == seen.ended == 2 * list(range(10))
    assert len(set(seen.losses)) == 20


def test_callbacks_come_after_as_many_steps_as_were_asked_for(make_vae, images):
    seen = Seen()
    train(make_vae(), images, steps=4, callbacks=[seen], epochs=1)
    assert seen.began == [0, 4, 8, 9]  # the last batch has another size
    assert seen.ended == [3, 7, 8, 9]


def test_callbacks_are_called_once_an_execution(make_vae, images, tmp_path):
    seen = Seen()
    callbacks = [seen, keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")]
    train(make_vae(), np.tile(images, (8, 1, 1, 1)), callbacks=callbacks, epochs=2, verbose=2)
    assert len(seen.ended) < 2 * 74
    assert seen.ended[-1] == 73


@pytest.mark.parametrize("steps", [0, -1, 1.5, "many"])
def test_steps_must_be_a_number_of_steps(make_vae, steps):
    with pytest.raises(ValueError, match="`steps_per_execution` must be a positive integer"):
        make_vae().compile("adam", steps_per_execution=steps)


def test_training_stops_where_a_callback_says_so(make_vae, images):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model = make_vae()
    history = train(model, images, steps=1, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == 3
    assert len(history.history["loss"]) == 1


def test_validation_at_its_own_pace(make_vae, images):
    arguments = {"validation_data": (images[:9],), "validation_batch_size": 3}
    history = train(make_vae(), images, epochs=4, validation_freq=2, **arguments).history
    assert (len(history["loss"]), len(history["val_loss"])) == (4, 2)
    history = train(make_vae(), images, epochs=4, initial_epoch=2, validation_freq=[4], **arguments)
    assert history.epoch == [2, 3] and len(history.history["val_loss"]) == 1
    with pytest.raises(ValueError, match="validation_split"):
        train(make_vae(), images, validation_split=1.0)
    split = train(make_vae(), images, validation_split=0.25).history
    whole = train(make_vae(), images[:27], validation_data=(images[27:],)).history
    assert_same(split.values(), whole.values())


def test_large_images_come_a_few_at_a_time(make_vae, images, monkeypatch):
    monkeypatch.setattr("keras_vae.training.loop.MOST_BYTES", 2.5 * BATCH * images[0].nbytes)
    seen, model = Seen(), make_vae()
    monkeypatch.setattr(model, "hold", lambda images: images)  # there is no room
    train(model, images, callbacks=[seen], epochs=2)
    assert max(np.diff(seen.ended)) == 2


# The order


@pytest.mark.once
def test_the_order_is_random_complete_and_another_one_in_each_epoch():
    rows = np.arange(37).reshape(37, 1, 1, 1)
    source = ArraySource(rows, np.arange(74).reshape(37, 2), np.arange(37), BATCH, seed=5)
    orders = []
    for epoch in range(2):
        take, seen = source.epoch(epoch), []
        while len(seen) < 37:
            block, numbers, labels, weights, size = take(4)
            assert numbers.shape == weights.shape and len(block) == numbers.size
            assert size == numbers.shape[1]
            np.testing.assert_array_equal(block[numbers].ravel(), weights.ravel())
            np.testing.assert_array_equal(labels // 2, np.stack([weights] * 2, axis=-1))
            seen += weights.ravel().tolist()
        orders.append(seen)
        assert sorted(seen) == list(range(37)) != seen
    assert orders[0] != orders[1]
    assert source.epoch(0)(1)[0].ravel().tolist() == orders[0][:BATCH]
    source.is_held = True  # then all images go with the numbers of each batch
    block, numbers, *_ = source.epoch(0)(4)
    assert block is rows and numbers.ravel().tolist() == orders[0][: 4 * BATCH]


def test_a_seed_gives_the_order_and_so_do_all_backends(make_vae, images, monkeypatch):
    keras.utils.set_random_seed(7)
    seed = np.random.randint(2**31)
    expected = np.random.default_rng((seed, 0)).permutation(37)
    model, seen = make_vae(), []
    run_steps = model.run_steps
    monkeypatch.setattr(
        model,
        "run_steps",
        lambda block, *rest: (
            seen.extend(keras.ops.convert_to_numpy(block.images)[block.rows.ravel()])
            or run_steps(block, *rest)
        ),
    )
    keras.utils.set_random_seed(7)
    train(model, images, shuffle=True, epochs=1)
    np.testing.assert_array_equal(np.array(seen), images[expected])


def test_images_are_held_where_programs_read_them(make_vae, images):
    model = make_vae()
    unaligned = aligned_empty((images.nbytes + 1,), "uint8")[1:].reshape(images.shape)
    unaligned[...] = images
    lying_well = aligned(unaligned, images.nbytes)
    assert aligned(lying_well, 0) is lying_well and lying_well is not unaligned
    held = model.hold(lying_well)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(held), images)
    lying_well[0, 0, 0, 0] += 1  # the same memory
    if backends.device_name() == "cpu":
        assert keras.ops.convert_to_numpy(held)[0, 0, 0, 0] == lying_well[0, 0, 0, 0]
    assert aligned(unaligned, 1) is None  # too large to copy
    half = images.astype("float16") / 255
    assert keras.backend.standardize_dtype(model.hold(half).dtype) == "float32"


@pytest.mark.parametrize("held", [True, False])
def test_it_changes_no_number_where_the_images_are(make_vae, images, held, monkeypatch):
    expected = train(make_vae(), images, shuffle=True).history
    for given in (images, images / 255, images.astype("float32") / 255, images[::-1][::-1]):
        model = make_vae()
        if not held:
            monkeypatch.setattr(model, "hold", lambda images: images)
        found = train(model, given, shuffle=True).history
        assert_same(found.values(), expected.values())


# The optimizer


def plain_adam_by_keras(monkeypatch):
    if BACKEND == "jax":
        return
    module = f"keras_vae.training.backends.{BACKEND}.can_be_fused"
    monkeypatch.setattr(module, lambda optimizer, variables: False)


def test_the_fused_adam_is_keras_adam(make_vae, images, monkeypatch):
    fused, plain = make_vae(), make_vae()
    # A large epsilon, since frameworks add it at different places.
    arguments = {"learning_rate": 1e-2, "beta_1": 0.8, "beta_2": 0.98, "epsilon": 1e-3}
    train(fused, images, optimizer=keras.optimizers.Adam(**arguments), epochs=2)
    plain_adam_by_keras(monkeypatch)
    train(plain, images, optimizer=keras.optimizers.Adam(**arguments), epochs=2)
    assert_same(weights_of(fused), weights_of(plain), rtol=2e-3)


@pytest.mark.parametrize(
    "arguments",
    [{"clipnorm": 1.0}, {"weight_decay": 0.1}, {"use_ema": True}, {"amsgrad": True}],
    ids=str,
)
def test_an_adam_with_extras_is_left_to_keras(arguments):
    from keras_vae.training.backends.adam import is_plain_adam

    assert is_plain_adam(keras.optimizers.Adam())
    assert is_plain_adam(make_optimizer(1e-3, 10))
    assert not is_plain_adam(keras.optimizers.Adam(**arguments))
    assert not is_plain_adam(keras.optimizers.AdamW())
    assert not is_plain_adam(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))


def test_the_schedule_is_keras_cosine_after_a_warm_up():
    ours = WarmUpAndCosine(3e-3, 38, 777)
    theirs = keras.optimizers.schedules.CosineDecay(
        3e-3 / 20, 777 - 38, warmup_target=3e-3, warmup_steps=38
    )
    for step in (0, 1, 37, 38, 39, 400, 776, 777, 900):
        assert float(ours(step)) == pytest.approx(float(theirs(step)), abs=1e-9)
    again = WarmUpAndCosine.from_config(ours.get_config())
    assert float(again(100)) == float(ours(100))


def test_a_single_step_has_a_schedule():
    assert np.isfinite([float(make_optimizer(1e-3, 1).learning_rate)])


# What a user of Keras relies on


def test_losses_come_in_one_order(make_vae, images):
    model = make_vae()
    for found in (
        model.evaluate(images, verbose=0),
        model.test_on_batch(images),
        model.train_on_batch(images),
    ):
        losses = dict(zip(model.metrics_names, found, strict=True))
        total = losses["reconstruction_loss"] + losses["kl_loss"]
        assert losses["loss"] == pytest.approx(total, rel=1e-5)


def test_arguments_that_do_not_exist_are_refused(make_vae, images):
    with pytest.raises(TypeError, match="epoch"):
        make_vae().fit(images, epoch=3)
    with pytest.raises(TypeError, match="verbos"):
        make_vae().evaluate(images, verbos=0)
    with pytest.raises(ValueError, match="at least one image"):
        make_vae().evaluate(images[:0], verbose=0)


def test_training_goes_on_where_a_backup_was_made(make_vae, images, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path)

    with pytest.raises(KeyboardInterrupt):
        train(make_vae(), images, callbacks=[backup(), Crash()], epochs=4)
    assert train(make_vae(), images, callbacks=[backup()], epochs=4).epoch == [2, 3]


def test_losses_of_ones_own_may_use_labels_and_have_names(images):
    seen = []

    class Labelled(keras_vae.VAE):
        def compute_losses(self, data, training, **noise):
            _, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            seen.append((training, tuple(y.shape[1:])))
            losses = super().compute_losses(data, training, **noise)
            return losses | {"loss": losses["loss"] + keras.ops.mean(y)}

    keras.utils.set_random_seed(0)
    model = Labelled(*keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,)))
    still = keras.optimizers.SGD(0.0)
    history = train(model, images, y=np.full(37, 1000.0), epochs=1, optimizer=still).history
    assert (True, ()) in seen or (True, (1,)) in seen
    total = history["reconstruction_loss"][0] + history["kl_loss"][0]
    assert history["loss"][0] == pytest.approx(total + 1000, rel=1e-4)


def test_regularizers_count_the_same_in_every_step(images):
    keras.utils.set_random_seed(0)
    encoder, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
    code = keras.Input((2,))
    hidden = keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L1L2(1e-2, 1e-2))(code)
    decoder = keras.Model(code, decoder(keras.layers.Dense(2)(hidden)))
    model = keras_vae.VAE(encoder, decoder, seed=0)
    model.compile("adam")
    losses = [model.evaluate(images, batch_size=BATCH, verbose=0)[0] for _ in range(3)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    expected = model.test_on_batch(images[:1], return_dict=True)
    assert expected["loss"] > expected["reconstruction_loss"] + expected["kl_loss"]


def test_images_from_back_to_front(make_vae, images):
    model = make_vae()
    expected = model.evaluate(images[::-1].copy(), batch_size=BATCH, verbose=0)
    assert model.evaluate(images[::-1], batch_size=BATCH, verbose=0) == pytest.approx(expected)


# What each backend does


@pytest.mark.skipif(BACKEND != "jax", reason="about XLA on a CPU")
def test_on_jax_dense_steps_are_one_program_and_convolutions_are_not(make_vae):
    dense = make_vae()
    assert dense._loops_are_quick()
    assert dense.best_pace(BATCH) == (MOST_STEPS, MOST_STEPS)
    large = keras_vae.VAE(*keras_vae.build_mlp((64, 64, 3), 8, hidden=(512,)))
    assert large.best_pace(128)[0] < 8  # tenths of a second, not seconds
    conv = keras_vae.VAE(*keras_vae.build_conv((8, 8, 1), 2, filters=(4,)))
    assert not conv._loops_are_quick()


@pytest.mark.skipif(BACKEND != "jax", reason="about XLA")
def test_on_jax_steps_left_over_are_not_compiled_again():
    """The same program for all executions: another one might round differently."""
    traced = []

    def step(state, data):
        traced.append(data[0].shape)
        x, y, weights = data
        return None, [[state[0][0] + x.sum() * y.sum() * weights.sum()]]

    held = jax.device_put(np.ones((8, 1), "float32"))

    def go(run, state, is_held, steps, size, at_once):
        images, rows = np.ones((steps, size, 1), "float32"), None
        if is_held:
            images, rows = held, np.zeros((steps, size), "int32")
        columns = [np.ones((steps, size), "int32"), np.ones((steps, size), "float32")]
        return run(state, images, rows, columns, size, at_once)

    for is_held in (False, True):
        run, state = in_one_program(step, None, training=True), [[np.float32(0)]]
        for _ in range(2):
            state = go(run, state, is_held, 4, 2, 4)
        before = len(traced)
        for steps in (1, 3):
            state = go(run, state, is_held, steps, 2, 4)
        assert len(traced) == before and traced[-1] == (2, 1)
        state = go(run, state, is_held, 1, 1, 1)  # a smaller last batch
        assert traced[-1] == (1, 1)
        assert state[0][0] == 12 * 8 + 1


@pytest.mark.skipif(BACKEND != "torch", reason="about recordings of torch")
class TestRecordings:
    def test_a_step_is_recorded_with_its_gradient(self, make_vae, images):
        model = make_vae(likelihood="gaussian", kl_warmup_steps=9)
        train(model, images, validation_data=(images,))
        recorded = [key for key, one in model.programs.steps.items() if one.graph is not None]
        assert sorted(recorded, key=str) == [(False, *KEY), (True, *KEY)]

    def test_convolutions_and_mirrored_images_are_recorded(self, images):
        parts = keras_vae.build_conv((6, 5, 3), 2, filters=(4,))
        mirror = keras.layers.RandomFlip("horizontal", seed=0, dtype="float32")
        model = keras_vae.VAE(*parts, augmentation=mirror, seed=0)
        train(model, images)
        assert model.programs.steps[True, *KEY].graph is not None

    def test_a_model_in_which_all_is_trained_is_recorded(self, images):
        x, z = keras.Input((6, 5, 3)), keras.Input((2,))
        encoder = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
        decoder = keras.Model(z, keras.layers.Reshape((6, 5, 3))(keras.layers.Dense(90)(z)))
        model = keras_vae.AutoEncoder(encoder, decoder)
        assert not model.non_trainable_variables
        train(model, images, epochs=1)
        assert model.programs.steps[True, *KEY].graph is not None

    def test_what_is_left_out_of_a_recording_changes_no_result(self, images, monkeypatch):
        key, models = (True, *KEY), []
        for left_out in (True, False):
            if not left_out:
                module = "keras_vae.training.backends.torch_recording"
                monkeypatch.setattr(f"{module}.leave_out_repeats", lambda graph: None)
            keras.utils.set_random_seed(0)
            parts = keras_vae.build_conv((6, 5, 3), 2, filters=(4,))
            models.append(keras_vae.VAE(*parts, "gaussian", seed=0))
            train(models[-1], images, optimizer=keras.optimizers.SGD(1e-3))
        short, whole = (model.programs.steps[key].graph.graph for model in models)
        # The squared errors are computed once, and no operation is there twice.
        squares = [
            sum(node.target is torch.ops.aten.pow.Tensor_Scalar for node in graph.nodes)
            for graph in (short, whole)
        ]
        assert squares[0] < squares[1]
        count = len(short.nodes)
        leave_out_repeats(short)
        assert len(short.nodes) == count < len(whole.nodes)
        assert_same(*map(weights_of, models))

    def test_what_is_left_out_changes_no_result(self):
        def function(x, bias):
            y = x * 2
            transposed = y.t().clone(memory_format=torch.contiguous_format)
            copy = y.view(4).clone(memory_format=torch.contiguous_format)
            again = copy.clone(memory_format=torch.contiguous_format)
            product = x @ transposed + bias
            y.add_(1)
            bias.add_(1)
            wider = x @ x[:, :1] + x[0]  # of shape (2, 2): the product alone is (2, 1)
            return product, copy + 1, again * 2, y, wider

        def arguments():
            return torch.arange(4.0).reshape(2, 2), torch.ones(2)

        graph = trace(function, *arguments())
        for one, other in zip(graph(*arguments()), function(*arguments()), strict=True):
            torch.testing.assert_close(one, other)

    def test_what_is_written_over_is_no_repeat(self):
        def function(x, bias):
            y = x * 2
            view, before = y.view(4), y.sum()
            product = x @ y.t() + bias
            y.add_(1)
            bias.add_(1)  # an argument, which the caller sees change
            again, twice = y.sum(), x * 2
            noise = torch.rand(2), torch.rand(2)  # two draws are two operations
            return before, product, view + 1, again, twice, x @ y.t() + bias, y, *noise

        def arguments():
            return torch.arange(4.0).reshape(2, 2), torch.ones(2)

        graph, results = trace(function, *arguments()), []
        for one in (graph, function):
            torch.manual_seed(0)
            inputs = arguments()
            results.append([*one(*inputs), *inputs])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)

    def test_a_new_value_may_be_the_old_one_of_another_variable(self, images, monkeypatch):
        monkeypatch.setattr("keras_vae.training.backends.torch_recording.STEPS_BEFORE", 0)

        class Exchange(keras.layers.Layer):
            def build(self, shape):
                settings = {"shape": (), "trainable": False}
                self.one = self.add_weight(initializer="zeros", **settings)
                self.other = self.add_weight(initializer="ones", **settings)

            def call(self, x):
                one = keras.ops.convert_to_tensor(self.one)
                other = keras.ops.convert_to_tensor(self.other)
                self.one.assign(other)
                self.other.assign(keras.ops.reshape(one, ()))  # a view
                return x

        encoder, decoder = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,))
        layer, x = Exchange(), keras.Input((6, 5, 3))
        model = keras_vae.VAE(keras.Model(x, encoder(layer(x))), decoder, seed=0)
        train(model, images[:36], epochs=1, steps=1)  # nine steps
        assert model.programs.steps[True, *KEY].graph is not None
        assert (float(layer.one), float(layer.other)) == (1, 0)

    def test_a_network_with_dropout_is_not_and_trains_all_the_same(self, make_vae, images):
        model = make_vae()
        inputs = keras.Input((6, 5, 3))
        x = keras.layers.Dropout(0.5, seed=1)(keras.layers.Flatten()(inputs))
        heads = [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)]
        model = keras_vae.VAE(keras.Model(inputs, heads), model.decoder, seed=0)
        seen = Seen()
        with pytest.warns(UserWarning, match="layer by layer, which is slower.*Reason: ") as told:
            train(model, images, steps=1, callbacks=[seen], validation_data=(images,))
        assert sum("layer by layer" in str(one.message) for one in told) == 1
        recording = model.programs.steps[True, *KEY]
        assert recording.graph is None and recording.steps > STEPS_BEFORE  # it was tried
        assert len(set(seen.losses)) == 30

    def test_fresh_noise_in_each_step(self, make_vae, images):
        model = make_vae()
        seen = Seen()
        same = np.repeat(images[:1], 40, axis=0)
        still = keras.optimizers.SGD(0.0)
        train(model, same, steps=1, optimizer=still, epochs=1, callbacks=[seen])
        steps = np.diff(np.array(seen.losses) * np.arange(1, 11))
        assert len(set(np.round(steps, 4))) > 5
