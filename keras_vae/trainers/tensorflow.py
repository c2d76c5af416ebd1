"""Training on TensorFlow: a gradient tape, in a `tf.function` that loops over the steps."""

import tensorflow as tf

from keras_vae.batches import MOST_STEPS
from keras_vae.trainers.adam import can_be_fused, moments


class Trainer:
    def train_step(self, data):
        data = self.training_batch(data)
        with tf.GradientTape() as tape:
            losses = self.compute_losses(data, training=True)
            scaled_loss = self.optimizer.scale_loss(losses["loss"])
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        apply(self.optimizer, gradients, self.trainable_variables)
        return self.update_means(losses, data)

    def test_step(self, data):
        return self.update_means(self.compute_losses(data, training=False), data)

    def can_run_steps(self):
        return not (tf.distribute.has_strategy() or self._distribute_strategy)

    def run_steps(self, batches, weights, at_once, training):
        """Takes a step on each of the batches ``(steps, batch, ...)``, in one program."""
        key = training, batches.dtype.name, weights is None
        if key not in self._programs:
            step = self.train_step if training else self.test_step
            shape = tuple(batches.shape[2:])  # of an image
            self._programs[key] = steps_program(step, self.jit_compile, shape, *key[1:])
        self._programs[key](batches) if weights is None else self._programs[key](batches, weights)

    def best_pace(self, batch_size):
        """Returns how many steps make one program: (at first, at most)."""
        return 1, MOST_STEPS

    def on_device(self, array):
        return array


def steps_program(step, jit_compile, image_shape, dtype, unweighted):
    """Returns a function that takes several steps; traced once, for any number of any size."""
    signature = [tf.TensorSpec((None, None, *image_shape), dtype)]
    if not unweighted:
        signature += [tf.TensorSpec((None, None), "float32")]

    def take(batch, weight=None):
        step((batch, None, weight))

    take = tf.function(
        take,
        autograph=False,
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec(part.shape[1:], part.dtype) for part in signature],
    )

    @tf.function(autograph=False, input_signature=signature)
    def program(*blocks):
        def one(i):
            take(*(block[i] for block in blocks))
            return (i + 1,)

        count = tf.shape(blocks[0])[0]
        tf.while_loop(lambda i: i < count, one, (0,), parallel_iterations=1)

    return program


def apply(optimizer, gradients, variables):
    """Keras's `optimizer.apply`; a plain Adam by TensorFlow's fused kernel: one pass, not ten."""
    if (
        tf.distribute.has_strategy()
        or not can_be_fused(optimizer, variables)
        or not all(isinstance(gradient, tf.Tensor) for gradient in gradients)
    ):
        optimizer.apply(gradients, variables)
        return
    with tf.init_scope():
        optimizer.build(variables)  # nothing, if it is built
    step = tf.cast(optimizer.iterations.value + 1, "float32")
    momentums, velocities = moments(optimizer, variables)
    for variable, m, v, gradient in zip(variables, momentums, velocities, gradients):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=m.value.handle,
            v=v.value.handle,
            beta1_power=tf.pow(float(optimizer.beta_1), step),
            beta2_power=tf.pow(float(optimizer.beta_2), step),
            lr=tf.cast(optimizer.learning_rate, "float32"),
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )
    optimizer.iterations.assign_add(1)


def without_gradient(model, function):
    """Returns `function`, compiled: tensors in, tensors out, no gradient kept."""
    return tf.function(function, reduce_retracing=True)


def keep_compiled(folder):
    """Keeps compiled programs for the next process; TensorFlow keeps none."""


def device_name():
    devices = tf.config.list_logical_devices("GPU")
    return devices[0].name.removeprefix("/device:").lower() if devices else "cpu"
