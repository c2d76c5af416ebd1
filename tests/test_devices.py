"""Several devices: the numbers of one, on virtual devices of a process and in several processes."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import INSTALLED, ONE_CORE
from test_across_backends import QUICK

from keras_vae import parallel

pytestmark = [pytest.mark.once, pytest.mark.several]

WORKER = Path(__file__).with_name("devices_worker.py")
ALWAYS = ("everything", "stream")
# As `conftest.py` deals out cases of tests: each on one backend, unless --every-case is given.
OTHERS = ("plain", "augmented", "conv", "scaled", "conditional", "conditional_augmented")
OTHERS += ("conditional_stream",)
PATIENCE = 300  # seconds


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def processes(backend, count):
    """Returns the environments of processes that work together."""
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        pytest.skip("gloo needs a host name with an address")
    if backend == "jax":
        (port,) = free_ports(1)
        return [{"JOIN": f"localhost:{port} {count} {index}"} for index in range(count)]
    ports = free_ports(count)
    if backend == "tensorflow":
        cluster = {"worker": [f"localhost:{port}" for port in ports]}
        tasks = [{"type": "worker", "index": index} for index in range(count)]
        return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": str(ports[0])}
    return [common | {"RANK": str(i), "LOCAL_RANK": str(i)} for i in range(count)]


def start(backend, cases, folder, environments):
    common = {**os.environ, **ONE_CORE, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend}
    common |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": QUICK["JAX_DISABLE_MOST_OPTIMIZATIONS"]}
    return [
        subprocess.Popen(
            [sys.executable, WORKER, *cases, folder],
            env=common | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in environments
    ]


def train(backend, cases, folder, environments=({},)):
    """Trains in one process or several; returns losses and weights by case."""
    started = start(backend, cases, folder, environments)
    try:
        for process in started:
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in started:
            process.kill()
    return {case: dict(np.load(Path(folder, f"{case}.npz")).items()) for case in cases}


@pytest.fixture(scope="module", params=INSTALLED)
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def cases(backend, request):
    """The cases of a backend: on JAX Keras's loop needs `DataParallel`, with a test of its own."""
    place, step = INSTALLED.index(backend), len(INSTALLED)
    others = OTHERS if request.config.option.every_case else OTHERS[place::step]
    return (*ALWAYS, *others, *(() if backend == "jax" else ("keras_loop",)))


@pytest.fixture(scope="module")
def one(backend, cases, tmp_path_factory):
    """What one device computes."""
    return train(backend, cases, tmp_path_factory.mktemp("one"))


def assert_same(several, one, devices=2):
    for case, result in several.items():
        assert (result["devices"], one[case]["devices"]) == (devices, 1)
        # In half precision sums round differently for other rows.
        tolerance = 1e-2 if case == "scaled" else 1e-5
        for name in ("losses", "weights"):
            scale = np.abs(one[case][name]).max()
            difference = np.abs(result[name] - one[case][name]).max() / scale
            assert difference < tolerance, (case, name, difference)


def virtual(backend, count):
    """Returns the environments for devices of one machine."""
    return processes("torch", count) if backend == "torch" else [{"DEVICES": str(count)}]


def test_two_devices_compute_what_one_does(backend, cases, one, tmp_path):
    assert_same(train(backend, cases, tmp_path, virtual(backend, 2)), one)


def test_so_do_four_of_which_some_have_no_row_of_the_last_batch(backend, one, tmp_path):
    assert_same(train(backend, ("everything",), tmp_path, virtual(backend, 4)), one, devices=4)


def test_so_do_processes(backend, one, tmp_path):
    if backend == "torch":
        pytest.skip("its devices are processes")
    assert_same(train(backend, ALWAYS, tmp_path, processes(backend, 2)), one)


def test_so_does_data_parallel_of_keras(tmp_path):
    if "jax" not in INSTALLED:
        pytest.skip("needs JAX")
    cases = ("everything", "keras_loop")
    one = train("jax", cases, tmp_path)
    several = train("jax", cases, tmp_path, [{"DEVICES": "2", "DATA_PARALLEL": "1"}])
    assert_same(several, one)


def test_a_process_that_dies_ends_the_others(backend, tmp_path):
    first, second = start(backend, ("endless",), tmp_path, processes(backend, 2))
    try:
        for line in first.stdout:
            if line.startswith("epoch 2"):
                break
        second.kill()
        began = time.monotonic()
        first.communicate(timeout=60)
        assert first.returncode != 0 and time.monotonic() - began < 60
    finally:
        first.kill()
        second.kill()


def several(monkeypatch, divides):
    monkeypatch.setattr(parallel.backend, "DIVIDES", divides)
    monkeypatch.setattr(parallel, "devices", lambda model: 2)


def test_what_keras_loop_cannot_divide_is_refused(make_vae, images, monkeypatch):
    batches = (images[start : start + 8] for start in range(0, 32, 8))
    several(monkeypatch, divides=True)
    flip = keras.layers.RandomFlip("horizontal", dtype="float32")
    with pytest.raises(ValueError, match="an augmentation needs an array, or images on disk"):
        make_vae(augmentation=flip).fit(batches, verbose=0)
    several(monkeypatch, divides=False)
    with pytest.raises(ValueError, match=r"set a `keras\.distribution\.DataParallel`"):
        make_vae().fit(batches, verbose=0)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 128])
@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_parts_are_all_rows_of_a_batch(rows, count):
    parts = [parallel.part_of(index, count, rows) for index in range(count)]
    found = [row for part in parts if part.counts for row in range(part.start, part.stop)]
    assert found == list(range(rows))
    assert all(part.stop > part.start and part.start < rows for part in parts)
    sizes = [part.stop - part.start for part in parts if part.counts]
    assert max(sizes) - min(sizes) <= 1


def test_shares_of_parts_add_up(monkeypatch):
    x = np.arange(10, dtype="float32").reshape(5, 2)
    shares = []
    for index in range(8):
        with parallel.taking(parallel.part_of(index, 8, 5)):
            own = parallel.own(x)
            assert parallel.rows(len(own)) == 5 and parallel.own_rows(5) == len(own)
            shares.append([*np.asarray(parallel.mean(own)), np.asarray(parallel.share(own))])
    np.testing.assert_allclose(np.sum(shares, axis=0), [4, 5, 1], rtol=1e-6)
    assert parallel.share(x) == 1 and parallel.own(x) is x


@pytest.mark.parametrize(
    "layer, why",
    [
        (keras.layers.Dropout(0.1), "draws the same random numbers"),
        (keras.layers.BatchNormalization(), "normalises over the rows of one device"),
    ],
)
def test_layers_that_depend_on_the_division_are_refused(layer, why, make_vae):
    model = make_vae()
    parallel.check(model)
    model.decoder = keras.Sequential([keras.Input((2,)), layer, model.decoder])
    with pytest.raises(ValueError, match=why):
        parallel.check(model)
