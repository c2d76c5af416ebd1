"""Training that was killed ends as if nothing had happened."""

import errno
import os
import signal

import keras
import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae.datasets.stream import Rows
from keras_vae.runs.callbacks import Progress, SaveBest
from keras_vae.training import checkpoint
from keras_vae.training.clock import FollowClock

NEWEST, BEFORE = checkpoint.NEWEST, checkpoint.BEFORE


class Killed(Exception):
    """Ends `fit` as SIGKILL would: nobody gets to do anything."""


class Kill(keras.callbacks.Callback):
    """Kills training after a number of executions, counted from where it continues.

    `left` is not part of the state, being the name of an argument.
    """

    def __init__(self, left):
        super().__init__()
        self.left = left

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.fixture(autouse=True)
def write_at_each_step(monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


def make(image_shape=(6, 5, 3), dropout=True, **arguments):
    """A model with random numbers of every kind, and state in every place."""
    keras.utils.set_random_seed(3)
    encoder, decoder = keras_vae.build_mlp(image_shape, 2, hidden=(16,))
    if dropout:
        x = keras.Input(image_shape)
        encoder = keras.Model(x, encoder(keras.layers.Dropout(0.1, seed=5)(x)))
    flip = keras.layers.RandomFlip("horizontal", seed=2, dtype="float32")
    settings = {"likelihood": "gaussian", "kl_warmup_steps": 7, "augmentation": flip, "seed": 1}
    model = keras_vae.VAE(encoder, decoder, **settings | arguments)
    optimizer = keras.optimizers.Adam(3e-2, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, steps_per_execution=2)
    return model


def fit(images, folder, *others, epochs=9, model=None, **arguments):
    """Returns everything that training leaves, with callbacks that remember what they saw."""
    model = model or make()
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=3, min_delta=0.2, restore_best_weights=True
    )
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=0.2, factor=0.5)
    saver = [keras_vae.Checkpoint(folder, 0.0)] if folder else []
    history = model.fit(
        images,
        validation_data=(np.asarray(images[:9]),),
        batch_size=8,
        epochs=epochs,
        callbacks=[stop, plateau, *others, *saver],
        verbose=0,
        **arguments,
    )
    numbers = [ops.convert_to_numpy(v) for v in [*model.variables, *model.optimizer.variables]]
    return numbers, history.history, history.epoch, stop.best_epoch, stop.stopped_epoch


def assert_same(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1:] == other[1:]


@pytest.fixture(params=["array", "stream"])
def data(request, images, tmp_path):
    if request.param == "array":
        return images
    np.save(tmp_path / "images.npy", images)
    return Rows(tmp_path / "images.npy", np.arange(len(images)))


@pytest.mark.filterwarnings("ignore:Steps run layer by layer")
def test_killed_several_times_it_ends_with_the_same_bits(data, tmp_path):
    expected = fit(data, None)
    folder = tmp_path / "checkpoint"
    for after in (2, 1, 4, 3, 6):  # in the middle of an epoch and at its end, 3 executions each
        with pytest.raises(Killed):
            fit(data, folder, Kill(after))
    assert {path.name for path in folder.iterdir()} == {NEWEST, BEFORE}
    assert_same(fit(data, folder), expected)
    assert not list(folder.iterdir())


def test_recorded_steps_continue_with_the_same_bits(images, tmp_path):
    """On torch the first steps of a process run layer by layer, the others are a recording."""
    expected = fit(images, None, model=make(dropout=False))
    for after in (5, 4, 5):
        with pytest.raises(Killed):
            fit(images, tmp_path, Kill(after), model=make(dropout=False))
    assert_same(fit(images, tmp_path, model=make(dropout=False)), expected)


def test_a_training_that_had_ended_is_not_trained_again(images, tmp_path):
    callbacks = [keras.callbacks.EarlyStopping("loss", min_delta=1e9), Kill(10**6)]
    for _ in range(2):  # as if it was killed before `remove`
        model = make(dropout=False)
        saver = keras_vae.Checkpoint(tmp_path, keep=True)
        history = model.fit(images, epochs=5, callbacks=[*callbacks, saver], verbose=0)
        assert history.epoch == [0, 1]
    assert int(model.steps) == 4
    assert saver.exists()
    saver.remove()
    assert not saver.exists()


def test_a_damaged_checkpoint_falls_back_to_the_one_before(images, tmp_path):
    expected = fit(images, None, model=make(dropout=False))

    def kill():
        with pytest.raises(Killed):
            fit(images, tmp_path, Kill(5), model=make(dropout=False))

    kill()
    content = (tmp_path / NEWEST).read_bytes()
    for damaged in (content[:-100], content[:2000] + b"?" + content[2001:], b""):
        (tmp_path / NEWEST).write_bytes(damaged)
        with pytest.warns(UserWarning, match=f"{NEWEST} is damaged; continuing from the one befo"):
            kill()
    (tmp_path / NEWEST).unlink()  # killed between the two moves
    assert_same(fit(images, tmp_path, model=make(dropout=False)), expected)
    kill()
    for name in (NEWEST, BEFORE):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be read: damaged"):
        fit(images, tmp_path, model=make(dropout=False))


def test_a_checkpoint_of_another_training_is_refused(images, tmp_path):
    with pytest.raises(Killed):
        fit(images, tmp_path, Kill(2), model=make(dropout=False))

    def refused(what, images=images, model=None, **arguments):
        with pytest.raises(ValueError, match=f"of another training, with {what}: .* Received: "):
            model = model or make(dropout=False)
            callbacks = [keras_vae.Checkpoint(tmp_path)]
            model.fit(images, verbose=0, callbacks=callbacks, **{"batch_size": 8, **arguments})

    refused("batch size", batch_size=16)
    refused("images", images[::-1])
    refused("images", images[:20])
    refused("sample weights", sample_weight=np.ones(37))
    refused("settings of the model", model=make(dropout=False, beta=2.0))
    other = make(dropout=False)
    other.compile("sgd")
    refused("optimizer", model=other)


def test_a_full_disk_does_not_end_training(images, tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Killed):
        fit(images, tmp_path, Kill(2), model=make(dropout=False))
    before = (tmp_path / NEWEST).read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.warns(UserWarning, match="No space left on device") as warned,
        pytest.raises(Killed),
    ):
        fit(images, tmp_path, Kill(9), model=make(dropout=False))
    assert len([w for w in warned if "cannot be written" in str(w.message)]) == 1
    assert (tmp_path / NEWEST).read_bytes() == before
    assert not list(tmp_path.glob(".unfinished*"))
    monkeypatch.undo()
    assert_same(
        fit(images, tmp_path, model=make(dropout=False)),
        fit(images, None, model=make(dropout=False)),
    )


@pytest.mark.parametrize("sent, error", [(signal.SIGTERM, SystemExit), (2, KeyboardInterrupt)])
def test_signals_save_and_end_training(images, tmp_path, sent, error):
    class Send(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            signal.raise_signal(sent)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(error) as raised:
        saver = keras_vae.Checkpoint(tmp_path, seconds=1e6)
        make(dropout=False).fit(
            images, epochs=9, verbose=0, batch_size=8, callbacks=[Send(), saver]
        )
    assert error is KeyboardInterrupt or raised.value.code == 143
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    model = make(dropout=False)
    fit(images, tmp_path, model=model, epochs=1)
    assert int(model.steps) == 5


def test_it_is_not_written_more_often_than_is_worth_it(images, tmp_path, monkeypatch):
    written, time = [], [0.0]
    monkeypatch.setattr(checkpoint, "SHARE", 0.01)
    monkeypatch.setattr(keras_vae.Checkpoint, "now", staticmethod(lambda: time[0]))

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time[0] += 1

    def write(self, state, arrays):
        time[0] += 0.11
        written.append(time[0])

    monkeypatch.setattr(keras_vae.Checkpoint, "_write", write)
    saver = keras_vae.Checkpoint(tmp_path, seconds=60)
    # 5 executions, and seconds, an epoch: each epoch is saved, but not within 10 seconds.
    model = make(dropout=False)
    model.compile("adam", steps_per_execution=1)
    model.fit(images, batch_size=8, epochs=9, callbacks=[Clock(), saver], verbose=0)
    assert np.round(written, 1).tolist() == [5.1, 20.2, 35.3]
    written.clear()
    saver = keras_vae.Checkpoint(tmp_path, seconds=7)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    model.fit(images, batch_size=1, epochs=1, callbacks=[Clock(), saver], verbose=0)
    assert np.allclose(np.diff(written), 8.11)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.filterwarnings("ignore:Steps run layer by layer")
def test_other_precisions_continue_as_well(images, tmp_path, policy):
    def model():
        keras.config.set_dtype_policy(policy)
        try:
            model = make(dropout=False, augmentation=None)
        finally:
            keras.config.set_dtype_policy("float32")
        if policy == "bfloat16":  # Keras's Adam makes variables of another type
            model.compile("sgd", steps_per_execution=2)
        return model

    expected = fit(images, None, model=model(), epochs=3)
    with pytest.raises(Killed):
        fit(images, tmp_path, Kill(5), model=model(), epochs=3)
    assert_same(fit(images, tmp_path, model=model(), epochs=3), expected)


def test_callbacks_may_have_a_state_of_their_own(images, tmp_path):
    class Counts(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = {}

        def on_train_batch_end(self, batch, logs=None):
            self.seen[batch] = self.seen.get(batch, 0) + 1

        def get_state(self):
            return {"seen": list(self.seen.items())}

        def set_state(self, state):
            self.seen = dict(state["seen"])

    with pytest.raises(Killed):
        fit(images, tmp_path, Counts(), Kill(5), model=make(dropout=False), epochs=3)
    counts = Counts()
    fit(images, tmp_path, counts, model=make(dropout=False), epochs=3)
    assert counts.seen == {1: 3, 3: 3, 4: 3}


def test_the_callbacks_of_train_py_continue(images, tmp_path, capsys):
    def callbacks(kill):
        clock = FollowClock(1e-3, seconds=1000, most_steps=15)
        progress, best = Progress(37, 8, 3, clock), SaveBest(tmp_path / "model.keras")
        return [clock, best, progress, *([Kill(kill)] if kill else [])]

    def train(kill=None):
        model, parts = make(dropout=False), callbacks(kill)
        saver = keras_vae.Checkpoint(tmp_path, 0)
        model.fit(
            images,
            validation_data=(images[:9],),
            batch_size=8,
            epochs=3,
            callbacks=[*parts, saver],
            verbose=0,
        )
        return model, parts

    with pytest.raises(Killed):
        train(5)
    model, (clock, best, progress) = train()
    assert "Continuing with epoch 2 ..." in capsys.readouterr().out
    assert clock.steps == 15 and clock.share == 1
    assert len(progress.seconds) == 3 and progress.total_seconds >= sum(progress.seconds)
    assert best.epoch == 1 + int(np.argmin(model.history.history["val_loss"]))
    assert best.loss == min(model.history.history["val_loss"])


def test_what_it_does_not_continue(images, tmp_path):
    model = make(dropout=False)
    with pytest.raises(ValueError, match="`Checkpoint` continues training on an array or on image"):
        model.fit(iter([images]), callbacks=[keras_vae.Checkpoint(tmp_path)], verbose=0)
    with pytest.raises(ValueError, match="Argument `seconds` must be"):
        keras_vae.Checkpoint(tmp_path, seconds=-1)
