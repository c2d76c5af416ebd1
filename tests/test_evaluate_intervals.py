"""Wilson's interval against known values and its coverage; balanced accuracy."""

import math

import numpy as np
import pytest

from keras_vae import evaluate
from keras_vae.evaluate.intervals import balanced_accuracy

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("successes", "n", "level", "limits"),
    [
        (0, 10, 0.95, (0, 0.2775)),
        (10, 10, 0.95, (0.7225, 1)),
        (8, 10, 0.95, (0.4902, 0.9433)),
        (50, 100, 0.95, (0.4038, 0.5962)),
        (0, 1, 0.95, (0, 0.7935)),
        (0, 0, 0.95, (0, 1)),
    ],
)
def test_known_values(successes, n, level, limits):
    assert evaluate.wilson(successes, n, level) == pytest.approx(limits, abs=5e-5)


def test_the_limits_solve_the_equation_that_defines_them():
    for limit in evaluate.wilson(7, 31, level=0.9):
        sigma = math.sqrt(limit * (1 - limit) / 31)
        assert abs(7 / 31 - limit) == pytest.approx(1.6448536 * sigma)


def test_the_ends_are_exact_and_a_higher_level_is_wider():
    for n in range(1, 50):
        assert evaluate.wilson(0, n)[0] == 0 and evaluate.wilson(n, n)[1] == 1
    low, high = evaluate.wilson(3, 9, level=0.99)
    assert low < evaluate.wilson(3, 9)[0] < evaluate.wilson(3, 9)[1] < high


def test_it_holds_the_true_share_as_often_as_it_says():
    rng = np.random.default_rng(0)
    shares = rng.random(2000)
    limits = [evaluate.wilson(int(count), 40) for count in rng.binomial(40, shares)]
    held = [low <= share <= high for share, (low, high) in zip(shares, limits)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10), "successes"),
        ((11, 10), "integer below 11"),
        ((0.5, 10), "successes"),
        ((0, -1), "`n`"),
        ((1, 2, 0), "level"),
        ((1, 2, 1), "below 1"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate.wilson(*arguments)


def test_balanced_accuracy():
    has = np.array([True] * 2 + [False] * 8)
    assert balanced_accuracy(np.zeros(10), has) == 0.5
    assert balanced_accuracy(has, has) == 1
    assert balanced_accuracy(np.arange(10) % 2, has) == (1 / 2 + 4 / 8) / 2
    assert balanced_accuracy(has, np.ones(10)) is None
    assert balanced_accuracy(has, np.zeros(10)) is None
