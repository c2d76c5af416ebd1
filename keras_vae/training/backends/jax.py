"""Training on JAX: a step is a pure function from a state to logs and the next state."""

import math
import sys
import tempfile
import warnings
from functools import partial

import jax
import keras
import numpy as np

from keras_vae import parallel
from keras_vae.parallel import jax as devices
from keras_vae.training import memory
from keras_vae.training.batches import MOST_STEPS, filled
from keras_vae.training.sources import aligned, as_float32

OPERATIONS = 25e9  # per execution on a CPU: a few tenths of a second


class Trainer:
    def _forward(self, trainable, non_trainable, metrics, optimizer, data, training):
        """Returns the loss of a batch and ``(logs, next state)``, without side effects."""
        mapping = [
            *zip(self.trainable_variables, trainable),
            *zip(self.non_trainable_variables, non_trainable),
            *zip(self.metrics_variables, metrics),
            *zip(self.optimizer.variables if training else [], optimizer),
        ]
        # Forward pass and loss share one scope, so that every variable they read is an input of
        # the compiled program, not a constant.
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            data = self.training_batch(data) if training else data
            losses = self.compute_losses(data, training)
            loss = self.optimizer.scale_loss(losses["loss"]) if training else losses["loss"]
            logs = self.update_means(losses, data)
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

    # While its loop runs, Keras takes the values out of the variables. An error, for example in the
    # user's data, would leave the model without weights.

    def _purge_model_variables(self, **groups):
        """Does nothing: a step may overwrite the values, so keeping them takes no more memory."""

    def evaluate(self, *args, **kwargs):
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.jax_state_sync()

    def predict(self, *args, **kwargs):
        try:
            return super().predict(*args, **kwargs)
        finally:
            self.jax_state_sync()

    def can_run_steps(self):
        distribution = keras.distribution.distribution()
        return bool(self.jit_compile) and (
            distribution is None or isinstance(distribution, keras.distribution.DataParallel)
        )

    def mesh(self):
        """Returns the mesh of the devices that work together now, or None for one device."""
        return devices.mesh() if parallel.working_together else None

    def part_to_read(self, training):
        """Returns a function as in `ArraySource`: the rows that go to devices of this process."""
        return partial(devices.rows_of_process, self.mesh())

    def run_steps(self, block, at_once, training):
        """Runs one execution, see `keras_vae.training.backends`."""
        steps, mesh = self.programs.steps, self.mesh()
        key = training, mesh
        if key not in steps:
            step = self.train_step if training else self.test_step
            if self._loops_are_quick():
                steps[key] = in_one_program(step, mesh, training)
            else:
                steps[key] = one_by_one(step, mesh)
        groups = [self.trainable_variables, self.non_trainable_variables]
        groups += [self.optimizer.variables] if training else []
        groups += [self.metrics_variables]
        held = set()
        state = [
            [devices.everywhere(unshared(variable.value, held), mesh) for variable in group]
            for group in groups
        ]
        images, rows, *columns, size = block
        if isinstance(images, np.ndarray):  # the images of these steps, in their order
            images, rows = images.reshape(*rows.shape, *images.shape[1:]), None
        state = steps[key](state, images, rows, columns, size, at_once)
        for group, values in zip(groups, state):
            for variable, value in zip(group, values):
                devices.assign(variable, value)

    def best_pace(self, batch_size):
        """Returns the number of steps in the first execution, and the largest number."""
        if not self._loops_are_quick():
            return 1, MOST_STEPS
        steps = MOST_STEPS  # one number for all, since each one costs a compilation
        if jax.default_backend() == "cpu":
            weights = sum(math.prod(variable.shape) for variable in self.trainable_variables)
            steps = min(steps, OPERATIONS // (6 * weights * batch_size))
        return max(1, int(steps)), max(1, int(steps))

    def _loops_are_quick(self):
        """Returns whether several steps should be compiled into one loop.

        On a CPU, XLA runs a convolution in a loop on one core, 5 to 30 times slower than outside.
        """
        if self.programs.loops_are_quick is None:
            variables = self.variables

            def forward(values, images):
                with keras.StatelessScope(zip(variables, values)):
                    return self(images)

            images = jax.ShapeDtypeStruct((2, *self.data_shape), "float32")
            program = jax.make_jaxpr(forward)([v.value for v in variables], images)
            self.programs.loops_are_quick = (
                jax.default_backend() != "cpu" or "conv_general_dilated" not in str(program)
            )
        return self.programs.loops_are_quick

    def hold(self, images):
        """Returns images where programs read them without copying each batch from the host.

        On a CPU that is memory shared with NumPy; on an accelerator its own memory, if they fit
        into half of it. Otherwise the array itself is returned.
        """
        mesh = self.mesh()
        if jax.default_backend() == "cpu":
            shared = aligned(images, memory.to_spare())
        else:
            limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 0)
            shared = None if images.nbytes > limit / 2 else as_float32(images)
        if shared is None:
            return images
        return jax.device_put(shared) if mesh is None else devices.everywhere(shared, mesh)


def unshared(value, held):
    """Returns an array, or a copy if it is in `held`: donating one buffer twice is an error."""
    if id(value) in held:  # Keras assigns an EMA's averages to the weights without a copy
        value = jax.numpy.array(value, copy=True)
    held.add(id(value))
    return value


def one_step(step, mesh):
    """Returns a function that takes step `i` of a block, without side effects.

    Args:
        step: `train_step` or `test_step` of a model.
        mesh: The mesh of the devices, or None.
    """

    def one(i, state, images, rows, columns):
        batch = images[i] if rows is None else images[rows[i]]
        batch = batch, *(None if column is None else column[i] for column in columns)
        _, state = step(state, tuple(devices.divided(part, mesh) for part in batch))
        return devices.replicated([list(part) for part in state], mesh)

    return one


def in_one_program(step, mesh, training):
    """Returns a function that runs several steps in one compiled program."""
    one = one_step(step, mesh)

    # Only training overwrites the state: the optimizer may hold averages in the same memory.
    @partial(jax.jit, donate_argnums=0 if training else ())
    def program(state, images, rows, columns, count):
        if len(images if rows is None else rows) == 1:
            return one(0, state, images, rows, columns)
        return jax.lax.fori_loop(
            0, count, lambda i, state: one(i, state, images, rows, columns), state
        )

    def run(state, images, rows, columns, size, at_once):
        count = len(images if rows is None else rows)
        # Fewer steps at the end of an epoch are padded: another number would cost a compilation,
        # and another program may round differently.
        if count < at_once:
            if rows is None:
                images = filled(images, at_once)
            else:
                rows = filled(rows, at_once)
            columns = [None if column is None else filled(column, at_once) for column in columns]
        if rows is None:
            images = devices.spread(images, mesh, size)
        rows, *columns = (devices.spread(part, mesh, size) for part in (rows, *columns))
        return finished(program(state, images, rows, columns, np.int32(count)), mesh)

    return run


def one_by_one(step, mesh):
    """Returns a function that runs several steps, each a call of the same compiled program."""
    one = one_step(step, mesh)

    @jax.jit
    def program(state, images, rows, columns):
        return one(0, state, images, rows, columns)

    def run(state, images, rows, columns, size, at_once):
        for i in range(len(images if rows is None else rows)):
            batch, numbers, *some = (
                None if part is None else devices.spread(part[i : i + 1], mesh, size)
                for part in (images if rows is None else None, rows, *columns)
            )
            state = program(state, images if batch is None else batch, numbers, some)
            state = finished(state, mesh)
        return state

    return run


def finished(state, mesh):
    """Waits for several CPU devices of one process: further steps in the queue can block them."""
    if mesh is not None and jax.default_backend() == "cpu":
        jax.block_until_ready(state)
    return state


def without_gradient(model, function):
    """Returns `function` of tensors, compiled; it changes no variables."""
    variables = model.variables

    @jax.jit
    def pure(values, *tensors):
        with keras.StatelessScope(zip(variables, values)):
            return function(*tensors)

    return lambda *tensors: pure([devices.here(v.value) for v in variables], *tensors)


def keep_compiled(folder):
    """Caches compiled programs for later processes: seconds of compilation become tenths."""
    if jax.config.jax_compilation_cache_dir is None:  # not set by the user
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:  # JAX would warn for each program
            why = f"{folder.parent} cannot be written ({error.strerror or error})"
            print(f"The cache {why}: compiling at each start.", file=sys.stderr, flush=True)
            return
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_compilation_cache_max_size", 500_000_000)


def export_arguments(format):
    """Returns nothing: Keras needs no arguments to export a model on this backend."""
    return {}


def device_name():
    device = jax.devices()[0]
    return f"{device.platform} ({device.device_kind})" if device.platform != "cpu" else "cpu"
