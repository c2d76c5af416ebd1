"""Files that appear complete or not at all."""

import contextlib
import os
from pathlib import Path

TEMPORARY = ".unfinished-"  # prefix of the name of a file while it is written


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path to write to; moves the file to `path` unless an error occurs."""
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary_files(folder):
    """Removes the partial files of a process that ends while it writes."""
    for path in Path(folder).glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)
