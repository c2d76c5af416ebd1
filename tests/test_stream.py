"""Images that stay on disk: the same numbers as from memory, in an order of their own."""

import keras
import numpy as np
import pytest

from keras_vae.datasets.stream import Rows


@pytest.fixture
def rows(tmp_path, images):
    np.save(tmp_path / "images.npy", images)
    return Rows(tmp_path / "images.npy", np.arange(len(images)))


def epochs_of(stream, count, epochs):
    batches = iter(stream)
    return [[next(batches) for _ in range(count)] for _ in range(epochs)]


@pytest.mark.once
def test_rows_are_indexed_like_an_array(rows, images, tmp_path):
    assert rows.shape == images.shape and rows.dtype == images.dtype and len(rows) == 37
    for index in (3, slice(5, 9), slice(-3, None), np.array([4, 1, 4]), slice(None)):
        np.testing.assert_array_equal(rows[index], images[index])
    np.testing.assert_array_equal(np.asarray(rows), images)
    with pytest.raises(IndexError, match="take one index"):
        rows[0, 1]
    some = Rows(tmp_path / "images.npy", np.array([5, 2, 9]))
    np.testing.assert_array_equal(some[1:], images[[2, 9]])
    (tmp_path / "images.npy").unlink()  # as when the cache is cleared meanwhile
    np.testing.assert_array_equal(some[0], images[5])


@pytest.mark.once
def test_the_order(rows, images):
    first, second = epochs_of(rows.stream(10, seed=3), 4, 2)
    assert [len(batch) for batch in first] == [10, 10, 10, 7]
    for epoch, batches in enumerate((first, second)):
        expected = np.random.default_rng((3, epoch)).permutation(37)
        np.testing.assert_array_equal(np.concatenate(batches), images[expected])
    (rest,) = epochs_of(rows.stream(10, seed=3, first=6), 2, 1)  # continued in the second epoch
    np.testing.assert_array_equal(np.concatenate(rest), np.concatenate(second[2:]))
    plain, again = epochs_of(rows.stream(10), 4, 2)
    np.testing.assert_array_equal(np.concatenate(plain), images)
    np.testing.assert_array_equal(np.concatenate(again), images)


def test_fit_takes_them_like_an_array(rows, images, make_vae):
    model = make_vae(likelihood="gaussian")
    history = model.fit(rows, validation_data=(rows,), batch_size=8, epochs=2, verbose=0)
    assert set(history.history) >= {"loss", "val_loss", "kl_loss"}
    assert int(model.optimizer.iterations) == 2 * 5  # a ragged last batch in each epoch
    losses = model.evaluate(rows, batch_size=8, verbose=0, return_dict=True)
    assert losses["loss"] == pytest.approx(history.history["val_loss"][-1], rel=1e-5)
    from_memory = model.evaluate(images, batch_size=16, verbose=0, return_dict=True)
    for name, loss in from_memory.items():
        assert losses[name] == pytest.approx(loss, rel=1e-5)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_stream_trains_without_warnings_exactly_like_an_array(rows, images, make_vae):
    losses = []
    for data in (rows, images, rows):
        fitted = make_vae().fit(data, validation_data=(data,), batch_size=16, epochs=2, verbose=0)
        losses.append(fitted.history)
    assert losses[0] == losses[1] == losses[2]


def test_a_user_may_set_the_steps(rows, make_vae):
    model = make_vae()
    model.fit(rows, rows.rows, batch_size=8, steps_per_epoch=2, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 6
    assert model.predict(rows, batch_size=10, steps=2, verbose=0)["z"].shape == (20, 2)
    assert len(model.train_on_batch(rows, return_dict=True)) == 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sample_weight": np.ones(37)}, "`sample_weight` is not supported for images on disk"),
        ({"class_weight": {0: 2.0}}, "`class_weight` needs labels"),
        ({"validation_split": 0.5}, "`validation_split` is not supported for"),
        ({"batch_size": -1}, "Argument `batch_size` must be a positive integer"),
    ],
)
def test_what_does_not_go_with_a_stream(rows, make_vae, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_vae().fit(rows, verbose=0, **arguments)


def test_a_stream_of_another_shape_is_refused_and_harms_nothing(rows, images, make_vae, tmp_path):
    model = make_vae()
    model.fit(images, verbose=0)
    np.save(tmp_path / "other.npy", images[:, :4])
    with pytest.raises(ValueError, match=r"must be a batch of images of shape \(n, 6, 5, 3\)"):
        model.fit(Rows(tmp_path / "other.npy", np.arange(37)), verbose=0)
    with pytest.raises(ValueError, match="`sample_weight` is not supported for"):
        model.fit(images, validation_data=(rows, None, np.ones(37)), verbose=0)
    assert np.isfinite(model.evaluate(images, verbose=0)).all()


def test_several_steps_in_one_go_change_no_number(rows, make_vae):
    losses = []
    for steps in (1, 3):
        model = make_vae()
        model.compile(keras.optimizers.SGD(1e-3), steps_per_execution=steps)
        history = model.fit(rows, batch_size=8, epochs=2, validation_data=(rows,), verbose=0)
        losses.append([*history.history["loss"], *history.history["val_loss"]])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_predict_encode_and_evaluate_in_numbers(rows, images, make_vae):
    from keras_vae import evaluate

    model = make_vae()
    for streamed, plain in zip(model.encode(rows, 8), model.encode(images)):
        np.testing.assert_allclose(streamed, plain, atol=1e-5)
    streamed, plain = (model.predict(x, batch_size=10, verbose=0) for x in (rows, images))
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), streamed, plain
    )
    streamed, plain = (evaluate.test_metrics(model, x) for x in (rows, images))
    assert streamed == pytest.approx(plain, rel=1e-5)


def test_predict_takes_several_steps_in_one_go(rows, images, make_vae):
    expected, model = make_vae(), make_vae()
    model.compile("adam", steps_per_execution=3)
    for one, two in zip(
        model.predict(rows, batch_size=8, verbose=0).values(),
        expected.predict(images, batch_size=8, verbose=0).values(),
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)
