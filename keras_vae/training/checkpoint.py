"""Checkpoints: `fit` continues after it was killed, and ends as if nothing had happened.

The order of the images and the noise are functions of seed, epoch and step. So there is little to
save: all variables, the position, the seed of the order, and what the callbacks remember.
"""

import contextlib
import inspect
import json
import os
import re
import signal
import threading
import time
import warnings
import zlib
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_vae import parallel
from keras_vae.atomic import TEMPORARY, atomic
from keras_vae.checks import check_number

NEWEST, BEFORE = "checkpoint.npz", "checkpoint-before.npz"
SHARE = 0.01  # of the time, at most, that is spent on writing
SOME = 64  # images that identify a data set
AGAIN = 1.0  # seconds: a signal that comes sooner is the same one, passed on by a launcher
ERRORS = {SystemExit: 1, KeyboardInterrupt: 2}  # on which processes agree


class Checkpoint(keras.callbacks.Callback):
    """Saves the state of `fit` from time to time; the same `fit` continues from there.

    Call the same `fit` again after it was killed, in a new process that makes the model in the
    same way: it continues in the middle of the epoch, and ends with the weights, the history and
    the state of other callbacks as if nothing had happened. They are equal to the bit on the same
    backend and machine with the same number of threads. Images must be an array or stay on disk.

    Ctrl-C and SIGTERM end `fit` after the current execution, with a last checkpoint: by
    `KeyboardInterrupt`, and by `SystemExit` with code 143. A second signal ends it at once.

    Of each callback, attributes that changed since training began are saved if they are numbers,
    texts, or lists of numbers or arrays, such as the counters and the best weights of Keras's
    `EarlyStopping` and `ReduceLROnPlateau`. A callback may define ``get_state()``, which returns
    a dict for JSON, and ``set_state(state)`` instead.

    Of several processes the first one writes and all read, so they must share the folder.
    Training may continue on another number of devices, with the same losses up to rounding.

    Args:
        folder: Where to write checkpoint.npz and, one older, checkpoint-before.npz.
        seconds: Save after this time, and at the end of each epoch; less often if writing would
            take more than a hundredth of the time.
        keep: Whether to keep the files when `fit` has ended.

    Raises:
        ValueError: If an argument is invalid, or, by `fit`, if the checkpoint is damaged or of
            another training.

    Example:

    ```python
    checkpoint = keras_vae.Checkpoint("checkpoints")
    model.fit(images, epochs=100, callbacks=[checkpoint])
    ```
    """

    now = staticmethod(time.monotonic)

    def __init__(self, folder, seconds=60.0, keep=False):
        super().__init__()
        check_number("seconds", seconds, low=0)
        self.folder, self.seconds, self.keep = Path(folder), seconds, keep
        self.found = self.error = None

    # Called by `fit` and the loop, in this order.

    def begin(self, model, data, batch_size):
        """Reads the checkpoint if there is one.

        Args:
            model: The model to be trained, compiled.
            data: The `keras_vae.training.data.Data`.
            batch_size: Images per step.
        """
        self.training = describe(model, data, batch_size)
        if parallel.is_first():
            self.folder.mkdir(parents=True, exist_ok=True)
        self.found, self.cost, self.warned = self._read(), 0.0, False
        if not parallel.of_first(bool(self.found)):
            self.found = None
        elif not parallel.of_all([bool(self.found)]).all():
            raise ValueError(
                f"The checkpoint in {self.folder} must be readable by all processes. Choose a "
                "folder that all machines share"
            )
        for name, value in self.training.items() if self.found else ():
            before = self.found[0]["training"].get(name)
            if before != value:
                raise ValueError(
                    f"The checkpoint in {self.folder} is of another training, with {name}: "
                    f"{before}. Received: {value}. Choose another folder, or delete the checkpoint"
                )

    def restore(self, source, callbacks):
        """Restores variables and callbacks; returns the epoch and step to continue with, or None.

        Args:
            source: The source of batches.
            callbacks: Keras's `CallbackList`, after `on_train_begin`.
        """
        self.written, self.source = self.now(), source
        self.callbacks = [
            callback
            for callback in callbacks.callbacks
            if not isinstance(callback, (Checkpoint, keras.callbacks.ProgbarLogger))
        ]
        self.before = [attributes(callback) for callback in self.callbacks]
        if self.found is None:
            return None
        (state, arrays), self.found = self.found, None
        epoch, step = state["epoch"], state["step"]
        if step:
            callbacks.on_epoch_begin(epoch)
        for i, variable in enumerate(variables(self.model)):
            variable.assign(native(arrays[f"variables/{i}"], variable))
        waiting = list(self.callbacks)
        for i, (kind, remembered) in enumerate(state["callbacks"]):
            callback = next((part for part in waiting if type(part).__name__ == kind), None)
            if callback is None:  # is not used any more
                continue
            waiting.remove(callback)
            if hasattr(callback, "set_state"):
                callback.set_state(remembered)
            else:
                vars(callback).update(remembered | lists_of_arrays(arrays, f"callbacks/{i}/"))
        source.seed, self.model.stop_training = state["order_seed"], state["stopped"]
        return epoch, step

    def after_steps(self, epoch, step):
        """Saves if it is time, or if `stop` was called, whose error it raises then."""
        error = self._agree()
        if error or self.now() - self.written > max(self.seconds, self.cost / SHARE):
            self.save(epoch, step)
        if error:
            raise error

    def after_epoch(self, epoch, last):
        """Saves at the end of an epoch, unless it was saved just now."""
        if last and not self.keep:
            return
        error = self._agree()
        if last or error or self.now() - self.written > self.cost / SHARE:
            self.save(epoch + 1, 0)
        if error:
            raise error

    def on_train_end(self, logs=None):
        if not self.keep and parallel.is_first():
            self.remove()

    def exists(self):
        """Returns whether there is a checkpoint."""
        return any((self.folder / name).exists() for name in (NEWEST, BEFORE))

    def remove(self):
        """Removes the files."""
        for name in (NEWEST, BEFORE):
            (self.folder / name).unlink(missing_ok=True)

    # Signals

    def stop(self, error):
        """Makes `fit` raise an error after the current execution and a last checkpoint."""
        self.error, self.stopped = error, time.monotonic()

    def _agree(self):
        """Returns the error that all processes raise now, since one was told to, or None."""
        code = parallel.largest(ERRORS.get(type(self.error), 0))
        if not code:  # one that comes after this is for the next time
            return None
        error, self.error = self.error, None
        return error or (KeyboardInterrupt() if code == 2 else SystemExit(143))

    @contextlib.contextmanager
    def signals(self):
        """A context in which Ctrl-C and SIGTERM call `stop`."""
        errors = {signal.SIGINT: KeyboardInterrupt(), signal.SIGTERM: SystemExit(143)}

        def handle(number, frame):
            if self.error and time.monotonic() - self.stopped > AGAIN:  # the second signal
                raise errors[number]
            self.stop(errors[number])

        if threading.current_thread() is not threading.main_thread():  # Python allows no handlers
            yield
            return
        before = {number: signal.signal(number, handle) for number in errors}
        try:
            yield
        finally:
            for number, handler in before.items():
                if signal.getsignal(number) is handle:  # no callback has set another
                    signal.signal(number, handler)

    # The files

    def save(self, epoch, step):
        """Writes a checkpoint of the state before a step of an epoch, both counted from 0."""
        if not parallel.is_first():
            return
        began = self.now()
        arrays = {
            f"variables/{i}": ops.convert_to_numpy(variable)
            for i, variable in enumerate(variables(self.model))
        }
        states = []
        for i, (callback, before) in enumerate(zip(self.callbacks, self.before)):
            if hasattr(callback, "get_state"):
                remembered = callback.get_state()
            else:
                now = attributes(callback)
                remembered = {n: json.loads(v) for n, v in now.items() if before.get(n) != v}
                for name, value in vars(callback).items():
                    if is_list_of_arrays(value):
                        arrays |= {f"callbacks/{i}/{name}/{j}": a for j, a in enumerate(value)}
            states.append((type(callback).__name__, remembered))
        state = {
            "training": self.training,
            "epoch": epoch,
            "step": step,
            "order_seed": self.source.seed,
            "stopped": step == 0 and self.model.stop_training,
            "callbacks": states,
        }
        try:
            self._write(json.dumps(state), arrays)
        except OSError as error:  # a full disk: training itself is not harmed
            if not self.warned:
                self.warned = True
                warnings.warn(
                    f"The checkpoint in {self.folder} cannot be written "
                    f"({error.strerror or error}); training continues",
                    stacklevel=2,
                )
        self.written = self.now()
        self.cost = self.written - began

    def _write(self, state, arrays):
        newest = self.folder / NEWEST
        with atomic(newest) as temporary:
            with open(temporary, "wb") as file:
                np.savez(file, state=np.array(state), **arrays)
                file.flush()
                os.fsync(file.fileno())
            if newest.exists():
                os.replace(newest, self.folder / BEFORE)

    def _read(self):
        """Returns the newest state that can be read and its arrays, or None."""
        if parallel.is_first():
            (self.folder / f"{TEMPORARY}{NEWEST}").unlink(missing_ok=True)  # of a killed process
        damaged = []
        for name in (NEWEST, BEFORE):
            path = self.folder / name
            if not path.exists():
                continue
            try:
                with np.load(path, allow_pickle=False) as file:
                    arrays = dict(file.items())  # reading everything checks everything
                state = json.loads(str(arrays.pop("state")))
            except MemoryError:
                raise
            except Exception:  # damaged files raise many types in NumPy and zipfile
                damaged.append(str(path))
                continue
            if damaged and parallel.is_first():
                (self.folder / NEWEST).unlink()  # or it would replace this one
                warnings.warn(
                    f"{damaged[0]} is damaged; continuing from the one before, {path}", stacklevel=2
                )
            return state, arrays
        if damaged:
            raise ValueError(
                f"{' and '.join(damaged)} cannot be read: damaged. Delete the checkpoint to start "
                "from the beginning"
            )
        return None


def of(callbacks):
    """Returns the `Checkpoint` among callbacks, or None."""
    return next((part for part in callbacks if isinstance(part, Checkpoint)), None)


def variables(model):
    """Returns all variables that training reads or changes, each once."""
    groups = model.variables, model.optimizer.variables, model.metrics_variables
    return list({id(variable): variable for group in groups for variable in group}.values())


def native(array, variable):
    """Returns an array from a file with the variable's dtype: NumPy does not name bfloat16."""
    return array.view(ops.convert_to_numpy(variable).dtype) if array.dtype.kind == "V" else array


def attributes(callback):
    """Returns the attributes of a callback that JSON can hold, each as JSON, by name.

    Those named like arguments of its class are settings: Keras changes the sign of `min_delta`
    when it first needs it, and would do so again.
    """
    found, settings = {}, inspect.signature(type(callback)).parameters
    for name in set(vars(callback)) - set(settings):
        value = vars(callback)[name]
        with contextlib.suppress(TypeError, ValueError, RecursionError):
            found[name] = json.dumps(value, default=np.generic.item)
    return found


def lists_of_arrays(arrays, prefix):
    """Returns the arrays named ``prefix/attribute/number``, as lists by attribute."""
    found = {}
    for name in filter(lambda name: name.startswith(prefix), arrays):
        found.setdefault(name.split("/")[2], []).append(arrays[name])
    return found


def is_list_of_arrays(value):
    """Returns whether a value is like the weights of a model, which on TensorFlow hold scalars."""
    return (
        isinstance(value, list)
        and any(isinstance(part, np.ndarray) for part in value)
        and all(isinstance(part, (np.ndarray, np.generic)) for part in value)
    )


def describe(model, data, batch_size):
    """Returns what must be the same when a training continues, by name."""
    images, weights = data.x, data.sample_weight
    labels = None if model.condition is None else data.y
    rows = np.unique(np.linspace(0, len(images) - 1, SOME).astype(int))
    # Keras numbers layers throughout a process: dense_3 may be dense_1 in the next one.
    settings, optimizer = (
        re.sub(r'_\d+"', '"', json.dumps(keras.saving.serialize_keras_object(part.get_config())))
        for part in (model, model.optimizer)
    )
    return {
        "backend": keras.backend.backend(),
        "batch size": batch_size,
        "images": f"{' x '.join(map(str, images.shape))} {images.dtype}, checksum "
        f"{checksum(images[rows].tobytes())}",
        "labels": "none" if labels is None else checksum(labels.tobytes()),
        "sample weights": "none" if weights is None else checksum(weights.tobytes()),
        "weights": f"{model.count_params():,}",
        "settings of the model": f"checksum {checksum(settings.encode())}",
        "optimizer": f"{type(model.optimizer).__name__}, checksum {checksum(optimizer.encode())}",
    }


def checksum(content):
    return f"{zlib.crc32(content):08x}"
