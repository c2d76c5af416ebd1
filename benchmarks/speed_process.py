"""The measurements of benchmarks/speed.py, each in a separate process, which has one backend.

    KERAS_BACKEND=jax python benchmarks/speed_process.py TASK '{"case": ..., "started": ...}'

Prints one line of JSON. `alone` does not import the loops by hand, so that its start and memory
are those of a user's process.
"""

import contextlib
import dataclasses
import itertools
import json
import resource
import statistics
import sys
import time

import keras
import numpy as np
from cases import CASES, EMPTY, make_images, make_model

MORE_ON_A_GPU = 10  # factor of the number of images, for epochs long enough to measure


def alone(case, options):
    """Measures start, first step, memory, and the latency of `encode` and `decode`."""
    images = make_images(case, case.images)
    model = make_model(case, float(images.mean() / 255), 1000)
    begun = time.perf_counter()
    model.fit(images[: case.batch_size], batch_size=case.batch_size, verbose=0)
    now = time.perf_counter(), time.time()
    model.fit(images, batch_size=case.batch_size, verbose=0)
    numbers = {
        "first_step_seconds": now[0] - begun,
        "process_to_first_step_seconds": now[1] - options["started"],
        "peak_megabytes": peak_megabytes(),
        "device_peak_megabytes": device_peak_megabytes(),
    }
    z = np.zeros((64, case.latent_dim), "float32")
    for count in (1, 64):
        numbers[f"encode_{count}_ms"] = latency(lambda count=count: model.encode(images[:count]))
        numbers[f"decode_{count}_ms"] = latency(lambda count=count: model.decode(z[:count]))
    return numbers


def pairs(case, options):
    """Compares the speed of `fit` with the loop by hand and with the peak of the machine."""
    import agreement
    import by_hand
    from flops import flops_of_training, peak_gflops

    precision, module = options["precision"], by_hand.framework()
    # Frameworks may let GPUs round the factors of float32 products.
    tolerance = 2e-2 if precision != "float32" else 2e-3 if on_gpu() else 1e-4
    agreement.check(case, precision, tolerance)
    images = make_images(case, case.images)
    pixel_mean = float(images.mean() / 255)
    epochs = options["pairs"] + 1  # the first compiles
    steps = epochs * -(-len(images) // case.batch_size)
    model = make_model(case, pixel_mean, steps)

    parameters = by_hand.parameters(model)
    ways = module.WAYS if options["compile"] else module.WAYS[:1]
    loops = {
        how: module.Loop(case, parameters, images, pixel_mean, steps, precision, how)
        for how in ways
    }
    how, by_hand_first = fastest(loops)
    clock = Alternating(loops[how])
    peaks = [peak_gflops(precision)]
    clock.start()
    model.fit(images, batch_size=case.batch_size, epochs=epochs, callbacks=[clock], verbose=0)
    peaks.append(peak_gflops(precision))
    ours, theirs = np.array(clock.ours[1:]), np.array(clock.theirs[1:])
    seconds, gflops = statistics.median(ours), flops_of_training(model) / 1e9
    return {
        "images": len(images),
        "by_hand": how,
        "images_per_second": len(images) / seconds,
        "by_hand_images_per_second": len(images) / statistics.median(theirs),
        "ratio": statistics.median(theirs / ours),
        "ratios": sorted((theirs / ours).tolist()),
        "first_epoch_seconds": clock.ours[0],
        "by_hand_first_epoch_seconds": by_hand_first,
        "compile_seconds": clock.ours[0] - seconds,
        "by_hand_compile_seconds": by_hand_first - statistics.median(theirs),
        "peak_gflops": max(peaks),
        "share_of_peak": gflops * len(images) / seconds / max(peaks),
    }


def empty(case, options):
    """Measures the overhead of a step."""
    import by_hand

    images = make_images(case, case.images)
    steps = (options["pairs"] + 1) * len(images)
    model = make_model(case, 0.5, steps)
    module = by_hand.framework()
    clock = Alternating(
        module.Loop(case, by_hand.parameters(model), images, 0.5, steps, "float32", module.WAYS[0])
    )
    clock.start()
    model.fit(images, batch_size=1, epochs=options["pairs"] + 1, callbacks=[clock], verbose=0)
    per_step = 1e6 / len(images)
    return {
        "step_microseconds": per_step * statistics.median(clock.ours[1:]),
        "by_hand_step_microseconds": per_step * statistics.median(clock.theirs[1:]),
    }


class Alternating(keras.callbacks.Callback):
    """Runs an epoch of the loop by hand after each epoch of `fit`, and times both.

    Work of `fit` between two epochs counts as time of `fit`. Both epochs end with losses on the
    host, so the device has finished.
    """

    def __init__(self, loop):
        super().__init__()
        self.loop = loop
        self.ours, self.theirs = [], []

    def start(self):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        float(logs["loss"])
        now = time.perf_counter()
        self.ours.append(now - self.begun)
        losses = self.loop.epoch()
        self.begun = time.perf_counter()
        self.theirs.append(self.begun - now)
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"The loop by hand diverged: losses={losses}")


def fastest(loops):
    """Returns the name of the fastest loop by hand, and the seconds of its first epoch."""
    first = {how: seconds_of(loop.epoch) for how, loop in loops.items()}
    if len(loops) == 1:
        return next(iter(first.items()))
    seconds = {how: [] for how in loops}
    for _, (how, loop) in itertools.product(range(2), loops.items()):
        seconds[how].append(seconds_of(loop.epoch))
    how = min(seconds, key=lambda how: min(seconds[how]))
    return how, first[how]


def seconds_of(function):
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def latency(function, most_seconds=0.7):
    """Returns the median milliseconds of a call that returns NumPy arrays."""
    function()
    seconds, until = [], time.perf_counter() + most_seconds
    while len(seconds) < 5 or (len(seconds) < 100 and time.perf_counter() < until):
        seconds.append(seconds_of(function))
    return 1e3 * statistics.median(seconds)


def peak_megabytes():
    """Returns the peak memory of this process on the host."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes


def on_gpu():
    """Returns whether the backend computes on a GPU."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU"))
    import torch

    return torch.cuda.is_available()


def device_peak_megabytes():
    """Returns the peak memory of arrays on the GPU; None without a GPU."""
    if not on_gpu():
        return None
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    import torch

    return torch.cuda.max_memory_allocated() / 1e6


def main():
    task, options = sys.argv[1], json.loads(sys.argv[2])
    keras.config.set_dtype_policy(options["precision"])
    case = EMPTY if task == "empty" else CASES[options["case"]]
    gpu = on_gpu()
    images = int(case.images * options["share"]) * (MORE_ON_A_GPU if gpu else 1)
    if case.batch_size > 1:
        images += images % case.batch_size == 0  # keep the smaller last batch
    case = dataclasses.replace(case, images=images)
    with contextlib.redirect_stdout(sys.stderr):  # messages of frameworks
        numbers = {"alone": alone, "pairs": pairs, "empty": empty}[task](case, options)
    print(json.dumps({"gpu": gpu, **numbers}))


if __name__ == "__main__":
    main()
