"""Encoders and decoders, ready to use. Any two Keras models of the same shapes serve as well."""

import math

import keras
from keras import layers

from keras_vae.checks import check_share, check_size, check_sizes
from keras_vae.layers import DepthToSpace


def build_mlp(
    image_shape, latent_dim, hidden=(512, 512), activation="relu", pixel_mean=0.5, variational=True
):
    """Returns a fully connected encoder and a decoder that mirrors it.

    Each hidden layer is followed by root-mean-square normalisation (Zhang & Sennrich 2019,
    https://arxiv.org/abs/1910.07467): MNIST then takes less than half of the steps to the same
    loss.

    Args:
        image_shape: ``(height, width, channels)``.
        latent_dim: Length of a code.
        hidden: Widths of the encoder's hidden layers; the decoder has them in reverse order.
        activation: Name of a Keras activation.
        pixel_mean: Subtracted from the pixels, in [0, 1]; the mean of the training images lets
            the first layer see differences between images rather than what they share.
        variational: If True the encoder gives ``(z_mean, z_log_var)``, for a `VAE`; if False
            it gives ``z``, for an `AutoEncoder`.

    Returns:
        The pair ``(encoder, decoder)`` of Keras models: images ``(n, height, width, channels)``
        in [0, 1] to codes ``(n, latent_dim)``, and codes to unactivated outputs of image shape.

    Raises:
        ValueError: If an argument is unusable.

    Example:

    ```python
    encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=2)
    ```
    """
    check_arguments(image_shape, latent_dim, activation, pixel_mean, variational)
    check_sizes("hidden", hidden)
    hidden, latent_dim = [int(width) for width in hidden], int(latent_dim)
    images, x = centred_images(image_shape, pixel_mean)
    x = layers.Flatten()(x)
    for width in hidden:
        x = normalise_and_activate(layers.Dense(width)(x), activation)
    encoder = keras.Model(images, code_heads(x, latent_dim, variational), name="encoder")

    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in reversed(hidden):
        x = normalise_and_activate(layers.Dense(width)(x), activation)
    x = layers.Dense(math.prod(image_shape), dtype="float32")(x)
    outputs = layers.Reshape(images.shape[1:], dtype="float32", name="outputs")(x)
    return encoder, keras.Model(z, outputs, name="decoder")


def build_conv(
    image_shape,
    latent_dim,
    filters=(64,),
    patch=None,
    activation="silu",
    pixel_mean=0.5,
    variational=True,
):
    """Returns a convolutional encoder and a decoder that mirrors it, for images of any size.

    The encoder reads the image in squares of `patch` by `patch` pixels, one position each, and
    halves height and width with every further entry of `filters`. The decoder has a dense
    hidden layer (four times the last entry wide), then goes back by plain 3x3 convolutions, each
    followed by `DepthToSpace`: no transposed convolution, so it is quick on every backend.
    Images whose sides do not divide evenly are padded, and what is drawn is cropped. Each layer
    is followed by root-mean-square normalisation over the channels.

    Args:
        image_shape: ``(height, width, channels)``.
        latent_dim: Length of a code.
        filters: Channels of the encoder's layers; the decoder has them in reverse order.
        patch: Side of a patch in pixels. Default: the power of two nearest to an eighth of the
            shorter side, so that there are about 8x8 positions. A smaller one costs more time.
        activation: Name of a Keras activation.
        pixel_mean: Subtracted from the pixels, in [0, 1]; best is the mean of the training
            images.
        variational: If True the encoder gives ``(z_mean, z_log_var)``, for a `VAE`; if False
            it gives ``z``, for an `AutoEncoder`.

    Returns:
        The pair ``(encoder, decoder)`` of Keras models: images ``(n, height, width, channels)``
        in [0, 1] to codes ``(n, latent_dim)``, and codes to unactivated outputs of image shape.

    Raises:
        ValueError: If an argument is unusable.

    Example:

    ```python
    encoder, decoder = keras_vae.build_conv((64, 64, 3), latent_dim=32)
    ```
    """
    check_arguments(image_shape, latent_dim, activation, pixel_mean, variational)
    check_sizes("filters", filters)
    filters, latent_dim = [int(count) for count in filters], int(latent_dim)
    height, width, channels = map(int, image_shape)
    if patch is None:
        patch = 2 ** max(0, round(math.log2(min(height, width) / 8)))
    check_size("patch", patch)
    patch, longer = int(patch), max(height, width)
    most = 1 + max(0, math.ceil(math.log2(longer / patch)))  # entries until one position is left
    if patch > 2 * longer or len(filters) > most:
        raise ValueError(
            f"Argument `filters` must have at most {most} entries for images of {height}x{width} "
            f"pixels and patches of {patch}, and a patch no more than twice their side. "
            f"Received: filters={filters!r}, patch={patch}"
        )
    step = patch * 2 ** (len(filters) - 1)  # pixels a side behind each of the last positions
    margin = [(extra // 2, extra - extra // 2) for extra in (-height % step, -width % step)]

    images, x = centred_images(image_shape, pixel_mean)
    x = layers.ZeroPadding2D(margin, data_format="channels_last")(x)
    x = normalise_and_activate(conv(filters[0], patch, strides=patch)(x), activation)
    for count in filters[1:]:
        x = normalise_and_activate(conv(count, 3, strides=2)(x), activation)
    shape = x.shape[1:]
    x = layers.Flatten()(x)
    encoder = keras.Model(images, code_heads(x, latent_dim, variational), name="encoder")

    z = keras.Input((latent_dim,), name="z")
    # From a code to the positions by way of a hidden layer: without it the map is next to linear,
    # and codes between those of the images decode to speckles.
    x = normalise_and_activate(layers.Dense(4 * filters[-1])(z), activation)
    x = layers.Reshape(shape)(layers.Dense(math.prod(shape))(x))
    x = normalise_and_activate(x, activation)
    for count in reversed(filters[:-1]):
        x = DepthToSpace(2)(conv(4 * count, 3)(x))
        x = normalise_and_activate(x, activation)
    x = conv(channels * patch**2, 3, dtype="float32")(x)
    x = DepthToSpace(patch, dtype="float32")(x)
    outputs = layers.Cropping2D(
        margin, data_format="channels_last", dtype="float32", name="outputs"
    )(x)
    return encoder, keras.Model(z, outputs, name="decoder")


def check_arguments(image_shape, latent_dim, activation, pixel_mean, variational):
    check_sizes("image_shape", image_shape, 3)
    check_size("latent_dim", latent_dim)
    keras.activations.get(activation)  # raises `ValueError` itself
    check_share("pixel_mean", pixel_mean)
    if not isinstance(variational, bool):
        raise ValueError(
            f"Argument `variational` must be True or False. Received: variational={variational!r}"
        )


def centred_images(image_shape, pixel_mean):
    """Returns an encoder's input, and the same with values in about [-1, 1]."""
    images = keras.Input(tuple(map(int, image_shape)), name="image")
    return images, layers.Rescaling(2.0, -2.0 * pixel_mean)(images)


def conv(filters, size, **arguments):
    return layers.Conv2D(filters, size, padding="same", data_format="channels_last", **arguments)


def normalise_and_activate(x, activation):
    return layers.Activation(activation)(layers.RMSNormalization()(x))


def code_heads(x, latent_dim, variational):
    """Returns the last layers of an encoder, in float32 under any precision."""
    if not variational:
        return layers.Dense(latent_dim, dtype="float32", name="z")(x)
    z_mean = layers.Dense(latent_dim, dtype="float32", name="z_mean")(x)
    # Little noise at first, so that the decoder learns to read the code before the KL empties it.
    z_log_var = layers.Dense(
        latent_dim,
        dtype="float32",
        name="z_log_var",
        bias_initializer=keras.initializers.Constant(-3),
    )(x)
    return [z_mean, z_log_var]
