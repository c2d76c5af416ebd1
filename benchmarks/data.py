"""The cost of data: loading time, training speed and peak memory, from memory and from disk.

    KERAS_BACKEND=jax python benchmarks/data.py --files 2000 20000 200000

Writes 64 x 64 JPEG files of drawn faces with random colour changes, and trains a dense network on
them for some steps, with the images in memory and streamed. Each measurement runs in a separate
process; those of the same number of files share a cache. Run it on an otherwise idle machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH, STEPS = 128, 150


def write_files(folder, count):
    """Writes a file for each picture, in folders of 1,000."""
    import numpy as np
    from PIL import Image

    from keras_vae.datasets import faces

    drawn = faces.draw(min(count, 10_000), seed=9).images
    rng = np.random.default_rng(0)
    for number in range(count):
        image = drawn[rng.integers(len(drawn))] * rng.uniform(0.7, 1.1, 3)
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(image, 0, 255).astype("uint8")).save(path, quality=90)


def measure(folder, memory):
    """Loads and trains in this process; prints time and memory as JSON."""
    import keras

    import keras_vae
    from keras_vae import datasets
    from keras_vae.training import recipes

    keras.utils.set_random_seed(0)
    started = time.perf_counter()
    data = datasets.load(folder, memory=memory)
    start = time.perf_counter() - started
    parts = keras_vae.build_mlp(data.image_shape, 32, [256], activation="silu")
    model = keras_vae.VAE(*parts, "gaussian", seed=0)
    model.compile(recipes.make_optimizer(1e-3, 10 * STEPS))
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        steps = min(STEPS, -(-len(data.train) // BATCH))
        model.fit(data.train.images, batch_size=BATCH, steps_per_epoch=steps, verbose=0)
        seconds.append((time.perf_counter() - started) / steps)
    print(
        json.dumps(
            {
                "start_seconds": round(start, 2),
                # The first epoch compiles; the fastest of the others is the least disturbed.
                "images_per_second": round(BATCH / min(seconds[1:])),
                "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], float(args.measure[1]))
        return
    for count in args.files:
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder, "files"), count)
            environment = {**os.environ, "KERAS_VAE_CACHE": str(Path(folder, "cache"))}
            for what, memory in (
                ("first start", "100"),
                ("in memory", "100"),
                ("streamed", "0"),
                ("in memory", "100"),
                ("streamed", "0"),
            ):
                command = [
                    sys.executable,
                    __file__,
                    "--measure",
                    str(Path(folder, "files")),
                    memory,
                ]
                result = subprocess.run(command, env=environment, capture_output=True, text=True)
                if result.returncode:
                    sys.exit(result.stderr)
                numbers = json.loads(result.stdout.splitlines()[-1])
                print(f"{count:7,} files, {what:11}", numbers, flush=True)


if __name__ == "__main__":
    main()
