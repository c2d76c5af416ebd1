"""Chooses a backend, and loads Keras on it without log messages."""

import contextlib
import importlib.util
import logging
import os
import sys
import warnings

from keras_vae.start.quiet import quiet

BACKENDS = ("jax", "torch", "tensorflow")  # in order of preference


def choose_backend(wanted=None, trained_on=None):
    """Returns the backend to use, without importing any backend.

    Args:
        wanted: The value of --backend, or None.
        trained_on: The backend that the model was trained on, or None.

    Returns:
        `wanted`, or else KERAS_BACKEND, or else `trained_on` if it is installed, or else the first
        one installed.

    Raises:
        ValueError: If the backend is unknown or not installed.
    """
    environment = os.environ.get("KERAS_BACKEND")
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not wanted and environment and environment not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND is {environment!r}; expected one of {', '.join(BACKENDS)}")
    wanted = wanted or environment
    if wanted and wanted not in installed:
        install = f'pip install "keras_vae[{wanted}]"'
        raise ValueError(f"the backend {wanted!r} is not installed. Install it with: {install}")
    if not installed:
        raise ValueError('no backend is installed. Install one: pip install "keras_vae[jax]"')
    return wanted or (trained_on if trained_on in installed else installed[0])


def add_backend(add):
    """Adds --backend to a parser; `add` is its method `add_argument`."""
    add(
        "--backend",
        choices=BACKENDS,
        help="backend of Keras; default: KERAS_BACKEND, else the backend that the model was "
        "trained on if it is installed, else the first one installed",
    )


def load_keras(backend):
    """Imports Keras on this backend; raises `ValueError` if the installation is broken."""
    os.environ["KERAS_BACKEND"] = backend  # read when Keras is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", "Image size .* decompression bomb")  # rejected with an error
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as boxes
    for name in ("absl", "tensorflow"):  # tensorflow warns when it compiles many programs
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with quiet(), hidden("sklearn"):  # it takes a second, for wrappers that we do not use
            import keras  # noqa: F401
    except Exception as error:  # a broken installation can raise anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"the backend {backend!r} cannot be loaded: {reason}") from None


@contextlib.contextmanager
def hidden(package):
    """Makes imports of a package fail, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None
    try:
        yield
    finally:
        del sys.modules[package]
