"""The networks of a `Flow` and their training step."""

import math

import keras
import numpy as np
from keras import layers, ops

from keras_vae import noise
from keras_vae.layers import GlorotUniform, hashed_seed
from keras_vae.training.backends import Trainer, without_gradient
from keras_vae.training.means import EpochMeans
from keras_vae.training.programs import Programs

BLOCKS = 3  # residual hidden layers
FREQUENCIES = np.float32(math.pi) * 2 ** np.linspace(0, 6, 16, dtype="float32")  # of time features
HEUN_STEPS = 10  # from noise to codes; more steps do not improve measured picture quality
GUESS_WIDTH, GUESS_NOISE, GUESS_DECAY = 256, 0.05, 1e-5
NONE, HALF = 0.25, 0.1  # shares of training rows with no known attribute, and with about half known


class FlowNetwork(Trainer, keras.Model):
    """Two small networks on standardised codes, for the velocity and for predicting attributes.

    The velocity is that of flow matching (Lipman et al. 2023,
    https://arxiv.org/abs/2210.02747): on the straight line from noise ``e`` to a code ``x`` the
    network learns ``x - e``. Attributes are given as *signs*: 1 for present, -1 for absent, 0 for
    unknown. Training hides attributes at random, so that the flow also works without them
    (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598).

    Args:
        components: Number of numbers in the standardised codes.
        names: Names of the attributes.
        exclusive: Names of mutually exclusive attributes: each image has exactly one of them.
        width: Width of the hidden layers of the velocity network.
        seed: A non-negative integer, for initial weights and the noise of training.
    """

    loss_names = ("loss", "flow_loss", "guess_loss")

    def __init__(self, components, names, exclusive, width, seed, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.components, self.width, self.seed = components, width, seed
        self.names, self.exclusive = tuple(names), tuple(exclusive)
        self.is_exclusive = np.isin(self.names, self.exclusive)
        seeds = iter(np.random.SeedSequence(seed).generate_state(BLOCKS + 3) >> 1)

        def dense(inputs, units, initializer=None, **arguments):
            initializer = initializer or GlorotUniform(int(next(seeds)))
            layer = layers.Dense(units, kernel_initializer=initializer, dtype=dtype, **arguments)
            layer.build((None, inputs))
            return layer

        count = len(self.names)
        self.first = dense(components + 2 * len(FREQUENCIES) + count, width)
        self.blocks = [dense(width, width) for _ in range(BLOCKS)]
        self.last = dense(width + components, components, "zeros")
        if count:
            decay = keras.regularizers.L2(GUESS_DECAY)
            self.hidden = dense(components, GUESS_WIDTH, kernel_regularizer=decay)
            self.verdict = dense(GUESS_WIDTH, count, kernel_regularizer=decay)
        self.noise_seed = hashed_seed(seed)
        self.means = EpochMeans(self.loss_names)
        self.programs, self.asked_steps = Programs(), None
        self.built = True

    def velocity(self, x, t, signs):
        """Returns the velocity ``(n, components)`` from noise (``t = 0``) to codes (``t = 1``).

        Args:
            x: ``(n, components)``.
            t: ``(n, 1)``.
            signs: ``(n, number of attributes)``.
        """
        angles = t * ops.convert_to_tensor(FREQUENCIES)
        h = ops.concatenate([x, ops.sin(angles), ops.cos(angles), signs], axis=1)
        h = ops.silu(ops.rms_normalization(self.first(h)))  # (n, width)
        for block in self.blocks:
            h = h + ops.silu(ops.rms_normalization(block(h)))
        # Normalisation removes the length of `x`, so `x` is an input of the last layer too.
        return self.last(ops.concatenate([ops.rms_normalization(h), x], axis=1))

    def logits(self, x):
        """Returns the log odds ``(n, number of attributes)`` of attributes, given codes."""
        return self.verdict(ops.silu(self.hidden(x)))

    def forward(self, rows):
        """Maps ``[noise, signs]`` to standardised codes, both ``(n, ...)``."""
        return self._integrate(rows, start=0.0, step=1 / HEUN_STEPS)

    def back(self, rows):
        """Maps ``[standardised codes, signs]`` to noise, both ``(n, ...)``."""
        return self._integrate(rows, start=1.0, step=-1 / HEUN_STEPS)

    def _integrate(self, rows, start, step):
        """Solves ``dx/dt = velocity`` by Heun's method."""
        x, signs = rows[:, : self.components], rows[:, self.components :]

        def body(i, x):
            return self.heun_step(x, start + step * ops.cast(i, "float32"), step, signs)

        return ops.fori_loop(0, HEUN_STEPS, body, x)

    def heun_step(self, x, t, step, signs):
        """Returns `x` after a step from the time `t`."""
        t = t * ops.ones_like(x[:, :1])
        first = self.velocity(x, t, signs)
        second = self.velocity(x + step * first, t + step, signs)
        return x + step / 2 * (first + second)

    def program(self, function):
        """Returns a method of the model, compiled on first use."""
        name = function.__name__
        functions = self.programs.functions
        if name not in functions:
            functions[name] = without_gradient(self, function)
        return functions[name]

    # Training: the methods that `keras_vae.training.loop` and the backends call. A batch is an
    # array of rows [standardised code, signs].

    def training_batch(self, data):
        return data

    def noise_of_steps(self, steps, rows, training):
        """Returns random numbers for `compute_losses`, see `AutoEncoder.noise_of_steps`."""
        done = ops.cast(self.optimizer.iterations, "int32")
        step = done + ops.arange(steps, dtype="int32")[:, None, None]
        row = ops.arange(rows, dtype="int32")[:, None]
        normals, uniforms = 2 * self.components + 1, 1 + len(self.names)
        column = ops.arange(normals + uniforms, dtype="int32")
        return {
            "normal": noise.normal(self.noise_seed, step, row, column[:normals]),
            "uniform": noise.uniform(self.noise_seed, step, row, column[normals:]),
        }

    def compute_losses(self, data, training, normal=None, uniform=None):
        """Returns the losses of one batch by name; the two networks share no weights.

        ``flow_loss`` is the squared error of the velocity, averaged over latents; ``guess_loss``
        the cross-entropy of the predicted attributes, averaged over attributes, with 0 for
        unknown ones.
        """
        rows, d = data[0], self.components
        if normal is None:
            drawn = self.noise_of_steps(1, ops.shape(rows)[0], training)
            normal, uniform = drawn["normal"][0], drawn["uniform"][0]
        x, signs = rows[:, :d], rows[:, d:]
        e, blur = normal[:, :d], normal[:, d : 2 * d]
        # Times are concentrated in the middle and towards the codes, because the ends are easier.
        t = ops.sigmoid(1.2 * normal[:, 2 * d :] + 0.3)
        known = self._hide_some(signs, uniform)
        velocity = self.velocity((1 - t) * e + t * x, t, known)
        flow_loss = ops.mean(ops.square(velocity - (x - e)))
        guess_loss = ops.zeros(())
        if self.names:
            logits = self.logits(x + GUESS_NOISE * blur)
            guess_loss = ops.mean(ops.abs(signs) * ops.softplus(-signs * logits))
        loss = flow_loss + guess_loss + sum(self.losses)
        return {"loss": loss, "flow_loss": flow_loss, "guess_loss": guess_loss}

    def _hide_some(self, signs, uniform):
        """Returns signs with some set to 0 (unknown), at random.

        All signs are hidden in a quarter of the rows, as in `noise` and `codes` without attributes,
        and about half of them in a tenth of the rows. Hiding more would weaken the effect of the
        attributes. Of the exclusive attributes, one is kept when half are hidden, so that the flow
        learns the meaning of "a 3" and "not a 3" alone.
        """
        row, cell = uniform[:, :1], uniform[:, 1:]
        kept = cell >= 0.5
        if self.exclusive:
            largest = ops.max(ops.where(self.is_exclusive, cell, -1.0), axis=1, keepdims=True)
            kept = ops.where(self.is_exclusive, cell >= largest, kept)
        known = ops.logical_or(row >= NONE + HALF, ops.logical_and(row >= NONE, kept))
        return signs * ops.cast(known, "float32")

    def update_means(self, losses, data):
        self.means.update_state(losses, ops.shape(data[0])[0])
        return self.means.result()

    def epoch_means(self):
        return self.means.numbers()

    @property
    def metrics(self):
        return [self.means]

    def _loops_are_quick(self):
        return True  # on JAX: there is no convolution
