"""The config.json of a run: its content, and the data set that it names."""

import sys
from datetime import UTC, datetime

import keras
import numpy as np

from keras_vae import checks, datasets, parallel
from keras_vae.likelihoods.by_name import OF_PIXELS
from keras_vae.training import backends


def describe(settings, data, model, before=None):
    """Returns the content of config.json at the start of a run.

    Args:
        settings: The arguments of train.py, a dict.
        data: The `keras_vae.datasets.Dataset`.
        model: The model to be trained.
        before: The content of config.json if the run is continued, else None.

    Returns:
        A dict for JSON: the settings, the properties of data and model, and all versions.
    """
    backend = keras.backend.backend()
    return {
        "completed": False,
        "started": before["started"] if before else f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        **settings,
        "parameters": model.count_params(),
        "name": data.name,
        "image_shape": data.image_shape,
        "noun": data.noun,
        "table": data.table and data.table.to_json(),
        "streamed": data.streamed,
        "gigabytes": data.nbytes / 1e9,
        "images": counts(data),
        "label_names": data.label_names,
        "attribute_names": data.attribute_names,
        "device": device(model),
        "versions": {
            "keras_vae": sys.modules["keras_vae"].__version__,
            "python": sys.version.split()[0],
            "keras": keras.__version__,
            backend: sys.modules[backend].__version__,
            "numpy": np.__version__,
        },
    }


def device(model):
    """Returns what a model is trained on, such as ``"cpu"`` or ``"4 x cuda (...)"``."""
    count, processes = parallel.devices(model), parallel.processes()[1]
    several = f"{count} x " if count > 1 else ""
    return several + backends.device_name() + (f", {processes} processes" if processes > 1 else "")


def counts(data):
    return {part: len(getattr(data, part)) for part in ("train", "validation", "test")}


def check_same_data(before, data):
    """Raises `ValueError` if the data are not those that a run began with.

    Args:
        before: The content of the run's config.json; None for a new run.
        data: The `keras_vae.datasets.Dataset`.
    """
    if before and before.get("table") != (data.table and data.table.to_json()):
        raise ValueError(
            f"The columns of {before.get('dataset')}, or their categories, have changed since the "
            "run began. Train anew"
        )
    if before and before.get("images") != counts(data):
        raise ValueError(
            f"The data set {before.get('dataset')} has changed: expected the images that the run "
            f"began with, {before.get('images')}. Received: {counts(data)}. Train anew"
        )


def load_data(config):
    """Returns the data set that a run was trained on, with the same split.

    Args:
        config: The content of the run's config.json.

    Returns:
        A `keras_vae.datasets.Dataset`.

    Raises:
        ValueError: If `config` does not name the data set, or it can no longer be loaded.

    Example:

    ```python
    run = keras_vae.runs.load()
    images = keras_vae.runs.load_data(run.config).test.images
    ```
    """
    if config.get("dataset") is None:
        raise ValueError(
            "The config.json of this run does not name its data set. Add the name or path as "
            "`dataset`, or train again"
        )
    size = config.get("image_size")
    return datasets.load(
        config["dataset"],
        config.get("limit"),
        config.get("seed", 0),
        image_size=size and (size * 2)[:2],  # one number is a square
        resize=config.get("resize"),
        attributes_file=config.get("attributes_file"),
        attributes=config.get("attributes"),
        group=config.get("group"),
        cut_scores=bool(config.get("cut_scores")),
        memory=config.get("memory", datasets.MEMORY),
        pixels=config["likelihood"] in OF_PIXELS if config.get("likelihood") else None,
    )


def condition_of(model, data, split):
    """Returns what a model with a condition is given of the images of a split, as `y` of `fit`.

    Args:
        model: A `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset`.
        split: One of its `Split`.

    Returns:
        The labels ``(n,)``, or the attributes ``(n, number of names)`` with NaN for unknown ones;
        None for a model without a condition.
    """
    condition = model.condition
    if condition is None:
        return None
    if condition.exclusive:
        return split.labels
    columns = [data.attribute_names.index(name) for name in condition.names]
    known = checks.as_known(split.known, split.attributes.shape)[:, columns]
    return np.where(known, split.attributes[:, columns], np.nan).astype("float32")
