"""Checks the batches of `tf.data`, `PyDataset`, `DataLoader`, grain and generators.

Keras's own loop runs such data, and a compiled step cannot raise an error for bad values. So each
kind of data set is wrapped in a function that checks every batch before it reaches the step.
"""

import contextlib
import copy
import re
import sys
import types

import keras
import numpy as np

from keras_vae.images import fits, out_of_range, white
from keras_vae.likelihoods.data import Pixels
from keras_vae.training import inputs

# Marks our assertions among TensorFlow's errors; the values follow it in brackets.
MARK = "keras_vae rejects"


class Look:
    """Checks a batch: returns ``(x,)``, ``(x, y)`` or ``(x, y, weights)``, or raises `ValueError`.

    It can be pickled, so that the worker processes of a loader can call it.

    Args:
        kind: What the data must be, see `keras_vae.likelihoods.data`.
        data_shape: The model's, or None.
        argument: The name to use in messages.
        class_weight: As in `fit`.
        labels: The arguments `size` and `exclusive` of `inputs.as_labels` for a model with a
            condition; None for others, which do not use labels.
    """

    def __init__(self, kind, data_shape, argument="x", class_weight=None, labels=None):
        self.kind, self.data_shape, self.argument = kind, data_shape, argument
        self.class_weight, self.labels = class_weight, labels
        self.error = None  # the last error raised, perhaps in a thread of another library

    def __call__(self, batch):
        try:
            if inputs.is_list_of_items(batch, self.data_shape, self.kind.axes):
                batch = (batch,)
            x, y, sample_weight = self.parts(batch)
            images = inputs.as_array_of(self.kind, x, self.data_shape, self.argument)
            weights = inputs.as_weights(sample_weight, len(images))
            if self.labels and y is not None:
                labels = inputs.as_labels(y, len(images), *self.labels)
                y = labels if isinstance(y, (list, tuple, np.ndarray)) else y
        except ValueError as error:
            self.error = error
            raise
        # Tensors of a torch loader are not converted: Keras expects tensors from it.
        x = images if isinstance(x, (list, tuple, np.ndarray)) else x
        if weights is not None:
            return x, y, weights if isinstance(sample_weight, (list, tuple)) else sample_weight
        return (x,) if y is None else (x, y)

    def parts(self, batch):
        """Returns images, labels and weights of a batch, or of its specification."""
        if not isinstance(batch, (list, tuple)):
            batch = (batch,)
        if len(batch) > 3:
            raise ValueError(
                f"A batch of `{self.argument}` must be images, (x, y) or (x, y, sample_weight). "
                f"Received: a {type(batch).__name__} of {len(batch)} parts"
            )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(batch))
        inputs.check_class_weight(self.class_weight, y)
        x = inputs.entry(x, self.argument) if isinstance(x, dict) else x
        return x, y, sample_weight

    @contextlib.contextmanager
    def plain_errors(self):
        """A context that raises the error in a batch without other libraries' text around it."""
        self.error = None
        try:
            yield
        except Exception as error:
            text = str(error)
            found = re.search(MARK + r" (\w+) (\w+)\] \[(\S+)\] \[(\S+)\]", text)
            if found:
                what, kind, *limits = found.groups()
                low, high = (float(one) if "float" in kind else one for one in limits)
                if what == "y":
                    raise ValueError(
                        inputs.bad_labels(*self.labels, f"values from {low} to {high}")
                    ) from None
                if what == "sample_weight":
                    raise ValueError(inputs.bad_weights(low, high)) from None
                raise ValueError(out_of_range(what, kind, low, high)) from None
            if self.error is not None and error is not self.error and str(self.error) in text:
                raise self.error from None
            raise


def checked(x, look):
    """Returns a data set of the same kind whose batches are checked by `look`.

    Args:
        x: A `tf.data.Dataset`, `keras.utils.PyDataset`, torch `DataLoader`, grain data set or
            loader, or a generator. Anything else is returned unchanged, and Keras rejects it.
        look: A `Look`.
    """
    kinds = {f"{kind.__module__.split('.')[0]} {kind.__name__}" for kind in type(x).__mro__}
    if "tensorflow DatasetV2" in kinds:
        return checked_by_tensorflow(x, look)
    if isinstance(x, keras.utils.PyDataset):
        return Checked(x, look)
    if "torch DataLoader" in kinds:
        x = copy.copy(x)
        x.collate_fn = Chain(x.collate_fn, look)
    elif kinds & {"grain MapDataset", "grain IterDataset"}:
        x = x.map(look)
    elif "grain DataLoader" in kinds:
        from grain.transforms import Map

        x = copy.copy(x)
        x._operations = [*x._operations, type("Check", (Map,), {"map": staticmethod(look)})()]
    elif isinstance(x, types.GeneratorType):
        x = (look(batch) for batch in x)
    return x


class Chain:
    """Applies one function after another; worker processes can unpickle it."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __call__(self, items):
        return self.second(self.first(items))


class Checked(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked by a function."""

    def __init__(self, dataset, look):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset, self.look = dataset, look

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return self.look(self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


class InBatches(keras.utils.PyDataset):
    """Images on disk as a `PyDataset`, in their order."""

    def __init__(self, images, batch_size):
        super().__init__()
        self.images, self.batch_size = images, batch_size

    def __len__(self):
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index):
        return (self.images[index * self.batch_size : (index + 1) * self.batch_size],)


def checked_by_tensorflow(dataset, look):
    """Returns a `tf.data.Dataset` that raises an error at a batch with invalid values.

    The parts, shapes and dtypes are known in advance and checked here.
    """
    tf = sys.modules["tensorflow"]  # imported already by the data set

    x, y, sample_weight = look.parts(dataset.element_spec)
    if isinstance(x, tf.TensorSpec) and x.shape.rank is not None:
        shape = look.data_shape or (None,) * look.kind.axes
        if x.shape.rank == len(shape) and fits(tuple(x.shape), shape):
            items = "images" if isinstance(look.kind, Pixels) else "items"
            raise ValueError(
                f"Argument `{look.argument}` must yield batches of {items}. Received: a data set "
                f"of single {items} of shape {tuple(x.shape)}. Use `dataset.batch(32)`."
            )
        look.kind.check(x, look.data_shape, look.argument)
    if sample_weight is not None and not isinstance(sample_weight, tf.TensorSpec):
        inputs.as_weights(sample_weight, 0)  # raises `ValueError`

    checks_labels = bool(look.labels) and isinstance(y, tf.TensorSpec)
    if checks_labels and y.shape.rank is not None:
        # Zeros of this shape and type are valid values, unless one of these is wrong.
        shape = [8 if side is None else side for side in y.shape]
        inputs.as_labels(np.zeros(shape, y.dtype.as_numpy_dtype), shape[0], *look.labels)

    def reject(name, values, good):
        def fail():
            has_nan = tf.reduce_any(tf.math.is_nan(values)) if values.dtype.is_floating else False
            low, high = tf.reduce_min(values), tf.reduce_max(values)
            numbers = [tf.as_string(part, shortest=part.dtype.is_floating) for part in (low, high)]
            low, high = (tf.where(has_nan, "nan", number) for number in numbers)
            text = f"{MARK} {name} {values.dtype.name}"
            return tf.debugging.Assert(False, [text, low, high], summarize=1)

        return tf.cond(good, tf.no_op, fail)

    @tf.autograph.experimental.do_not_convert
    def check(*batch):
        x, y, sample_weight = look.parts(batch if len(batch) > 1 else batch[0])
        kind, checks = x.dtype.name, []
        if not isinstance(look.kind, Pixels):
            checks.append(tf.py_function(lambda x: look((x.numpy(),)) and 0, [x], tf.int32))
        elif kind not in ("uint8", "bool"):
            limits = tf.cast(0, x.dtype), tf.cast(white(kind), x.dtype)
            good = tf.reduce_all((x >= limits[0]) & (x <= limits[1]))
            checks.append(reject(look.argument, x, good))
        if sample_weight is not None:
            sample_weight = tf.cast(sample_weight, "float32")
            good = tf.reduce_all((sample_weight >= 0) & (sample_weight < np.inf))
            checks.append(reject("sample_weight", sample_weight, good))
        if checks_labels:
            size, exclusive = look.labels
            low, high = (-1, size - 1) if exclusive else (0, 1)
            low, high = tf.cast(low, y.dtype), tf.cast(high, y.dtype)
            checks.append(reject("y", y, ~tf.reduce_any((y < low) | (y > high))))
        with tf.control_dependencies(checks):
            x = tf.identity(x)
        if sample_weight is not None:
            return x, y, sample_weight
        return (x,) if y is None else (x, y)

    return dataset.map(check)
