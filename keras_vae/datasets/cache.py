"""Images that were decoded once and are kept on disk, ready to be mapped into memory.

An entry is a folder: one ``.npy`` file for each column and ``entry.json``. It is written under
another name and renamed when it is whole. Its name depends on all that decides its images, so a
source that has changed has a new one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

VERSION = 1  # of the entries: raise it when decoding changes


def folder():
    """Returns the `Path` of the cache: ``KERAS_VAE_CACHE``, or a folder in the user's cache."""
    if os.environ.get("KERAS_VAE_CACHE"):
        return Path(os.environ["KERAS_VAE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "keras_vae")


def clear():
    """Removes all that the cache holds and returns how many bytes that was.

    Example:

    ```python
    keras_vae.datasets.cache.clear()
    ```
    """
    size = 0
    for entry in folder().glob("*-*"):
        # Only what is known to be the cache's own, should the folder be another by mistake.
        if entry.suffix == ".lock":
            entry.unlink(missing_ok=True)
        elif entry.suffix == ".unfinished" or (entry / "entry.json").is_file():
            size += sum(file.stat().st_size for file in entry.iterdir())
            shutil.rmtree(entry, ignore_errors=True)
    return size


class Decoded:
    """Decoded columns of some rows of a source.

    Attributes:
        rows: Which rows, ascending.
        broken: Reasons by row, for those that could not be decoded.
        columns: Arrays by name, one item for each of `rows`; ``images`` among them.
        path: The file of the images, if they are on disk.
    """

    def __init__(self, rows, columns, broken, path=None):
        self.rows, self.columns, self.broken, self.path = rows, columns, broken, path

    def positions(self, rows):
        """Returns where in the columns the rows are; those that are broken are left out."""
        good = rows[~np.isin(rows, np.fromiter(self.broken, "int64", len(self.broken)))]
        return np.searchsorted(self.rows, good)


def decoded(source, rows, memory):
    """Returns the decoded columns of a source, from the cache if that has them.

    Args:
        source: A `Source`.
        rows: The rows that are needed. If these are not all, and they fit, they are decoded
            into memory and the cache is left as it is.
        memory: How many bytes of images may be in memory.

    Raises:
        ValueError: If the images neither fit on the disk nor into memory.
    """
    path = folder() / f"{source.slug}-{digest(source)}"
    rows = np.sort(rows)
    fits = len(rows) * np.prod(source.image_shape, dtype="int64") <= memory
    if not is_whole(path):
        if fits and not source.in_order and len(rows) < len(source.parts):
            return decode_to_memory(source, rows)
        try:
            write(source, path)
        except OSError as error:
            if not fits:
                raise ValueError(
                    f"The decoded images of {source.name} cannot be written to {path.parent} "
                    f"({error.strerror or error}). Let KERAS_VAE_CACHE name another folder"
                ) from error
            problem = f"The cache {path.parent} cannot be written ({error.strerror or error})"
            print(f"{problem}: decoding at each start.", file=sys.stderr)
            return decode_to_memory(source, rows if not source.in_order else all_rows(source))
    return read(path)


def read(path):
    """Returns what an entry holds, mapped into memory."""
    entry = json.loads((path / "entry.json").read_text())
    columns = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in entry["columns"]}
    broken = {int(row): reason for row, reason in entry["broken"].items()}
    return Decoded(np.arange(len(columns["images"])), columns, broken, path / "images.npy")


def write(source, path):
    """Decodes a source into a new entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    if lock_is_taken(lock):
        print(f"Waiting for another run that decodes {source.name} ...", file=sys.stderr)
    with lock:
        if is_whole(path):  # by that other run
            return
        unfinished = path.with_name(f"{path.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
        unfinished.mkdir()
        try:
            size = len(source.parts) * int(np.prod(source.image_shape))
            free = shutil.disk_usage(unfinished).free
            if size > free:
                raise OSError(f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")

            columns, broken = decode(
                source,
                all_rows(source),
                lambda name, *like: Column(unfinished / f"{name}.npy", *like),
            )
            for column in columns.values():
                column.file.close()
            entry = {
                "place": place(source),
                "columns": sorted(columns),
                "broken": {str(row): reason for row, reason in broken.items()},
            }
            (unfinished / "entry.json").write_text(json.dumps(entry))
            os.rename(unfinished, path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    remove_outdated(source, path)


class Column:
    """An array on disk, item by item: written, not mapped, so that a full disk is an error."""

    def __init__(self, path, shape, dtype):
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        self.offset, self.dtype, self.item = array.offset, array.dtype, array[:1].nbytes
        self.file = open(path, "r+b")  # noqa: SIM115

    def __setitem__(self, position, value):
        self.file.seek(self.offset + int(position) * self.item)
        self.file.write(np.asarray(value, self.dtype).tobytes())


def decode_to_memory(source, rows):
    return Decoded(rows, *decode(source, rows, lambda _, shape, dtype: np.zeros(shape, dtype)))


def decode(source, rows, make):
    """Returns ``(columns, broken)`` of the rows; ``make(name, shape, dtype)`` makes an array."""
    columns = {"images": make("images", (len(rows), *source.image_shape), "uint8")}
    broken = {}
    bar = tqdm(
        total=len(rows), desc=f"Decoding {source.name}", unit=" images", leave=False, disable=None
    )
    with bar:
        for row, values in source.decode(rows):
            if isinstance(values, str):
                broken[int(row)] = values
            else:
                position = np.searchsorted(rows, row)
                for name, value in values.items():
                    if name not in columns:
                        value = np.asarray(value)
                        columns[name] = make(name, (len(rows), *value.shape), value.dtype)
                    columns[name][position] = value
            bar.update()
    return columns, broken


def is_whole(path):
    return (path / "entry.json").is_file()


def all_rows(source):
    return np.arange(len(source.parts))


def place(source):
    return json.dumps([source.name, source.place], sort_keys=True)


def digest(source):
    """Returns a short text that is another one as soon as the decoded images might be."""
    what = [VERSION, place(source), source.image_shape, source.content]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def remove_outdated(source, path):
    """Removes entries that the same source had before it changed."""
    for entry in path.parent.glob(f"{source.slug}-*/entry.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if entry.parent != path and json.loads(entry.read_text())["place"] == place(source):
                shutil.rmtree(entry.parent, ignore_errors=True)
                Path(f"{entry.parent}.lock").unlink(missing_ok=True)


def lock_is_taken(lock):
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return True
    lock.release()
    return False
