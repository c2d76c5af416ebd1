"""Encoders and decoders, ready to use. Other Keras models of the same shapes work as well."""

import math

import keras
import numpy as np
from keras import layers

from keras_vae.checks import check_integer, check_number, check_sizes
from keras_vae.layers import DepthToSpace, Enlarge, GlorotUniform, Offset

STRAIGHT_SIDE = 64  # pixels: the linear map sees larger images at a reduced size

# By the number of sides: those of signals, images and volumes.
CONV = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
PAD = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}
CROP = {2: layers.Cropping2D, 3: layers.Cropping3D}


def build_mlp(
    data_shape,
    latent_dim,
    hidden=(512, 512),
    activation="relu",
    pixel_mean=0.5,
    variational=True,
    straight=False,
    output_channels=None,
    condition=0,
):
    """Returns a fully connected encoder and a decoder that mirrors it.

    Each hidden layer is followed by root-mean-square normalisation (Zhang & Sennrich 2019,
    https://arxiv.org/abs/1910.07467): with it MNIST reaches the same loss in less than half as
    many steps.

    Args:
        data_shape: ``(height, width, channels)``, or the shape of other data, such as
            ``(columns,)`` or ``(time, channels)``.
        latent_dim: Length of a code.
        hidden: Widths of the encoder's hidden layers; the decoder has them in reverse order. With
            none, encoder and decoder are linear.
        activation: Name of a Keras activation.
        pixel_mean: Mean of the training images, in [0, 1]: an array of the images' shape, or a
            number for all pixels. It is subtracted from the encoder's input, and the
            decoder's outputs start from it. The mean image saves some hundred training steps.
            Leave the default for data that are not pixels: they are standardised.
        variational: If True the encoder returns ``(z_mean, z_log_var)``, for a `VAE`; if False
            it returns ``z``, for an `AutoEncoder`.
        straight: Whether a linear map bypasses the hidden layers, from the image to ``z_mean``
            and from ``z`` to the outputs, see `connect`.
        output_channels: Channels of the decoder's outputs, which some likelihoods need more of,
            see `keras_vae.likelihoods.Likelihood.output_channels`. Default: those of the images.
        condition: Number of values that encoder and decoder take as a second input, for a
            conditional `VAE`, see `keras_vae.Condition.size`; 0 for no condition.

    Returns:
        The pair ``(encoder, decoder)`` of Keras models: images ``(n, height, width, channels)``
        in [0, 1] to codes ``(n, latent_dim)``, and codes to unactivated outputs of image shape.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    encoder, decoder = keras_vae.build_mlp((28, 28, 1), latent_dim=2)
    ```
    """
    if not (isinstance(hidden, (list, tuple)) and not hidden):
        check_sizes("hidden", hidden)

    def read(x):
        x = layers.Flatten()(x)
        for width in hidden:
            x = normalise_and_activate(dense(width)(x), activation)
        return x

    def draw(z):
        for width in reversed(hidden):
            z = normalise_and_activate(dense(width)(z), activation)
        x = dense(math.prod(output_shape), dtype="float32", use_bias=False)(z)
        return layers.Reshape(output_shape, dtype="float32")(x)

    hidden, data_shape = [int(width) for width in hidden], sizes(data_shape)
    output_shape = shape_of_outputs(data_shape, output_channels)
    settings = activation, pixel_mean, variational, straight, output_channels, condition
    return connect(read, draw, data_shape, latent_dim, *settings)


def build_conv(
    data_shape,
    latent_dim,
    filters=(64,),
    patch=None,
    activation="silu",
    pixel_mean=0.5,
    variational=True,
    straight=False,
    output_channels=None,
    condition=0,
):
    """Returns a convolutional encoder and a decoder that mirrors it, for images of any size.

    Signals ``(time, channels)`` and volumes ``(depth, height, width, channels)`` have the same
    network with one or three sides. The encoder's first layer maps each patch of `patch` by `patch`
    pixels to one position, and each further entry of `filters` halves height and width. The
    decoder has a dense hidden layer (four times as wide as the last entry), then plain 3x3
    convolutions, each followed by `DepthToSpace` (Shi et al. 2016,
    https://arxiv.org/abs/1609.05158): without transposed convolutions it is fast on every backend.
    Images whose sides do not divide evenly are padded, and the decoder's outputs are cropped. Each
    layer is followed by root-mean-square normalisation over the channels.

    Args:
        data_shape: ``(height, width, channels)``, or one or three sides before the channels.
        latent_dim: Length of a code.
        filters: Channels of the encoder's layers; the decoder has them in reverse order.
        patch: Side of a patch in pixels. Default: the power of two nearest to an eighth of the
            shorter side, so that there are about 8x8 positions. A smaller patch is slower.
        activation: Name of a Keras activation.
        pixel_mean: Mean of the training images, see `build_mlp`.
        variational: Whether the network is for a `VAE`, see `build_mlp`.
        straight: Whether a linear map bypasses the hidden layers, see `connect`.
        output_channels: Channels of the decoder's outputs, see `build_mlp`.
        condition: Number of values of a condition, see `build_mlp`.

    Returns:
        The pair ``(encoder, decoder)`` of Keras models: images ``(n, height, width, channels)``
        in [0, 1] to codes ``(n, latent_dim)``, and codes to unactivated outputs of image shape.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    encoder, decoder = keras_vae.build_conv((64, 64, 3), latent_dim=32)
    ```
    """
    check_sizes("filters", filters)
    filters, data_shape = [int(count) for count in filters], sizes(data_shape)
    *sides, _ = data_shape
    if len(sides) not in CONV:
        raise ValueError(
            "Argument `data_shape` must have one to three sides and the channels. "
            f"Received: data_shape={data_shape}"
        )
    patch = patch_side(data_shape) if patch is None else patch
    check_integer("patch", patch, 1)
    longer = max(sides)
    most = 1 + max(0, math.ceil(math.log2(longer / patch)))  # entries until one position is left
    if patch > 2 * longer or len(filters) > most:
        raise ValueError(
            f"Argument `filters` must have at most {most} entries for images of "
            f"{'x'.join(map(str, sides))} pixels and patches of {patch}, and `patch` at most twice "
            "the longer side. "
            f"Received: filters={filters!r}, patch={patch}"
        )
    step = patch * 2 ** (len(filters) - 1)  # pixels per side for each of the last positions
    margin = margins(data_shape, step)
    shape = *((side + sum(both)) // step for side, both in zip(sides, margin)), filters[-1]

    def read(x):
        x = padded(x, margin)
        x = normalise_and_activate(conv(filters[0], patch, strides=patch)(x), activation)
        for count in filters[1:]:
            x = normalise_and_activate(conv(count, 3, strides=2)(x), activation)
        return layers.Flatten()(x)

    def draw(z):
        # A hidden layer between the code and the positions: without it the map is almost linear,
        # and codes between those of images decode to speckles.
        x = normalise_and_activate(dense(4 * filters[-1])(z), activation)
        x = layers.Reshape(shape)(dense(math.prod(shape))(x))
        x = normalise_and_activate(x, activation)
        for count in reversed(filters[:-1]):
            x = DepthToSpace(2)(conv(2 ** len(sides) * count, 3)(x))
            x = normalise_and_activate(x, activation)
        x = conv(drawn * patch ** len(sides), 3, dtype="float32", use_bias=False)(x)
        x = DepthToSpace(patch, dtype="float32")(x)
        return cropped(x, margin)

    def conv(count, size, **arguments):
        return convolution(len(sides), count, size, **arguments)

    drawn = shape_of_outputs(data_shape, output_channels)[-1]  # channels
    settings = activation, pixel_mean, variational, straight, output_channels, condition
    return connect(read, draw, data_shape, latent_dim, *settings)


def build_patches(
    data_shape,
    latent_dim,
    widths=(512, 32, 128),
    patch=None,
    activation="silu",
    pixel_mean=0.5,
    variational=True,
    straight=True,
    output_channels=None,
    condition=0,
):
    """Returns an encoder that reads images in patches and a decoder that draws them in patches.

    Each patch has its own weights, as each position in a locally connected layer has, which suits
    aligned images, where eyes are always in the same place. The encoder maps each patch to a few
    features, and a dense layer combines those of all patches; the decoder mirrors it, and draws
    each patch with a small network. A plain MLP with one hidden layer adds up a few hundred
    full-size images instead, which shows as halos; on drawn faces, patches halve its squared
    error at equal time. Each hidden layer is followed by root-mean-square normalisation (Zhang &
    Sennrich 2019, https://arxiv.org/abs/1910.07467). Images whose sides a patch does not divide are
    padded, and the decoder's outputs are cropped.

    Args:
        data_shape: ``(height, width, channels)``.
        latent_dim: Length of a code.
        widths: Three sizes: of the dense layer between code and patches, of the features of a
            patch, and of the hidden layer that draws a patch.
        patch: Side of a patch in pixels. Default: the power of two nearest to an eighth of the
            shorter side, so that there are about 8x8 patches.
        activation: Name of a Keras activation.
        pixel_mean: Mean of the training images, see `build_mlp`.
        variational: Whether the network is for a `VAE`, see `build_mlp`.
        straight: Whether a linear map bypasses the hidden layers, see `connect`.
        output_channels: Channels of the decoder's outputs, see `build_mlp`.
        condition: Number of values of a condition, see `build_mlp`.

    Returns:
        The pair ``(encoder, decoder)`` of Keras models: images ``(n, height, width, channels)``
        in [0, 1] to codes ``(n, latent_dim)``, and codes to unactivated outputs of image shape.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    encoder, decoder = keras_vae.build_patches((64, 64, 3), latent_dim=64)
    ```
    """
    check_sizes("widths", widths, 3)
    check_sizes("data_shape", data_shape, 3)
    data_shape = sizes(data_shape)
    patch = patch_side(data_shape) if patch is None else patch
    check_integer("patch", patch, 1)
    if patch > 2 * max(data_shape[:2]):
        raise ValueError(
            "Argument `patch` must be no more than twice the longer side of images of "
            f"{data_shape[0]}x{data_shape[1]} pixels. Received: patch={patch}"
        )
    code_width, few, many = map(int, widths)
    margin, channels = margins(data_shape, patch), data_shape[2]
    rows, columns = ((side + sum(both)) // patch for side, both in zip(data_shape, margin))

    def each(width, **arguments):  # (n, patches, a) to (n, patches, width), weights for each patch
        shape = rows * columns, width
        return layers.EinsumDense(
            "npa,pab->npb", shape, kernel_initializer=GlorotUniform(), **arguments
        )

    def read(x):
        x = padded(x, margin)
        x = layers.Reshape((rows, patch, columns, patch * channels))(x)
        x = layers.Permute((1, 3, 2, 4))(x)  # (n, rows, columns, patch, patch * channels)
        x = layers.Reshape((rows * columns, patch * patch * channels))(x)
        x = normalise_and_activate(each(few, bias_axes="pb")(x), activation)
        return normalise_and_activate(dense(code_width)(layers.Flatten()(x)), activation)

    def draw(z):
        x = normalise_and_activate(dense(code_width)(z), activation)
        x = layers.Reshape((rows * columns, few))(dense(rows * columns * few)(x))
        x = each(many, bias_axes="pb")(normalise_and_activate(x, activation))
        x = normalise_and_activate(x, activation)
        x = each(patch * patch * drawn, dtype="float32")(x)
        x = layers.Reshape((rows, columns, patch, patch * drawn), dtype="float32")(x)
        x = layers.Permute((1, 3, 2, 4), dtype="float32")(x)
        x = layers.Reshape((rows * patch, columns * patch, drawn), dtype="float32")(x)
        return cropped(x, margin)

    drawn = shape_of_outputs(data_shape, output_channels)[2]  # channels
    settings = activation, pixel_mean, variational, straight, output_channels, condition
    return connect(read, draw, data_shape, latent_dim, *settings)


def connect(
    read,
    draw,
    data_shape,
    latent_dim,
    activation,
    pixel_mean,
    variational,
    straight=False,
    output_channels=None,
    condition=0,
):
    """Returns the encoder and the decoder around two networks.

    The mean image is subtracted from the input of `read` and added to the output of `draw`. With
    `straight`, a linear map bypasses each: ``z_mean = A (x - mean) + read(x - mean)`` and
    ``outputs = B z + draw(z) + mean``. The decoder's half is close to the skip-VAE of Dieng et
    al. 2019 (https://arxiv.org/abs/1807.04863). Hidden layers that end in a normalisation lose
    the scale of their inputs, and need many steps to recover it; the linear map keeps it. It
    helps if the likelihood's variance is learned and there are many latents: on photographs of
    faces with 256 latents it halves the squared error after the same number of steps. With few
    latents and the fixed variance of ``"mse"`` it raises the loss instead. For images with a
    side above 64 pixels the map works on images reduced by an integer factor, and its output is
    enlarged again, since it is smooth.

    A condition is appended to the features that the encoder's outputs are computed from, and to
    the decoder's code.

    Args:
        read: A function of images ``(n, height, width, channels)`` that returns features.
        draw: A function of codes that returns float32 outputs in image shape, or with more
            channels.
        data_shape, latent_dim, activation, pixel_mean, variational, straight, output_channels,
            condition: See `build_mlp`.

    Returns:
        The pair ``(encoder, decoder)``.
    """
    check_arguments(data_shape, latent_dim, activation, pixel_mean, variational, straight)
    # Only images are reduced.
    factor = -(-max(data_shape[:2]) // STRAIGHT_SIDE) if len(data_shape) == 3 else 1
    exact = {"dtype": "float32"}  # codes and outputs are float32 under any policy
    name = "image" if len(data_shape) == 3 else "x"
    images, minus_mean = keras.Input(data_shape, name=name), Offset(trainable=False, **exact)
    x = minus_mean(images)
    check_integer("condition", condition, 0)
    given = [keras.Input((int(condition),), name="condition")] if condition else []
    codes = code_heads(joined([read(x), *given]), int(latent_dim), variational)
    small = smaller(x, factor)
    if straight:
        line = dense(int(latent_dim), use_bias=False, name="straight", **exact)
        codes[0] = layers.Add(name="z_mean_sum", **exact)([codes[0], line(layers.Flatten()(small))])
    taken = [images, *given] if given else images
    encoder = keras.Model(taken, codes if variational else codes[0], name="encoder")

    z, mean_image = keras.Input((int(latent_dim),), name="z"), Offset(**exact)
    taken = [z, *given] if given else z
    code = joined([z, *given], **exact)
    outputs = draw(code)
    if straight:
        shape = shape_of_outputs(small.shape[1:], output_channels)
        line = dense(math.prod(shape), use_bias=False, name="straight", **exact)
        picture = layers.Reshape(shape, **exact)(line(code))
        outputs = layers.Add(**exact)([outputs, larger(picture, data_shape, factor)])
    decoder = keras.Model(taken, mean_image(outputs), name="decoder")

    mean = mean_of_images(pixel_mean, data_shape)
    minus_mean.offset.assign(-mean)
    # Of the outputs, the first channels are the means of the pixels.
    more = outputs.shape[-1] - mean.shape[-1]
    none = [(0, 0)] * (mean.ndim - 1)
    mean_image.offset.assign(np.pad(logits(mean), [*none, (0, more)]))
    return encoder, decoder


def joined(parts, **arguments):
    """Returns features with the condition appended, if there is one."""
    return layers.Concatenate(**arguments)(parts) if len(parts) > 1 else parts[0]


def shape_of_outputs(data_shape, output_channels):
    """Returns the shape of a decoder's outputs, or raises `ValueError`."""
    check_integer("output_channels", output_channels, data_shape[-1], optional=True)
    return (*data_shape[:-1], output_channels or data_shape[-1])


def patch_side(data_shape):
    """Returns the power of two nearest to an eighth of the shorter side."""
    return 2 ** max(0, round(math.log2(min(data_shape[:-1]) / 8)))


def margins(data_shape, step):
    """Returns how much to pad each side, before and after, so that `step` divides the sides."""
    extras = (-side % step for side in data_shape[:-1])
    return [(extra // 2, extra - extra // 2) for extra in extras]


def padded(x, margin):
    """Returns images with a margin of zeros; an empty one adds no layer, which would copy."""
    if not any(map(any, margin)):
        return x
    return PAD[len(margin)](margin if len(margin) > 1 else margin[0], data_format="channels_last")(
        x
    )


def cropped(x, margin):
    """Returns images without their margin, see `padded`; in float32 under any policy."""
    if not any(map(any, margin)):
        return x
    if len(margin) == 1:
        return layers.Cropping1D(margin[0], dtype="float32")(x)
    return CROP[len(margin)](margin, data_format="channels_last", dtype="float32")(x)


def sizes(data_shape):
    check_sizes("data_shape", data_shape)
    return tuple(map(int, data_shape))


def check_arguments(data_shape, latent_dim, activation, pixel_mean, variational, straight):
    check_integer("latent_dim", latent_dim, 1)
    keras.activations.get(activation)  # raises `ValueError` itself
    check_pixel_mean(pixel_mean, data_shape)
    for name, value in (("variational", variational), ("straight", straight)):
        if not isinstance(value, bool):
            raise ValueError(f"Argument `{name}` must be True or False. Received: {name}={value!r}")


def check_pixel_mean(pixel_mean, data_shape):
    if not isinstance(pixel_mean, np.ndarray):
        check_number("pixel_mean", pixel_mean, low=0, high=1)
    elif pixel_mean.shape != tuple(data_shape) or not np.all((pixel_mean >= 0) & (pixel_mean <= 1)):
        raise ValueError(
            "Argument `pixel_mean` must be a number in [0, 1], or an array of them of the images' "
            f"shape {tuple(data_shape)}. Received: an array of shape {pixel_mean.shape} from "
            f"{pixel_mean.min(initial=np.inf):g} to {pixel_mean.max(initial=-np.inf):g}"
        )


def mean_of_images(pixel_mean, data_shape):
    """Returns the mean image: `pixel_mean`, or a constant image of it."""
    return np.broadcast_to(np.asarray(pixel_mean, "float32"), tuple(data_shape))


def logits(pixels):
    """Returns the outputs that decode to pixels, clipped: none may be certain at first."""
    pixels = np.clip(pixels, 0.01, 0.99)
    return np.log(pixels / (1 - pixels))


def smaller(x, factor):
    """Returns images ``(n, height, width, channels)`` with sides divided by `factor`."""
    if factor == 1:
        return x
    return layers.AveragePooling2D(int(factor), padding="same", data_format="channels_last")(x)


def larger(x, data_shape, factor):
    """Returns images from `smaller`, enlarged to the size of `data_shape`."""
    if factor == 1:
        return x
    x = Enlarge(int(factor), dtype="float32")(x)
    return cropped(x, [(0, side - wanted) for side, wanted in zip(x.shape[1:3], data_shape)])


def dense(units, **arguments):
    return layers.Dense(units, kernel_initializer=GlorotUniform(), **arguments)


def convolution(axes, filters, size, **arguments):
    return CONV[axes](
        filters,
        size,
        padding="same",
        data_format="channels_last",
        kernel_initializer=GlorotUniform(),
        **arguments,
    )


def normalise_and_activate(x, activation):
    return layers.Activation(activation)(layers.RMSNormalization()(x))


def code_heads(x, latent_dim, variational):
    """Returns the outputs of an encoder, in float32 under any policy."""
    if not variational:
        return [dense(latent_dim, dtype="float32", name="z")(x)]
    z_mean = dense(latent_dim, dtype="float32", name="z_mean")(x)
    # Little noise at first: the decoder learns to use the code before the KL removes it.
    z_log_var = dense(
        latent_dim,
        dtype="float32",
        name="z_log_var",
        bias_initializer=keras.initializers.Constant(-3),
    )(x)
    return [z_mean, z_log_var]
