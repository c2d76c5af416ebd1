import keras
import pytest

from keras_vae import build_mlp


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


def test_heads_and_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        encoder, decoder = build_mlp((4, 4, 1), 2, hidden=(8,))
    finally:
        keras.config.set_dtype_policy("float32")
    assert [output.dtype for output in encoder.outputs] == ["float32"] * 2
    assert decoder.outputs[0].dtype == "float32"
    assert encoder.layers[2].compute_dtype == "float16"


@pytest.mark.parametrize("pixel_mean", [-0.1, 128])
def test_build_mlp_refuses_a_mean_that_is_no_pixel(pixel_mean):
    with pytest.raises(ValueError, match="Argument `pixel_mean` must be"):
        build_mlp((4, 4, 1), 2, pixel_mean=pixel_mean)


def test_build_mlp_sees_pixels_about_their_mean():
    encoder, _ = build_mlp((4, 4, 1), 2, hidden=(8,), pixel_mean=0.25)
    centred = encoder.layers[1](keras.ops.full((1, 4, 4, 1), 0.25))
    assert float(keras.ops.max(keras.ops.abs(centred))) < 1e-6


@pytest.mark.parametrize(
    "arguments, name",
    [
        (((28, 28), 2), "image_shape"),
        (((28, 28, 0), 2), "image_shape"),
        (((28, 28, 1.5), 2), "image_shape"),
        (((28, 28, 1), 0), "latent_dim"),
        (((28, 28, 1), True), "latent_dim"),
        (((28, 28, 1), 2, (16, -1)), "hidden"),
        (((28, 28, 1), 2, 16), "hidden"),
    ],
)
def test_build_mlp_names_a_bad_size(arguments, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        build_mlp(*arguments)
