"""Image sets of TensorFlow Datasets, from a prepared directory or by download.

A directory is prepared in one of two formats, and each has one way to read it: ArrayRecord
needs no TensorFlow, TFRecord does. TensorFlow is imported here only then (and to prepare what
was downloaded), and only to read. Images are decoded by Pillow either way.
"""

import contextlib
import os
import shutil
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from keras_vae.datasets import pictures
from keras_vae.datasets.source import Source, in_parallel, part_called

PROBE_SECONDS = 4
BATCH = 256  # records read at once from TFRecords
SIZE = 64  # pixels a side of sets whose images are larger, where no size is asked for


def source(name, image_size=None, resize="crop"):
    """Returns the `Source` of an image set; downloads and prepares it if it is not there.

    Args:
        name: As TFDS calls it: ``"mnist"``, ``"emnist/letters"``, ``"celeb_a"``.
        image_size: ``(height, width)``; None leaves images up to 64 x 64 as they are and makes
            all others 64 x 64.
        resize: See `pictures.read`.

    Raises:
        ValueError: If there is no such image set, or it cannot be had.
    """
    builder = find_builder(name)
    image_key, label_key, attribute_keys = keys_of(builder)
    if not builder.is_prepared():
        download(builder)
    info, features = builder.info, builder.info.features
    splits = {split: part_called(split) for split in info.splits}
    splits = {split: part for split, part in splits.items() if part} or dict.fromkeys(splits, "")
    height, width, channels = features[image_key].shape
    if image_size is None:
        is_small = height and width and max(height, width) <= SIZE
        image_size = (height, width) if is_small else (SIZE, SIZE)
    shape = (*image_size, 1 if channels == 1 else 3)

    def values(record):
        columns = {"images": pictures.read(record[image_key], shape, resize)}
        if label_key:
            columns["labels"] = np.int64(record[label_key])
        if attribute_keys:
            columns["attributes"] = np.array([at(record, keys) for keys in attribute_keys], bool)
        return columns

    def decode(_):
        start = 0
        for split in splits:
            for row, columns in read(builder, split, image_key, values):
                yield start + row, columns
            start += info.splits[split].num_examples

    return Source(
        name,
        place={"tfds": name, "size": shape, "resize": resize},
        content=[str(info.version), *files_of(builder)],
        image_shape=shape,
        parts=np.repeat(list(splits.values()), [info.splits[s].num_examples for s in splits]),
        decode=decode,
        label_names=tuple(features[label_key].names) if label_key else (),
        attribute_names=tuple(keys[-1] for keys in attribute_keys),
        in_order=True,
    )


def exists(name):
    """Returns whether TFDS knows a data set of that name."""
    try:
        find_builder(name)
    except ValueError:
        return False
    return True


def find_builder(name):
    import tensorflow_datasets as tfds

    try:
        # TFDS looks at the variable when it is imported; here it counts whenever it is set.
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except Exception as error:
        # Of many kinds: TFDS parses names, looks for files and imports code.
        raise ValueError(
            f"Unknown data set {name!r}. Expected 'faces', the name of a TFDS image set (such as "
            "mnist, fashion_mnist, cifar10, celeb_a), or the path of a folder of images or of an "
            ".npy or .npz file"
        ) from error


def keys_of(builder):
    """Returns where in a record the image, the class and the attributes are."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key, kind in features.items() if type(kind) is tfds.features.Image]
    if not images or features[images[0]].np_dtype != np.uint8:
        raise ValueError(f"The TFDS data set {builder.name!r} has no 8-bit images")
    labels = [key for key, kind in features.items() if type(kind) is tfds.features.ClassLabel]
    labels.sort(key=lambda key: key != "label")  # that one first
    attributes = []
    for key, kind in features.items():
        inner = kind.items() if isinstance(kind, tfds.features.FeaturesDict) else [(None, kind)]
        for name, kind in inner:
            if kind.shape == () and kind.np_dtype == np.bool_:
                attributes.append((key,) if name is None else (key, name))
    image = "image" if "image" in images else images[0]
    return image, labels[0] if labels else None, attributes


def at(record, keys):
    for key in keys:
        record = record[key]
    return record


def files_of(builder):
    """Returns name, size and time of change of the files of a prepared set."""
    files = sorted(Path(builder.data_path).iterdir())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def read(builder, split, image_key, values):
    """Yields ``(row, values(record))`` of a split; a text in place of what cannot be decoded."""
    import tensorflow_datasets as tfds

    def safely(record):
        try:
            return values(record)
        except ValueError as error:
            return str(error)

    decoders = {image_key: tfds.decode.SkipDecoding()}
    if builder.info.file_format.value == "array_record":
        records = builder.as_data_source(split=split, decoders=decoders)
        yield from in_parallel(
            lambda rows: [(row, safely(records[int(row)])) for row in rows],
            np.arange(len(records)),
        )
        return
    hide_gpu()
    dataset = builder.as_dataset(split=split, decoders=decoders).batch(BATCH)
    row = 0
    with ThreadPoolExecutor() as pool:
        for batch in dataset.as_numpy_iterator():
            leaves = keras.tree.flatten(batch)
            records = [keras.tree.pack_sequence_as(batch, list(leaf)) for leaf in zip(*leaves)]
            for columns in pool.map(safely, records):
                yield row, columns
                row += 1


def hide_gpu():
    """Keeps TensorFlow from taking the GPU that belongs to the backend."""
    if keras.backend.backend() != "tensorflow":
        from keras_vae.command_line import without_chatter

        with without_chatter():
            import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # someone uses TensorFlow on it already
            tf.config.set_visible_devices([], "GPU")


def download(builder):
    """Downloads and prepares a data set, or says quickly and plainly that it cannot be had."""
    missing = [folder for folder in builder.data_path.parents if not os.path.exists(folder)]
    try:
        # TFDS would try for minutes without a network: ask for one byte first.
        for url in list(builder.url_infos)[:1]:
            probe(url)
        hide_gpu()
        builder.download_and_prepare()
    except BaseException as error:
        for folder in missing[-1:]:
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, Exception):  # Ctrl-C
            raise
        problem = " ".join(str(getattr(error, "reason", error)).split())[:300]
        raise ValueError(
            f"The data set {builder.name!r} is not in {Path(builder.data_path).parent.parent} and "
            f"cannot be downloaded ({problem}). Point TFDS_DATA_DIR at a directory prepared by "
            "TensorFlow Datasets, or use --dataset faces, which needs no download"
        ) from error


def probe(url):
    """Raises `OSError` unless the first byte of a file can be had, in seconds."""
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
    result = [TimeoutError(f"no answer within {PROBE_SECONDS} s")]

    def ask():
        try:
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            result[:] = [None]
        except urllib.error.HTTPError:  # there is a network: TFDS knows more about this server
            result[:] = [None]
        except Exception as error:
            result[:] = [error]

    # In a thread, since the timeout does not bound the look-up of the host.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 0.5)
    if result[0] is not None:
        raise result[0]
