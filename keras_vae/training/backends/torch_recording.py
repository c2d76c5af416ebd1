"""Recordings of steps on torch: the operations of one step, gradient included, to be replayed.

Keras layers spend much time on choosing the operations to run: a third of a step of the MLP on
MNIST. The operations are the same in each step, so they are recorded once.
"""

import contextlib
import warnings

import keras
import torch
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx

STEPS_BEFORE = 3  # on a shape before it is recorded: recording a smaller last batch does not pay


class Recording:
    """Steps on batches of one shape: layer by layer at first, then replayed.

    A step that cannot be recorded continues to run layer by layer, with the same results. That is
    so if the network draws random numbers itself (dropout) or branches on values.

    Args:
        model: A compiled model with a `Trainer` of torch.
        training: Whether the steps train the model or only evaluate it.
        updater: A function of the optimizer and the variables to train. It returns a function of
            their gradients that updates them.
    """

    def __init__(self, model, training, updater):
        self.model, self.training, self.updater = model, training, updater
        self.steps, self.graph, self.tensors = 0, None, None

    def step(self, data, noise):
        """Takes a step on a batch ``(x, y, sample_weight)`` with `noise_of_steps` for it."""
        if self.steps == STEPS_BEFORE:
            self.try_to_record(data, noise)
        self.steps += 1
        if self.graph is not None:
            self.play(data, noise)
        else:
            self.by_layers(data, noise)

    def by_layers(self, data, noise):
        with contextlib.nullcontext() if self.training else torch.no_grad():
            step = self.model.train_step if self.training else self.model.test_step
            step(data, **noise)

    def play(self, data, noise):
        if self.tensors is None:
            self.tensors = [values(group) for group in (self.trained, self.state, self.changed)]
            if self.training:
                self.update = self.updater(self.model.optimizer, self.trained)
        trained, state, changed = self.tensors
        with torch.no_grad():
            gradients, new = self.graph(trained, state, *self.inputs(data), noise)
            if self.training:
                self.update(gradients)
            torch._foreach_copy_(changed, new)

    def forget_tensors(self):
        """Makes the next step look up the variables' tensors again, in case they were replaced."""
        self.tensors = None

    def inputs(self, data):
        """Returns the images of a step, augmented, their labels and their weights."""
        return self.model.training_batch(data) if self.training else data

    def try_to_record(self, data, noise):
        """Records a step, or warns that steps of this model cannot be recorded."""
        drawn_from = values(self.model.non_trainable_variables)
        before = [value.clone() for value in drawn_from]
        try:
            self.record(*self.inputs(data), noise)
        except Exception as error:  # of any kind: layer by layer the same step works
            self.warn(error)
        with torch.no_grad():  # the step itself draws these random numbers again
            for value, old in zip(drawn_from, before):
                value.copy_(old)

    def warn(self, error):
        """Warns, once for a model, that steps are not recorded."""
        if not self.model.programs.warned:
            self.model.programs.warned = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            warnings.warn(
                "Steps run layer by layer, which is slower but gives the same results: a step of "
                "this model cannot be recorded, for example because a layer draws random numbers "
                f"or branches on values. Reason: {reason}",
                stacklevel=2,
            )

    def record(self, x, y, weight, noise):
        model, training = self.model, self.training
        self.trained = model.trainable_variables if training else []
        rest = model.non_trainable_variables if training else model.variables
        self.state = [*rest, *model.metrics_variables]
        changed = []

        def function(parameters, state, x, y, weight, noise):
            mapping = [*zip(self.trained, parameters), *zip(self.state, state)]
            with keras.StatelessScope(mapping, collect_losses=True) as scope:
                losses = model.compute_losses((x, y, weight), training, **noise)
                model.update_means(losses, (x, y, weight))
            new = [scope.get_current_value(variable) for variable in self.state]
            changed[:] = [i for i, value in enumerate(new) if value is not state[i]]
            loss = model.optimizer.scale_loss(losses["loss"]) if training else None
            gradients = torch.autograd.grad(loss, parameters) if training else ()
            # Copies, since a new value may be another variable's old one, which may be overwritten
            # first.
            return list(gradients), [new[i].detach().clone() for i in changed]

        parameters = [value.detach().requires_grad_() for value in values(self.trained)]
        state = [value.detach() for value in values(self.state)]
        graph = trace(function, parameters, state, x, y, weight, noise)
        self.changed = [self.state[i] for i in changed]
        self.graph = torch.compile(graph) if model.compiles_recordings else graph


def trace(function, *arguments):
    """Returns a function of tensors as a graph of torch's operations.

    It is traced twice. The first trace resolves Keras's layers and the gradient. The second
    replaces operations that write into a tensor by others that return a new one, so that equal
    operations on equal inputs have equal results (`leave_out_repeats`). If the function writes
    into its arguments, so does the graph, at its end.
    """
    # Fake tensors have no values, so tracing a step that depends on values fails.
    graph = make_fx(function, tracing_mode="fake")(*arguments)
    with torch.no_grad():
        graph = make_fx(functionalize(graph), tracing_mode="fake")(*arguments)
    leave_out_repeats(graph.graph)
    graph.recompile()
    return graph


def leave_out_repeats(graph):
    """Removes repeated operations from a graph, and those whose results are not used.

    The Gaussian likelihood computes the same squared errors for its loss and for its variance.
    Without the repeats a step of `mlp-64` (benchmarks/cases.py) takes 8 % less CPU time (median of
    250 paired runs on one thread), and one of `mlp-28` or `conv-28` 1 % less.
    """
    seen = {}
    for node in graph.nodes:
        if node.op == "call_function" and not node.is_impure():  # no random numbers, no writes
            key = node.target, str(node.args), str(node.kwargs)
            first = seen.setdefault(key, node)
            if first is not node:
                node.replace_all_uses_with(first)
    graph.eliminate_dead_code()


def values(variables):
    return [variable.value for variable in variables]
