"""Image sets of TensorFlow Datasets, from a prepared directory or downloaded.

A directory is prepared in one of two formats. ArrayRecord files are read without TensorFlow;
TFRecord files need it. TensorFlow is imported only to read these and to prepare downloads. Pillow
decodes the images of both formats.
"""

import contextlib
import os
import re
import shutil
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from keras_vae.checks import check_installed
from keras_vae.datasets import pictures
from keras_vae.datasets.source import Source, in_parallel, part_called
from keras_vae.start.quiet import quiet

PROBE_SECONDS = 4
BATCH = 256  # records read at once
SIZE = 64  # default side in pixels of larger images


def source(name, image_size=None, resize="crop"):
    """Returns the `Source` of an image set; downloads and prepares it if necessary.

    Args:
        name: Name in TFDS, such as ``"mnist"``, ``"emnist/letters"`` or ``"celeb_a"``.
        image_size: ``(height, width)``; None keeps sizes up to 64 x 64 and makes all other
            images 64 x 64.
        resize: See `pictures.read`.

    Raises:
        ValueError: If there is no such image set, or it can be neither read nor downloaded.
    """
    builder = find_builder(name)
    image_key, label_key, attribute_keys = keys_of(builder.info.features, builder.name)
    if not builder.is_prepared():
        refuse_remains(Path(builder.data_path))
        download(builder)
    check_features(builder)
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
    """Returns whether TFDS is installed and knows a data set of that name."""
    try:
        find_builder(name)
    except ValueError:
        return False
    return True


def find_builder(name):
    check_installed("tensorflow_datasets", "tfds", f"to read the data set {name!r}")
    import tensorflow_datasets as tfds

    try:
        # TFDS reads the variable once, on import; reading it here respects later changes.
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except Exception as error:
        # Of any type: TFDS parses names, searches for files and imports code.
        raise ValueError(why_not(name, error)) from error


def why_not(name, error):
    """Returns the reason why TFDS finds no data set of that name, given its error."""
    import tensorflow_datasets as tfds

    data_dir = Path(os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR).expanduser()
    try:
        base, wanted = tfds.core.naming.parse_builder_name_kwargs(name)
        base = str(base)
    except Exception:  # such as ../mnist
        base, wanted = "", {}
    try:
        builder = tfds.builder_cls(base)
    except Exception:
        builder = None
    if builder:
        configs, version = list(builder.builder_configs), wanted.get("version")
        versions = [str(version) for version in (builder.VERSION, *builder.SUPPORTED_VERSIONS)]
        if wanted.get("config") and wanted["config"] not in configs:
            known = ", ".join(configs) or "none"
            return f"{base!r} has no configuration {wanted['config']!r}. There are: {known}"
        if version and version not in versions:
            known = ", ".join(versions)
            return f"{base!r} has no version {version!r}. Available: {known}"
    if base and (builder or (data_dir / base).is_dir()):
        return f"The data set {name!r} in {data_dir / base} cannot be read: {message_of(error)}"
    return (
        f"Unknown data set {name!r}. Expected 'faces', 'sprites', the name of a TFDS image set "
        "(such as mnist, fashion_mnist, cifar10, celeb_a), or the path of a folder of images or "
        "of an .npy or .npz file"
    )


def refuse_remains(folder):
    """Raises `ValueError` if a folder has files of a set but no description of the set."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"There is no dataset_info.json in {folder}. Restore it, or move the folder away"
        )


def check_features(builder):
    """Raises `ValueError` if there is a features.json that describes another set."""
    import tensorflow_datasets as tfds

    path = Path(builder.data_path, "features.json")
    if not path.exists():  # older versions of TFDS did not write one
        return

    def outline(features):
        image, label, attributes = keys_of(features, builder.name)
        classes = label and features[label].num_classes
        return image, features[image].shape, label, classes, set(attributes)

    try:
        found = outline(tfds.features.FeaturesDict.from_config(path.parent))
    except Exception as error:  # of any type: TFDS reads JSON and creates objects named there
        raise ValueError(f"{path} cannot be read: {message_of(error)}") from error
    if found != outline(builder.info.features):
        raise ValueError(f"{path} describes another data set than {builder.name!r}")


def keys_of(features, name):
    """Returns the keys of the image, the class and the attributes in a record."""
    import tensorflow_datasets as tfds

    images = [key for key, kind in features.items() if type(kind) is tfds.features.Image]
    if not images or features[images[0]].np_dtype != np.uint8:
        raise ValueError(f"The TFDS data set {name!r} has no 8-bit images")
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
    """Yields the items of `records_of`; raises `ValueError` if a file is damaged."""
    expected, count = builder.info.splits[split].num_examples, 0
    try:
        for item in records_of(builder, split, image_key, values):
            count += 1
            yield item
    except MemoryError:
        raise
    except Exception as error:  # of any type: TensorFlow, ArrayRecord and TFDS raise their own
        raise ValueError(damage(builder, split, error)) from error
    if count != expected:
        raise ValueError(damage(builder, split, f"{count:,} of {expected:,} records"))


def damage(builder, split, error):
    """Returns a sentence that names the damaged file of a split, or the error if none is found."""
    split = builder.info.splits[split]
    for path, expected in zip(split.filepaths, split.shard_lengths):
        problem = "is missing"
        if os.path.exists(path):
            try:
                count = count_records(builder, str(path))
                problem = f"has {count:,} records; dataset_info.json says {expected:,}"
            except Exception as cause:
                count, problem = None, f"is damaged: {message_of(cause)}"
            if count == expected:
                continue
        return f"{path} {problem}. Prepare the data set again"
    return f"{builder.data_path} cannot be read: {message_of(error)}"


def message_of(error):
    """Returns the message of an error without TensorFlow's decorations, at most 300 characters."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", " ", str(error), flags=re.DOTALL)
    return " ".join(text.split())[:300] or type(error).__name__


def count_records(builder, path):
    """Returns the number of records in a file; all of them are read."""
    if builder.info.file_format.value == "array_record":
        reader = reader_of(path)
        for start in range(0, reader.num_records(), BATCH):
            reader.read(start, min(start + BATCH, reader.num_records()))
        return reader.num_records()
    check_installed("tensorflow", "tfds", f"to read {path}")
    import tensorflow as tf

    batches = tf.data.TFRecordDataset(path).batch(BATCH)
    return sum(len(records) for records in batches.as_numpy_iterator())


def reader_of(path):
    """Returns an open `ArrayRecordReader`."""
    from array_record.python.array_record_module import ArrayRecordReader

    return ArrayRecordReader(path)


def records_of(builder, split, image_key, values):
    """Yields ``(row, values(record))`` of a split; for an undecodable record, the reason."""
    import tensorflow_datasets as tfds

    def safely(record):
        try:
            return values(record)
        except ValueError as error:
            return str(error)

    decoders = {image_key: tfds.decode.SkipDecoding()}
    if builder.info.file_format.value == "array_record":
        # Unlike for TFRecords, TFDS reports no missing records.
        files = builder.info.splits[split]
        counts = [reader_of(str(path)).num_records() for path in files.filepaths]
        if counts != list(files.shard_lengths):
            raise ValueError(f"{sum(counts):,} of {files.num_examples:,} records")
        records = builder.as_data_source(split=split, decoders=decoders)
        yield from in_parallel(
            lambda rows: [(row, safely(records[int(row)])) for row in rows],
            np.arange(len(records)),
        )
        return
    check_installed("tensorflow", "tfds", f"to read the TFRecord files of {builder.name!r}")
    hide_gpu()
    # Read once: TFDS would keep small sets in memory.
    once = tfds.ReadConfig(try_autocache=False)
    dataset = builder.as_dataset(split=split, decoders=decoders, read_config=once).batch(BATCH)
    row = 0
    with ThreadPoolExecutor() as pool:
        for batch in dataset.as_numpy_iterator():
            leaves = keras.tree.flatten(batch)
            records = [keras.tree.pack_sequence_as(batch, list(leaf)) for leaf in zip(*leaves)]
            for columns in pool.map(safely, records):
                yield row, columns
                row += 1


def hide_gpu():
    """Prevents TensorFlow from reserving memory of the GPU that another backend uses."""
    if keras.backend.backend() != "tensorflow":
        with quiet():
            import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # TensorFlow already uses the GPU
            tf.config.set_visible_devices([], "GPU")


def download(builder):
    """Downloads and prepares a data set; raises `ValueError` within seconds if it cannot."""
    missing = [folder for folder in builder.data_path.parents if not os.path.exists(folder)]
    try:
        # TFDS would try for minutes without a network: ask for one byte first.
        for url in list(builder.url_infos)[:1]:
            probe(url)
        check_installed("tensorflow", "tfds", f"to prepare {builder.name!r}")
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
    """Raises `OSError` unless the first byte of a file can be downloaded within seconds."""
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
    result = [TimeoutError(f"no answer within {PROBE_SECONDS} s")]

    def ask():
        try:
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            result[:] = [None]
        except urllib.error.HTTPError:  # the network works: leave the server's answer to TFDS
            result[:] = [None]
        except Exception as error:
            result[:] = [error]

    # In a thread, because the timeout does not apply to the DNS lookup.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 0.5)
    if result[0] is not None:
        raise result[0]
