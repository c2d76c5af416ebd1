"""A cache of decoded images on disk, ready to be memory-mapped.

An entry is a folder with one ``.npy`` file per column and ``entry.json``. It is written under
a temporary name and renamed when complete. The name contains a hash of everything that determines
the images, so a changed source gets a new entry.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock, Timeout
from tqdm import tqdm

VERSION = 1  # of the entries: increase it when decoding changes
ENTRY = re.compile(r".+-[0-9a-f]{16}")
COMPILED = "compiled"  # JAX's cache of compiled programs
UNFINISHED = re.compile(r"(.+-[0-9a-f]{16})\..+\.unfinished")


def folder():
    """Returns the `Path` of the cache: ``KERAS_VAE_CACHE``, or a folder in the user's cache."""
    if os.environ.get("KERAS_VAE_CACHE"):
        return Path(os.environ["KERAS_VAE_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "keras_vae")


def clear():
    """Removes all entries of the cache except those being written; returns the bytes freed.

    Example:

    ```python
    keras_vae.datasets.cache.clear()
    ```
    """
    size = 0
    for path in folder().glob("*"):
        # Only entries of the cache, in case the variable names some other folder.
        if (ENTRY.fullmatch(path.name) or path.name == COMPILED) and path.is_dir():
            held = sum(file.stat().st_size for file in path.iterdir())
            remove(path)
            size += 0 if path.exists() else held
    remove_abandoned(folder())
    return size


class Decoded:
    """Decoded columns of some rows of a source.

    Attributes:
        rows: Numbers of the rows, ascending.
        broken: For each row that could not be decoded, the reason.
        columns: Arrays by name, with an item for each of `rows`; always includes ``images``.
        path: File of the images, if they are on disk.
    """

    def __init__(self, rows, columns, broken, path=None):
        self.rows, self.columns, self.broken, self.path = rows, columns, broken, path

    def positions(self, rows):
        """Returns the positions of rows in the columns, without the broken ones."""
        good = rows[~np.isin(rows, np.fromiter(self.broken, "int64", len(self.broken)))]
        return np.searchsorted(self.rows, good)


def decoded(source, rows, memory):
    """Returns the decoded columns of a source, from the cache if possible.

    Args:
        source: A `Source`.
        rows: The rows needed. If only some rows are needed, they fit into memory, and the
            source has random access, they are decoded into memory without writing the cache.
        memory: Most bytes of images that may be in memory.

    Raises:
        ValueError: If the images fit neither on the disk nor into memory.
    """
    path = folder() / f"{source.slug}-{digest(source)}"
    rows = np.sort(rows)
    fits = len(rows) * math.prod(source.image_shape) <= memory
    try:
        return read(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        if path.exists():  # damaged
            remove(path)
    if fits and not source.in_order and len(rows) < len(source.parts):
        return decode_to_memory(source, rows)
    try:
        write(source, path)
        return read(path)
    except (OSError, NotImplementedError) as error:  # the latter: no locks on this file system
        problem = f"cannot be written ({getattr(error, 'strerror', None) or error})"
        if not fits:
            raise ValueError(
                f"The decoded images of {source.name} do not fit into memory, and the cache "
                f"{path.parent} {problem}. Set KERAS_VAE_CACHE to another folder"
            ) from error
        print(
            f"The cache {path.parent} {problem}: images are decoded at each start.", file=sys.stderr
        )
        return decode_to_memory(source, rows)


def read(path):
    """Returns the content of an entry, memory-mapped."""
    entry = json.loads((path / "entry.json").read_text())
    columns = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in entry["columns"]}
    broken = {int(row): reason for row, reason in entry["broken"].items()}
    return Decoded(np.arange(len(columns["images"])), columns, broken, path / "images.npy")


def write(source, path):
    """Decodes a source into a new entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, source.name):
        if (path / "entry.json").is_file():  # written by another run while this one waited
            return
        unfinished = Path(tempfile.mkdtemp(".unfinished", f"{path.name}.", path.parent))
        try:
            size = len(source.parts) * math.prod(source.image_shape)
            free = shutil.disk_usage(unfinished).free
            if size > free:
                raise OSError(f"{size / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
            make_entry(source, unfinished)
            os.rename(unfinished, path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    remove_outdated(source, path)
    remove_abandoned(path.parent)


def make_entry(source, folder):
    """Decodes a source into a folder."""
    with contextlib.ExitStack() as stack:

        def make(name, shape, dtype):
            column = Column(folder / f"{name}.npy", shape, dtype)
            stack.callback(column.file.close)
            return column

        columns, broken = decode(source, all_rows(source), make)
    entry = {
        "place": place(source),
        "columns": sorted(columns),
        "broken": {str(row): reason for row, reason in broken.items()},
    }
    (folder / "entry.json").write_text(json.dumps(entry))


class Column:
    """An array on disk, assigned item by item. Not a memory map: a full disk must be an error."""

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
    """Returns ``(columns, broken)`` of the rows; ``make(name, shape, dtype)`` creates an array."""
    columns = {"images": make("images", (len(rows), *source.image_shape), "uint8")}
    broken, count = {}, 0
    bar = tqdm(
        total=len(rows), desc=f"Decoding {source.name}", unit=" images", leave=False, disable=None
    )
    with bar:
        for row, values in reading(source, rows):
            position = np.searchsorted(rows, row)
            if position == len(rows) or rows[position] != row:
                continue  # a source that is read in order yields all rows
            if isinstance(values, str):
                broken[int(row)] = values
            else:
                for name, value in values.items():
                    if name not in columns:
                        value = np.asarray(value)
                        columns[name] = make(name, (len(rows), *value.shape), value.dtype)
                    columns[name][position] = value
            count += 1
            bar.update()
    if count != len(rows):
        raise ValueError(f"{source.name} cannot be read: got {count:,} of {len(rows):,} images")
    return columns, broken


def reading(source, rows):
    """Yields what the source decodes; an `OSError` there must not look like one of the cache."""
    try:
        yield from source.decode(rows)
    except OSError as error:
        raise ValueError(f"{source.name} cannot be read: {error}") from error


def all_rows(source):
    return np.arange(len(source.parts))


def place(source):
    return json.dumps([source.name, source.place], sort_keys=True)


def digest(source):
    """Returns a short hash of everything that determines the decoded images."""
    what = [VERSION, PIL.__version__, place(source), source.image_shape, source.content]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


@contextlib.contextmanager
def locked(path, name):
    """Holds the lock of an entry; prints a line before waiting for another run."""
    lock = lock_of(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Waiting for another run to decode {name} ...", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_of(path):
    # The file is never removed: another run could still hold its lock.
    return FileLock(path.with_name(f".{path.name}.lock"))


def remove(path):
    """Removes an entry. It is renamed first, so that no other run sees a partial entry."""
    doomed = None
    with contextlib.suppress(OSError):
        doomed = tempfile.mkdtemp(".unfinished", f"{path.name}.", path.parent)
        os.rename(path, Path(doomed, "entry"))
    if doomed:
        shutil.rmtree(doomed, ignore_errors=True)


def remove_outdated(source, path):
    """Removes entries of the same source from before it changed."""
    for entry in path.parent.glob(f"{source.slug}-*/entry.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if entry.parent != path and json.loads(entry.read_text())["place"] == place(source):
                remove(entry.parent)


def remove_abandoned(folder):
    """Removes unfinished entries of killed runs: those whose lock is free."""
    for path in folder.glob("*.unfinished"):
        match = UNFINISHED.fullmatch(path.name)
        with contextlib.suppress(Timeout):
            if match and path.is_dir():
                with lock_of(folder / match[1]).acquire(timeout=0):
                    shutil.rmtree(path, ignore_errors=True)
