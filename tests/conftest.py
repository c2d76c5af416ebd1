"""Plain `pytest` runs the suite once per backend in child processes, and what is run once in two.

As many of these parts run at a time as there are processor cores, each on one; what a part prints
begins with its name. A test of several cases runs on every backend, but each of its cases on one of
them (one of two cases on two), and so do the tests of a file that are marked `by_turns`;
`pytest --every-case` runs all on every backend. With KERAS_BACKEND set, pytest is ordinary: one
process, that backend, all cases.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# As root Chromium needs the first; the others keep it from calling home.
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

BACKENDS = ("jax", "tensorflow", "torch")
INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]

# Two parts on two cores are slowed down if each has threads for both.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "NPROC": "1",  # of JAX
}

# What the tests decode is kept for this run of all backends, and never beside the user's own.
if "KERAS_VAE_TESTS" not in os.environ:
    CACHE = tempfile.TemporaryDirectory()
    os.environ["KERAS_VAE_TESTS"] = os.environ["KERAS_VAE_CACHE"] = CACHE.name

if "KERAS_BACKEND" in os.environ:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401  (imported after TensorFlow it can crash the process)

if os.environ.get("KERAS_BACKEND") == "jax":
    # Many tests compile the same programs. Not for other processes: JAX's files may be read
    # while they are written, and those of users have a cache of their own.
    import jax

    PROGRAMS = tempfile.TemporaryDirectory()
    jax.config.update("jax_compilation_cache_dir", PROGRAMS.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_disable_most_optimizations", True)

    @pytest.fixture(autouse=True, scope="module")
    def release_programs():
        """Releases compiled programs after each file of tests: together they take gigabytes."""
        yield
        jax.clear_caches()


def pytest_addoption(parser):
    parser.addoption("--every-case", action="store_true", help="every case on every backend")


def pytest_collection_modifyitems(config, items):
    part = os.environ.get("KERAS_VAE_PART")
    if part not in INSTALLED or config.option.every_case:
        return
    cases = {}
    for item in items:
        if item.get_closest_marker("once"):  # in a part of its own
            continue
        name = "by_turns" if item.get_closest_marker("by_turns") else item.originalname
        cases.setdefault((item.path, item.cls, name), []).append(item)
    mine = {item for same in cases.values() for item in dealt(same, INSTALLED.index(part))}
    config.hook.pytest_deselected(items=[item for item in items if item not in mine])
    items[:] = [item for item in items if item in mine]


def dealt(cases, place):
    """Returns the cases of one test that the backend at this place of `INSTALLED` runs."""
    count = min(len(INSTALLED), len(cases))
    place %= count
    # The places are shifted after each round, so that no argument of a product of arguments
    # stays with one backend.
    return [c for i, c in enumerate(cases) if (i + i // count + i // count**2) % count == place]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    option = config.option
    if "KERAS_BACKEND" in os.environ or option.help or option.version or option.collectonly:
        return None
    selected = f"({option.markexpr}) and " if option.markexpr else ""
    parts = {name: (name, f"{selected}not once") for name in INSTALLED}
    first = INSTALLED[0] if INSTALLED else "none"
    # Two parts, so that the last ones to start end at about the same time on two cores.
    parts["once"] = (first, f"{selected}once and not several")
    parts["several"] = (first, f"{selected}several")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        started = []
        running = {
            part: pool.submit(run_part, config, part, backend, expression, started)
            for part, (backend, expression) in parts.items()
        }
        try:
            results = {part: future.result() for part, future in running.items()}
        except KeyboardInterrupt:  # a terminal sends it to the parts as well
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()
            return pytest.ExitCode.INTERRUPTED
    for missing in set(BACKENDS) - set(INSTALLED):
        results[missing] = "not installed"
    print(f"\n{' all parts ':#^80}")
    words = {0: "passed", 5: "no tests selected"}
    for part, result in results.items():
        print(f"{part}: {words.get(result, result if isinstance(result, str) else 'FAILED')}")
    return overall(results.values())


def run_part(config, part, backend, expression, started):
    """Runs a part of the suite in another process and returns its exit code."""
    environment = {**ONE_CORE, **os.environ, "KERAS_BACKEND": backend, "KERAS_VAE_PART": part}
    if sys.stdout.isatty():
        environment["PY_COLORS"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *config.invocation_params.args, "-m", expression],
        cwd=config.invocation_params.dir,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    started.append(process)
    for line in process.stdout:
        print(f"{part:>10} | {line}", end="", flush=True)
    return process.wait()


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


@pytest.fixture
def command(capsys):
    """Returns a function that runs a command here and gives (exit code, output, errors)."""

    from keras_vae.commands.main import main

    def call(*arguments):
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Runs train.py here, not in a process of its own; gives (exit code, output, errors)."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    import keras

    import train

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        capsys.readouterr()
        try:
            code = train.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    stopped = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    yield call
    for name, handler in stopped.items():
        signal.signal(name, handler)
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def browser():
    """Chromium, for tests of pages."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        need = pytest.fail if os.environ.get("CI") else pytest.skip
        need("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
