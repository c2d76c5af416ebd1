"""Training for a given time."""

import time
import types

import keras
import numpy as np
import pytest

from keras_vae.runs import timetable
from keras_vae.training import clock
from keras_vae.training.clock import FollowClock


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


def fit(model, images, follow, epochs=10**6):
    watch = Watch()
    model.compile("adam", steps_per_execution=1)
    model.fit(images, batch_size=8, epochs=epochs, callbacks=[follow, watch], verbose=0)
    return watch.rates


def test_training_ends_with_the_time(make_vae, images):
    follow, started = FollowClock(1e-3, seconds=2), time.monotonic()
    rates = fit(make_vae(), images, follow)
    assert time.monotonic() - started >= 2
    assert follow.share == 1 and follow.seconds_left == 0
    assert len(rates) == follow.steps


def test_the_rate_rises_and_falls_with_time(make_vae, images, monkeypatch):
    # A clock that moves on by a second with each step: the first one compiles.
    follow, ticks = FollowClock(1e-3, seconds=101), iter(range(1000))
    monkeypatch.setattr(follow, "now", lambda: now)
    now = 0

    class Tick(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            nonlocal now
            now = next(ticks) + 1

    model, watch = make_vae(), Watch()
    model.compile("adam", steps_per_execution=1)
    model.fit(images, batch_size=8, epochs=999, callbacks=[Tick(), follow, watch], verbose=0)
    rates = np.array(watch.rates) / 1e-3
    assert len(rates) == 101
    np.testing.assert_allclose(rates[0], 0.05, rtol=1e-5)  # after the step that compiles
    np.testing.assert_allclose(rates[5], 1.0, rtol=1e-5)  # after a twentieth of the time
    np.testing.assert_allclose(rates[52], 0.513, atol=0.02)
    np.testing.assert_allclose(rates[-1], 0, atol=1e-6)
    assert (np.diff(rates[:6]) > 0).all() and (np.diff(rates[5:]) < 0).all()


def test_training_may_end_after_some_steps(make_vae, images):
    follow = FollowClock(1e-3, seconds=1000, most_steps=20)
    rates = fit(make_vae(), images, follow)
    assert len(rates) == 20
    np.testing.assert_allclose(rates[-1], 0, atol=1e-8)
    assert max(rates) == pytest.approx(1e-3)


def test_the_rate_is_that_of_each_step(make_vae, images):
    """A rate of nearly 0 changes nothing: compiled programs read the rate, they do not keep it."""

    class Still(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.0

    model = make_vae()
    model.compile("adam", steps_per_execution=1)
    seen = []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights = keras.ops.convert_to_numpy(self.model.trainable_variables[0])
            seen.append(np.array(weights))

    before = np.array(keras.ops.convert_to_numpy(model.trainable_variables[0]))
    model.fit(images, batch_size=8, epochs=1, callbacks=[Still(), Keep()], verbose=0)
    assert (seen[0] != before).any() and len(seen) > 1
    assert all((later == seen[0]).all() for later in seen[1:])


def test_the_speed_of_the_first_steps(make_vae, images):
    model = make_vae()
    model.compile("adam")
    speed = clock.first_steps(model, images, batch_size=8, seconds=0.2)
    assert speed > 0


@pytest.mark.parametrize("arguments", [(0, 1), (1e-3, 0), (1e-3, -1), (1e-3, 1, 0)])
def test_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match="Argument"):
        FollowClock(*arguments)


class Images:
    attribute_names = ("smiling",)
    train = range(10_000)


@pytest.fixture
def plan(monkeypatch):
    """Ten minutes of which nothing has passed, on the machine of the estimates."""
    monkeypatch.setattr(timetable.time, "monotonic", lambda: 0.0)
    judges = types.SimpleNamespace(cached=False)
    return timetable.Timetable(600.0, Images, judges)


def test_a_run_has_time_for_all_its_parts(plan):
    training = plan.for_training()
    rest = timetable.MEASURING + timetable.JUDGES + timetable.JUDGING + timetable.FIGURES
    assert plan.judged and plan.minutes == training / 60
    assert 0.5 * 600 < training < 600 - rest
    plan.end -= training + timetable.MEASURING + timetable.JUDGES  # the time that is then left
    flow = plan.for_flow()
    assert flow == pytest.approx(plan.left - timetable.JUDGING - timetable.FIGURES)
    assert flow == pytest.approx(training * timetable.FLOW_SHARE / (1 - timetable.FLOW_SHARE))


def test_a_slow_machine_does_not_judge_edits(plan):
    quick = plan.for_training()
    plan.speed = 0.5
    assert not plan.judged
    assert plan.minutes < quick / 60  # less is done, though there is more time for it
    plan.speed = 100.0
    assert plan.judged and plan.minutes > 50 * quick / 60


def test_training_has_some_time_even_if_there_is_none(plan):
    plan.end = -50.0
    assert plan.for_training() > 0 and plan.for_flow() > 0
