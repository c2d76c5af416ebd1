"""Silences messages, also those of compiled code."""

import contextlib
import os
import sys

OUTPUT, ERRORS = 1, 2  # descriptors


@contextlib.contextmanager
def quiet(descriptor=ERRORS):
    """Discards what is written to standard error or output, also by compiled code."""
    if descriptor == OUTPUT:
        sys.stdout.flush()
    screen = os.dup(descriptor)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(screen, descriptor)
        os.close(screen)
