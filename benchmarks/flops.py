"""Floating-point operations: those that training needs, and the peak speed of the machine."""

import math
import time

import keras
import numpy as np


def flops_of_training(model):
    """Returns the floating-point operations per image in training.

    Counted are two (multiply, add) for each use of a weight of a dense or convolutional layer;
    everything else is ignored. The backward pass counts as two forward passes, although the
    gradient with respect to the first layer's input is not needed, so the total is 3 times the
    forward pass.
    """
    layers = [*model.encoder.layers, *model.decoder.layers]
    return 3 * sum(flops_of_layer(layer) for layer in layers)


def flops_of_layer(layer):
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Conv2D):
        _, height, width, _ = layer.output.shape
        return 2 * math.prod(layer.kernel.shape) * height * width
    return 0


def peak_gflops(precision="float32"):
    """Returns the highest speed of the framework's product of square matrices, in GFLOP/s."""
    dtype = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    best = 0
    size = 1024
    while True:
        matrix = keras.ops.convert_to_tensor(np.ones((size, size), "float32"))
        matrix = keras.ops.cast(matrix, dtype)
        seconds = min(seconds_of_product(matrix) for _ in range(6))
        speed = 2 * size**3 / seconds / 1e9
        best = max(best, speed)
        # A GPU reaches full speed only with large matrices, which take too long on a CPU.
        if size >= 2048 and (size >= 16384 or seconds > 5e-3):
            return best
        size *= 2


def seconds_of_product(matrix):
    begun = time.perf_counter()
    product = keras.ops.matmul(matrix, matrix)
    keras.ops.convert_to_numpy(product[0, 0])  # waits for the device
    return time.perf_counter() - begun
