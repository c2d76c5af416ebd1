"""Training on torch: `backward`, then the optimizer; most steps replay a `Recording`."""

import contextlib
import warnings

import keras
import numpy as np
import torch
from torch.optim.adam import adam

from keras_vae import parallel
from keras_vae.parallel.torch import summed
from keras_vae.training.backends import torch_export as torch_export  # completes its exporter
from keras_vae.training.backends.adam import can_be_fused, moments
from keras_vae.training.backends.torch_recording import Recording, values
from keras_vae.training.batches import MOST_STEPS
from keras_vae.training.sources import all_rows, as_float32


class Trainer:
    def compile(self, *args, jit_compile="auto", steps_per_execution=1, **kwargs):
        # With `jit_compile=True` torch's inductor compiles the recorded steps. Keras would compile
        # the layers instead, which takes minutes and makes a step slower. Keras also rejects
        # several steps per execution on torch.
        super().compile(*args, jit_compile=False, **kwargs)
        self.compiles_recordings = jit_compile is True

    def train_step(self, data, **noise):
        with parallel.taking_batches_of_processes(data):
            return self._train_step(data, **noise)

    def _train_step(self, data, **noise):
        self.zero_grad()
        data = self.training_batch(data)
        losses = self.compute_losses(data, training=True, **noise)
        self.optimizer.scale_loss(losses["loss"]).backward()
        gradients = [variable.value.grad for variable in self.trainable_variables]
        with torch.no_grad():
            updater(self.optimizer, self.trainable_variables)(gradients)
            return self.update_means(losses, data)

    def test_step(self, data, **noise):
        with parallel.taking_batches_of_processes(data):
            return self.update_means(self.compute_losses(data, training=False, **noise), data)

    def can_run_steps(self):
        return True

    def part(self, size):
        """Returns this process's `Part` of a batch, or None if it works alone."""
        index, count = parallel.processes()
        together = parallel.working_together and count > 1
        return parallel.part_of(index, count, size) if together else None

    def part_to_read(self, training):
        """Returns a function as in `ArraySource`; an augmentation needs all rows."""
        if self.part(1) is None or (training and self.augmentation is not None):
            return all_rows
        return parallel.rows_to_read(*parallel.processes())

    def run_steps(self, block, at_once, training):
        """Runs one execution, see `keras_vae.training.backends`."""
        self.train(training)  # for layers that are torch modules
        device = keras.ops.zeros(()).device
        images, rows, *columns = (
            None if array is None else as_tensor(array).to(device) for array in block[:-1]
        )
        part = self.part(block.size)
        given = tuple(column is None for column in columns)
        key = training, part, (rows.shape[1], *images.shape[1:]), images.dtype, given
        recording = self.programs.steps.setdefault(key, Recording(self, training, updater))
        recording.forget_tensors()
        with parallel.taking(part):
            # All at once, which is quicker than the noise of each step.
            noise = self.noise_of_steps(len(rows), block.size, training)
            for i, numbers in enumerate(rows):
                some = (None if column is None else column[i] for column in columns)
                batch = images.index_select(0, numbers), *some
                recording.step(batch, {name: values[i] for name, values in noise.items()})

    def best_pace(self, batch_size):
        """Returns the number of steps in the first execution, and the largest number."""
        return 1, MOST_STEPS

    def hold(self, images):
        """Returns images as a tensor: on a CPU in the same memory, with a GPU in the GPU's.

        If they do not fit into half of the GPU's free memory, the array itself is returned.
        """
        device = keras.ops.zeros(()).device
        if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            return images
        with warnings.catch_warnings():  # the images are only read
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.as_tensor(np.ascontiguousarray(as_float32(images))).to(device)

    # A DataLoader draws from torch's global generator even when it does not shuffle, so validation
    # between two epochs would change the order of the training images.

    def evaluate(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]), kept_mode(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        with torch.random.fork_rng(devices=[]), kept_mode(self):
            return super().predict(*args, **kwargs)


@contextlib.contextmanager
def kept_mode(module):
    """A context that restores a module's training mode at its end."""
    mode = module.training
    yield
    module.train(mode)


def as_tensor(array):
    """`torch.as_tensor`, also for arrays that are read-only or have negative strides."""
    if isinstance(array, np.ndarray):
        flags = array.flags
        if not (flags.c_contiguous and flags.writeable and min(array.strides) >= 0):
            array = array.copy()
    return torch.as_tensor(array)


def of_all(gradients):
    """Returns the sums of gradients over all processes that have a part of the batch."""
    return gradients if parallel.state.part is None else summed(gradients)


def updater(optimizer, variables):
    """Returns `optimizer.apply` as a function of the gradients; fused for a plain Adam.

    Torch's fused kernel makes one pass over the weights, not ten.
    """
    if not can_be_fused(optimizer, variables):
        return lambda gradients: optimizer.apply(of_all(gradients), variables)
    optimizer.build(variables)  # does nothing if it is built
    weights, beta_2 = values(variables), optimizer.beta_2
    momentums, velocities = map(values, moments(optimizer, variables))
    step = int(optimizer.iterations)
    steps = list(torch.full((len(weights),), float(step), device=weights[0].device).unbind())

    def update(gradients):
        nonlocal step
        gradients = of_all(gradients)
        if any(gradient is None for gradient in gradients):  # of a layer that is not used
            optimizer.apply(gradients, variables)
            return
        step += 1
        adam(
            weights,
            [gradient.contiguous() for gradient in gradients],  # assumed by the kernel
            momentums,
            velocities,
            [],
            steps,  # incremented by the kernel
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
    """Returns `function` of tensors, without gradients; torch does not compile it."""
    return torch.no_grad()(function)


def keep_compiled(folder):
    """Does nothing: torch compiles no programs here."""


def export_arguments(format):
    """Returns arguments of Keras's `export`: without them torch fixes the batch size.

    Raises:
        ValueError: For a SavedModel, which needs ``torch_xla``, of which there is no version for
            current versions of torch.
    """
    if format == "tf_saved_model":
        raise ValueError(
            "Keras cannot write a SavedModel on torch. Save the model, load it on TensorFlow or "
            "JAX and export it there, or use `keras_vae.export.write(run, folder, 'saved_model')`"
        )
    return {"dynamic_shapes": {0: torch.export.Dim.DYNAMIC}} if format == "torch" else {}


def device_name():
    device = keras.ops.zeros(()).device
    return f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type
