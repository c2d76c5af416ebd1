"""Training on JAX: a step is a pure function from a state to logs and the next state."""

import jax
import keras


class Trainer:
    def _forward(self, trainable, non_trainable, metrics, optimizer, data, training):
        """One batch without side effects: the loss to differentiate, then (logs, next state)."""
        mapping = [
            *zip(self.trainable_variables, trainable),
            *zip(self.non_trainable_variables, non_trainable),
            *zip(self.metrics_variables, metrics),
            *zip(self.optimizer.variables if training else [], optimizer),
        ]
        # Forward pass and loss share one scope, so every variable they read stays an input of
        # the compiled program instead of being frozen into it.
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            losses = self.compute_losses(data, training)
            loss = self.optimizer.scale_loss(losses["loss"]) if training else losses["loss"]
            logs = self.update_trackers(losses, data)
        non_trainable = [scope.get_current_value(v) for v in self.non_trainable_variables]
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        return loss, (logs, non_trainable, metrics)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        gradients, (logs, non_trainable, metrics) = jax.grad(self._forward, has_aux=True)(
            trainable, non_trainable, metrics, optimizer, data, training=True
        )
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return logs, (trainable, non_trainable, optimizer, metrics)

    def test_step(self, state, data):
        trainable, non_trainable, metrics = state
        _, (logs, non_trainable, metrics) = self._forward(
            trainable, non_trainable, metrics, [], data, training=False
        )
        return logs, (trainable, non_trainable, metrics)


def without_gradient(model, function):
    """Returns `function`, compiled: tensors in, tensors out, no variable changed."""
    variables = model.variables

    @jax.jit
    def pure(values, *tensors):
        with keras.StatelessScope(zip(variables, values)):
            return function(*tensors)

    return lambda *tensors: pure([v.value for v in variables], *tensors)


def device_name():
    device = jax.devices()[0]
    return f"{device.platform} ({device.device_kind})" if device.platform != "cpu" else "cpu"
