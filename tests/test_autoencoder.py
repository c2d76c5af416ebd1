import keras
import numpy as np
import pytest

import keras_vae


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = keras_vae.AutoEncoder(*keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False))
    model.compile()
    return model


def test_call_and_predict_give_a_dict(model, images):
    for result in (model(images), model.predict(images, verbose=0)):
        shapes = {name: tuple(value.shape) for name, value in result.items()}
        assert shapes == {"reconstruction": (37, 6, 5, 3), "z": (37, 2)}


def test_the_loss_is_the_squared_error_alone(model, images):
    history = model.fit(images, batch_size=16, validation_data=(images,), verbose=0).history
    assert set(history) == {"loss", "reconstruction_loss", "val_loss", "val_reconstruction_loss"}
    assert history["loss"] == history["reconstruction_loss"]
    error = (images / 255 - model.reconstruct(images)) ** 2
    losses = model.evaluate(images, batch_size=16, verbose=0, return_dict=True)
    assert losses["loss"] == pytest.approx(error.sum(axis=(1, 2, 3)).mean(), rel=1e-5)


def test_codes_go_there_and_back(model, images):
    z = model.encode(images)
    assert z.shape == (37, 2)
    np.testing.assert_allclose(z, model.predict(images, verbose=0)["z"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(z))


def test_sampling_is_refused_with_a_reason(model):
    with pytest.raises(ValueError, match=r"no p\(z\) to draw from"):
        model.sample(3)


def test_an_encoder_of_a_vae_is_refused():
    with pytest.raises(ValueError, match="`encoder` of `AutoEncoder` must return z, "):
        keras_vae.AutoEncoder(*keras_vae.build_mlp((6, 5, 3), 2, (16,)))


def test_config_and_file_round_trips(model, images, tmp_path):
    twin = keras_vae.AutoEncoder.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_vae.AutoEncoder
    np.testing.assert_array_equal(loaded.reconstruct(images), model.reconstruct(images))
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)
