"""Plain JAX: one jitted function from a state to the next, which takes the old one's memory."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

WAYS = ("jit",)


class Loop:
    def __init__(self, case, parameters, images, pixel_mean, steps, precision, how="jit"):
        self.batch_size = case.batch_size
        self.images = jax.device_put(images)  # uint8: a quarter of the memory, scaled in the step
        # A copy on the device, since the step gives its memory away.
        parameters = jax.tree.map(lambda array: jnp.array(array, copy=True), parameters)
        self.state = {
            "parameters": parameters,
            "first": jax.tree.map(jnp.zeros_like, parameters),
            "second": jax.tree.map(jnp.zeros_like, parameters),
            "step": jnp.zeros((), "int32"),
            "variance": jnp.full((), 0.5, "float32"),
            "key": jax.random.key(0),
            "totals": jnp.zeros(2, "float32"),
        }
        self.rng = np.random.default_rng(0)
        dtype = jnp.bfloat16 if precision == "mixed_bfloat16" else jnp.float32
        self.step = jax.jit(
            functools.partial(train_step, case, pixel_mean, steps, dtype), donate_argnums=0
        )

    def epoch(self):
        """Trains on each image once; returns the mean reconstruction loss and KL."""
        order = self.rng.permutation(len(self.images)).astype("int32")
        self.state["totals"] = jnp.zeros(2)
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            self.state = self.step(self.state, self.images, indices)
        return np.asarray(self.state["totals"]) / len(order)  # waits for the device


def train_step(case, pixel_mean, steps, dtype, state, images, indices):
    key, noise_key = jax.random.split(state["key"])
    x = images[indices].astype("float32") / 255
    eps = jax.random.normal(noise_key, (len(indices), case.latent_dim))

    def loss(parameters):
        z_mean, z_log_var = encode(case, parameters, x, pixel_mean, dtype)
        z = z_mean + jnp.exp(z_log_var / 2) * eps
        pixels = jax.nn.sigmoid(decode(case, parameters, z, dtype))
        errors = jnp.sum((x - pixels) ** 2, axis=(1, 2, 3))
        reconstruction, variance = nats(case, errors, state["variance"], state["step"])
        kl = -0.5 * jnp.sum(1 + z_log_var - z_mean**2 - jnp.exp(z_log_var), axis=1).mean()
        return reconstruction + kl, (jnp.stack([reconstruction, kl]), variance)

    gradients, (losses, variance) = jax.grad(loss, has_aux=True)(state["parameters"])
    rate = learning_rate(state["step"], case.learning_rate, steps)
    return {
        **adam(state, gradients, rate),
        "step": state["step"] + 1,
        "variance": variance,
        "key": key,
        "totals": state["totals"] + len(indices) * losses,
    }


def dense(x, kernel, bias, dtype):
    return x.astype(dtype) @ kernel.astype(dtype) + bias.astype(dtype)


def conv(x, kernel, bias, stride, dtype):
    x = jax.lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return x + bias.astype(dtype)


def normalise_and_activate(case, x, scale):
    x32 = x.astype("float32")
    x32 = x32 * jax.lax.rsqrt(jnp.mean(x32**2, axis=-1, keepdims=True) + 1e-6) * scale
    return getattr(jax.nn, case.activation)(x32.astype(x.dtype))


def encode(case, parameters, x, pixel_mean, dtype):
    x = x - pixel_mean
    x = x if case.network == "conv" else x.reshape(len(x), -1)
    for kernel, bias, scale in parameters["encoder"]:
        if case.network == "conv":
            x = conv(x, kernel, bias, kernel.shape[0], dtype)
        else:
            x = dense(x, kernel, bias, dtype)
        x = normalise_and_activate(case, x, scale)
    x = x.reshape(len(x), -1)
    return [dense(x, *parameters[head], jnp.float32) for head in ("z_mean", "z_log_var")]


def decode(case, parameters, x, dtype):
    height, width, channels = case.image_shape
    for number, (kernel, bias, scale) in enumerate(parameters["decoder"]):
        x = dense(x, kernel, bias, dtype)
        if case.network == "conv" and number == 1:  # from here on at positions
            x = x.reshape(len(x), height // case.patch, width // case.patch, -1)
        x = normalise_and_activate(case, x, scale)
    kernel, offset = parameters["outputs"]
    if case.network == "mlp":
        return dense(x, kernel, offset.ravel(), jnp.float32).reshape(len(x), *case.image_shape)
    x = conv(x, kernel, jnp.zeros(()), 1, jnp.float32)
    x = x.reshape(*x.shape[:3], case.patch, case.patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), height, width, channels) + offset


def nats(case, errors, variance, step):
    """Returns the reconstruction loss, and the variance after this batch."""
    if case.likelihood == "mse":
        return errors.mean(), variance
    values = math.prod(case.image_shape)
    error = jax.lax.stop_gradient(errors.mean()) / values
    rate = jnp.maximum(0.05, 1 / (step + 1.0))
    variance = jnp.maximum(variance + rate * (error - variance), 1 / 255**2)
    constant = values / 2 * jnp.log(2 * math.pi * variance)
    return constant + errors.mean() / (2 * variance), variance


def learning_rate(step, peak, steps):
    warmup = max(1, steps // 20)
    share = jnp.minimum(step / warmup, 1.0)
    rising = peak / 20 + share * (peak - peak / 20)
    fallen = jnp.clip((step - warmup) / max(1, steps - warmup), 0, 1)
    return jnp.where(step < warmup, rising, peak * 0.5 * (1 + jnp.cos(math.pi * fallen)))


def adam(state, gradients, rate, beta_1=0.9, beta_2=0.98, epsilon=1e-7):
    count = state["step"] + 1.0
    alpha = rate * jnp.sqrt(1 - beta_2**count) / (1 - beta_1**count)
    first = jax.tree.map(lambda m, g: m + (1 - beta_1) * (g - m), state["first"], gradients)
    second = jax.tree.map(lambda v, g: v + (1 - beta_2) * (g * g - v), state["second"], gradients)
    parameters = jax.tree.map(
        lambda p, m, v: p - alpha * m / (jnp.sqrt(v) + epsilon), state["parameters"], first, second
    )
    return {"parameters": parameters, "first": first, "second": second}
