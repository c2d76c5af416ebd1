"""Callbacks from elsewhere that log a training, such as those of wandb and of Keras."""

import csv
import json

import keras
import numpy as np
import pytest

STEPS = 5  # of an epoch: 37 images in batches of 8


class Logger(keras.callbacks.Callback):
    """Asks for what loggers of experiments ask for, and keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.run, self.batches, self.epochs, self.tests = {}, [], [], []

    def on_train_begin(self, logs=None):
        lines = []
        self.model.summary(print_fn=lambda line, **options: lines.append(line))
        self.run = {
            **self.params,
            "optimizer": self.model.optimizer.get_config(),
            "parameters": self.model.count_params(),
            "model": json.loads(self.model.to_json()),
            "config": self.model.get_config(),
            "summary": "\n".join(lines),
        }

    def rate(self):
        return float(self.model.optimizer.learning_rate.numpy().item())  # as wandb reads it

    def on_batch_end(self, batch, logs=None):  # is called by on_train_batch_end of Keras
        self.batches.append((batch, {**logs, "learning_rate": self.rate()}))
        logs["changed"] = 1.0  # by a careless callback

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, {**logs, "learning_rate": self.rate()}))

    def on_test_batch_end(self, batch, logs=None):
        self.tests.append((batch, {**logs}))

    def on_test_end(self, logs=None):
        self.tests.append(("end", {**logs}))


def fit(model, images, *callbacks, epochs=2):
    options = {"validation_data": (images[:9],), "batch_size": 8, "verbose": 0}
    return model.fit(images, epochs=epochs, callbacks=[*callbacks], **options).history


def test_a_logger_sees_each_batch_and_each_epoch(make_vae, images):
    model, logger = make_vae(), Logger()
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=1)
    history = fit(model, images, logger)
    run = logger.run
    assert (run["epochs"], run["steps"]) == (2, STEPS)
    assert run["parameters"] == model.count_params() > 0
    assert run["optimizer"]["learning_rate"] == pytest.approx(0.01)
    assert run["model"]["class_name"] == "VAE" and run["config"]["beta"] == 1.0
    assert "vae" in run["summary"] and "Total params" in run["summary"]
    assert [batch for batch, _ in logger.batches] == 2 * [*range(STEPS)]
    names = {"loss", "reconstruction_loss", "kl_loss", "kl_weight", "learning_rate"}
    for _, logs in logger.batches:
        assert set(logs) == names and all(type(value) is float for value in logs.values())
        assert logs["learning_rate"] == pytest.approx(0.01)
    for epoch, (number, logs) in enumerate(logger.epochs):
        assert number == epoch and logs.pop("learning_rate") == pytest.approx(0.01)
        assert logs == {name: values[epoch] for name, values in history.items()}
        last = logger.batches[(epoch + 1) * STEPS - 1][1]
        assert last["loss"] == logs["loss"]  # means of the epoch so far
    assert [batch for batch, _ in logger.tests] == 2 * [0, 1, "end"]
    assert logger.tests[-1][1]["loss"] == history["val_loss"][-1]


def test_a_logger_sees_the_last_batch_of_each_epoch_at_any_pace(make_vae, images):
    logger = Logger()
    history = fit(make_vae(), images, logger, epochs=4)
    batches = [batch for batch, _ in logger.batches]
    assert batches.count(STEPS - 1) == 4 and set(batches) <= {*range(STEPS)}
    ends = [logs["loss"] for batch, logs in logger.batches if batch == STEPS - 1]
    assert ends == history["loss"] and "changed" not in history


def test_losses_are_written_as_a_table(make_vae, images, tmp_path):
    model = make_vae()
    history = fit(model, images, keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    more = fit(model, images, keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True))
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["0", "1", "0", "1"]
    for name in history:
        assert [float(row.pop(name)) for row in rows] == history[name] + more[name]
    assert not any(rows)


@pytest.mark.by_turns
def test_the_callback_of_keras_for_tensorboard(make_vae, images, tmp_path):
    pytest.importorskip("tensorflow")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = make_vae()
    model.compile("adam", steps_per_execution=1)
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=1)
    history = fit(model, images, board)

    def values(part, tag):
        found = EventAccumulator(str(tmp_path / part)).Reload()
        return [(event.step, make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]

    for part, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "kl_loss"):
            steps, losses = zip(*values(part, f"epoch_{name}"))
            assert steps == (0, 1)
            np.testing.assert_allclose(losses, history[prefix + name], rtol=1e-6)
    assert [step for step, _ in values("train", "batch_loss")] == [*range(1, 1 + 2 * STEPS)]
