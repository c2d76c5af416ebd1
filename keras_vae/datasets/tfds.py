"""Image sets of TensorFlow Datasets, from a prepared directory or by download.

A directory is prepared in one of two formats, and each has one way to read it: ArrayRecord
needs no TensorFlow, TFRecord does. TensorFlow is imported here only then (and to prepare what
was downloaded), and only to read. Images are decoded by Pillow either way.
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
from keras_vae.datasets.quiet import quiet
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
        # TFDS looks at the variable when it is imported; here it counts whenever it is set.
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except Exception as error:
        # Of many kinds: TFDS parses names, looks for files and imports code.
        raise ValueError(why_not(name, error)) from error


def why_not(name, error):
    """Returns why TFDS finds no data set of that name, given its error."""
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
            there = ", ".join(configs) or "none"
            return f"{base!r} has no configuration {wanted['config']!r}. There are: {there}"
        if version and version not in versions:
            there = ", ".join(versions)
            return f"{base!r} has no version {version!r} here. There is: {there}"
    if base and (builder or (data_dir / base).is_dir()):
        return f"The data set {name!r} in {data_dir / base} cannot be read: {words_of(error)}"
    return (
        f"Unknown data set {name!r}. Expected 'faces', the name of a TFDS image set (such as "
        "mnist, fashion_mnist, cifar10, celeb_a), or the path of a folder of images or of an "
        ".npy or .npz file"
    )


def refuse_remains(folder):
    """Raises `ValueError` if a folder holds files of a set, but not what says how many."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"There is no dataset_info.json in {folder}. Restore it, or move the folder away"
        )


def check_features(builder):
    """Raises `ValueError` if features.json, where there is one, is that of another set."""
    import tensorflow_datasets as tfds

    path = Path(builder.data_path, "features.json")
    if not path.exists():  # older versions of TFDS did without
        return

    def outline(features):
        image, label, attributes = keys_of(features, builder.name)
        classes = label and features[label].num_classes
        return image, features[image].shape, label, classes, set(attributes)

    try:
        there = outline(tfds.features.FeaturesDict.from_config(path.parent))
    except Exception as error:  # of many kinds: TFDS reads JSON, and makes what it names
        raise ValueError(f"{path} cannot be read: {words_of(error)}") from error
    if there != outline(builder.info.features):
        raise ValueError(f"{path} is that of another data set than {builder.name!r}")


def keys_of(features, name):
    """Returns where in a record the image, the class and the attributes are."""
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
    """Yields what `records_of` does; raises `ValueError` if a file is damaged."""
    expected, count = builder.info.splits[split].num_examples, 0
    try:
        for item in records_of(builder, split, image_key, values):
            count += 1
            yield item
    except MemoryError:
        raise
    except Exception as error:  # TensorFlow, ArrayRecord and TFDS have many kinds
        raise ValueError(damage(builder, split, error)) from error
    if count != expected:
        raise ValueError(damage(builder, split, f"{count:,} of {expected:,} records"))


def damage(builder, split, error):
    """Returns which file of a split is damaged, in a sentence; or only how reading it failed."""
    split = builder.info.splits[split]
    for path, expected in zip(split.filepaths, split.shard_lengths):
        there = "is missing"
        if os.path.exists(path):
            try:
                count = count_records(builder, str(path))
                there = f"has {count:,} records, and not {expected:,} as dataset_info.json says"
            except Exception as problem:
                count, there = None, f"is damaged: {words_of(problem)}"
            if count == expected:
                continue
        return f"{path} {there}. Prepare the data set again"
    return f"{builder.data_path} cannot be read: {words_of(error)}"


def words_of(error):
    """Returns an error's text without what TensorFlow puts around it, and not too long."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", " ", str(error), flags=re.DOTALL)
    return " ".join(text.split())[:300] or type(error).__name__


def count_records(builder, path):
    """Returns how many records there are in a file; reads them all."""
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
    """Returns what reads an ArrayRecord."""
    from array_record.python.array_record_module import ArrayRecordReader

    return ArrayRecordReader(path)


def records_of(builder, split, image_key, values):
    """Yields ``(row, values(record))`` of a split; a text in place of what cannot be decoded."""
    import tensorflow_datasets as tfds

    def safely(record):
        try:
            return values(record)
        except ValueError as error:
            return str(error)

    decoders = {image_key: tfds.decode.SkipDecoding()}
    if builder.info.file_format.value == "array_record":
        # Unlike with TFRecords nobody else looks, and of those that are not there nothing is said.
        files = builder.info.splits[split]
        there = [reader_of(str(path)).num_records() for path in files.filepaths]
        if there != list(files.shard_lengths):
            raise ValueError(f"{sum(there):,} of {files.num_examples:,} records")
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
    """Keeps TensorFlow from taking the GPU that belongs to the backend."""
    if keras.backend.backend() != "tensorflow":
        with quiet():
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
