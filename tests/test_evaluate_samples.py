"""Distances between sets of features whose moments and neighbours are known."""

import json

import numpy as np
import pytest

from keras_vae import evaluate
from keras_vae.evaluate import samples

pytestmark = pytest.mark.once


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def uncorrelated(n, d, seed=0):
    """Features whose sample mean is 0 and whose sample covariance is the identity, exactly."""
    features = normal(n, d, seed)
    q, _ = np.linalg.qr(features - features.mean(axis=0))
    return q * np.sqrt(n - 1)


def test_frechet_distance_of_diagonal_gaussians_has_a_closed_form():
    rng = np.random.default_rng(1)
    scale, other_scale, shift = rng.uniform(0, 3, (3, 6))
    scale[0] = other_scale[1] = 0
    expected = np.sum((scale - other_scale) ** 2) + np.sum(shift**2)
    one, other = uncorrelated(50, 6) * scale, uncorrelated(90, 6, seed=1) * other_scale + shift
    assert evaluate.frechet_distance(one, other) == pytest.approx(expected, rel=1e-7)
    assert evaluate.frechet_distance(other, one) == pytest.approx(expected, rel=1e-7)


def test_frechet_distance_does_not_depend_on_the_axes():
    turn, _ = np.linalg.qr(normal(5, 5, seed=3))
    one, other = normal(40, 5) * [1, 2, 3, 4, 5], normal(40, 5, seed=1)
    expected = evaluate.frechet_distance(one, other)
    assert evaluate.frechet_distance(one @ turn, other @ turn) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (10, 40), (2, 3), (50, 1)])
def test_frechet_distance_of_equal_and_of_shifted_sets(n, d):
    """Covariances are singular where there are fewer features than dimensions."""
    features = normal(n, d).astype("float32") * 100
    assert evaluate.frechet_distance(features, features) == pytest.approx(0, abs=1e-7)
    shifted = features.astype("float64") + 2
    assert evaluate.frechet_distance(features, shifted) == pytest.approx(4 * d, rel=1e-6)


def test_frechet_distance_of_features_that_never_change():
    assert evaluate.frechet_distance(np.zeros((5, 3)), np.ones((4, 3))) == pytest.approx(3)


def test_precision_and_recall_of_the_same_and_of_far_away():
    real = normal(300, 4)
    assert evaluate.precision_recall(real, real) == (1, 1)
    assert evaluate.precision_recall(real, real + 100) == (0, 0)
    assert evaluate.precision_recall(real + 1e6, real + 1e6) == (1, 1)
    precision, recall = evaluate.precision_recall(real, normal(300, 4, seed=1))
    assert 0.7 < precision < 1 and 0.7 < recall < 1


def test_generated_features_on_one_mode_are_precise_without_recall():
    real = normal(300, 2) + np.repeat([[-50, 0], [50, 0], [0, 50]], 100, axis=0)
    one_mode = real[:100].mean(axis=0) + 0.05 * normal(300, 2, seed=1)
    precision, recall = evaluate.precision_recall(real, one_mode)
    assert precision == 1 and recall < 0.05
    same = np.repeat(real[:1], 300, axis=0)  # balls of radius 0
    assert evaluate.precision_recall(real, same) == (1, pytest.approx(1 / 300))


def test_generated_features_of_twice_the_space_have_recall_without_precision():
    rng = np.random.default_rng(0)
    real, wide = rng.random((2000, 1)), 2 * rng.random((2000, 1))
    precision, recall = evaluate.precision_recall(real, wide)
    assert recall > 0.98 and precision == pytest.approx(0.5, abs=0.05)


def test_balls_reach_to_the_kth_neighbour():
    real = np.array([[0.0], [1], [3], [6]])
    assert samples.neighbour_distances(real, 1).tolist() == [1, 1, 4, 9]
    assert samples.neighbour_distances(real, 3).tolist() == [36, 25, 9, 36]
    generated = np.array([[-1.5], [-1.5], [8.5], [9.5]])
    assert evaluate.precision_recall(real, generated, k=1) == (0.25, 0)
    assert evaluate.precision_recall(real, generated, k=2) == (1, 1)


def test_blocks_change_nothing(monkeypatch):
    sets = normal(101, 3), normal(101, 3, seed=1)
    whole = evaluate.precision_recall(*sets)
    monkeypatch.setattr(samples, "BLOCK", 700)
    assert evaluate.precision_recall(*sets) == whole


def test_report():
    sets = {"test": normal(200, 3), "train": normal(150, 3, 1), "prior": normal(300, 3, 2) + 5}
    report = evaluate.sample_report(sets)
    assert report["n"] == 150 and report["features"] == 3
    assert list(report["rows"]) == ["train", "prior"]
    test, train = sets["test"][np.arange(150) * 200 // 150], sets["train"]
    precision, recall = evaluate.precision_recall(test, train)
    assert report["rows"]["train"] == {
        "frechet": evaluate.frechet_distance(test, train),
        "precision": precision,
        "recall": recall,
    }
    assert report["rows"]["prior"]["frechet"] == pytest.approx(75, rel=0.1)
    assert json.loads(json.dumps(report)) == report


def test_the_report_takes_rows_from_all_of_a_sorted_set():
    spread = np.sort(normal(1000, 2), axis=0)
    report = evaluate.sample_report({"test": spread[::4], "train": spread})
    assert report["rows"]["train"]["frechet"] < 0.01


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("frechet_distance", (np.zeros(3), np.zeros((3, 1))), "`features` must be finite"),
        ("frechet_distance", (np.zeros((3, 1)), np.zeros((1, 1))), "`others` .* 2 or more"),
        ("frechet_distance", (np.zeros((3, 1)), np.full((3, 1), np.nan)), "finite"),
        (
            "frechet_distance",
            (np.zeros((3, 1)), np.zeros((3, 2))),
            "equally many columns.* 1 and 2",
        ),
        (
            "precision_recall",
            (np.zeros((5, 1)), np.zeros((6, 1))),
            "equally many features.* 5 and 6",
        ),
        ("precision_recall", (np.zeros((3, 1)), np.zeros((3, 1))), "more than 3 features"),
        ("precision_recall", (np.zeros((3, 1)), np.zeros((3, 1)), 0), "`k`"),
        ("sample_report", ({"test": np.zeros((9, 1))},), "'test' and 'train'"),
        ("sample_report", ({"test": np.zeros((9, 1)), "train": np.zeros(9)},), "`train` must"),
    ],
)
def test_mistakes(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(evaluate, function)(*arguments)


def test_nearest_neighbours_tell_two_samples_apart():
    same = evaluate.two_sample_accuracy(normal(400, 3), normal(400, 3, seed=1))
    assert 0.44 < same < 0.56
    shifted = [evaluate.two_sample_accuracy(normal(400, 3), normal(400, 3, 1) + a) for a in (1, 3)]
    assert same < shifted[0] < shifted[1] and shifted[1] > 0.95
    assert evaluate.two_sample_accuracy(normal(40, 3), normal(40, 3) + 1e-6) < 0.1  # copies
    wide = normal(400, 3) * [1, 1, 1000], normal(400, 3, seed=1) * [1, 1, 1000] + [3, 0, 0]
    assert evaluate.two_sample_accuracy(*wide) > 0.8  # in units of each column's own spread


def test_two_samples_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"must hold equally many features\. Received: 5 and 6"):
        evaluate.two_sample_accuracy(normal(5, 2), normal(6, 2))
