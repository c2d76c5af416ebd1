"""The backends against each other: each computes in a process of its own, NumPy compares."""

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import INSTALLED

pytestmark = [
    pytest.mark.once,
    pytest.mark.several,
    pytest.mark.skipif(len(INSTALLED) < 2, reason="needs two backends to compare"),
]
PAIRS = list(itertools.combinations(INSTALLED, 2))
WORKER = Path(__file__).with_name("backend_worker.py")
KINDS = ("plain", "whole", "pieces", "others")
# Each file is loaded on one backend, the next or the one before, so that each backend loads two
# kinds of each other one's, one of them with a flow. With --every-case it is loaded on all.
AFTER = {"plain": 1, "whole": -1, "pieces": -1, "others": 1}


# No two processes of JAX run at once, so that they can share a cache: see conftest.py.
QUICK = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def on_every_backend(task, folder, files=None):
    """Runs a task of backend_worker.py, with the files that `files` names for a backend."""
    environment = {**os.environ, **QUICK, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")

    def run(backend):
        return subprocess.run(
            [sys.executable, WORKER, task, folder, *(files or {}).get(backend, ())],
            env={**environment, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
        )

    with ThreadPoolExecutor(max_workers=2) as pool:
        for backend, result in zip(INSTALLED, pool.map(run, INSTALLED)):
            assert result.returncode == 0, f"{backend}: {result.stderr}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    on_every_backend("write", folder)
    return folder


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def trained(folder, kind):
    return {backend: np.load(folder / f"{kind}-{backend}.npz") for backend in INSTALLED}


@pytest.fixture(scope="module")
def readers(request):
    """The backends that load what another has saved, by kind and writer."""
    count = len(INSTALLED)
    return {
        (kind, writer): INSTALLED
        if request.config.option.every_case
        else [INSTALLED[(place + AFTER[kind]) % count]]
        for kind in KINDS
        for place, writer in enumerate(INSTALLED)
    }


@pytest.fixture(scope="module")
def saved(folder, readers):
    files = {
        backend: [f"model-{kind}-{by}.keras" for (kind, by), to in readers.items() if backend in to]
        for backend in INSTALLED
    }
    on_every_backend("load", folder, files)
    return folder


@pytest.mark.parametrize("one, other", PAIRS)
def test_the_same_step_gives_the_same_losses(trained, kind, one, other):
    names = ["kl_loss", "kl_weight", "loss", "reconstruction_loss"]
    if kind in ("pieces", "others"):
        names.insert(3, "penalty_loss")
    assert trained[one]["loss_names"].tolist() == trained[other]["loss_names"].tolist() == names
    near_zero = 1e-4 if kind == "others" else 0
    np.testing.assert_allclose(
        trained[one]["losses"], trained[other]["losses"], rtol=1e-5, atol=near_zero
    )


@pytest.mark.parametrize("one, other", PAIRS)
def test_the_same_step_gives_the_same_gradients(trained, one, other):
    a, b = trained[one]["gradient"], trained[other]["gradient"]
    assert np.linalg.norm(a) > 0.1
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.9999
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * abs(a).max())


@pytest.mark.parametrize("one, other", PAIRS)
def test_one_seed_is_one_training(trained, kind, one, other):
    assert trained[one]["history_names"].tolist() == trained[other]["history_names"].tolist()
    assert len(trained[one]["history_names"]) == (10 if kind in ("pieces", "others") else 8)
    near_zero = 1e-4 if kind == "others" else 0
    np.testing.assert_allclose(
        trained[one]["history"], trained[other]["history"], rtol=1e-4, atol=near_zero
    )


@pytest.mark.parametrize("writer", INSTALLED)
def test_a_model_saved_on_one_backend_is_the_same_on_another(saved, readers, kind, writer):
    expected = np.load(saved / f"saved-{kind}-{writer}.npz")
    # Variance and updates of the likelihood, steps and seed of the noise.
    assert len(expected["state"]) == (4 if kind == "whole" else 2)
    for reader in readers[kind, writer]:
        found = np.load(saved / f"loaded-{kind}-{writer}-on-{reader}.npz")
        assert sorted(found) == sorted(expected)
        for name in expected:
            difference = f"{name} on {reader}"
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=difference
            )
