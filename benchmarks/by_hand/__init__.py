"""Training loops without Keras in the step, as one would write them for each framework alone.

Each file defines the same: `Loop(case, parameters, images, pixel_mean, steps, precision, how)`
with `epoch()`, and `WAYS`, the ways there are to run its step. The networks, losses, optimizer and
schedule are those of `fit`; they start from the weights of a Keras model, see `parameters`.
"""

import keras


def framework():
    """Returns the file for the backend of this process."""
    if keras.backend.backend() == "jax":
        from by_hand import jax as module
    elif keras.backend.backend() == "tensorflow":
        from by_hand import tensorflow as module
    else:
        from by_hand import torch as module
    return module


def parameters(model):
    """Returns a VAE's weights as NumPy arrays, in the nesting that all loops use.

    A layer is ``(kernel, bias, scale)``, the scale being that of the normalisation behind it; the
    heads have no normalisation, ``(kernel, bias)``, and the last layer has the mean image that is
    added to all pictures in place of a bias, ``(kernel, offset)``.
    """
    encoder, decoder = model.encoder.get_weights(), model.decoder.get_weights()
    return {
        "encoder": in_groups(encoder[1:-4], 3),  # behind the mean that is subtracted
        "z_mean": tuple(encoder[-4:-2]),
        "z_log_var": tuple(encoder[-2:]),
        "decoder": in_groups(decoder[:-2], 3),
        "outputs": tuple(decoder[-2:]),
    }


def in_groups(items, size):
    if len(items) % size:
        raise ValueError(f"Expected layers of {size} weights each. Received: {len(items)} weights")
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]
