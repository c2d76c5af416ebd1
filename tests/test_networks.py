import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import build_conv, build_mlp, build_patches, networks

# The three builders with small widths, as functions of the image's shape and the code's length.
SMALL = {
    "mlp": lambda *args, **kwargs: build_mlp(*args, (8, 8), **kwargs),
    "conv": lambda *args, **kwargs: build_conv(*args, (8, 8), **kwargs),
    "patches": lambda *args, **kwargs: build_patches(*args, (8, 3, 5), **kwargs),
}


@pytest.mark.once
@pytest.mark.parametrize("image_shape", [(28, 28, 1), (7, 5, 3), (1, 1, 2)])
@pytest.mark.parametrize("latent_dim", [1, 4])
def test_build_mlp_fits_any_image(image_shape, latent_dim):
    encoder, decoder = build_mlp(image_shape, latent_dim, hidden=(8, 4))
    assert encoder.input_shape == (None, *image_shape)
    assert encoder.output_shape == [(None, latent_dim)] * 2
    assert decoder.input_shape == (None, latent_dim)
    assert decoder.output_shape == (None, *image_shape)


@pytest.mark.once
def test_build_mlp_without_variance_gives_one_code():
    encoder, _ = build_mlp((4, 4, 1), 3, variational=False)
    assert encoder.output_shape == (None, 3)


@pytest.mark.once
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


@pytest.mark.parametrize("builder", ["conv", "patches"])
def test_images_are_padded_only_where_patches_do_not_divide_them(builder):
    kinds = keras.layers.ZeroPadding2D, keras.layers.Cropping2D
    for image_shape, expected in (((16, 8, 1), [False, False]), ((17, 8, 1), [True, True])):
        models = SMALL[builder](image_shape, 2, patch=4)
        found = [any(isinstance(x, kind) for x in m.layers) for m, kind in zip(models, kinds)]
        assert found == expected


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("builder", SMALL)
def test_heads_and_outputs_are_float32_under_mixed_precision(builder, straight):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        encoder, decoder = SMALL[builder]((5, 4, 1), 2, straight=straight)
    finally:
        keras.config.set_dtype_policy("float32")
    assert [output.dtype for output in encoder.outputs] == ["float32"] * 2
    assert decoder.outputs[0].dtype == "float32"
    assert encoder.layers[2].compute_dtype == "float16"
    # All that comes after the last hidden layer is in float32, not its result alone.
    last = max(i for i, layer in enumerate(decoder.layers) if layer.compute_dtype == "float16")
    assert type(decoder.layers[last]) is keras.layers.Activation


@pytest.mark.parametrize("builder", SMALL)
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (13, 9, 3)])
def test_training_starts_from_the_mean_image(builder, image_shape):
    mean = np.random.default_rng(0).uniform(0.1, 0.9, image_shape).astype("float32")
    encoder, decoder = SMALL[builder](image_shape, 2, pixel_mean=mean)
    seen = keras.ops.convert_to_numpy(encoder.layers[1](mean[None]))
    assert np.abs(seen).max() < 1e-6
    drawn = keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32"))))[0]
    np.testing.assert_allclose(drawn, mean, atol=1e-5)
    assert not encoder.layers[1].trainable_weights  # the encoder's mean is not learned


def test_a_mean_image_of_black_and_white_is_not_certain():
    mean = np.stack([np.zeros((4, 2)), np.ones((4, 2))], axis=-1)
    _, decoder = build_mlp((4, 2, 2), 2, (8,), pixel_mean=mean)
    drawn = keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder(np.zeros((1, 2), "float32"))))
    np.testing.assert_allclose(drawn[0, ..., 0], 0.01, atol=1e-6)
    np.testing.assert_allclose(drawn[0, ..., 1], 0.99, atol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize(
    "image_shape", [(8, 8, 1), (13, 9, 3), (5, 40, 1), (1, 1, 2), (96, 128, 3)]
)
def test_build_patches_fits_any_image(image_shape):
    encoder, decoder = build_patches(image_shape, 3, (8, 3, 5))
    assert encoder.input_shape == (None, *image_shape)
    assert encoder.output_shape == [(None, 3)] * 2
    assert decoder.output_shape == (None, *image_shape)


def without_the_straight_path(model):
    """Sets the weights of a model's straight path to zero."""
    model.get_layer("straight").kernel.assign(0 * model.get_layer("straight").kernel)
    return model


@pytest.mark.parametrize("image_shape, patch", [((8, 8, 2), 4), ((13, 9, 3), 4), ((6, 10, 1), 2)])
def test_patches_are_squares_of_the_image(image_shape, patch):
    """A pixel reaches only the numbers of its own patch, and comes only from them."""
    encoder, decoder = build_patches(image_shape, 2, (8, 3, 5), patch, "tanh", straight=False)
    height, width, channels = image_shape
    (top, _), (left, _) = networks.margins(image_shape, patch)
    columns = -(-width // patch)
    first = next(x for x in encoder.layers if isinstance(x, keras.layers.EinsumDense))
    read = keras.Model(encoder.input, first.output)
    blank = keras.ops.convert_to_numpy(read(np.zeros((1, *image_shape), "float32")))[0]
    last = [x for x in decoder.layers if isinstance(x, keras.layers.EinsumDense)][-1]
    before, kernel = last.input.shape[1:], keras.ops.convert_to_numpy(last.kernel)
    draw = keras.Model(last.input, decoder.output)
    nothing = keras.ops.convert_to_numpy(draw(np.zeros((1, *before), "float32")))[0]
    for y, x in [(0, 0), (height - 1, width - 1), (height // 2, 1), (1, width // 2)]:
        image = np.zeros((1, *image_shape), "float32")
        image[0, y, x] = 1
        seen = keras.ops.convert_to_numpy(read(image))[0]
        own = (y + top) // patch * columns + (x + left) // patch
        assert np.flatnonzero(np.abs(seen - blank).max(axis=1) > 1e-6).tolist() == [own]
        numbers = np.zeros((1, *before), "float32")
        numbers[0, own, 0] = 1
        drawn = keras.ops.convert_to_numpy(draw(numbers))[0] - nothing
        inside = (y + top) % patch, (x + left) % patch
        expected = kernel[own, 0].reshape(patch, patch, channels)[inside]
        np.testing.assert_allclose(drawn[y, x], expected, atol=1e-6)
        elsewhere = np.ones((height, width), bool)
        corner = own // columns * patch - top, own % columns * patch - left
        elsewhere[tuple(slice(max(0, at), at + patch) for at in corner)] = False
        assert not drawn[elsewhere].any()


@pytest.mark.parametrize("builder", SMALL)
@pytest.mark.parametrize("image_shape", [(13, 9, 3), (80, 130, 1)])
def test_every_pixel_is_read_and_drawn(builder, image_shape):
    # Smooth: of eight rectified units all may be off for a pixel.
    encoder, decoder = SMALL[builder](image_shape, 2, activation="silu")
    rng = np.random.default_rng(0)
    images = np.full((21, *image_shape), 0.5, "float32")
    for image in images[1:]:
        image[rng.integers(image_shape[0]), rng.integers(image_shape[1])] = 1
    images[1, 0, 0], images[2, -1, -1] = 1, 1
    z_mean = keras.ops.convert_to_numpy(encoder(images)[0])
    assert (np.abs(z_mean[1:] - z_mean[0]).max(axis=1) > 1e-7).all()
    outputs = decoder(rng.standard_normal((2, 2)).astype("float32"))
    assert keras.ops.convert_to_numpy(outputs[0] != outputs[1]).all()


@pytest.mark.parametrize("builder", SMALL)
@pytest.mark.parametrize("variational", [True, False])
def test_the_straight_path_is_linear_and_comes_on_top(builder, variational):
    """``A (x - mean)`` is added to the code, ``B z`` to the outputs, and nothing else changes."""
    shape, mean = (6, 5, 2), np.random.default_rng(0).uniform(0.2, 0.8, (6, 5, 2))
    images = np.random.default_rng(1).uniform(0, 1, (3, *shape)).astype("float32")
    z = np.random.default_rng(2).standard_normal((3, 4)).astype("float32")
    parts = SMALL[builder](shape, 4, pixel_mean=mean, variational=variational, straight=True)
    kernels = [keras.ops.convert_to_numpy(part.get_layer("straight").kernel) for part in parts]

    def run(part, x):
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(part(x))]

    whole = run(parts[0], images), run(parts[1], z)
    rest = [run(without_the_straight_path(part), x) for part, x in zip(parts, (images, z))]
    line = (images - mean).reshape(3, -1) @ kernels[0]
    np.testing.assert_allclose(whole[0][0] - rest[0][0], line, atol=1e-5)
    if variational:
        np.testing.assert_array_equal(whole[0][1], rest[0][1])  # z_log_var
    np.testing.assert_allclose(
        whole[1][0] - rest[1][0], (z @ kernels[1]).reshape(3, *shape), atol=1e-5
    )


@pytest.mark.once
def test_the_straight_path_of_large_images_is_smaller():
    encoder, decoder = build_mlp((130, 66, 3), 4, (8,), straight=True)
    values = 44 * 22 * 3  # a third of the side: 130 pixels are more than twice 64
    assert tuple(encoder.get_layer("straight").kernel.shape) == (values, 4)
    assert tuple(decoder.get_layer("straight").kernel.shape) == (4, values)
    assert decoder.output_shape == (None, 130, 66, 3)


def test_a_picture_enlarged_again_is_smooth():
    rows = np.linspace(0, 1, 13, dtype="float32")[None, :, None, None]
    image = np.broadcast_to(rows, (1, 13, 9, 2))
    again = networks.larger(networks.smaller(image, 2), (13, 9, 2), 2)
    assert again.shape == image.shape
    inner = keras.ops.convert_to_numpy(again)[:, 2:-2]
    np.testing.assert_allclose(inner, image[:, 2:-2], atol=0.03)


@pytest.mark.parametrize("builder, straight", [("mlp", False), ("conv", True), ("patches", True)])
def test_networks_learn_in_half_precision_and_are_saved(builder, straight, images, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(0)
        mean = images.mean(axis=0) / 255
        parts = SMALL[builder](images.shape[1:], 2, pixel_mean=mean, straight=straight)
        model = keras_vae.VAE(*parts, beta=0, seed=0)
        model.compile(keras.optimizers.Adam(1e-2))
        losses = model.fit(images, epochs=8, verbose=0).history["loss"]
        drawn = model.decode(np.zeros((1, 2)))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[-1] < losses[0]
    assert drawn.dtype == np.float32 and drawn.shape == (1, *images.shape[1:])
    np.testing.assert_array_equal(loaded.decode(np.zeros((1, 2))), drawn)


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


@pytest.mark.once
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


@pytest.mark.once
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


@pytest.mark.parametrize("builder", [build_mlp, build_conv, build_patches])
@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"data_shape": ()}, "data_shape"),
        ({"data_shape": (28, 28, 0)}, "data_shape"),
        ({"data_shape": (28, 28, 1.5)}, "data_shape"),
        ({"data_shape": 28}, "data_shape"),
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
        ({"straight": None}, "straight"),
        ({"widths": (16, -1)}, "hidden|filters|widths"),
        ({"widths": 16}, "hidden|filters|widths"),
        ({"widths": (0,)}, "hidden|filters|widths"),
    ],
)
def test_a_bad_argument_is_named(builder, arguments, name):
    arguments = {"data_shape": (8, 8, 1), "latent_dim": 2, **arguments}
    widths = arguments.pop("widths", (8, 3, 5) if builder is build_patches else (8,))
    with pytest.raises(ValueError, match=f"Argument `({name})` must be"):
        builder(arguments.pop("data_shape"), arguments.pop("latent_dim"), widths, **arguments)


@pytest.mark.parametrize("builder", [build_conv, build_patches])
@pytest.mark.parametrize("patch", [0, -2, 1.5, True])
def test_a_patch_that_is_no_size_is_refused(builder, patch):
    with pytest.raises(ValueError, match="Argument `patch` must be a positive integer"):
        builder((8, 8, 1), 2, patch=patch)


def test_build_patches_refuses_a_patch_beyond_the_image():
    with pytest.raises(ValueError, match="no more than twice the longer side"):
        build_patches((8, 6, 1), 2, patch=17)


@pytest.mark.parametrize(
    "size, filters, patch, most",
    [(64, (8,) * 5, None, 4), (28, (8,) * 5, None, 4), (1, (8, 8), None, 1), (8, (8,), 64, 1)],
)
def test_build_conv_refuses_to_pad_without_end(size, filters, patch, most):
    with pytest.raises(ValueError, match=f"Argument `filters` must have at most {most} entries"):
        build_conv((size, size, 1), 2, filters, patch)


@pytest.mark.parametrize("builder", SMALL)
def test_an_unknown_activation_is_named(builder):
    with pytest.raises(ValueError, match="softmaxx"):
        SMALL[builder]((8, 8, 1), 2, activation="softmaxx")
