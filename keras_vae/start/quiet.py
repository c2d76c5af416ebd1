"""Silences TensorFlow's messages on import."""

import contextlib
import os


@contextlib.contextmanager
def quiet():
    """Discards standard error, including the output of compiled code."""
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
