"""A callback that writes losses and pictures for TensorBoard, on every backend."""

import warnings
from pathlib import Path

import keras

from keras_vae import parallel
from keras_vae.checks import check_installed, check_integer
from keras_vae.images import to_uint8
from keras_vae.likelihoods.data import Pixels
from keras_vae.plots.canvas import grid
from keras_vae.plots.strips import in_pairs
from keras_vae.runs.events import Events
from keras_vae.training.backends.adam import learning_rate
from keras_vae.training.guards import number

COLUMNS = 8  # images in a row


class TensorBoard(keras.callbacks.Callback):
    """Writes losses and pictures for TensorBoard; needs the extra ``tensorboard``, no TensorFlow.

    After each epoch it writes the losses, with the names that they have in the history, and the
    learning rate, at the number of steps that the optimizer has taken. After the first epoch, each
    `every` epochs and after the last one it adds pictures: ``reconstructions`` has images in the
    upper row of each pair and their reconstructions in the lower row, ``samples`` has new images,
    always from the same noise.

    Training is the same with and without it, to the bit. If it continues from a `Checkpoint`, so do
    the curves. A new training in the same folder replaces them, since it begins at step 0. Of
    several processes only the first one writes. If the disk is full, training goes on without.

    Args:
        folder: Where to write, such as ``"logs/first"``: ``tensorboard --logdir logs`` then shows
            all trainings in ``logs``.
        images: A few images to reconstruct, such as test images, or None.
        condition: What is known about these images, for a model with a condition, see
            `Condition.of`; None for nothing.
        samples: Number of new images, drawn from the prior; 0 for none. A plain autoencoder has no
            prior, and data that are no images have no pictures.
        every: Epochs from one picture to the next.

    Raises:
        ValueError: If an argument is invalid, or the extra is not installed.

    Example:

    ```python
    board = keras_vae.runs.TensorBoard("logs/first", faces.test.images[:16])
    model.fit(images, epochs=20, callbacks=[board])
    ```
    """

    def __init__(self, folder, images=None, condition=None, samples=16, every=5):
        super().__init__()
        check_installed("tensorboardX", "tensorboard", "to write for TensorBoard")
        check_integer("samples", samples, 0)
        check_integer("every", every, 1)
        self.folder, self.images, self.condition = Path(folder), images, condition
        self.samples, self.every = samples, every
        self.events = None

    def on_train_begin(self, logs=None):
        self.events = None
        if self.images is not None and shows_images(self.model):
            self.model.likelihood.data.check(self.images, self.model.data_shape, "images")

    def on_train_batch_begin(self, batch, logs=None):
        if self.events is None:  # not before, since a checkpoint may have changed the step
            self.events = Events(self.folder, steps_of(self.model))

    def on_epoch_end(self, epoch, logs=None):
        if not parallel.is_first():
            return
        step = steps_of(self.model)
        if self.events is None:  # continued after the last step of the epoch
            self.events = Events(self.folder, step - 1)
        if self.events.failed:
            return
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        numbers = rate_at(step, self.model) | numbers
        last = self.model.stop_training or epoch + 1 == self.params["epochs"]
        is_due = epoch == 0 or last or (epoch + 1) % self.every == 0
        try:
            self.events.write(step, numbers, self._pictures() if is_due else {})
        except OSError as error:
            warnings.warn(
                f"{self.folder} cannot be written to ({error.strerror or error}); training "
                "continues without TensorBoard",
                stacklevel=2,
            )

    def on_train_end(self, logs=None):
        if self.events is not None:
            self.events.close()
        self.events = None

    def _pictures(self):
        model, pictures = self.model, {}
        if not shows_images(model):
            return pictures
        if self.images is not None and len(self.images):
            decoded = model.reconstruct(self.images, condition=self.condition)
            pictures["reconstructions"] = in_pairs(self.images, decoded, COLUMNS)
        if self.samples and model.has_prior:
            images = model.sample(self.samples, seed=0)
            pictures["samples"] = grid(images, min(COLUMNS, len(images)))
        return {name: to_uint8(picture) for name, picture in pictures.items()}


def steps_of(model):
    """Returns the number of steps that the optimizer has taken."""
    return int(number(model.optimizer.iterations))


def rate_at(step, model):
    """Returns the learning rate by name, or nothing if the optimizer has none."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of a loss scale
    rate = learning_rate(optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(step)  # not of the optimizer's own variable, which other processes may share
    elif callable(rate):
        rate = rate()
    return {} if rate is None else {"learning_rate": number(rate)}


def shows_images(model):
    """Returns whether a model is of images that can be shown: in grey or in colour."""
    shape = getattr(model, "data_shape", None) or ()
    return len(shape) == 3 and shape[-1] in (1, 3) and isinstance(model.likelihood.data, Pixels)
