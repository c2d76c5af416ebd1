"""What `runs.TensorBoard` and `train.py --tensorboard` write, read back by TensorBoard itself."""

import io
import json
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_train import things_run

import keras_vae
from keras_vae import runs
from keras_vae.runs.events import Events
from keras_vae.runs.tensorboard import TensorBoard

STEPS = 5  # of an epoch: 37 images in batches of 8


def read(folder):
    """Returns (step, value) of all numbers by name, and (step, picture) of all pictures."""
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()
    numbers = {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }
    pictures = {
        tag: [
            (event.step, np.array(Image.open(io.BytesIO(event.encoded_image_string))))
            for event in found.Images(tag)
        ]
        for tag in found.Tags()["images"]
    }
    return numbers, pictures


def fit(model, images, *callbacks, epochs=3, **options):
    options = {"validation_data": (images[:9],), "batch_size": 8, "verbose": 0} | options
    return model.fit(images, epochs=epochs, callbacks=[*callbacks], **options).history


def weights_of(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


def test_losses_are_those_of_the_history_at_the_step_of_the_optimizer(make_vae, images, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 20)
    model = make_vae(optimizer=keras.optimizers.Adam(schedule))
    history = fit(model, images, TensorBoard(tmp_path / "logs"))
    numbers, _ = read(tmp_path / "logs")
    rates = numbers.pop("learning_rate")
    assert {"loss", "val_loss", "kl_loss", "val_kl_loss"} <= set(history) == set(numbers)
    for name, values in history.items():
        steps, written = zip(*numbers[name])
        assert steps == (STEPS, 2 * STEPS, 3 * STEPS)
        np.testing.assert_array_equal(written, np.float32(values))
    np.testing.assert_allclose([rate for _, rate in rates], [schedule(s) for s in (5, 10, 15)])
    fit(model, images, TensorBoard(tmp_path / "logs"), epochs=1)
    assert [step for step, _ in read(tmp_path / "logs")[0]["loss"]] == [5, 10, 15, 20]


def test_pictures_are_those_of_the_model(make_vae, images, tmp_path):
    model = make_vae()
    board = TensorBoard(tmp_path, images[:10], samples=3, every=2)
    fit(model, images, board, epochs=5)
    _, pictures = read(tmp_path)
    assert set(pictures) == {"reconstructions", "samples"}
    for drawn in pictures.values():
        assert [step for step, _ in drawn] == [5, 10, 20, 25]  # each second epoch, first and last
    # Two pairs of rows of 8 images of 6x5, with 2 white pixels between images and 6 between pairs.
    picture = pictures["reconstructions"][-1][1]
    assert picture.shape == (4 * 6 + 2 + 6 + 2, 8 * 5 + 7 * 2, 3)
    np.testing.assert_array_equal(picture[:6, 7:12], images[1])
    decoded = np.rint(255 * model.reconstruct(images[1:2])[0])
    np.testing.assert_allclose(picture[8:14, 7:12], decoded, atol=1)
    assert (picture[16:, 14:] == 255).all()  # there are 10 images
    samples = pictures["samples"][-1][1]
    assert samples.shape == (6, 3 * 5 + 2 * 2, 3)
    np.testing.assert_allclose(samples[:, :5], np.rint(255 * model.sample(3, seed=0)[0]), atol=1)


def test_training_is_the_same_with_and_without_it(make_vae, images, tmp_path):
    """To the bit, also with random numbers of layers."""

    def train(*callbacks):
        flip = keras.layers.RandomFlip("horizontal", seed=3, dtype="float32")
        model = make_vae(augmentation=flip)
        history = fit(model, images, *callbacks)
        return [*weights_of(model), *history.values(), np.random.random(), keras.random.uniform(())]

    expected = train()
    for one, other in zip(expected, train(TensorBoard(tmp_path, images, every=1))):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert read(tmp_path)[1]


@pytest.mark.by_turns
def test_curves_go_on_where_a_killed_training_continues(make_vae, images, tmp_path):
    """What was written after the checkpoint is dropped, so no epoch is there twice."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyError("killed")

    def callbacks(*others):
        saver = keras_vae.Checkpoint(tmp_path / "state")
        saver.after_epoch = lambda epoch, last: epoch or type(saver).after_epoch(saver, epoch, last)
        return TensorBoard(tmp_path / "logs", images[:3], every=1), *others, saver

    with pytest.raises(KeyError):
        fit(make_vae(), images, *callbacks(Kill()), epochs=4)
    assert [step for step, _ in read(tmp_path / "logs")[0]["loss"]] == [5, 10, 15]
    model = make_vae()
    history = fit(model, images, *callbacks(), epochs=4)  # from the end of the first epoch
    numbers, pictures = read(tmp_path / "logs")
    assert len(list((tmp_path / "logs").iterdir())) == 2
    expected = list(zip((5, 10, 15, 20), np.float32(history["loss"])))
    assert numbers["loss"] == expected
    assert [step for step, _ in pictures["samples"]] == [5, 10, 15, 20]
    fit(make_vae(), images, TensorBoard(tmp_path / "logs"), epochs=1)  # a new training
    assert read(tmp_path / "logs")[0]["loss"] == expected[:1]


@pytest.mark.by_turns
def test_what_has_no_pictures_has_losses(make_vae, images, tmp_path):
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,), variational=False)
    model = keras_vae.AutoEncoder(*parts)
    model.compile()
    fit(model, images, TensorBoard(tmp_path / "plain", images[:2]), epochs=1)
    numbers, pictures = read(tmp_path / "plain")
    assert len(numbers["loss"]) == 1 and list(pictures) == ["reconstructions"]
    rows = np.random.default_rng(0).normal(size=(37, 4)).astype("float32")
    model = keras_vae.VAE(*keras_vae.build_mlp((4,), 2, hidden=(8,)), likelihood="normal")
    model.compile()
    board = TensorBoard(tmp_path / "rows", rows)
    model.fit(rows, verbose=0, callbacks=[board])
    numbers, pictures = read(tmp_path / "rows")
    assert len(numbers["loss"]) == 1 and "val_loss" not in numbers and not pictures


@pytest.mark.by_turns
def test_it_works_in_the_loop_of_keras(make_vae, images, tmp_path):
    model = make_vae()
    batches = (images[start : start + 8] for start in range(0, 32, 8))
    board = TensorBoard(tmp_path, images[:2])
    history = model.fit(batches, steps_per_epoch=4, verbose=0, callbacks=[board]).history
    numbers, pictures = read(tmp_path)
    assert numbers["loss"] == [(4, np.float32(history["loss"][0]))] and len(pictures) == 2


@pytest.mark.by_turns
def test_a_model_with_a_condition_is_shown_with_it(images, tmp_path):
    condition = keras_vae.Condition(range(3))
    parts = keras_vae.build_mlp((6, 5, 3), 2, hidden=(8,), condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition, seed=0)
    model.compile(keras.optimizers.Adam(0.1))
    labels = np.arange(37) % 3
    board = TensorBoard(tmp_path, images[:4], labels[:4], samples=0)
    model.fit(images, labels, epochs=2, verbose=0, callbacks=[board])
    picture = read(tmp_path)[1]["reconstructions"][-1][1]
    decoded = np.rint(255 * model.reconstruct(images[:4], condition=labels[:4]))
    np.testing.assert_allclose(picture[8:, :5], decoded[0], atol=1)


@pytest.mark.once
def test_a_full_disk_does_not_end_training(make_vae, images, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="/file/logs cannot be written to") as warned:
        history = fit(make_vae(), images, TensorBoard(tmp_path / "file" / "logs"))
    told = [warning for warning in warned if "cannot be written" in str(warning.message)]
    assert len(history["loss"]) == 3 and len(told) == 1
    events = Events(tmp_path / "logs")
    events.write(1, {"loss": 1.0}, {})

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events.file, "write", full)
    with pytest.raises(OSError):
        events.write(2, {"loss": 2.0}, {})
    assert events.failed and read(tmp_path / "logs")[0]["loss"] == [(1, 1.0)]


@pytest.mark.once
def test_only_the_first_process_writes(make_vae, images, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_vae.runs.tensorboard.parallel, "is_first", lambda: False)
    fit(make_vae(), images, TensorBoard(tmp_path / "logs"))
    assert not (tmp_path / "logs").exists()


@pytest.mark.once
def test_mistakes_are_told_before_training(make_vae, images, tmp_path, monkeypatch):
    for arguments, message in (
        ({"every": 0}, "Argument `every` must be a positive integer"),
        ({"samples": -1}, "Argument `samples` must be a non-negative integer"),
    ):
        with pytest.raises(ValueError, match=message):
            TensorBoard(tmp_path, **arguments)
    with pytest.raises(ValueError, match="Argument `images` must be a batch of images of shape"):
        fit(make_vae(), images, TensorBoard(tmp_path, images[:, :3]))
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'to write for .* pip install "keras_vae\[tensorboard\]"'):
        TensorBoard(tmp_path)


@pytest.fixture
def train_things(run_here, monkeypatch):
    """Returns a function that runs train.py up to the end of training; it returns the losses."""
    import train

    losses = []

    def finish(args, folder, settings, data, judges, plan, model, *others):
        losses.append(model.history.history)
        return lambda: ""

    monkeypatch.setattr(train, "finish", finish)

    def call(folder, *flags):
        code, output, errors = things_run(folder, run_here, flags)
        assert code == 0, errors
        return losses.pop(), output

    return call


@pytest.mark.once
def test_train_writes_it_and_trains_the_same_model(train_things, tmp_path):
    folder, kept = tmp_path / "run", tmp_path / "elsewhere" / "first"
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "tensorboard" / "events.out.tfevents.1").touch()  # of an earlier run
    (folder / "tensorboard" / "mine").touch()
    history, output = train_things(folder, "--overwrite", "--tensorboard")
    assert f"To watch: tensorboard --logdir {folder}/tensorboard" in output.splitlines()
    names = sorted(path.name for path in (folder / "tensorboard").iterdir())
    assert len(names) == 2 and names[1] == "mine" and names[0] != "events.out.tfevents.1"
    numbers, pictures = read(folder / "tensorboard")
    steps = [10, 20, 30, 40]  # of 150 images in batches of 16
    for name, losses in history.items():
        assert numbers[name] == list(zip(steps, np.float32(losses)))
    for picture in ("reconstructions", "samples"):
        assert [step for step, _ in pictures[picture]] == steps
    assert pictures["reconstructions"][0][1].shape == (2 * 8 + 2, 8 * 10 - 2, 3)  # of 8 images
    other, _ = train_things(tmp_path / "other", "--tensorboard", kept)
    assert read(kept)[0]["loss"] == numbers["loss"]
    without, output = train_things(tmp_path / "without")
    assert history == other == without and "tensorboard" not in output
    models = [runs.load_model(tmp_path / name) for name in ("run", "other", "without")]
    for parts in zip(*map(weights_of, models)):
        assert all((part == parts[0]).all() for part in parts)
    for name in ("other", "without"):
        assert not (tmp_path / name / "tensorboard").exists()
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    assert config["tensorboard"] == str(kept)


@pytest.mark.once
def test_a_run_that_is_continued_goes_on_writing(train_things, run_here, tmp_path, monkeypatch):
    def fail(self, epoch, logs=None):
        if epoch == 2:
            raise KeyError("killed")

    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr("keras_vae.runs.callbacks.SaveBest.on_epoch_end", fail)
        train_things(tmp_path / "run", "--tensorboard")
    assert [step for step, _ in read(tmp_path / "run" / "tensorboard")[0]["loss"]] == [10, 20]
    code, _, errors = run_here("--resume", tmp_path / "run")
    assert code == 0, errors
    train_things(tmp_path / "whole", "--tensorboard")
    continued, whole = (read(tmp_path / name / "tensorboard")[0] for name in ("run", "whole"))
    assert continued == whole and [step for step, _ in whole["loss"]] == [10, 20, 30, 40]


@pytest.mark.once
def test_a_run_that_cannot_write_it_does_not_begin(run_here, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    folder = tmp_path / "run"
    for place in ("file", "file/logs"):
        code, _, errors = things_run(folder, run_here, ("--tensorboard", tmp_path / place))
        assert code == 2 and "cannot be used: Not a directory" in errors.splitlines()[-1]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "tensorboardX" or None)
    code, output, errors = things_run(folder, run_here, ("--tensorboard",))
    assert (code, output) == (2, "") and len(errors.splitlines()) == 1
    assert errors.startswith("train.py: error: --tensorboard needs tensorboardX, which is not")
    assert 'pip install "keras_vae[tensorboard]"' in errors and not folder.exists()
