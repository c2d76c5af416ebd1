"""Training on torch: `backward`, then the optimizer without a graph."""

import keras
import torch


class Trainer:
    def compile(self, *args, steps_per_execution=1, jit_compile="auto", **kwargs):
        # Keras would refuse the one only when training begins, and would take the other: minutes
        # of compiling and pages of warnings for steps that are several times slower.
        refused = {
            "steps_per_execution": steps_per_execution != 1,
            "jit_compile": jit_compile is True,
        }
        for name, is_set in refused.items():
            if is_set:
                raise ValueError(f"`{name}` is not supported on the torch backend. Leave it out")
        super().compile(*args, **kwargs)

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


def without_gradient(model, function):
    """Returns `function`: tensors in, tensors out, no gradient kept."""
    return torch.no_grad()(function)


def device_name():
    device = keras.ops.zeros(()).device
    return f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type
