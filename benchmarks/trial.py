"""Trains one candidate of the search in `networks.py`, or measures how quick candidates train.

`networks.py` starts it, as a process of its own, with a task as JSON; it prints a line of JSON
for each result.
"""

import json
import math
import sys
import time

import candidates
import keras
import numpy as np

from keras_vae import datasets, evaluate, latent
from keras_vae.datasets.stream import head
from keras_vae.evaluate.judges import Judges

BATCH = 500  # where nothing is learned
TIMED_EPOCHS = 6
EPOCH_SECONDS = 0.5  # of each of them, about
CODES = 20_000  # training images that directions are computed from, at most, as in train.py


def train(task):
    """Returns what came of one task.

    Args:
        task: A dict: ``dataset``, ``settings`` (those of `candidates.settings_of`), ``seed``,
            ``seconds``, ``images_per_second`` and ``final``, whether to look at the test images
            (once all choices are made).

    Returns:
        The task with ``steps``, ``epochs``, ``parameters``, ``wall_seconds`` of
        training, ``validation`` numbers and, if asked for, ``test`` numbers and ``edits``.
    """
    settings = task["settings"]
    keras.utils.set_random_seed(task["seed"])
    data = datasets.load(task["dataset"])
    batch = settings["batch_size"]
    steps = max(1, round(task["seconds"] * task["images_per_second"] / batch))
    images, epochs = epochs_of(data.train.images, batch, steps)
    steps = len(images) // batch * epochs  # rounded by less than one for each epoch
    model = candidates.build_model(settings, data.train.images, task["seed"])
    model.compile(candidates.make_optimizer(settings, steps))
    record = {
        **task,
        "steps": steps,
        "epochs": epochs,
        "parameters": model.count_params(),
    }
    best = KeepBest()
    started = time.perf_counter()
    try:
        model.fit(
            images,
            validation_data=(data.validation.images,),
            validation_batch_size=BATCH,
            batch_size=batch,
            epochs=epochs,
            callbacks=[best],
            verbose=0,
        )
    except FloatingPointError as error:
        return {**record, "problem": str(error)}
    record["wall_seconds"] = round(time.perf_counter() - started, 1)
    best.restore(data.validation.images)
    record["validation"] = numbers(model, data.validation.images)
    if task["final"]:
        record["test"] = numbers(model, data.test.images)
        record["edits"] = edits(model, data, candidates.EDITED[task["dataset"]])
    return record


def epochs_of(images, batch, steps):
    """Returns images and epochs for a number of steps, all batches of which are full.

    What would be a last, partial epoch is spread over the others: some images come once more in
    each. If there are fewer steps than an epoch has, some images do not come.
    """
    epochs = max(1, steps * batch // len(images))
    count = round(steps / epochs) * batch
    return np.resize(images, (count, *images.shape[1:])), epochs  # repeats from the first


class KeepBest(keras.callbacks.Callback):
    """The weights of the epoch with the lowest validation loss, as train.py keeps them."""

    def __init__(self):
        super().__init__()
        self.loss, self.best = math.inf, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.loss:
            # copies: an array of JAX may be a view of memory that the next step writes to
            self.loss, self.best = logs["val_loss"], [np.array(w) for w in self.model.get_weights()]

    def restore(self, images):
        """Puts them back, unless the weights that fit ended with (maybe averaged) are better."""
        losses = self.model.evaluate(images, batch_size=BATCH, verbose=0, return_dict=True)
        if self.loss < losses["loss"]:
            self.model.set_weights(self.best)


def numbers(model, images):
    found = evaluate.test_metrics(model, images, batch_size=BATCH)
    names = ("elbo", "mse", "kl_loss", "reconstruction_loss")
    rest = {name: found[name] for name in ("bits_per_dim", "active_units")}
    return {name: found[f"test_{name}"] for name in names} | rest


def edits(model, data, names):
    """Returns what edits of some attributes are worth, as `python -m keras_vae evaluate` says."""
    codes = latent.codes_of(model, head(data.train.images, CODES))
    some = data.train[: len(codes)]
    directions = latent.fit_directions(
        codes, some.attributes, data.attribute_names, known=some.known
    )
    judges = Judges(data, announce=lambda text: print(text, file=sys.stderr))
    report = evaluate.edit_report(
        model,
        judges.judge,
        judges.without,
        {directions.method: directions},
        data.validation,
        data.test,
        data.attribute_names,
        attributes=names,
        exclusive=data.label_names,
    )
    keys = ("strength", "flip_rate", "largest_leakage", "identity", "identity_ceiling")
    points = {
        name: entry["methods"][directions.method] for name, entry in report["attributes"].items()
    }
    return {name: {key: point[key] for key in keys} for name, point in points.items()}


def calibrate(task):
    """Yields how many images a second each candidate trains, on the machine as it is now.

    Args:
        task: A dict: ``dataset`` and ``names``.
    """
    data = datasets.load(task["dataset"])
    for name in task["names"]:
        keras.backend.clear_session()
        settings = candidates.settings_of(task["dataset"], name)
        model = candidates.build_model(settings, data.train.images, seed=0)
        model.compile(candidates.make_optimizer(settings, 1000))
        speed = images_per_second(model, data.train.images, settings["batch_size"])
        yield {
            "dataset": task["dataset"],
            "name": name,
            "timed": candidates.timed_part(settings),
            "images_per_second": round(speed, 1),
        }


def images_per_second(model, images, batch):
    """Returns the median speed of some epochs of half a second; the first one compiles."""
    stamps = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: stamps.append(time.perf_counter())
    )

    def seconds_of_step(steps, epochs):
        stamps.clear()
        some = np.resize(images, (steps * batch, *images.shape[1:]))
        model.fit(some, batch_size=batch, epochs=1 + epochs, callbacks=[watch], verbose=0)
        # With averaged weights Keras 3.15 leaves weights and averages in one buffer on JAX, and
        # the next fit fails on it ("donate the same buffer twice"): part them.
        model.set_weights([np.array(weight) for weight in model.get_weights()])
        return float(np.median(np.diff(stamps))) / steps

    rough = seconds_of_step(10, 2)
    steps = min(max(5, round(EPOCH_SECONDS / rough)), len(images) // batch)
    return batch / seconds_of_step(steps, TIMED_EPOCHS)


def main(text):
    task = json.loads(text)
    action = task.pop("action")
    output, sys.stdout = sys.stdout, sys.stderr  # only results
    for result in calibrate(task) if action == "calibrate" else [train(task)]:
        print(json.dumps(result), file=output, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
