import math

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import build_conv, build_mlp, networks


@pytest.mark.parametrize("image_shape", [(28, 28, 1), (7, 5, 3), (1, 1, 2)])
@pytest.mark.parametrize("latent_dim", [1, 4])
def test_build_mlp_fits_any_image(image_shape, latent_dim):
    encoder, decoder = build_mlp(image_shape, latent_dim, hidden=(8, 4))
    assert encoder.input_shape == (None, *image_shape)
    assert encoder.output_shape == [(None, latent_dim)] * 2
    assert decoder.input_shape == (None, latent_dim)
    assert decoder.output_shape == (None, *image_shape)


def test_build_mlp_without_variance_gives_one_code():
    encoder, _ = build_mlp((4, 4, 1), 3, variational=False)
    assert encoder.output_shape == (None, 3)


def test_build_mlp_mirrors_the_encoder_and_ends_without_an_activation():
    encoder, decoder = build_mlp((4, 4, 1), 2, hidden=(8, 6))
    widths = [
        [layer.units for layer in model.layers if hasattr(layer, "units")]
        for model in (encoder, decoder)
    ]
    assert widths == [[8, 6, 2, 2], [6, 8, 16]]
    assert all(
        layer.activation is keras.activations.linear
        for layer in decoder.layers
        if hasattr(layer, "units")
    )


@pytest.mark.parametrize("builder", [build_mlp, build_conv])
def test_heads_and_outputs_are_float32_under_mixed_precision(builder):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        encoder, decoder = builder((5, 4, 1), 2, (8, 8))
    finally:
        keras.config.set_dtype_policy("float32")
    assert [output.dtype for output in encoder.outputs] == ["float32"] * 2
    assert decoder.outputs[0].dtype == "float32"
    assert encoder.layers[2].compute_dtype == "float16"
    # All that comes after the last hidden layer is in float32, not its result alone.
    last = max(i for i, layer in enumerate(decoder.layers) if layer.compute_dtype == "float16")
    assert type(decoder.layers[last]) is keras.layers.Activation


def test_build_mlp_sees_pixels_about_their_mean():
    encoder, _ = build_mlp((4, 4, 1), 2, hidden=(8,), pixel_mean=0.25)
    centred = encoder.layers[1](keras.ops.full((1, 4, 4, 1), 0.25))
    assert float(keras.ops.max(keras.ops.abs(centred))) < 1e-6


@pytest.mark.parametrize("builder", [build_mlp, build_conv])
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (13, 9, 3)])
def test_training_starts_from_the_mean_image(builder, image_shape):
    mean = np.random.default_rng(0).uniform(0.1, 0.9, image_shape).astype("float32")
    encoder, decoder = builder(image_shape, 2, (8,), pixel_mean=mean)
    seen = keras.ops.convert_to_numpy(encoder.layers[1](mean[None]))
    assert abs(seen.mean()) < 1e-5
    drawn = keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32"))))[0]
    if builder is build_mlp:
        np.testing.assert_allclose(drawn, mean, atol=1e-5)
    else:  # as much of it as is the same in all patches, which are one pixel here
        shade = np.broadcast_to(mean.mean(axis=(0, 1)), image_shape)
        np.testing.assert_allclose(drawn, shade, atol=0.01)


def test_build_conv_starts_from_the_mean_patch():
    mean = np.random.default_rng(0).uniform(0.1, 0.9, (8, 12, 3)).astype("float32")
    _, decoder = build_conv((8, 12, 3), 2, (8,), patch=4, pixel_mean=mean)
    drawn = keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32"))))[0]
    patch = mean.reshape(2, 4, 3, 4, 3).mean(axis=(0, 2))
    np.testing.assert_allclose(drawn, np.tile(patch, (2, 3, 1)), atol=1e-5)


def test_a_mean_image_of_black_and_white_is_not_certain():
    mean = np.stack([np.zeros((4, 2)), np.ones((4, 2))], axis=-1)
    _, decoder = build_mlp((4, 2, 2), 2, (8,), pixel_mean=mean)
    drawn = keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32"))))
    np.testing.assert_allclose(drawn[0, ..., 0], 0.01, atol=1e-6)
    np.testing.assert_allclose(drawn[0, ..., 1], 0.99, atol=1e-6)


@pytest.mark.parametrize("image_shape, seen", [((8, 8, 1), 16), ((13, 9, 3), 7 * 5 * 3)])
def test_an_encoder_may_see_smaller_images(image_shape, seen):
    encoder, decoder = build_mlp(image_shape, 2, (8,), "tanh", shrink=(2, 1))
    first = next(layer for layer in encoder.layers if isinstance(layer, keras.layers.Dense))
    assert tuple(first.kernel.shape) == (seen, 8)
    assert decoder.output_shape == (None, *image_shape)
    images = np.full((1 + math.prod(image_shape), *image_shape), 0.5, "float32")
    images[1:].reshape(len(images) - 1, -1)[np.diag_indices(len(images) - 1)] = 1  # each once
    z_mean = keras.ops.convert_to_numpy(encoder(images)[0])
    assert (np.abs(z_mean[1:] - z_mean[0]).max(axis=1) > 1e-6).all()  # nothing is left out


@pytest.mark.parametrize("image_shape, drawn", [((8, 8, 1), 16), ((13, 9, 3), 7 * 5 * 3)])
def test_a_decoder_may_draw_smaller_images(image_shape, drawn):
    rows = np.linspace(0.2, 0.8, image_shape[0], dtype="float32")[:, None, None]
    mean = np.broadcast_to(rows, image_shape)
    encoder, decoder = build_mlp(image_shape, 2, (8,), pixel_mean=mean, shrink=(1, 2))
    first, *_, last = (
        layer
        for layer in [*encoder.layers, *decoder.layers]
        if isinstance(layer, keras.layers.Dense)
    )
    assert tuple(first.kernel.shape) == (math.prod(image_shape), 8)
    assert tuple(last.kernel.shape) == (8, drawn)
    assert decoder.output_shape == (None, *image_shape)
    outputs = keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32")))
    # It starts from the mean image at half the size; what is enlarged is smooth in between.
    np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs)[0], mean, atol=0.06)


def test_smaller_images_in_half_precision(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mean = images.mean(axis=0) / 255
        parts = build_mlp(images.shape[1:], 2, (8,), pixel_mean=mean, shrink=(2, 2))
        model = keras_vae.VAE(*parts, "gaussian", seed=0)
        model.compile("adam")
        losses = model.fit(images, epochs=2, verbose=0).history["loss"]
        drawn = model.decode(np.zeros((1, 2)))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(losses).all()
    assert drawn.dtype == np.float32 and drawn.shape == (1, *images.shape[1:])
    assert {layer.compute_dtype for layer in model.decoder.layers[-3:]} == {"float32"}


def test_smaller_images_have_the_means_of_squares():
    image = np.arange(15, dtype="float32").reshape(1, 3, 5, 1)
    small = keras.ops.convert_to_numpy(networks.smaller(image, 2))[0, ..., 0]
    np.testing.assert_allclose(
        small, [[3, 5, 6.5], [10.5, 12.5, 14]]
    )  # at the edge, of what is there


@pytest.mark.parametrize(
    "image_shape, filters, patch",
    [
        ((28, 28, 1), (6,), None),
        ((64, 64, 3), (4, 6), None),
        ((45, 37, 3), (4, 6, 8), 1),
        ((45, 37, 3), (6,), 7),
        ((5, 40, 1), (4, 6), 4),
        ((1, 1, 2), (4,), None),
    ],
)
def test_build_conv_fits_any_image(image_shape, filters, patch):
    encoder, decoder = build_conv(image_shape, 3, filters, patch)
    assert encoder.input_shape == (None, *image_shape)
    assert encoder.output_shape == [(None, 3)] * 2
    assert decoder.output_shape == (None, *image_shape)
    convolutions = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)]
    assert tuple(layer.filters for layer in convolutions) == filters
    outputs = decoder(np.random.default_rng(0).standard_normal((2, 3)).astype("float32"))
    assert outputs.shape == (2, *image_shape)
    # Every pixel is drawn: none is padding, which would be the same for all codes.
    assert keras.ops.convert_to_numpy(outputs[0] != outputs[1]).all()


@pytest.mark.parametrize("size, patch", [(28, 4), (64, 8), (128, 16), (32, 4), (6, 1)])
def test_build_conv_reads_about_eight_by_eight_patches(size, patch):
    encoder, _ = build_conv((size, size, 1), 2, (4,))
    (first,) = (layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D))
    assert first.kernel_size == first.strides == (patch, patch)


def test_build_conv_sees_the_whole_image():
    encoder, _ = build_conv((11, 7, 1), 2, (4, 8), patch=2)
    images = np.full((1 + 11 * 7, 11, 7, 1), 0.5, "float32")
    images[1:].reshape(77, 77)[np.arange(77), np.arange(77)] = 1  # each pixel once
    z_mean = keras.ops.convert_to_numpy(encoder(images)[0])
    assert (np.abs(z_mean[1:] - z_mean[0]).max(axis=1) > 1e-6).all()


def test_build_conv_without_variance_gives_one_code():
    encoder, _ = build_conv((4, 4, 1), 3, (4,), variational=False)
    assert encoder.output_shape == (None, 3)


def test_a_convolutional_vae_learns_and_is_saved(tmp_path):
    rng = np.random.default_rng(0)
    images = np.zeros((128, 12, 9, 1), "uint8")
    for image, row, column in zip(images, rng.integers(0, 9, 128), rng.integers(0, 6, 128)):
        image[row : row + 3, column : column + 3] = 255
    keras.utils.set_random_seed(0)
    model = keras_vae.VAE(*build_conv((12, 9, 1), 4, (16,), patch=3), "gaussian", seed=0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(images, batch_size=32, epochs=15, verbose=0)
    mse = np.mean((model.reconstruct(images) - images / 255) ** 2)
    assert mse < 0.8 * np.var(images / 255)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(images, verbose=0) == model.evaluate(images, verbose=0)


@pytest.mark.parametrize("builder", [build_mlp, build_conv])
@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"image_shape": (28, 28)}, "image_shape"),
        ({"image_shape": (28, 28, 0)}, "image_shape"),
        ({"image_shape": (28, 28, 1.5)}, "image_shape"),
        ({"image_shape": 28}, "image_shape"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"latent_dim": True}, "latent_dim"),
        ({"latent_dim": 2.0}, "latent_dim"),
        ({"pixel_mean": -0.1}, "pixel_mean"),
        ({"pixel_mean": 128}, "pixel_mean"),
        ({"pixel_mean": "0"}, "pixel_mean"),
        ({"pixel_mean": np.zeros((8, 8))}, "pixel_mean"),
        ({"pixel_mean": np.full((8, 8, 1), 128.0)}, "pixel_mean"),
        ({"pixel_mean": np.full((8, 8, 1), np.nan)}, "pixel_mean"),
        ({"variational": 1}, "variational"),
        ({"widths": (16, -1)}, "hidden|filters"),
        ({"widths": 16}, "hidden|filters"),
        ({"widths": ()}, "hidden|filters"),
    ],
)
def test_a_bad_argument_is_named(builder, arguments, name):
    arguments = {"image_shape": (8, 8, 1), "latent_dim": 2, **arguments}
    widths = arguments.pop("widths", (8,))
    with pytest.raises(ValueError, match=f"Argument `({name})` must be"):
        builder(arguments.pop("image_shape"), arguments.pop("latent_dim"), widths, **arguments)


@pytest.mark.parametrize("patch", [0, -2, 1.5, True])
def test_build_conv_refuses_a_patch_that_is_no_size(patch):
    with pytest.raises(ValueError, match="Argument `patch` must be a positive integer"):
        build_conv((8, 8, 1), 2, patch=patch)


@pytest.mark.parametrize(
    "size, filters, patch, most",
    [(64, (8,) * 5, None, 4), (28, (8,) * 5, None, 4), (1, (8, 8), None, 1), (8, (8,), 64, 1)],
)
def test_build_conv_refuses_to_pad_without_end(size, filters, patch, most):
    with pytest.raises(ValueError, match=f"Argument `filters` must have at most {most} entries"):
        build_conv((size, size, 1), 2, filters, patch)


@pytest.mark.parametrize("shrink", [2, (2,), (0, 1), (1, 1.5), (True, 1), "22"])
def test_build_mlp_refuses_a_shrink_that_is_no_pair_of_sizes(shrink):
    with pytest.raises(ValueError, match="Argument `shrink` must be 2 positive integers"):
        build_mlp((8, 8, 1), 2, shrink=shrink)


@pytest.mark.parametrize("builder", [build_mlp, build_conv])
def test_an_unknown_activation_is_named(builder):
    with pytest.raises(ValueError, match="softmaxx"):
        builder((8, 8, 1), 2, activation="softmaxx")
