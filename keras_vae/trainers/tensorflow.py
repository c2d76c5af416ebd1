"""Training on TensorFlow: a gradient tape, inside the `tf.function` that Keras makes."""

import tensorflow as tf


class Trainer:
    def train_step(self, data):
        with tf.GradientTape() as tape:
            losses = self.compute_losses(data, training=True)
            scaled_loss = self.optimizer.scale_loss(losses["loss"])
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.update_trackers(losses, data)

    def test_step(self, data):
        return self.update_trackers(self.compute_losses(data, training=False), data)


def without_gradient(model, function):
    """Returns `function`, compiled: tensors in, tensors out, no gradient kept."""
    return tf.function(function, reduce_retracing=True)


def device_name():
    devices = tf.config.list_logical_devices("GPU")
    return devices[0].name.removeprefix("/device:").lower() if devices else "cpu"
