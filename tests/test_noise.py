"""Noise as a function: against NumPy's arithmetic, and against the normal distribution."""

import statistics

import numpy as np
import pytest
from keras import ops

from keras_vae import noise

ROWS, COLUMNS = np.arange(128, dtype="int32")[:, None], np.arange(64, dtype="int32")


def draw(function, seed, step, rows=ROWS, columns=COLUMNS):
    return ops.convert_to_numpy(function(np.int32(seed), np.int32(step), rows, columns))


def hashed(x, other=0):
    """`noise.mixed` for NumPy's unsigned integers, which need no care about signs."""
    x = (x ^ (x >> 16)) * np.uint32(0x21F0AAAD) + np.uint32(other)
    x = (x ^ (x >> 15)) * np.uint32(0xD35A2D97)
    return x ^ (x >> 15)


def expected_bits(seed, step):
    seed, step = (np.array([number], "int64").astype("uint32") for number in (seed, step))
    rows, columns = ROWS.astype("uint32"), COLUMNS.astype("uint32")
    one = hashed(hashed(hashed(seed) + step) + rows)
    x = one + columns
    other = hashed(hashed(hashed(rows + np.uint32(0x9E3779B9)) + step) + seed)
    x = (x ^ (x >> 16)) * np.uint32(0x21F0AAAD) + other
    x = (x ^ (x >> 15)) * np.uint32(0xD35A2D97)
    return x ^ (x >> 15)


@pytest.mark.parametrize("seed, step", [(0, 0), (2**31 - 1, 12345), (-1, 2**31 - 1)])
def test_the_numbers_are_the_same_on_every_backend(seed, step):
    bits = expected_bits(seed, step)
    np.testing.assert_array_equal(draw(noise.bits, seed, step).view("uint32"), bits)
    first, second = noise.TABLES
    normal = draw(noise.normal, seed, step)
    np.testing.assert_array_equal(normal, first[bits % 4096] + second[bits >> 20])
    uniform = draw(noise.uniform, seed, step)
    np.testing.assert_array_equal(uniform, (bits >> 8) / np.float32(2**24))
    assert normal.dtype == uniform.dtype == np.float32


def test_a_part_of_the_rows_is_the_same_as_in_the_whole():
    whole = draw(noise.normal, 3, 9)
    np.testing.assert_array_equal(draw(noise.normal, 3, 9, ROWS[40:60]), whole[40:60])
    steps = np.array([8, 9], "int32")[:, None, None]
    several = ops.convert_to_numpy(noise.normal(3, steps, ROWS, COLUMNS))
    np.testing.assert_array_equal(several[1], whole)


@pytest.mark.once
def test_the_distribution_is_normal():
    """Exactly: of all 2^24 sums, whose bits are equally likely."""
    values = np.sort(np.add.outer(*noise.TABLES), axis=None).astype("float64")
    assert len(values) == 2**24
    moments = [np.mean(values**power) for power in range(1, 7)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3, 0, 15], atol=0.04)
    np.testing.assert_allclose(moments[:3], [0, 1, 0], atol=1e-6)
    assert moments[3] == pytest.approx(3, abs=0.0025)
    normal = statistics.NormalDist()
    for quantile in np.linspace(-3, 3, 13):
        share = np.searchsorted(values, quantile) / len(values)
        assert share == pytest.approx(normal.cdf(quantile), abs=4e-5)
    for sigmas, tolerance in ((2, 0.03), (3, 0.03), (3.5, 0.03), (4, 0.03), (4.5, 0.1), (5, 0.2)):
        share = np.mean(values > sigmas)
        assert share == pytest.approx(normal.cdf(-sigmas), rel=tolerance)
    assert values[-1] == -values[0] < 5.4


@pytest.mark.once
def test_rows_columns_steps_and_seeds_are_independent():
    seeds, steps = np.arange(8), np.arange(30)
    z = np.array([[draw(noise.normal, seed, step) for step in steps] for seed in seeds])
    z = z.astype("float64")  # (8, 30, 128, 64)

    def correlation(one, other):
        """In standard deviations of what independent numbers have."""
        return np.sum(one * other) / np.sqrt(one.size)

    for axis in range(4):
        for lag in (1, 2, 7):
            near = np.moveaxis(z, axis, 0)
            assert abs(correlation(near[:-lag], near[lag:])) < 4
            assert abs(correlation(near[:-lag] ** 2 - 1, near[lag:] ** 2 - 1)) / 2 < 4
    assert abs(correlation(z[:, :, 1:, :-1], z[:, :, :-1, 1:])) < 4  # row + column is the same
    assert abs(correlation(z[:, :-1, 1:], z[:, 1:, :-1])) < 4  # step + row
    square = z[:, :8]
    off = ~np.eye(8, dtype=bool)
    assert abs(correlation(square[off], np.swapaxes(square, 0, 1)[off])) / np.sqrt(2) < 4
    assert len(np.unique(z.reshape(-1, 64), axis=0)) == 8 * 30 * 128


@pytest.mark.once
def test_each_bit_is_fair_and_changes_with_each_bit_of_the_arguments():
    bits = draw(noise.bits, 0, 0).view("uint32").ravel()
    ones = [np.mean(bits >> place & 1) for place in range(32)]
    np.testing.assert_allclose(ones, 0.5, atol=4 * 0.5 / np.sqrt(bits.size))
    for place in range(0, 31, 5):
        for name in ("seed", "step", "row", "column"):
            change = {"seed": 0, "step": 0, "rows": ROWS, "columns": COLUMNS}
            key = name if name in change else f"{name}s"
            change[key] = change[key] ^ np.int32(1 << place)
            flipped = draw(noise.bits, **change).view("uint32").ravel() ^ bits
            share = np.mean([np.mean(flipped >> place & 1) for place in range(32)])
            assert share == pytest.approx(0.5, abs=0.005), (name, place)
