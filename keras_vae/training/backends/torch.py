"""Training on torch: `backward`, then the optimizer; soon as a graph of torch's own operations.

A Keras layer spends more time on finding out what to do than torch on doing it: of a step of the
MLP on MNIST, a third. What a step does is the same each time, so after some steps it is recorded,
the gradient included, and from then on played back.
"""

import contextlib
import warnings

import keras
import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim.adam import adam

from keras_vae.training.backends.adam import can_be_fused
from keras_vae.training.loop import MOST_STEPS
from keras_vae.training.sources import as_float32

aten = torch.ops.aten
# In a recording, of which no gradient is taken and whose constants nothing changes.
DO_NOTHING = aten.detach.default, aten.lift_fresh_copy.default

STEPS_BEFORE = 3  # a shape is recorded: the last batch of an epoch may not be worth it


class Trainer:
    def compile(self, *args, jit_compile="auto", steps_per_execution=1, **kwargs):
        # Compiled by torch's inductor is what was recorded; Keras would have it compile its layers,
        # which takes minutes and makes a step slower. Nor would Keras hear of several steps.
        super().compile(*args, jit_compile=False, **kwargs)
        self.compiles_recordings = jit_compile is True

    def train_step(self, data):
        self.zero_grad()
        data = self.training_batch(data)
        losses = self.compute_losses(data, training=True)
        self.optimizer.scale_loss(losses["loss"]).backward()
        gradients = [variable.value.grad for variable in self.trainable_variables]
        with torch.no_grad():
            updater(self.optimizer, self.trainable_variables)(gradients)
            return self.update_means(losses, data)

    def test_step(self, data):
        return self.update_means(self.compute_losses(data, training=False), data)

    def can_run_steps(self):
        return True

    def run_steps(self, images, rows, weights, at_once, training):
        """Takes a step on each batch: the images with the numbers ``rows[i]``."""
        self.train(training)  # for layers made of torch modules
        device = keras.ops.zeros(()).device
        images, rows = as_tensor(images).to(device), as_tensor(rows).to(device)
        weights = None if weights is None else as_tensor(weights).to(device)
        key = training, (rows.shape[1], *images.shape[1:]), images.dtype, weights is None
        recording = self.programs.steps.setdefault(key, Recording(self, training))
        recording.tensors = None  # somebody may have put others into the variables
        for i, numbers in enumerate(rows):
            batch = images.index_select(0, numbers)
            recording.step((batch, None, None if weights is None else weights[i]))

    def best_pace(self, batch_size):
        """Returns how many steps to take in one execution: (at first, at most)."""
        return 1, MOST_STEPS

    def hold(self, images):
        """Returns images as a tensor: of the same memory on a CPU, or in the GPU's.

        If half of the GPU's free memory will not hold them, it is the array itself.
        """
        device = keras.ops.zeros(()).device
        if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            return images
        with warnings.catch_warnings():  # nothing writes to images that may not be written to
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.as_tensor(np.ascontiguousarray(as_float32(images))).to(device)

    # A DataLoader draws from torch's global generator even when it does not shuffle; left alone,
    # validating between two epochs would change the order of the training images.

    def evaluate(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]), kept_mode(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]), kept_mode(self):
            return super().predict(*args, **kwargs)


@contextlib.contextmanager
def kept_mode(module):
    """A context after which a module is in training or not, as it was before."""
    mode = module.training
    yield
    module.train(mode)


def as_tensor(array):
    """`torch.as_tensor`, also of a view from back to front."""
    if isinstance(array, np.ndarray) and not (array.flags.c_contiguous and array.flags.writeable):
        array = array.copy()
    return torch.as_tensor(array)


class Recording:
    """Steps on batches of one shape: layer by layer at first, then played back.

    What can't be recorded goes on layer by layer, at the same numbers: a network that draws
    random numbers of its own (dropout), or that looks at values to decide what to do.
    """

    def __init__(self, model, training):
        self.model, self.training = model, training
        self.steps, self.possible, self.graph, self.tensors = 0, True, None, None

    def step(self, data):
        model, training = self.model, self.training
        if self.graph is None and (self.steps < STEPS_BEFORE or not self.possible):
            self.steps += 1
            with contextlib.nullcontext() if training else torch.no_grad():
                model.train_step(data) if training else model.test_step(data)
            return
        if self.graph is None:
            rest = values(model.non_trainable_variables)
            before = [value.clone() for value in rest]
        x, _, weight = model.training_batch(data) if training else data
        noise = model.noise_of_a_step(x) if training else {}
        if self.graph is None:
            try:
                self.record(x, weight, noise)
            except Exception as error:  # of any kind: the steps before went well
                self.possible = False
                self.warn(error)
                with torch.no_grad():  # the draws of this step are drawn once more
                    torch._foreach_copy_(rest, before)
                self.step(data)
                return
        if self.tensors is None:
            self.tensors = [values(group) for group in (self.trained, self.state, self.changed)]
            self.update = updater(model.optimizer, self.trained) if training else None
        trained, state, changed = self.tensors
        with torch.no_grad():
            gradients, new = self.graph(trained, state, x, weight, noise)
            if training:
                self.update(gradients)
            torch._foreach_copy_(changed, new)

    def warn(self, error):
        """Says, once for a model, that steps are not recorded."""
        if not self.model.programs.warned:
            self.model.programs.warned = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            warnings.warn(
                "Steps run layer by layer, which is slower and changes no number: a step of this "
                "model can't be recorded, as when layers draw random numbers of their own or look "
                f"at values. torch says: {reason}",
                stacklevel=2,
            )

    def record(self, x, weight, noise):
        """Records a step, or raises; an error of the network's own was raised before."""
        model, training = self.model, self.training
        self.trained = model.trainable_variables if training else []
        rest = model.variables if not training else model.non_trainable_variables
        self.state = [*rest, *model.metrics_variables]
        changed = []

        def function(parameters, state, x, weight, noise):
            mapping = [*zip(self.trained, parameters), *zip(self.state, state)]
            with keras.StatelessScope(mapping, collect_losses=True) as scope:
                losses = model.compute_losses((x, None, weight), training, **noise)
                model.update_means(losses, (x, None, weight))
            new = [scope.get_current_value(variable) for variable in self.state]
            changed[:] = [i for i, value in enumerate(new) if value is not state[i]]
            loss = model.optimizer.scale_loss(losses["loss"]) if training else None
            gradients = torch.autograd.grad(loss, parameters) if training else ()
            # What is another variable itself is copied: that one may be written first.
            own = {id(value) for value in state}
            new = [new[i].clone() if id(new[i]) in own else new[i].detach() for i in changed]
            return list(gradients), new

        # With tensors that have no values: what depends on values can't be recorded by mistake.
        graph = make_fx(function, tracing_mode="fake")(
            [value.detach().requires_grad_() for value in values(self.trained)],
            [value.detach() for value in values(self.state)],
            x,
            weight,
            noise,
        )
        simplify(graph.graph)
        add_biases_at_once(graph.graph)
        graph.recompile()
        self.changed = [self.state[i] for i in changed]
        self.graph = torch.compile(graph) if model.compiles_recordings else graph


def simplify(graph):
    """Takes out of a recorded graph what does nothing, and what is computed a second time."""
    written, seen = places_written(graph), {}
    for node in graph.nodes:
        if node.op != "call_function" or node in written:
            continue
        if is_a_copy(node) and is_a_copy(node.args[0]) and node.args[0].args[0] not in written:
            node.args = node.args[0].args
        if node.target in DO_NOTHING or (changes_nothing(node) and node.args[0] not in written):
            node.replace_all_uses_with(node.args[0])
        elif not has_effects(node) and written.isdisjoint(node.all_input_nodes):
            first = seen.setdefault((node.target, str(node.args), str(node.kwargs)), node)
            if first is not node:
                node.replace_all_uses_with(first)
    graph.eliminate_dead_code()


def changes_nothing(node):
    """Returns whether a node's result is its input, in the same order in memory.

    Keras has a convolution copy images twice, to the order that they have already, and torch
    takes the derivative of a square by raising to the power of 1.
    """
    if node.target is aten.constant_pad_nd.default:
        same = not any(node.args[1])
    elif node.target is aten.pow.Tensor_Scalar:
        same = node.args[1] == 1
    else:
        same = is_a_copy(node)
    if not same or any(user.op == "output" for user in node.users):  # a variable's, to be written
        return False
    before, after = (one.meta.get("val") for one in (node.args[0], node))
    if before is None or after is None:
        return False
    return (before.dtype, before.stride()) == (after.dtype, after.stride())


def is_a_copy(node):
    """Returns whether a node copies a tensor to an order in memory that it names."""
    order = node.kwargs.get("memory_format", torch.preserve_format)
    return node.target is aten.clone.default and order != torch.preserve_format


def add_biases_at_once(graph):
    """Makes one operation of a product of matrices and the bias that is added to it."""
    written = places_written(graph)
    for node in graph.find_nodes(op="call_function", target=aten.add.Tensor):
        product, bias = node.args
        if node.kwargs or product.target is not aten.mm.default or len(product.users) > 1:
            continue
        parts = bias, *product.args
        tensors = [getattr(part, "meta", {}).get("val") for part in parts]
        if (
            written.isdisjoint(parts)
            and tensors[0] is not None
            and tensors[0].ndim == 1
            and node.meta["val"].shape == product.meta["val"].shape
            and len({tensor.dtype for tensor in tensors}) == 1
        ):
            with graph.inserting_before(node):
                fused = graph.call_function(aten.addmm.default, parts)
            fused.meta = dict(node.meta)
            node.replace_all_uses_with(fused)
    graph.eliminate_dead_code()


def places_written(graph):
    """Returns the nodes that are written over, what those are views of, and the views of all."""
    places = [place for node in graph.nodes if has_effects(node) for place in node.all_input_nodes]
    for place in places:  # which grow
        if is_a_view(place):
            places += place.all_input_nodes
    written = set(places)
    for node in graph.nodes:
        if is_a_view(node) and not written.isdisjoint(node.all_input_nodes):
            written.add(node)
    return written


def is_a_view(node):
    """Returns whether a node's result lies in the memory of an input."""
    is_an_operation = isinstance(node.target, torch._ops.OpOverload)
    return is_an_operation and any(result.alias_info for result in node.target._schema.returns)


def has_effects(node):
    """Returns whether a node writes into its input, or draws random numbers."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    return target._schema.is_mutable or torch.Tag.nondeterministic_seeded in target.tags


def values(variables):
    return [variable.value for variable in variables]


def updater(optimizer, variables):
    """Returns `optimizer.apply` as a function of the gradients; of a plain Adam torch's fused one.

    That takes one pass over the weights, not ten.
    """
    if not can_be_fused(optimizer, variables):
        return lambda gradients: optimizer.apply(gradients, variables)
    optimizer.build(variables)  # nothing, if it is built
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    weights, beta_2 = values(variables), optimizer.beta_2
    momentums = values(optimizer._momentums[i] for i in indices)
    velocities = values(optimizer._velocities[i] for i in indices)
    step = int(optimizer.iterations)
    steps = list(torch.full((len(weights),), float(step), device=weights[0].device).unbind())

    def update(gradients):
        nonlocal step
        if any(gradient is None for gradient in gradients):  # a layer that is not used
            optimizer.apply(gradients, variables)
            return
        step += 1
        adam(
            weights,
            [gradient.contiguous() for gradient in gradients],  # the kernel takes that for granted
            momentums,
            velocities,
            [],
            steps,  # counted up there
            fused=True,
            amsgrad=False,
            beta1=optimizer.beta_1,
            beta2=beta_2,
            lr=float(optimizer.learning_rate),
            weight_decay=0.0,
            # Keras adds epsilon before the second moment's bias is corrected, torch after it.
            eps=optimizer.epsilon / (1 - beta_2**step) ** 0.5,
            maximize=False,
        )
        optimizer.iterations.assign_add(1)

    return update


def without_gradient(model, function):
    """Returns `function`: tensors in, tensors out, no gradient kept."""
    return torch.no_grad()(function)


def keep_compiled(folder):
    """Keeps compiled programs for the next process; torch compiles none here."""


def device_name():
    device = keras.ops.zeros(()).device
    return f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type
