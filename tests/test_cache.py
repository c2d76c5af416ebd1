"""The cache: decoded once, never half, never out of date."""

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from keras_vae import datasets
from keras_vae.datasets import cache, pictures
from keras_vae.datasets import folder as folder_source

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """40 pictures of one shade each."""
    path = tmp_path / "pictures"
    path.mkdir()
    for shade in range(40):
        Image.new("L", (8, 8), shade).save(path / f"{shade:02d}.png")
    return path


@pytest.fixture
def reads(monkeypatch):
    """Counts how many pictures are decoded."""
    count = []
    read = pictures.read
    monkeypatch.setattr(pictures, "read", lambda *args: count.append(1) or read(*args))
    return count


def shades(data):
    splits = (data.train, data.validation, data.test)
    return sorted(int(image[0, 0, 0]) for split in splits for image in split.images[:])


def entries(path):
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


@pytest.mark.parametrize("limit", [None, 20])
def test_a_source_that_gives_too_few_images_is_not_kept(folder, own_cache, monkeypatch, limit):
    in_parallel = folder_source.in_parallel
    monkeypatch.setattr(
        folder_source, "in_parallel", lambda *args: itertools.islice(in_parallel(*args), 15)
    )
    with pytest.raises(ValueError, match=r"pictures cannot be read: got 15 of \d+ images"):
        datasets.load(folder, limit)
    assert not own_cache.exists() or not entries(own_cache)


def test_decoded_once(folder, reads):
    first = datasets.load(folder)
    assert len(reads) == 40
    again = datasets.load(folder, seed=1)
    assert len(reads) == 40 and shades(first) == shades(again) == list(range(40))


@pytest.mark.parametrize("change", ["content", "new", "removed", "renamed"])
def test_a_changed_folder_is_decoded_again_and_the_old_entry_removed(
    folder, reads, own_cache, change
):
    datasets.load(folder)
    (before,) = entries(own_cache)
    expected = list(range(40))
    if change == "content":
        Image.new("L", (8, 8), 200).save(folder / "05.png")
        expected = [*range(5), *range(6, 40), 200]
    elif change == "new":
        Image.new("L", (8, 8), 200).save(folder / "new.png")
        expected.append(200)
    elif change == "removed":
        (folder / "05.png").unlink()
        expected.remove(5)
    else:
        (folder / "05.png").rename(folder / "50.png")
    assert shades(datasets.load(folder)) == expected
    (after,) = entries(own_cache)
    assert after != before and len(reads) == 40 + len(expected)


def test_other_settings_are_another_entry(folder, own_cache):
    for arguments in ({}, {"image_size": 4}, {"image_size": 4, "resize": "pad"}):
        datasets.load(folder, **arguments)
    assert len(entries(own_cache)) == 3


def test_what_is_broken_is_remembered(folder):
    (folder / "03.png").write_bytes(b"")
    assert list(datasets.load(folder).skipped) == list(datasets.load(folder).skipped) == ["03.png"]


def test_a_limit_decodes_only_what_it_needs(folder, reads, own_cache):
    data = datasets.load(folder, limit=3)
    assert len(reads) == 3 + 3 + 4 and not own_cache.exists()
    whole = datasets.load(folder)
    np.testing.assert_array_equal(data.train.images, whole.train.images[:3])
    datasets.load(folder, limit=3)
    assert len(reads) == 10 + 40  # from the cache now


def test_a_half_written_entry_is_not_used_and_removed(folder, own_cache):
    datasets.load(folder)
    (name,) = entries(own_cache)
    shutil.move(own_cache / name, own_cache / f"{name}.abc_1.unfinished")
    (own_cache / f"{name}.abc_1.unfinished" / "images.npy").write_bytes(b"half")
    assert shades(datasets.load(folder)) == list(range(40))
    assert entries(own_cache) == [name]


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "json"])
def test_a_damaged_entry_is_made_anew(folder, own_cache, damage):
    datasets.load(folder)
    (entry,) = (path for path in own_cache.iterdir() if path.is_dir())
    images = entry / "images.npy"
    if damage == "missing":
        images.unlink()
    elif damage == "json":
        (entry / "entry.json").write_text("{}")
    else:
        images.write_bytes(images.read_bytes()[: 500 if damage == "cut" else 0])
    assert shades(datasets.load(folder)) == list(range(40))
    assert entries(own_cache) == [entry.name] and images.stat().st_size > 40 * 64


def test_an_error_leaves_nothing(folder, own_cache, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "read", fail)
    with pytest.raises(KeyboardInterrupt):
        datasets.load(folder)
    assert entries(own_cache) == []


LOAD = "import sys; from keras_vae import datasets; print(len(datasets.load(sys.argv[1]).train))"
SLOW = "import time; from keras_vae.datasets import pictures as p; r = p.read; "
SLOW += "p.read = lambda *a: time.sleep(0.3) or r(*a); print('ready', flush=True); "


def start(folder, code):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_a_writer(own_cache, *processes):
    deadline = time.monotonic() + 120
    while not list(own_cache.glob("*.unfinished")):
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_runs_at_once_and_one_that_is_killed(folder, own_cache):
    killed = start(folder, SLOW + LOAD)
    wait_for_a_writer(own_cache, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(own_cache.glob("*.unfinished"))
    cache.clear()
    assert not list(own_cache.glob("*.unfinished"))
    both = [start(folder, SLOW + LOAD) for _ in range(2)]
    wait_for_a_writer(own_cache, *both)
    cache.clear()  # leaves alone what is being written
    results = [process.communicate(timeout=120) for process in both]
    assert [output.split() for output, _ in results] == [["ready", "33"]] * 2, results
    assert sum("Waiting for another run" in errors for _, errors in results) <= 1
    (name,) = entries(own_cache)
    assert not name.endswith(".unfinished")
    assert shades(datasets.load(folder)) == list(range(40))


def test_a_cache_that_cannot_be_written(folder, own_cache, capsys, monkeypatch):
    own_cache.write_text("a file")
    assert shades(datasets.load(folder)) == list(range(40))
    assert "cannot be written" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cannot be written.*Set KERAS_VAE_CACHE to another"):
        datasets.load(folder, memory=0)


def test_a_full_disk(folder, own_cache, monkeypatch, capsys):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match=r"MB are needed, .* are free"):
        datasets.load(folder, memory=0)
    assert entries(own_cache) == []
    assert shades(datasets.load(folder)) == list(range(40))  # in memory


def test_a_cache_that_cannot_be_written_keeps_the_limit(tmp_path, own_cache):
    """Also of a file that has to be read from its beginning."""
    own_cache.write_text("a file")
    np.save(
        tmp_path / "a.npy",
        np.arange(100, dtype="uint8")[:, None, None] * np.ones((1, 4, 4), "uint8"),
    )
    data = datasets.load(tmp_path / "a.npy", limit=5, memory=21 * 16 / 1e9)
    assert len(shades(data)) == 5 + 5 + 10


def test_clear_removes_entries_and_nothing_else(folder, own_cache):
    datasets.load(folder)
    (own_cache / "my-photos").mkdir()
    (own_cache / "my-photos" / "a.txt").write_text("mine")
    assert cache.clear() > 40 * 64
    assert entries(own_cache) == ["my-photos"]
    assert (own_cache / "my-photos" / "a.txt").read_text() == "mine"
    assert cache.clear() == 0


def test_the_default_place(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_VAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "keras_vae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "keras_vae"


def test_nothing_is_pickled(folder, own_cache):
    datasets.load(folder)
    files = [file for entry in own_cache.iterdir() if entry.is_dir() for file in entry.iterdir()]
    for file in files:
        if file.suffix == ".npy":
            np.load(file, allow_pickle=False)
        else:
            json.loads(file.read_text())
    assert {file.suffix for file in files} == {".npy", ".json"}
