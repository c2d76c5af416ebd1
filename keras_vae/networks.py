"""Encoders and decoders, ready to use. Any two Keras models of the same shapes serve as well."""

import math

import keras
import numpy as np
from keras import layers, ops

from keras_vae.checks import check_share, check_size, check_sizes
from keras_vae.layers import DepthToSpace


def build_mlp(
    image_shape,
    latent_dim,
    hidden=(512, 512),
    activation="relu",
    pixel_mean=0.5,
    variational=True,
    shrink=(1, 1),
):
    """Returns a fully connected encoder and a decoder that mirrors it.

    Each hidden layer is followed by root-mean-square normalisation (Zhang & Sennrich 2019,
    https://arxiv.org/abs/1910.07467): MNIST then takes less than half of the steps to the same
    loss.

    Before it has learned anything the decoder draws about `pixel_mean`: with the mean image of
    the training set, training starts where it would otherwise get to in some hundred steps.

    Args:
        image_shape: ``(height, width, channels)``.
        latent_dim: Length of a code.
        hidden: Widths of the encoder's hidden layers; the decoder has them in reverse order.
        activation: Name of a Keras activation.
        pixel_mean: Mean of the training images, in [0, 1]: an array of the images' shape, or a
            number for all pixels. The decoder starts from it, and its mean is subtracted from
            what the encoder sees.
        variational: If True the encoder gives ``(z_mean, z_log_var)``, for a `VAE`; if False
            it gives ``z``, for an `AutoEncoder`.
        shrink: How many times smaller a side is of what the encoder sees, and of what the decoder
            draws (it is enlarged then, bilinearly). A few dozen numbers have no room for the
            finest detail, and a 2 spares three quarters of the first or the last layer.

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
    check_sizes("shrink", shrink, 2)
    hidden, latent_dim = [int(width) for width in hidden], int(latent_dim)
    images, x = centred_images(image_shape, pixel_mean)
    x = layers.Flatten()(smaller(x, shrink[0]))
    for width in hidden:
        x = normalise_and_activate(layers.Dense(width)(x), activation)
    encoder = keras.Model(images, code_heads(x, latent_dim, variational), name="encoder")

    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in reversed(hidden):
        x = normalise_and_activate(layers.Dense(width)(x), activation)
    mean = smaller(whole_mean(pixel_mean, image_shape)[None], shrink[1])
    last = layers.Dense(math.prod(mean.shape), dtype="float32")
    x = layers.Reshape(mean.shape[1:], dtype="float32")(last(x))
    last.bias.assign(logits(ops.convert_to_numpy(mean)).ravel())
    return encoder, keras.Model(z, larger(x, image_shape, shrink[1]), name="decoder")


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
        pixel_mean: Mean of the training images, in [0, 1]: an array of the images' shape, or a
            number for all pixels. The decoder starts from the mean of its patches, and its mean
            is subtracted from what the encoder sees.
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
    last = conv(channels * patch**2, 3, dtype="float32")
    x = DepthToSpace(patch, dtype="float32")(last(x))
    outputs = layers.Cropping2D(margin, data_format="channels_last", dtype="float32")(x)
    # Its bias is the same at all positions: a patch.
    mean = np.pad(whole_mean(pixel_mean, image_shape), [*margin, (0, 0)], mode="edge")
    rows, columns = mean.shape[0] // patch, mean.shape[1] // patch
    mean = mean.reshape(rows, patch, columns, patch, channels).mean(axis=(0, 2))
    last.bias.assign(logits(mean).ravel())
    return encoder, keras.Model(z, outputs, name="decoder")


def check_arguments(image_shape, latent_dim, activation, pixel_mean, variational):
    check_sizes("image_shape", image_shape, 3)
    check_size("latent_dim", latent_dim)
    keras.activations.get(activation)  # raises `ValueError` itself
    check_pixel_mean(pixel_mean, image_shape)
    if not isinstance(variational, bool):
        raise ValueError(
            f"Argument `variational` must be True or False. Received: variational={variational!r}"
        )


def check_pixel_mean(pixel_mean, image_shape):
    if not isinstance(pixel_mean, np.ndarray):
        check_share("pixel_mean", pixel_mean)
    elif pixel_mean.shape != tuple(image_shape) or not np.all(
        (pixel_mean >= 0) & (pixel_mean <= 1)
    ):
        raise ValueError(
            "Argument `pixel_mean` must be a number in [0, 1], or an array of them of the images' "
            f"shape {tuple(image_shape)}. Received: an array of shape {pixel_mean.shape} from "
            f"{pixel_mean.min(initial=np.inf):g} to {pixel_mean.max(initial=-np.inf):g}"
        )


def whole_mean(pixel_mean, image_shape):
    """Returns the mean image: `pixel_mean`, or an image that is the same everywhere."""
    return np.broadcast_to(np.asarray(pixel_mean, "float32"), tuple(image_shape))


def logits(pixels):
    """Returns the outputs that stand for pixels, within limits: none may be certain at first."""
    pixels = np.clip(pixels, 0.01, 0.99)
    return np.log(pixels / (1 - pixels))


def centred_images(image_shape, pixel_mean):
    """Returns an encoder's input, and the same with values in about [-1, 1]."""
    images = keras.Input(tuple(map(int, image_shape)), name="image")
    return images, layers.Rescaling(2.0, -2.0 * float(np.mean(pixel_mean)))(images)


def smaller(x, factor):
    """Returns images ``(n, height, width, channels)`` at a size that is `factor` times smaller."""
    if factor == 1:
        return x
    return layers.AveragePooling2D(int(factor), padding="same", data_format="channels_last")(x)


def larger(x, image_shape, factor):
    """Returns images at the size of `image_shape`, of some that are `factor` times smaller."""
    if factor == 1:
        return x
    settings = {"data_format": "channels_last", "dtype": "float32"}
    x = layers.UpSampling2D(int(factor), interpolation="bilinear", **settings)(x)
    extra = [(0, there - wanted) for there, wanted in zip(x.shape[1:3], image_shape)]
    return layers.Cropping2D(extra, **settings)(x)


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
