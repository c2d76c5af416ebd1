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


# Augmentation


class Blacken(keras.layers.Layer):
    """Changes every pixel, so that it shows where it was used."""

    def call(self, x, training=False):
        return x * 0.0 if training else x


@pytest.mark.parametrize("kind", [keras_vae.AutoEncoder, keras_vae.VAE])
def test_augmentation_acts_in_training_only(kind, images):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=kind is keras_vae.VAE)
    model = kind(*parts, augmentation=Blacken())
    model.compile(keras.optimizers.SGD(0.0))
    white = np.full_like(images, 255)
    losses = model.train_on_batch(white, return_dict=True)
    # Input and target are black: the error is that of the pictures themselves.
    assert losses["reconstruction_loss"] < 45
    assert losses["reconstruction_loss"] == pytest.approx(
        model.evaluate(white * 0, verbose=0, return_dict=True)["reconstruction_loss"], rel=0.2
    )
    evaluated = model.evaluate(white, verbose=0, return_dict=True)["reconstruction_loss"]
    plain = kind(model.encoder, model.decoder)
    plain.compile()
    expected = plain.evaluate(white, verbose=0, return_dict=True)["reconstruction_loss"]
    assert evaluated == pytest.approx(expected)


def test_mirroring_is_random_for_each_image_and_goes_through_compiled_training(images):
    mirror = keras.layers.RandomFlip("horizontal", seed=1, dtype="float32")
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    model = keras_vae.AutoEncoder(*parts, augmentation=mirror)
    model.compile()
    first, second = (keras.ops.convert_to_numpy(model.augmented(images)) for _ in range(2))
    assert not np.array_equal(first, second)
    pixels = images.astype("float32") / 255
    flipped = np.array([not np.allclose(a, b) for a, b in zip(first, pixels)])
    assert 8 < flipped.sum() < 29
    np.testing.assert_allclose(first[flipped], pixels[flipped][:, :, ::-1], atol=1e-6)
    seed = keras.ops.convert_to_numpy(mirror.generator.state.value).copy()
    model.fit(images, batch_size=16, epochs=2, verbose=0)
    assert not np.array_equal(seed, keras.ops.convert_to_numpy(mirror.generator.state.value))


def test_augmentation_is_saved(images, tmp_path):
    mirror = keras.layers.RandomFlip("horizontal", dtype="float32")
    model = keras_vae.VAE(*keras_vae.build_mlp((6, 5, 3), 2, (16,)), augmentation=mirror)
    model.compile()
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.augmentation, keras.layers.RandomFlip)
    assert loaded.augmentation.mode == "horizontal"
    np.testing.assert_array_equal(model.encode(images)[0], loaded.encode(images)[0])
    loaded.fit(images, verbose=0)


@pytest.mark.parametrize("augmentation", ["flip", 3, np.fliplr])
def test_an_augmentation_must_be_a_layer(augmentation):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    with pytest.raises(ValueError, match="Argument `augmentation` must be a Keras layer or None"):
        keras_vae.AutoEncoder(*parts, augmentation=augmentation)


def test_an_augmentation_must_keep_shape_and_range(images):
    parts = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    model = keras_vae.AutoEncoder(*parts, augmentation=keras.layers.RandomCrop(4, 4))
    model.compile()
    with pytest.raises(ValueError, match=r"`augmentation` must keep the data's shape \(6, 5, 3\)"):
        model.train_on_batch(images)
    model = keras_vae.AutoEncoder(*parts, augmentation=keras.layers.Rescaling(9.0, -1.0))
    pixels = keras.ops.convert_to_numpy(model.augmented(images))
    assert pixels.min() == 0 and pixels.max() == 1


class Encoder(keras.Model):
    """An encoder that does not know its input's shape beforehand."""

    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(2)

    def call(self, x):
        return self.layer(keras.layers.Flatten()(x))


def test_augmentation_with_a_subclassed_encoder(images):
    _, decoder = keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False)
    model = keras_vae.AutoEncoder(Encoder(), decoder, augmentation=Blacken())
    model.compile()
    history = model.fit(images, sample_weight=np.ones(37), verbose=0).history
    assert np.isfinite(history["loss"]).all()
