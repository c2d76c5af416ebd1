"""Plain `pytest` runs the suite once per backend in child processes, then what is run once.

With KERAS_BACKEND set, pytest is ordinary: one process, that backend.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile

import pytest

BACKENDS = ("jax", "tensorflow", "torch")
INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]

# What the tests decode is kept for this run of all backends, and never beside the user's own.
if "KERAS_VAE_TESTS" not in os.environ:
    CACHE = tempfile.TemporaryDirectory()
    os.environ["KERAS_VAE_TESTS"] = os.environ["KERAS_VAE_CACHE"] = CACHE.name

if "KERAS_BACKEND" in os.environ:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401  (imported after TensorFlow it can crash the process)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    option = config.option
    if "KERAS_BACKEND" in os.environ or option.help or option.version or option.collectonly:
        return None
    selected = f"({option.markexpr}) and " if option.markexpr else ""
    parts = {name: (name, f"{selected}not once") for name in INSTALLED}
    parts["once"] = (INSTALLED[0] if INSTALLED else "none", f"{selected}once")
    results = {}
    for part, (backend, expression) in parts.items():
        print(f"\n{f' {part} ':#^80}", flush=True)
        command = [sys.executable, "-m", "pytest", *config.invocation_params.args]
        result = subprocess.run(
            [*command, "-m", expression],
            cwd=config.invocation_params.dir,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        results[part] = result.returncode
        if result.returncode == pytest.ExitCode.INTERRUPTED:
            break
    for missing in set(BACKENDS) - set(INSTALLED):
        results[missing] = "not installed"
    print(f"\n{' all parts ':#^80}")
    words = {0: "passed", 5: "no tests selected"}
    for part, result in results.items():
        print(f"{part}: {words.get(result, result if isinstance(result, str) else 'FAILED')}")
    return overall(results.values())


def overall(results):
    """Returns the exit code for the exit codes of all parts.

    A backend that is not installed is left out, but in continuous integration it is a failure;
    a part in which no test was selected is fine unless that is so in every part.
    """
    failures = [code for code in results if isinstance(code, int) and code not in (0, 5)]
    if failures:
        return failures[0]
    if "not installed" in results and os.environ.get("CI"):
        return 1
    return 0 if 0 in results else 5


@pytest.fixture
def images():
    """37 uint8 images of 6x5 in colour: a ragged last batch for most batch sizes."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (37, 6, 5, 3), "uint8")


@pytest.fixture
def make_vae():
    """Returns a function that makes a small compiled VAE for `images`, always the same one."""
    import keras

    import keras_vae

    def make(image_shape=(6, 5, 3), latent_dim=2, optimizer="adam", **arguments):
        keras.utils.set_random_seed(0)
        parts = keras_vae.build_mlp(image_shape, latent_dim, hidden=(16,))
        model = keras_vae.VAE(*parts, **{"seed": 0, **arguments})
        model.compile(optimizer)
        return model

    return make
