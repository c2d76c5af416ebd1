import signal

import pytest

import keras_vae
from keras_vae import runs
from keras_vae.runs import callbacks


@pytest.fixture
def keep_signal():
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def test_the_best_model_is_kept(make_vae, images, tmp_path):
    model = make_vae()
    best = callbacks.SaveBest(tmp_path / "model.keras")
    best.set_model(model)
    best.on_epoch_end(0, {"val_loss": 2.0})
    kept = runs.load_model(tmp_path).encode(images)[0]
    model.fit(images, epochs=3, verbose=0)
    for epoch, loss in ((1, 3.0), (2, float("nan"))):
        best.on_epoch_end(epoch, {"val_loss": loss})
    assert best.epoch == 1
    assert (runs.load_model(tmp_path).encode(images)[0] == kept).all()


def test_ctrl_c_stops_training_after_the_step(make_vae, images, tmp_path, keep_signal, capsys):
    saver = keras_vae.Checkpoint(tmp_path)
    interrupt = callbacks.StopOnInterrupt(tmp_path, saver)
    steps = []

    class PressOnce(callbacks.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)
            if len(steps) == 2:
                signal.raise_signal(signal.SIGINT)

    model = make_vae()
    model.compile("adam", steps_per_execution=1)
    every = [PressOnce(), saver, interrupt]
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, batch_size=8, epochs=9, verbose=0, callbacks=every)
    assert len(steps) == 2 and saver.exists()
    assert "Stopping after this step" in capsys.readouterr().err


def test_ctrl_c_after_training_does_not_undo_it(make_vae, images, tmp_path, keep_signal, capsys):
    interrupt = callbacks.StopOnInterrupt(tmp_path, keras_vae.Checkpoint(tmp_path))
    make_vae().fit(images, verbose=0, callbacks=[interrupt])
    signal.raise_signal(signal.SIGINT)
    assert "Training has ended, saving results" in capsys.readouterr().err
