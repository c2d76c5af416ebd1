"""Image sets of TensorFlow Datasets, from a prepared directory or by download.

A directory is prepared in one of two formats, and each has one way to read it: ArrayRecord
needs no TensorFlow, TFRecord does. TensorFlow is imported here only then, and only to read.
"""

import os
import shutil
import urllib.request
from pathlib import Path

import keras
import numpy as np

from keras_vae.datasets import Dataset, Split

PROBE_SECONDS = 8


def read(name, split):
    """Returns the `Dataset` of a labelled image set; TFDS's train images are split in two."""
    import tensorflow_datasets as tfds

    # TFDS looks at the variable when it is imported; here it counts whenever it is set.
    builder = tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    if not builder.is_prepared():
        download(builder)
    development = read_split(builder, "train")
    train, validation = split(len(development))
    return Dataset(
        name,
        train=development[train],
        validation=development[validation],
        test=read_split(builder, "test"),
        label_names=tuple(builder.info.features["label"].names),
    )


def read_split(builder, split):
    if builder.info.file_format.value == "array_record":
        records = builder.as_data_source(split=split)
        images = np.empty((len(records), *builder.info.features["image"].shape), "uint8")
        labels = np.empty(len(records), "int64")
        for row, record in enumerate(records):
            images[row], labels[row] = record["image"], record["label"]
        return Split(images, labels)
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # the GPU belongs to the backend
    batches = list(builder.as_dataset(split=split, batch_size=1000).as_numpy_iterator())
    return Split(*(np.concatenate([batch[key] for batch in batches]) for key in ("image", "label")))


def download(builder):
    """Downloads and prepares a data set, or says quickly and plainly that it cannot be had."""
    missing = [folder for folder in builder.data_path.parents if not os.path.exists(folder)]
    try:
        # TFDS would try for minutes without a network: ask for one byte first.
        url = next(iter(builder.url_infos))
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
        builder.download_and_prepare()
    except BaseException as error:
        for folder in missing[-1:]:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, Exception):  # Ctrl-C
            raise
        raise ValueError(
            f"The data set {builder.name!r} is not in {Path(builder.data_path).parent.parent} and "
            f"cannot be downloaded ({getattr(error, 'reason', error)}). Point TFDS_DATA_DIR at a "
            "directory prepared by TensorFlow Datasets, or use the data set 'faces', which needs "
            "no download."
        ) from error
