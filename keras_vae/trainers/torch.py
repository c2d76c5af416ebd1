"""Training on torch: `backward`, then the optimizer without a graph."""

import keras
import torch


class Trainer:
    def train_step(self, data):
        self.zero_grad()
        losses = self.compute_losses(data, training=True)
        self.optimizer.scale_loss(losses["loss"]).backward()
        gradients = [variable.value.grad for variable in self.trainable_variables]
        with torch.no_grad():
            self.optimizer.apply(gradients, self.trainable_variables)
            return self.update_trackers(losses, data)

    def test_step(self, data):
        return self.update_trackers(self.compute_losses(data, training=False), data)

    # A DataLoader draws from torch's global generator even when it does not shuffle; left alone,
    # validating between two epochs would change the order of the training images.

    def evaluate(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]):
            return super().predict(*args, **kwargs)

    def without_gradient(self, function):
        """Returns `function`: tensors in, tensors out, no gradient kept."""
        return torch.no_grad()(function)


def device_name():
    device = keras.ops.zeros(()).device
    return f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type
