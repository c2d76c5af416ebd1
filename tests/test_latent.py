"""Edits and arithmetic with a model, on each backend."""

import numpy as np
import pytest
from keras import ops

import keras_vae
from keras_vae import latent
from keras_vae.models.vae import gaussian_kl

NAMES = ("smiling", "eyeglasses")


@pytest.fixture
def model(make_vae, images):
    model = make_vae()
    model.fit(images, epochs=2, verbose=0)
    return model


@pytest.fixture
def directions():
    return latent.Directions(NAMES, np.array([[1, 0], [0.5, -1]], "float32"), "regression")


def test_strength_0_is_the_reconstruction(model, images, directions):
    for strengths in ({}, {"smiling": 0}, {"smiling": 0.0, "eyeglasses": 0}):
        edited = latent.edit(model, images, directions, strengths)
        np.testing.assert_array_equal(edited, model.reconstruct(images))


def test_with_detail_strength_0_is_the_original(model, images, directions):
    for originals in (images, images / np.float32(255)):
        edited = latent.edit(model, originals, directions, {"smiling": 0}, keep_detail=True)
        np.testing.assert_array_equal(edited, images / np.float32(255))


def test_an_edit_is_decoded_from_the_shifted_code(model, images, directions):
    z = model.encode(images)[0]
    shifted = z + 1.5 * directions["smiling"] - directions["eyeglasses"]
    after = model.decode(shifted)
    strengths = {"smiling": 1.5, "eyeglasses": -1}
    edited = latent.edit(model, images, directions, strengths)
    np.testing.assert_allclose(edited, after, atol=1e-5)
    assert np.abs(edited - model.reconstruct(images)).max() > 0.01
    detailed = latent.edit(model, images, directions, strengths, keep_detail=True)
    expected = np.clip(images / 255 + after - model.decode(z), 0, 1)
    np.testing.assert_allclose(detailed, expected, atol=1e-5)


def test_a_plain_autoencoder_is_edited_too(images, directions):
    model = keras_vae.AutoEncoder(*keras_vae.build_mlp((6, 5, 3), 2, (16,), variational=False))
    model.compile()
    np.testing.assert_array_equal(latent.codes_of(model, images), model.encode(images))
    edited = latent.edit(model, images, directions, {"smiling": 1})
    expected = model.decode(model.encode(images) + directions["smiling"])
    np.testing.assert_allclose(edited, expected, atol=1e-6)


def test_an_edit_that_does_not_fit(model, images, directions):
    with pytest.raises(ValueError, match="no attribute 'beard'"):
        latent.edit(model, images, directions, {"beard": 1})
    other = latent.Directions(("a",), np.ones((1, 3), "float32"), "regression")
    with pytest.raises(ValueError, match=r"must have 2 latents, like the model. .* with 3"):
        latent.edit(model, images, other, {"a": 1})
    with pytest.raises(ValueError, match="Expected images"):
        latent.codes_of(model, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="Expected images"):
        latent.codes_of(model, images[0])


def test_details_need_pictures_of_one_shape(model, images, directions):
    pictures = ops.convert_to_tensor(model.reconstruct(images))  # of any backend
    np.testing.assert_array_equal(
        latent.with_detail(images, pictures, pictures), images / np.float32(255)
    )
    with pytest.raises(ValueError, match="must have the same shape"):
        latent.with_detail(images, pictures[:1], pictures[:1])
    with pytest.raises(ValueError, match="must have the same shape"):
        latent.edit(model, model.encode(images)[0], directions, {"smiling": 1}, keep_detail=True)
    with pytest.raises(ValueError, match="must be a dict"):
        latent.edit(model, images, directions, "smiling")


def test_arithmetic_takes_images_codes_and_groups(model, images):
    z = model.encode(images)[0]
    attributes = np.arange(37)[:, None] % [2, 3] == 0
    happy = latent.group(attributes, NAMES, {"smiling": True, "eyeglasses": False})
    sad = latent.group(attributes, NAMES, {"smiling": False})
    np.testing.assert_array_equal(happy, attributes[:, 0] & ~attributes[:, 1])
    expected = z[:5] + 2 * (z[happy].mean(axis=0) - z[sad].mean(axis=0))
    for a, b, c in (
        (images[happy], images[sad], images[:5]),
        (z[happy], images[sad], z[:5]),
    ):
        codes = latent.arithmetic(model, a, b, c, strength=2)
        np.testing.assert_allclose(codes, expected, atol=1e-5)
    assert model.decode(codes).shape == (5, 6, 5, 3)


@pytest.mark.once
def test_a_group_has_only_images_that_are_known_to_belong():
    attributes = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], bool)
    known = np.array([[1, 1], [1, 1], [0, 1], [1, 0]], bool)
    names = ["smiling", "hat"]
    for wanted, expected in (
        ({"smiling": True}, [0]),
        ({"smiling": False}, [1, 3]),
        ({"smiling": False, "hat": False}, [1]),
        ({"hat": True}, [2]),
    ):
        assert np.flatnonzero(latent.group(attributes, names, wanted, known)).tolist() == expected
    with pytest.raises(ValueError, match="no image in the group: smiling, hat"):
        latent.group(attributes, names, {"smiling": True, "hat": True}, known)
    with pytest.raises(ValueError, match="`known` must be bool of the shape"):
        latent.group(attributes, names, {"hat": True}, known[:3])


def test_arithmetic_that_cannot_be(model, images):
    with pytest.raises(ValueError, match="Argument `b` must hold at least one"):
        latent.arithmetic(model, images, images[:0], images)
    with pytest.raises(ValueError, match="strength"):
        latent.arithmetic(model, images, images, images, strength=np.nan)
    attributes = np.ones((37, 1), bool)
    with pytest.raises(ValueError, match="no image in the group: not smiling"):
        latent.group(attributes, ["smiling"], {"smiling": False})
    with pytest.raises(ValueError, match=r"here \(n, 2\). Received: shape=\(37, 1\)"):
        latent.group(attributes, ["a", "b"], {"b": True})
    with pytest.raises(ValueError, match="only True and False"):
        latent.group(-np.ones((37, 1)), ["smiling"], {"smiling": True})  # CelebA's no
    with pytest.raises(ValueError, match=r"no attribute 'x'. There are: smiling"):
        latent.group(attributes, ["smiling"], {"x": False})


def test_kl_of_latents_sums_to_the_kl_loss(model, images):
    z_mean, z_log_var = model.encode(images)
    kl = latent.kl_of_latents(z_mean, z_log_var)
    assert kl.shape == (2,)
    assert kl.sum() == pytest.approx(float(ops.mean(gaussian_kl(z_mean, z_log_var))), rel=1e-5)


def test_mixture_samples_are_decoded(model, images):
    z = model.encode(images)[0]
    pictures = model.decode(latent.fit_mixture(z, z).sample(5, seed=0))
    assert pictures.shape == (5, 6, 5, 3) and 0 <= pictures.min() <= pictures.max() <= 1
