import random

import keras
import pytest

import keras_vae
from keras_vae.training import memory

SHAPE = (64, 64, 3)


@pytest.mark.parametrize(
    "build, batch_size",
    [
        (lambda: keras_vae.build_mlp(SHAPE, 4, (16,), straight=True), 128),
        (lambda: keras_vae.build_patches(SHAPE, 4, (16, 3, 5)), 128),
        (lambda: keras_vae.build_conv(SHAPE, 4, (8, 16)), 7),
        (lambda: [keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])], 10),
    ],
)
def test_what_training_takes_is_that_of_the_network_made(build, batch_size):
    parts = build()
    parameters, needed = memory.to_train(build, batch_size)
    assert parameters == sum(part.count_params() for part in parts)
    values = 0
    for part in parts:
        images = keras.ops.zeros((1, *part.input_shape[1:]))
        layers = [x for x in part.layers if not isinstance(x, keras.layers.InputLayer)]
        results = keras.Model(part.inputs, [layer.output for layer in layers])(images)
        values += sum(int(keras.ops.size(result)) for result in keras.tree.flatten(results))
    assert needed == 32 * parameters + 16 * batch_size * values


def test_a_network_of_any_size_is_measured_without_making_it():
    widths = (2_000_000_000, 2_000_000_000)
    parameters, _ = memory.to_train(lambda: keras_vae.build_mlp(SHAPE, 4, widths), 128)
    assert parameters > 8e18
    parameters, _ = memory.to_train(lambda: keras_vae.build_conv(SHAPE, 4, (10_000_000,)), 128)
    assert parameters > 2e16
    with keras.StatelessScope():  # its end makes what such scopes have put off
        pass


def test_measuring_changes_no_weights():
    def weights(measured):
        keras.utils.set_random_seed(3)
        if measured:
            memory.to_train(build, 1)
        return build()[0].get_weights()

    def build():
        return keras_vae.build_mlp((4, 4, 1), 2, (3,))

    for one, other in zip(weights(False), weights(True)):
        assert (one == other).all()
    state = random.getstate()
    memory.to_train(build, 1)
    assert random.getstate() == state


def test_a_mistake_in_the_network_is_that_of_the_builder():
    with pytest.raises(ValueError, match="Argument `hidden` must be"):
        memory.to_train(lambda: keras_vae.build_mlp(SHAPE, 4, (0,)), 1)


@pytest.mark.once
def test_the_least_of_machine_and_control_groups_is_free(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert memory.free(tmp_path) is None
    write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert memory.free(tmp_path) == 5000 * 1024
    write("proc/self/cgroup", "5:devices:/a\n4:memory:/a/b\n0::/c/d\n")
    assert memory.free(tmp_path) == 5000 * 1024
    for folder, limit in (("a/b", 2**63 - 4096), ("a", 4_000_000), (".", 9_000_000)):
        folder = f"sys/fs/cgroup/memory/{folder}"
        write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        write(f"{folder}/memory.usage_in_bytes", "1000000\n")
        write(f"{folder}/memory.stat", "cache 800\ntotal_inactive_file 500\n")
    assert memory.free(tmp_path) == 3_000_500
    for folder, limit in (("c/d", "3000000"), ("c", "max")):
        write(f"sys/fs/cgroup/{folder}/memory.max", f"{limit}\n")
        write(f"sys/fs/cgroup/{folder}/memory.current", "1000000\n")
        write(f"sys/fs/cgroup/{folder}/memory.stat", "file 800\ninactive_file 100\n")
    assert memory.free(tmp_path) == 2_000_100
