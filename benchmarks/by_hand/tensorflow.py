"""Plain TensorFlow: a `tf.function` step on variables, with Adam's fused kernel."""

import functools
import math

import numpy as np
import tensorflow as tf

WAYS = ("tf.function", "tf.function, XLA")


class Loop:
    def __init__(self, case, parameters, images, pixel_mean, steps, precision, how="tf.function"):
        self.batch_size = case.batch_size
        self.images = tf.constant(images)
        parameters = tf.nest.map_structure(tf.Variable, parameters)
        flat = tf.nest.flatten(parameters)
        self.state = {
            "parameters": parameters,
            "flat": flat,
            "first": [tf.Variable(tf.zeros_like(variable)) for variable in flat],
            "second": [tf.Variable(tf.zeros_like(variable)) for variable in flat],
            "step": tf.Variable(0.0),
            "variance": tf.Variable(0.5),
            "totals": tf.Variable(tf.zeros(2)),
        }
        self.rng = np.random.default_rng(0)
        dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
        self.step = tf.function(
            functools.partial(train_step, case, pixel_mean, steps, dtype, self.state),
            jit_compile=how == "tf.function, XLA",
        )

    def epoch(self):
        """Trains on each image once; returns the mean reconstruction loss and KL."""
        order = tf.constant(self.rng.permutation(len(self.images)))
        self.state["totals"].assign(tf.zeros(2))
        for start in range(0, len(order), self.batch_size):
            self.step(self.images, order[start : start + self.batch_size])
        return self.state["totals"].numpy() / len(order)  # waits for the device


def train_step(case, pixel_mean, steps, dtype, state, images, indices):
    parameters, step = state["parameters"], state["step"]
    n = len(indices)
    x = tf.cast(tf.gather(images, indices), tf.float32) / 255
    eps = tf.random.normal((n, case.latent_dim))
    with tf.GradientTape() as tape:
        z_mean, z_log_var = encode(case, parameters, x, pixel_mean, dtype)
        z = z_mean + tf.exp(z_log_var / 2) * eps
        pixels = tf.sigmoid(decode(case, parameters, z, dtype))
        errors = tf.reduce_mean(tf.reduce_sum(tf.square(x - pixels), (1, 2, 3)))
        kl_per_latent = -0.5 * (1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
        kl = tf.reduce_mean(tf.reduce_sum(kl_per_latent, 1))
        reconstruction = nats(case, errors, state["variance"], step)
        loss = reconstruction + kl
    gradients = tape.gradient(loss, state["flat"])
    adam(state, gradients, learning_rate(step, case.learning_rate, steps))
    state["totals"].assign_add(n * tf.stack([reconstruction, kl]))
    step.assign_add(1)


def dense(x, kernel, bias, dtype):
    return tf.nn.bias_add(tf.cast(x, dtype) @ tf.cast(kernel, dtype), tf.cast(bias, dtype))


def conv(x, kernel, bias, stride, dtype):
    x = tf.nn.conv2d(tf.cast(x, dtype), tf.cast(kernel, dtype), stride, "SAME")
    return tf.nn.bias_add(x, tf.cast(bias, dtype))


def normalise_and_activate(case, x, scale):
    x32 = tf.cast(x, tf.float32)
    mean_square = tf.reduce_mean(tf.square(x32), -1, keepdims=True)
    return getattr(tf.nn, case.activation)(
        tf.cast(x32 * tf.math.rsqrt(mean_square + 1e-6) * scale, x.dtype)
    )


def encode(case, parameters, x, pixel_mean, dtype):
    x = x - pixel_mean
    x = x if case.network == "conv" else tf.reshape(x, (len(x), -1))
    for kernel, bias, scale in parameters["encoder"]:
        if case.network == "conv":
            x = conv(x, kernel, bias, kernel.shape[0], dtype)
        else:
            x = dense(x, kernel, bias, dtype)
        x = normalise_and_activate(case, x, scale)
    x = tf.reshape(x, (len(x), -1))
    return [dense(x, *parameters[head], tf.float32) for head in ("z_mean", "z_log_var")]


def decode(case, parameters, x, dtype):
    height, width, _ = case.image_shape
    for number, (kernel, bias, scale) in enumerate(parameters["decoder"]):
        x = dense(x, kernel, bias, dtype)
        if case.network == "conv" and number == 1:  # from here on at positions
            x = tf.reshape(x, (len(x), height // case.patch, width // case.patch, scale.shape[0]))
        x = normalise_and_activate(case, x, scale)
    kernel, offset = parameters["outputs"]
    if case.network == "mlp":
        x = dense(x, kernel, tf.reshape(offset, [-1]), tf.float32)
        return tf.reshape(x, (len(x), *case.image_shape))
    x = tf.nn.conv2d(tf.cast(x, tf.float32), kernel, 1, "SAME")
    return tf.nn.depth_to_space(x, case.patch) + offset


def nats(case, errors, variance, step):
    """Returns the reconstruction loss; the variance learns from the batch first."""
    if case.likelihood == "mse":
        return errors
    values = math.prod(case.image_shape)
    rate = tf.maximum(0.05, 1 / (step + 1))
    error = tf.stop_gradient(errors) / values
    variance.assign(tf.maximum(variance + rate * (error - variance), 1 / 255**2))
    now = tf.convert_to_tensor(variance)
    return values / 2 * tf.math.log(2 * math.pi * now) + errors / (2 * now)


def learning_rate(step, peak, steps):
    warmup = max(1, steps // 20)
    rising = peak / 20 + step / warmup * (peak - peak / 20)
    fallen = tf.clip_by_value((step - warmup) / max(1, steps - warmup), 0, 1)
    return tf.where(step < warmup, rising, peak * 0.5 * (1 + tf.cos(math.pi * fallen)))


def adam(state, gradients, rate, beta_1=0.9, beta_2=0.98, epsilon=1e-7):
    powers = tf.pow(beta_1, state["step"] + 1), tf.pow(beta_2, state["step"] + 1)
    for variable, first, second, gradient in zip(
        state["flat"], state["first"], state["second"], gradients
    ):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.handle,
            v=second.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )
