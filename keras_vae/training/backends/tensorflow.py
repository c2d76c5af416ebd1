"""Training on TensorFlow: a gradient tape in a `tf.function` that loops over the steps."""

import keras
import tensorflow as tf

from keras_vae import parallel
from keras_vae.parallel import tensorflow as replicas
from keras_vae.training import memory
from keras_vae.training.backends.adam import can_be_fused, moments
from keras_vae.training.batches import MOST_STEPS
from keras_vae.training.sources import aligned, all_rows


class Trainer:
    def train_step(self, data, **noise):
        with part_of_replica(data):
            return self._train_step(data, **noise)

    def _train_step(self, data, **noise):
        data = self.training_batch(data)
        with tf.GradientTape() as tape:
            losses = self.compute_losses(data, training=True, **noise)
            scaled_loss = self.optimizer.scale_loss(losses["loss"])
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        apply(self.optimizer, gradients, self.trainable_variables)
        return self.update_means(losses, data)

    def test_step(self, data, **noise):
        with part_of_replica(data):
            return self.update_means(self.compute_losses(data, training=False, **noise), data)

    def can_run_steps(self):
        # A strategy that is not in sync has no number of replicas: that of parameter servers.
        return isinstance(self.distribute_strategy, IN_SYNC) or not self._distribute_strategy

    def has_strategy(self):
        """Returns whether the model was made in the scope of a strategy."""
        return self._distribute_strategy is not None

    def strategy(self):
        """Returns the strategy whose replicas work together now, or None for one device."""
        return replicas.strategy if parallel.working_together else None

    def part_to_read(self, training):
        """Returns a function as in `ArraySource`; an augmentation needs all rows."""
        if self.strategy() is None or (training and self.augmentation is not None):
            return all_rows
        return parallel.rows_to_read(*parallel.processes())

    def run_steps(self, block, at_once, training):
        """Runs one execution, see `keras_vae.training.backends`."""
        strategy, given = self.strategy(), [part for part in block[:-1] if part is not None]
        has_labels, steps = block.labels is not None, self.programs.steps
        key = training, strategy, has_labels, tuple(map(as_dtype, given))
        if key not in steps:
            make = steps_program if strategy is None else steps_of_replicas
            images, *rest = given  # of any number of images, steps and rows
            specs = [tf.TensorSpec((None, *images.shape[1:]), as_dtype(images))]
            specs += [tf.TensorSpec((None, None, *c.shape[2:]), as_dtype(c)) for c in rest]
            steps[key] = make(self, training, specs, has_labels)
        if strategy is None:
            steps[key](*given)
        else:
            with strategy.scope():
                steps[key](block.size, *given)

    def best_pace(self, batch_size):
        """Returns the number of steps in the first execution, and the largest number."""
        return 1, MOST_STEPS

    def hold(self, images):
        """Returns images where programs read them without copying each batch from the host.

        On a CPU that is memory shared with NumPy. With a GPU, or if memory is short, the array
        itself is returned.
        """
        if tf.config.list_logical_devices("GPU"):
            return images
        shared = aligned(images, memory.to_spare())
        return images if shared is None else tf.experimental.dlpack.from_dlpack(shared.__dlpack__())


def as_dtype(images):
    return tf.as_dtype(images.dtype).name


def steps_program(model, training, specs, has_labels):
    """Returns a function that runs several steps; traced once for all numbers and batch sizes.

    Args:
        model: The model.
        training: Whether to train it.
        specs: A `tf.TensorSpec` for each part of a block that there is.
        has_labels: Whether there are labels among them.
    """
    step = model.train_step if training else model.test_step

    @tf.function(autograph=False, jit_compile=model.jit_compile, reduce_retracing=True)
    def take(batch, noise):
        step(batch, **noise)

    @tf.function(autograph=False, input_signature=specs)
    def program(images, rows, *columns):
        count, size = tf.unstack(tf.shape(rows))
        noise = model.noise_of_steps(count, size, training)  # quicker than that of each step

        def one(i):
            drawn = {name: n[i] for name, n in noise.items()}
            some = [column[i] for column in columns]
            take(batch_of(tf.gather(images, rows[i]), some, has_labels), drawn)
            return (i + 1,)

        tf.while_loop(lambda i: i < count, one, (0,), parallel_iterations=1)

    return program


def batch_of(images, columns, has_labels):
    """Returns ``(x, y, sample_weight)`` from the columns that there are: labels, then weights."""
    labels = columns.pop(0) if has_labels else None
    return images, labels, columns[0] if columns else None


IN_SYNC = tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy


def steps_of_replicas(model, training, specs, has_labels):
    """Returns `steps_program` for the replicas of a strategy; it also takes the batch size.

    Collective operations cannot be in a nested function, so steps are not compiled by XLA.
    """
    step = model.train_step if training else model.test_step
    size = tf.TensorSpec((), "int32")
    strategy, augmented = model.strategy(), training and model.augmentation is not None

    @tf.function(autograph=False, input_signature=[size, *specs])
    def program(size, images, rows, *columns):
        first = parallel.part_of(*parallel.processes(), size).start  # row of this process

        def in_replica(i):
            part = parallel.part_of(*replicas.replica(), size)
            start = tf.minimum(part.start - first, tf.shape(rows)[1] - 1)  # if it does not count
            own = slice(None) if augmented else slice(start, start + part.stop - part.start)
            with tf.device("CPU"):  # the images, of which only the device's rows move there
                batch = tf.gather(images, rows[i, own])
            with parallel.taking(part):
                noise = model.noise_of_steps(1, size, training)
                batch = batch_of(batch, [column[i, own] for column in columns], has_labels)
                step(batch, **{name: values[0] for name, values in noise.items()})

        def one(i):
            strategy.run(in_replica, args=(i,))
            return (i + 1,)

        count = tf.shape(rows)[0]
        tf.while_loop(lambda i: i < count, one, (0,), parallel_iterations=1)

    return program


def part_of_replica(data):
    """Returns a context for a step of Keras's loop: the batches of all replicas are one batch."""
    index, count = replicas.replica()
    if parallel.state.part is not None or count == 1:
        return parallel.taking(parallel.state.part)
    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    sizes = replicas.sizes(tf.shape(x)[0])
    start = tf.reduce_sum(sizes[:index])
    return parallel.taking(parallel.Part(start, start + sizes[index], tf.reduce_sum(sizes)))


def apply(optimizer, gradients, variables):
    """Keras's `optimizer.apply`; plain Adam uses TensorFlow's fused kernel: one pass, not ten."""
    if parallel.working_together and replicas.strategy:
        # Keras would sum the gradients after it has clipped them, see `without_sums`.
        optimizer.apply(replicas.summed(gradients), variables)
        return
    if (
        tf.distribute.has_strategy()
        or not can_be_fused(optimizer, variables)
        or not all(isinstance(gradient, tf.Tensor) for gradient in gradients)
    ):
        optimizer.apply(gradients, variables)
        return
    with tf.init_scope():
        optimizer.build(variables)  # does nothing if it is built
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
    """Returns `function` of tensors, compiled, without gradients."""
    return tf.function(function, reduce_retracing=True)


def keep_compiled(folder):
    """Does nothing: TensorFlow has no cache of compiled programs on disk."""


def export_arguments(format):
    """Returns nothing: Keras needs no arguments to export a model on this backend."""
    return {}


def device_name():
    devices = tf.config.list_logical_devices("GPU")
    return devices[0].name.removeprefix("/device:").lower() if devices else "cpu"
