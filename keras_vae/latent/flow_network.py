"""The networks of a `Flow`, and how a step trains them."""

import math

import keras
import numpy as np
from keras import layers, ops

from keras_vae.layers import seed_generator
from keras_vae.training.backends import Trainer, without_gradient
from keras_vae.training.means import EpochMeans
from keras_vae.training.programs import Programs

BLOCKS = 3  # hidden layers with a path past them
FREQUENCIES = np.float32(math.pi) * 2 ** np.linspace(0, 6, 16, dtype="float32")  # of the time
HEUN_STEPS = 10  # from noise to codes: more change nothing that a judge of pictures sees
GUESS_WIDTH, GUESS_NOISE, GUESS_DECAY = 256, 0.05, 1e-5
NOTHING, SOME = 0.25, 0.1  # shares of rows without any attribute, and with half of them


class FlowNetwork(Trainer, keras.Model):
    """Two small networks on standardised codes: a velocity, and a guess of the attributes.

    The velocity is that of flow matching (Lipman et al. 2023,
    https://arxiv.org/abs/2210.02747): on the straight line from noise ``e`` to a code ``x`` the
    network learns ``x - e``. Attributes come as *signs*: 1 for has, -1 for lacks, 0 for unknown.
    Training leaves attributes out at random, so that the flow is known without them, too
    (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598).

    Args:
        latent_dim: Number of latents.
        names: What the attributes are called.
        exclusive: Names of those of which an image has exactly one.
        width: Of the hidden layers of the velocity.
        seed: A non-negative integer; initial weights and the noise of training start from it.
    """

    loss_names = ("loss", "flow_loss", "guess_loss")

    def __init__(self, latent_dim, names, exclusive, width, seed, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.latent_dim, self.width, self.seed = latent_dim, width, seed
        self.names, self.exclusive = tuple(names), tuple(exclusive)
        self.is_exclusive = np.isin(self.names, self.exclusive)
        # Initial weights differ from layer to layer, and neighbouring seeds overlap on torch.
        seeds = iter(np.random.SeedSequence(seed).generate_state(BLOCKS + 3) >> 1)

        def dense(inputs, units, initializer=None, **arguments):
            initializer = initializer or keras.initializers.GlorotUniform(int(next(seeds)))
            layer = layers.Dense(units, kernel_initializer=initializer, dtype=dtype, **arguments)
            layer.build((None, inputs))
            return layer

        count = len(self.names)
        self.first = dense(latent_dim + 2 * len(FREQUENCIES) + count, width)
        self.blocks = [dense(width, width) for _ in range(BLOCKS)]
        self.last = dense(width + latent_dim, latent_dim, "zeros")
        if count:
            decay = keras.regularizers.L2(GUESS_DECAY)
            self.hidden = dense(latent_dim, GUESS_WIDTH, kernel_regularizer=decay)
            self.verdict = dense(GUESS_WIDTH, count, kernel_regularizer=decay)
        self.seed_generator = seed_generator(seed)
        self.means = EpochMeans(self.loss_names)
        self.programs, self.asked_steps = Programs(), None
        self.built = True

    def velocity(self, x, t, signs):
        """Returns where points on the way from noise (``t = 0``) to codes (``t = 1``) move.

        Args:
            x: ``(n, latent_dim)``.
            t: ``(n, 1)``.
            signs: ``(n, number of attributes)``.
        """
        angles = t * ops.convert_to_tensor(FREQUENCIES)
        h = ops.concatenate([x, ops.sin(angles), ops.cos(angles), signs], axis=1)
        h = ops.silu(ops.rms_normalization(self.first(h)))  # (n, width)
        for block in self.blocks:
            h = h + ops.silu(ops.rms_normalization(block(h)))
        # What is normalised has lost how far out `x` lies.
        return self.last(ops.concatenate([ops.rms_normalization(h), x], axis=1))

    def logits(self, x):
        """Returns the guess from standardised codes: log odds ``(n, number of attributes)``."""
        return self.verdict(ops.silu(self.hidden(x)))

    def forward(self, rows):
        """Carries ``[noise, signs]`` to standardised codes, both ``(n, ...)``."""
        return self._carry(rows, start=0.0, step=1 / HEUN_STEPS)

    def back(self, rows):
        """Carries ``[standardised codes, signs]`` to noise, both ``(n, ...)``."""
        return self._carry(rows, start=1.0, step=-1 / HEUN_STEPS)

    def _carry(self, rows, start, step):
        """Solves ``dx/dt = velocity`` by Heun's method."""
        x, signs = rows[:, : self.latent_dim], rows[:, self.latent_dim :]
        ones = ops.ones_like(x[:, :1])

        def one(i, x):
            t = (start + step * ops.cast(i, "float32")) * ones
            here = self.velocity(x, t, signs)
            there = self.velocity(x + step * here, t + step, signs)
            return x + step / 2 * (here + there)

        return ops.fori_loop(0, HEUN_STEPS, one, x)

    def program(self, function):
        """Returns a method of the model, compiled once."""
        name = function.__name__
        functions = self.programs.functions
        if name not in functions:
            functions[name] = without_gradient(self, function)
        return functions[name]

    # Training: what `keras_vae.training.loop` and the trainers ask of a model. A batch is an array
    # of rows [standardised code, signs].

    def training_batch(self, data):
        return data

    def noise_of_a_step(self, rows):
        """Returns what `compute_losses` would draw for a batch, as arguments to it."""
        n, seed = ops.shape(rows)[0], self.seed_generator
        return {
            "normal": keras.random.normal((n, 2 * self.latent_dim + 1), dtype="float32", seed=seed),
            "uniform": keras.random.uniform((n, 1 + len(self.names)), dtype="float32", seed=seed),
        }

    def compute_losses(self, data, training, **noise):
        """Returns the losses of one batch by name; they share no weights.

        ``flow_loss`` is the squared error of the velocity, the mean over latents; ``guess_loss``
        the cross-entropy of the guess, the mean over attributes, to which unknown ones add 0.
        """
        rows, d = data[0], self.latent_dim
        noise = noise or self.noise_of_a_step(rows)
        x, signs = rows[:, :d], rows[:, d:]
        e, blur = noise["normal"][:, :d], noise["normal"][:, d : 2 * d]
        # More of the steps lie in the middle, and towards the codes: the ends are easy.
        t = ops.sigmoid(1.2 * noise["normal"][:, 2 * d :] + 0.3)
        found = self.velocity((1 - t) * e + t * x, t, self._some_unknown(signs, noise["uniform"]))
        flow_loss = ops.mean(ops.square(found - (x - e)))
        guess_loss = ops.zeros(())
        if self.names:
            logits = self.logits(x + GUESS_NOISE * blur)
            guess_loss = ops.mean(ops.abs(signs) * ops.softplus(-signs * logits))
        loss = flow_loss + guess_loss + sum(self.losses)
        return {"loss": loss, "flow_loss": flow_loss, "guess_loss": guess_loss}

    def _some_unknown(self, signs, uniform):
        """Returns signs with some set to 0, at random.

        In a quarter of the rows all are, which walks go by; in a tenth about half are. More would
        blur what the others know. Of exclusive ones a single one is left then, so that the flow
        knows what "a 3" or "no 3" means by itself.
        """
        row, cell = uniform[:, :1], uniform[:, 1:]
        left = cell >= 0.5
        if self.exclusive:
            largest = ops.max(ops.where(self.is_exclusive, cell, -1.0), axis=1, keepdims=True)
            left = ops.where(self.is_exclusive, cell >= largest, left)
        known = ops.logical_or(row >= NOTHING + SOME, ops.logical_and(row >= NOTHING, left))
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
