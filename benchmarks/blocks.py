"""Networks that the search of `networks.py` tries beside `build_mlp` and `build_conv`.

Encoder: a *reader* turns the image into features, then hidden layers, then the code. Decoder:
hidden layers, then a *writer* that draws the image. Readers and writers are chosen apart. All
is made of plain Keras layers, so that a saved model is loaded without this file.
"""

import math

import keras
from keras import layers

from keras_vae.layers import DepthToSpace
from keras_vae.networks import code_heads, conv, normalise_and_activate


def build(
    image_shape,
    latent_dim,
    width=256,
    activation="silu",
    reader="dense",
    writer="dense",
    residual=0,
    gated=False,
    shrink=1,
    pixel_mean=0.5,
    **options,
):
    """Returns a VAE's encoder and decoder.

    Args:
        image_shape: ``(height, width, channels)``.
        latent_dim: Length of a code.
        width: Units of the hidden layer between reader and code, and between code and writer; a
            list, of several layers.
        activation: Name of a Keras activation.
        reader: One of `READERS`.
        writer: One of `WRITERS`.
        residual: How many residual blocks (see `residual_block`) follow each hidden layer.
        gated: Whether those blocks are gated.
        shrink: How many times smaller the image is that the encoder sees.
        pixel_mean: Mean of the training images, in [0, 1], or their mean image.
        options: What readers and writers take: ``rank``, ``patch``, ``channels``, ``mixers``.
            ``patch`` is in pixels of the whole image.

    Example:

    ```python
    build((64, 64, 3), 64, reader="patches", writer="patches", patch=8, channels=64)
    ```
    """

    widths = width if isinstance(width, list) else [width]

    def hidden(x, widths):
        for width in widths:
            x = normalise_and_activate(layers.Dense(width)(x), activation)
            for _ in range(residual):
                x = residual_block(x, width, activation, gated)
        return x

    images = keras.Input(tuple(image_shape), name="image")
    x = layers.Rescaling(2.0, -2.0 * pixel_mean)(images)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink, data_format="channels_last")(x)
    patch = options.pop("patch", 8)
    x = READERS[reader](x, activation, patch=patch // shrink, **options)
    x = hidden(layers.Flatten()(x), widths)
    encoder = keras.Model(images, code_heads(x, latent_dim, True), name="encoder")
    z = keras.Input((latent_dim,), name="z")
    x = hidden(z, widths[::-1])
    outputs = WRITERS[writer](x, image_shape, activation, patch=patch, **options)
    outputs = layers.Reshape(tuple(image_shape), dtype="float32", name="outputs")(outputs)
    return encoder, keras.Model(z, outputs, name="decoder")


def residual_block(x, width, activation, gated=False):
    """Adds a hidden layer to what it reads (pre-norm). Gated: as SwiGLU, act(a x) * (b x)."""
    y = layers.RMSNormalization()(x)
    y = (gate if gated else plain)(y, width, activation)
    return layers.Add()([x, layers.Dense(x.shape[-1])(y)])


def plain(x, width, activation):
    return layers.Dense(width, activation=activation)(x)


def gate(x, width, activation):
    return layers.Multiply()([plain(x, width, activation), layers.Dense(width)(x)])


def mixer_block(x, activation):
    """MLP-Mixer (Tolstikhin et al. 2021, https://arxiv.org/abs/2105.01601): positions exchange
    what they know, one channel at a time; then channels do, one position at a time."""
    positions, channels = x.shape[1:]
    y = layers.Permute((2, 1))(layers.RMSNormalization()(x))
    y = layers.Dense(positions)(plain(y, 2 * positions, activation))
    x = layers.Add()([x, layers.Permute((2, 1))(y)])
    return residual_block(x, 2 * channels, activation)


# Readers: image (n, height, width, channels) to features of any shape.


def read_dense(x, activation, rank=None, **_):
    """The pixels, or `rank` linear combinations of them."""
    return x if rank is None else layers.Dense(rank, use_bias=False)(layers.Flatten()(x))


def read_patches(x, activation, patch=8, channels=64, mixers=0, **_):
    """One dense layer for all patches: a convolution of stride `patch`, written as a product."""
    height, width, colours = x.shape[1:]
    rows, columns = height // patch, width // patch
    x = layers.Reshape((rows, patch, columns, patch * colours))(x)
    x = layers.Permute((1, 3, 2, 4))(x)  # (n, rows, columns, patch, patch * colours)
    x = layers.Reshape((rows * columns, patch * patch * colours))(x)
    x = normalise_and_activate(layers.Dense(channels)(x), activation)
    for _ in range(mixers):
        x = mixer_block(x, activation)
    return x


def read_conv(x, activation, patch=8, channels=64, **_):
    x = conv(channels, patch, strides=patch)(x)
    return normalise_and_activate(x, activation)


# Writers: features (n, width) to as many numbers as the image has, in its order.


def write_dense(x, image_shape, activation, rank=None, **_):
    if rank is not None:
        x = layers.Dense(rank)(x)
    return layers.Dense(math.prod(image_shape), dtype="float32")(x)


def write_half(x, image_shape, activation, **_):
    """Draws at half the size and enlarges: for models that do not get to the finest detail."""
    height, width, colours = image_shape
    x = layers.Dense(height * width * colours // 4, dtype="float32")(x)
    x = layers.Reshape((height // 2, width // 2, colours))(x)
    return layers.UpSampling2D(
        2, data_format="channels_last", interpolation="bilinear", dtype="float32"
    )(x)


def write_detail(x, image_shape, activation, **_):
    """Draws colours at half the size, and adds detail that is the same for all of them: eyes see
    colours less finely than light (as JPEG takes for granted)."""
    height, width, _ = image_shape
    detail = layers.Dense(height * width, use_bias=False, dtype="float32")(x)
    detail = layers.Reshape((height, width, 1))(detail)
    return layers.Add(dtype="float32")([write_half(x, image_shape, activation), detail])


def positions(x, image_shape, activation, patch, channels):
    """Returns features ``(n, rows, columns, channels)``, a position for each patch."""
    rows, columns = image_shape[0] // patch, image_shape[1] // patch
    x = layers.Dense(rows * columns * channels)(x)
    return normalise_and_activate(layers.Reshape((rows, columns, channels))(x), activation)


def write_patches(x, image_shape, activation, patch=8, channels=64, mixers=0, **_):
    x = positions(x, image_shape, activation, patch, channels)
    rows, columns = x.shape[1:3]
    x = layers.Reshape((rows * columns, channels))(x)
    for _ in range(mixers):
        x = mixer_block(x, activation)
    x = layers.Dense(patch * patch * image_shape[2], dtype="float32")(x)
    return DepthToSpace(patch, dtype="float32")(layers.Reshape((rows, columns, x.shape[-1]))(x))


def write_conv(x, image_shape, activation, patch=8, channels=64, **_):
    """The writer of `build_conv`."""
    x = positions(x, image_shape, activation, patch, channels)
    x = conv(patch * patch * image_shape[2], 3, dtype="float32")(x)
    return DepthToSpace(patch, dtype="float32")(x)


def write_resize(x, image_shape, activation, patch=8, channels=64, **_):
    """Enlarges by repeating, then convolves (Odena et al. 2016): no border of a patch shows."""
    x = positions(x, image_shape, activation, patch, channels)
    while patch > 1:
        x = layers.UpSampling2D(2, data_format="channels_last")(x)
        patch //= 2
        if patch > 1:
            channels //= 2
            x = normalise_and_activate(conv(channels, 3)(x), activation)
    return conv(image_shape[2], 3, dtype="float32")(x)


READERS = {"dense": read_dense, "patches": read_patches, "conv": read_conv}
WRITERS = {
    "dense": write_dense,
    "half": write_half,
    "detail": write_detail,
    "patches": write_patches,
    "conv": write_conv,
    "resize": write_resize,
}
