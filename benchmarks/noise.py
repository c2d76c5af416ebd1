"""Writes the random bits of `keras_vae.noise` to the standard output, for batteries of tests.

    python benchmarks/noise.py --fastest column | dieharder -a -g 200
    python benchmarks/noise.py --fastest seed --gigabytes 1 | dieharder -d 2 -g 200

`--fastest` names the argument that varies fastest; the others follow in turn.
"""

import argparse
import itertools
import sys

import numpy as np
from keras import ops

from keras_vae import noise

SIZES = {"column": 64, "row": 128, "step": 64, "seed": 64}  # of a block of 128 MB


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fastest", choices=SIZES, default="column")
    parser.add_argument("--gigabytes", type=float, default=float("inf"))
    args = parser.parse_args()
    names = [args.fastest, *(name for name in SIZES if name != args.fastest)]
    left = args.gigabytes * 1e9
    for block in itertools.count():  # the steps go on, all other arguments are repeated
        for slow in range(SIZES[names[-1]]):
            at = {names[-1]: np.array(slow).reshape(1, 1, 1)}
            for axis, name in enumerate(reversed(names[:-1])):
                at[name] = np.arange(SIZES[name]).reshape(
                    [-1 if i == axis else 1 for i in range(3)]
                )
            at["step"] = at["step"] + block * SIZES["step"]
            bits = noise.bits(**{name: values.astype("int32") for name, values in at.items()})
            sys.stdout.buffer.write(ops.convert_to_numpy(bits))
            left -= bits.size * 4
            if left <= 0:
                return


if __name__ == "__main__":
    main()
