"""Loading TensorFlow without what it prints. Only the standard library is needed."""

import contextlib
import os


@contextlib.contextmanager
def quiet():
    """Discards what compiled code prints on standard error."""
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
