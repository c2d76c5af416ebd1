"""Image sets of TFDS: sets that are written here with TFDS's own tools, in both formats."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

from keras_vae import datasets
from keras_vae.datasets import tfds as tfds_source

pytestmark = pytest.mark.once
FORMATS = ("tfrecord", "array_record")


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Returns a function that prepares a small set in the place of a real one."""
    import tensorflow_datasets as tfds

    def make(name, file_format, splits):
        builder = tfds.builder(name, data_dir=tmp_path / "tfds", file_format=file_format)
        examples = {split: enumerate(records) for split, records in splits.items()}
        monkeypatch.setattr(type(builder), "_split_generators", lambda *_: examples)
        builder.download_and_prepare()
        monkeypatch.setattr(tfds_source, "download", lambda _: pytest.fail("it is there already"))
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
        return tmp_path / "tfds"

    return make


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def digits(count, seed, shape=(28, 28, 1)):
    rng = np.random.default_rng(seed)
    return [
        {"image": image, "label": int(label)}
        for image, label in zip(
            rng.integers(0, 256, (count, *shape), "uint8"), rng.integers(0, 10, count)
        )
    ]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_images_and_labels_are_those_that_were_written(prepare, name, file_format):
    shape = (32, 32, 3) if name == "cifar10" else (28, 28, 1)
    written = {"train": digits(50, 0, shape), "test": digits(20, 1, shape)}
    if name == "cifar10":
        written = {
            s: [{"id": f"{s}_{i}", **r} for i, r in enumerate(w)] for s, w in written.items()
        }
    prepare(name, file_format, written)
    data = datasets.load(name)
    assert (len(data.train), len(data.validation), len(data.test)) == (45, 5, 20)
    assert data.image_shape == shape and len(data.label_names) == 10
    assert data.attribute_names == data.label_names
    for parts, records in (
        ((data.train, data.validation), written["train"]),
        ((data.test,), written["test"]),
    ):
        read = {i.tobytes(): label for p in parts for i, label in zip(p.images, p.labels)}
        assert read == {record["image"].tobytes(): record["label"] for record in records}
        for part in parts:
            np.testing.assert_array_equal(part.attributes.argmax(axis=1), part.labels)


@pytest.mark.parametrize("file_format", FORMATS)
def test_celeb_a(prepare, file_format):
    """Its splits are by person: they stay. The image is cut to its middle square."""
    import tensorflow_datasets as tfds

    features = tfds.builder("celeb_a", data_dir=os.devnull).info.features
    headings, landmarks = list(features["attributes"]), list(features["landmarks"])

    def people(count, seed):
        rng = np.random.default_rng(seed)
        for _ in range(count):
            image = np.zeros((218, 178, 3), "uint8")
            shade = int(rng.integers(4, 16))
            image[20:198] = 16 * shade + 8
            yield {
                "image": image,
                "identity": {"Identity_No": shade},
                "landmarks": dict.fromkeys(landmarks, 1),
                "attributes": {name: (shade + i) % 3 == 0 for i, name in enumerate(headings)},
            }

    sizes = {"train": 12, "validation": 4, "test": 5}
    prepare("celeb_a", file_format, {s: people(n, i) for i, (s, n) in enumerate(sizes.items())})
    data = datasets.load("celeb_a")
    assert {part: len(getattr(data, part)) for part in sizes} == sizes
    assert data.image_shape == (64, 64, 3) and data.label_names == ()
    assert set(data.attribute_names) == set(headings) and len(headings) == 40
    for split in (data.train, data.validation, data.test):
        for image, attributes in zip(split.images, split.attributes):
            assert int(image.max()) - int(image.min()) < 40  # no black border
            shade = image[32, 32, 0] // 16
            for i, name in enumerate(headings):
                assert attributes[data.attribute_names.index(name)] == ((shade + i) % 3 == 0)
    padded = datasets.load("celeb_a", image_size=32, resize="pad", attributes=["Smiling"])
    assert padded.image_shape == (32, 32, 3) and padded.attribute_names == ("Smiling",)
    assert (padded.train.images[:, :, 0] == 0).all()  # high pictures: black at the sides


@pytest.mark.parametrize("file_format", FORMATS)
def test_images_of_many_sizes(prepare, file_format):
    records = [
        {
            "image": np.full((20 + i, 90 - i, 3), 8 * i, "uint8"),
            "label": i % 2,
            "image/filename": f"{i}.jpg",
        }
        for i in range(24)
    ]
    prepare("cats_vs_dogs", file_format, {"train": records})
    data = datasets.load("cats_vs_dogs")
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 2, 2)
    assert data.image_shape == (64, 64, 3) and data.label_names == ("cat", "dog")
    for image, label in zip(data.train.images, data.train.labels):
        assert round(float(image.mean()) / 8) % 2 == label


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tensorflow_is_loaded_only_for_tfrecords(prepare, backend):
    import_only = "import sys, keras_vae; assert not {'tensorflow', 'grain'} & set(sys.modules)"
    result = run(import_only, KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr
    prepare("mnist", "array_record", {"train": digits(30, 0), "test": digits(9, 1)})
    code = (
        "import sys; from keras_vae import datasets\n"
        "assert len(datasets.load('mnist').test) == 9\n"
        "assert 'tensorflow' not in sys.modules"
    )
    result = run(code, KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr


def test_tensorflow_as_a_reader_takes_no_gpu(prepare, monkeypatch):
    import tensorflow as tf

    hidden = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *a: hidden.append(a))
    prepare("mnist", "tfrecord", {"train": digits(30, 0), "test": digits(9, 1)})
    dataset = tf.data.Dataset
    batch = dataset.batch
    monkeypatch.setattr(
        dataset, "batch", lambda *a, **k: batch(*a, **k) if hidden else pytest.fail("too early")
    )
    assert len(datasets.load("mnist").test) == 9
    assert keras.backend.backend() != "tensorflow" and hidden[0] == ([], "GPU")


# What cannot be had


@pytest.fixture
def nothing_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path


def test_without_network_it_says_so_and_leaves_nothing(nothing_prepared, monkeypatch):
    def refuse(request, timeout):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    message = r"'cifar10' is not in .*tfds and cannot be downloaded \(Network is unreachable\)"
    with pytest.raises(ValueError, match=f"{message}.*--dataset faces, which needs no download"):
        datasets.load("cifar10")
    assert list(nothing_prepared.iterdir()) == []


def test_a_network_that_never_answers_is_given_up_soon(nothing_prepared, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert tfds_source.exists("cifar10")  # TFDS is imported before the clock starts
        started = time.monotonic()
        with pytest.raises(
            ValueError, match=r"'cifar10' .*cannot be downloaded.*(timed out|no answer)"
        ):
            datasets.load("cifar10")
        assert time.monotonic() - started < 15
    assert list(nothing_prepared.iterdir()) == []


def test_a_look_up_that_never_ends_is_given_up_soon(nothing_prepared, monkeypatch):
    monkeypatch.setattr(tfds_source, "PROBE_SECONDS", 0.2)
    over = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: over.wait(60))
    with pytest.raises(ValueError, match="no answer within"):
        datasets.load("cifar10")
    over.set()


def test_a_set_without_images(nothing_prepared):
    with pytest.raises(ValueError, match="'imdb_reviews' has no 8-bit images"):
        datasets.load("imdb_reviews")


@pytest.mark.parametrize("name", ["cats", "../mnist", "no_one:set", "mn\nist"])
def test_a_name_that_tfds_does_not_know(nothing_prepared, name):
    with pytest.raises(ValueError, match=r"Unknown data set .*or the path of a folder") as error:
        datasets.load(name)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "name, message",
    [
        ("mnist:9.9.9", r"'mnist' has no version '9.9.9'. Available: 3.0.1"),
        ("mnist/letters", "'mnist' has no configuration 'letters'. There are: none"),
        ("emnist/foo", "'emnist' has no configuration 'foo'. There are: .*letters"),
        ("emnist/letters:9.9.9", "'emnist' has no version '9.9.9'. Available: 3.1.0"),
    ],
)
def test_a_set_that_has_no_such_version_or_configuration(nothing_prepared, name, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name)


# Damaged folders


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 4):
        content[place] ^= 0xFF
    path.write_bytes(content)


def overwrite(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def become_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        overwrite,
        become_a_folder,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"something else" * 999),
        lambda path: path.unlink(),
    ],
    ids=["cut", "flipped", "overwritten", "folder", "empty", "other", "missing"],
)
def test_a_damaged_file_is_named_and_nothing_is_kept(
    prepare, own_cache, file_format, split, damage
):
    root = prepare("mnist", file_format, {"train": digits(60, 0), "test": digits(40, 1)})
    (path,) = root.glob(f"mnist/*/mnist-{split}.*")
    damage(path)
    with pytest.raises(ValueError, match=rf"{path} (is|has) .*\. Prepare the data set") as error:
        datasets.load("mnist")
    assert len(str(error.value).splitlines()) == 1 and "{{" not in str(error.value)
    assert not list(own_cache.glob("mnist-*"))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("wrong", [30, 50])
def test_a_file_of_another_number_of_records(prepare, own_cache, file_format, wrong):
    root = prepare("mnist", file_format, {"train": digits(60, 0), "test": digits(wrong, 1)})
    (other,) = root.glob("mnist/*/mnist-test.*")
    content = other.read_bytes()
    shutil.rmtree(root)
    root = prepare("mnist", file_format, {"train": digits(60, 0), "test": digits(40, 1)})
    (path,) = root.glob("mnist/*/mnist-test.*")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} has {wrong} records; dataset_info.json says 40"):
        datasets.load("mnist")
    assert not list(own_cache.glob("mnist-*"))


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_describes_the_set_is_that_of_another_or_damaged(prepare, own_cache, file_format):
    other = digits(9, 1, (32, 32, 3))
    other = {"train": [{"id": f"{i}", **record} for i, record in enumerate(other)]}
    root = prepare("cifar10", file_format, other)
    prepare("mnist", file_format, {"train": digits(60, 0), "test": digits(40, 1)})
    (folder,), (others,) = root.glob("mnist/*"), root.glob("cifar10/*")
    for name, content, message in (
        ("features.json", (others / "features.json").read_bytes(), "describes another data set"),
        ("features.json", b"{", "cannot be read"),
        ("dataset_info.json", (others / "dataset_info.json").read_bytes(), "cannot be read|is mis"),
        ("dataset_info.json", b"{", "cannot be read"),
        ("dataset_info.json", None, "There is no dataset_info.json in"),
    ):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content) if content else (folder / name).unlink()
        with pytest.raises(ValueError, match=message) as error:
            datasets.load("mnist")
        assert str(folder.parent) in str(error.value), error.value
        assert len(str(error.value).splitlines()) == 1
        (folder / name).write_bytes(before)
    assert not list(own_cache.glob("mnist-*"))
    assert len(datasets.load("mnist").test) == 40


def test_images_without_a_label_are_of_no_known_class(prepare):
    """As TFDS has it where labels are held back: -1."""
    records = digits(40, 0)
    for record in records[::2]:
        record["label"] = -1
    prepare("mnist", "array_record", {"train": records, "test": digits(9, 1)})
    data = datasets.load("mnist")
    np.testing.assert_array_equal(data.train.known.all(axis=1), data.train.labels >= 0)
    np.testing.assert_array_equal(data.train.known.any(axis=1), data.train.labels >= 0)
    assert not data.train.known.all() and data.test.known is None


def test_a_set_of_tfds_comes_before_a_folder_of_that_name(prepare, tmp_path, monkeypatch):
    prepare("mnist", "array_record", {"train": digits(30, 0), "test": digits(9, 1)})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert len(datasets.load("mnist").test) == 9
    with pytest.raises(ValueError, match="There are no images in the folder"):
        datasets.load("./mnist")
