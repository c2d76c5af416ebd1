"""Scores of codes that hold factors in known ways."""

import json
import math

import numpy as np
import pytest

from keras_vae import evaluate
from keras_vae.evaluate import disentanglement
from keras_vae.evaluate.intervals import balanced_accuracy

pytestmark = pytest.mark.once

N = 900
NAMES = ("size", "hue", "hat")


def draw_factors(n=N, seed=0):
    """Two continuous factors and a boolean one, independent of each other."""
    factors = np.random.default_rng(seed).random((n, 3))
    factors[:, 2] = factors[:, 2] > 0.6
    return factors


def noise(latents, n=N, seed=1):
    return np.random.default_rng(seed).standard_normal((n, latents))


@pytest.fixture
def quick(monkeypatch):
    """Fewer trees, for tests of what does not depend on how well they fit."""
    monkeypatch.setitem(disentanglement.TREES, "n_estimators", 10)


def test_codes_that_are_the_factors():
    factors = draw_factors()
    report = evaluate.disentanglement_report(factors, factors, NAMES)
    assert report["mig"] > 0.9 and report["dci_disentanglement"] > 0.98
    assert report["dci_completeness"] > 0.98 and report["dci_informativeness_r2"] > 0.98
    assert report["dci_informativeness_accuracy"] == 1
    assert max(value for value in report.values() if isinstance(value, float)) <= 1
    assert [row["latent"] for row in report["factors"]] == [1, 2, 3]
    assert [row["kind"] for row in report["factors"]] == ["continuous"] * 2 + ["boolean"]
    # Each factor has R^2 of 1 from itself; the second best is the largest of the chance ones.
    chance = np.corrcoef(factors.T)[:2] ** 2
    expected = 1 - np.max(np.where(chance > 0.999, 0, chance), axis=1)
    assert [row["sap"] for row in report["factors"][:2]] == pytest.approx(expected)
    assert report["factors"][2]["sap"] == pytest.approx(0.5, abs=0.06)  # accuracy 1 less about 0.5


def test_codes_that_are_noise():
    report = evaluate.disentanglement_report(noise(6, 1500), draw_factors(1500), NAMES)
    assert report["mig"] < 0.03 and report["sap"] < 0.03
    assert report["dci_disentanglement"] < 0.1 and report["dci_completeness"] < 0.1
    assert report["dci_informativeness_r2"] < 0.02
    assert report["dci_informativeness_accuracy"] == pytest.approx(0.5, abs=0.06)


def test_two_factors_turned_by_45_degrees():
    factors = np.random.default_rng(0).random((5000, 2))
    turn = np.array([[1, -1], [1, 1]]) / math.sqrt(2)
    codes = factors @ turn
    assert evaluate.mutual_information_gap(codes, factors)["mig"] < 0.02
    assert evaluate.sap(codes, factors)["sap"] < 0.04
    scores = evaluate.dci(codes[:N], factors[:N])
    assert scores["disentanglement"] < 0.2 and scores["completeness"] < 0.2
    assert scores["informativeness_r2"] > 0.9  # all is there, but in no latent of its own


def test_each_factor_in_two_latents():
    factors = draw_factors()
    codes = np.concatenate([factors, factors], axis=1)
    report = evaluate.disentanglement_report(codes, factors, NAMES)
    assert report["mig"] == 0 and report["sap"] == pytest.approx(0, abs=1e-12)
    assert report["dci_disentanglement"] > 0.98
    # The trees share a factor out between equal latents at random, hardly ever evenly.
    assert report["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(6), abs=0.1)


def test_latents_that_hold_nothing_or_never_vary():
    factors = draw_factors()
    report = evaluate.disentanglement_report(factors, factors, NAMES)
    codes = np.concatenate([np.full((N, 1), 7.1), factors, noise(1), np.zeros((N, 1))], axis=1)
    wide = evaluate.disentanglement_report(codes, factors, NAMES)
    assert [row["latent"] for row in wide["factors"]] == [2, 3, 4]
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness_r2"):
        assert wide[name] == pytest.approx(report[name], abs=0.05), name


def test_codes_that_never_vary(quick):
    report = evaluate.disentanglement_report(np.full((N, 3), 0.1), draw_factors(), NAMES)
    assert report["dci_informativeness_accuracy"] == 0.5
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness_r2"):
        assert report[name] == pytest.approx(0, abs=1e-12), name


def test_a_single_latent_is_compared_with_one_that_holds_nothing(quick):
    factors = draw_factors()
    gaps = evaluate.mutual_information_gap(factors[:, 2:], factors)
    assert gaps["per_factor"][2] == pytest.approx(1)
    assert evaluate.sap(factors[:, 2:], factors)["per_factor"][2] == pytest.approx(0.5)
    assert evaluate.dci(factors[:, :1], factors)["completeness_per_factor"][0] == 1
    assert evaluate.dci(factors, factors[:, :1])["disentanglement"] == pytest.approx(1)


def test_the_numbering_of_latents_changes_nothing(quick):
    factors = draw_factors()
    codes = np.concatenate([factors, factors @ noise(3, 3) + noise(3)], axis=1)
    report = evaluate.disentanglement_report(codes, factors, NAMES)
    order = np.array([4, 2, 0, 5, 3, 1])
    other = evaluate.disentanglement_report(codes[:, order], factors, NAMES)
    for row, before in zip(other["factors"], report["factors"]):
        assert order[row.pop("latent") - 1] == before.pop("latent") - 1
        assert row == pytest.approx(before)
    for name in ("mig", "dci_disentanglement", "dci_completeness", "sap"):
        assert other[name] == pytest.approx(report[name])


def test_scale_and_shift_of_latents_change_nothing(quick):
    factors = draw_factors()
    codes = factors + 0.1 * noise(3)
    report = evaluate.disentanglement_report(codes, factors, NAMES)
    other = evaluate.disentanglement_report(codes * [1e-6, -8, 1e6] + 1, factors, NAMES)
    for name in ("mig", "dci_disentanglement", "dci_completeness", "sap"):
        assert other[name] == pytest.approx(report[name], abs=0.03)


def test_a_seed_gives_the_same_report_every_time(quick):
    codes, factors = noise(4), draw_factors()
    one = evaluate.disentanglement_report(codes, factors, NAMES, seed=3)
    assert evaluate.disentanglement_report(codes, factors, NAMES, seed=3) == one
    assert evaluate.disentanglement_report(codes, factors, NAMES, seed=4) != one


def test_the_report_is_json_and_gathers_what_the_scores_return(quick):
    codes, factors = noise(4).astype("float32"), draw_factors()
    report = evaluate.disentanglement_report(codes, factors, NAMES)
    assert json.loads(json.dumps(report)) == report
    gaps = evaluate.mutual_information_gap(codes, factors)
    trees, lines = evaluate.dci(codes, factors), evaluate.sap(codes, factors)
    assert report["images"] == N and report["left_out"] == []
    assert (report["mig"], report["sap"]) == (gaps["mig"], lines["sap"])
    assert report["dci_completeness"] == trees["completeness"]
    for i, row in enumerate(report["factors"]):
        assert row == {
            "name": NAMES[i],
            "kind": "boolean" if i == 2 else "continuous",
            "mig": gaps["per_factor"][i],
            "latent": gaps["latents"][i],
            "informativeness": trees["informativeness_per_factor"][i],
            "completeness": trees["completeness_per_factor"][i],
            "sap": lines["per_factor"][i],
        }


def test_factors_that_never_vary_are_left_out(quick):
    factors, steps = draw_factors(), []
    factors[:, 0] = 3
    factors[:, 1] = np.arange(N) < 2  # too rare to fit and to judge
    report = evaluate.disentanglement_report(noise(2), factors, NAMES, progress=steps.append)
    assert report["left_out"] == ["size", "hue"] and steps == [1, 1, 1]
    assert [row["name"] for row in report["factors"]] == ["hat"]
    assert report["dci_informativeness_r2"] is None


def test_rare_values_are_on_both_sides(quick):
    rare = np.zeros((N, 1))
    rare[[5, 6, 800]] = 1
    for seed in range(5):
        fit, held_out = disentanglement.split(rare[:, 0], seed)
        assert (rare[fit].sum(), rare[held_out].sum()) == (2, 1)
        assert sorted([*fit, *held_out]) == list(range(N))
    assert evaluate.dci(rare, rare)["informativeness_accuracy"] == 1
    assert evaluate.sap(rare, rare)["sap"] == 0.5


def test_a_report_draws_rows(quick, monkeypatch):
    monkeypatch.setattr(disentanglement, "ROWS", 200)
    factors = np.sort(draw_factors(), axis=0)
    report = evaluate.disentanglement_report(factors, factors, NAMES)
    assert report["images"] == 200 and report["left_out"] == []


def test_bins_are_those_of_numpy():
    values = noise(1)[:, 0]
    edges = np.histogram(values, disentanglement.BINS)[1]
    expected = np.digitize(values, edges[1:-1])
    assert np.mean(disentanglement.bins(values) != expected) < 0.01  # of rounding at an edge
    assert disentanglement.bins(np.full(4, 0.1)).tolist() == [0, 0, 0, 0]
    assert disentanglement.bins(np.array([-1.7e308, 1.7e308])).tolist() == [0, 19]


def test_mutual_information_is_that_of_scikit_learn():
    from sklearn.metrics import mutual_info_score

    factors = draw_factors()
    codes, values = disentanglement.bins(factors + noise(3)), factors[:, 2].astype(int)
    expected = [mutual_info_score(column, values) for column in codes.T]
    assert disentanglement.mutual_information(codes, values) == pytest.approx(expected, abs=1e-9)


def test_concentration_is_1_less_the_entropy():
    twice = 1 - math.log(2) / math.log(6)
    assert disentanglement.concentration(np.array([0.5, 0, 0, 0.5, 0, 0])) == pytest.approx(twice)
    assert disentanglement.concentration(np.array([0, 3, 0])) == 1
    assert disentanglement.concentration(np.ones(5)) == pytest.approx(0, abs=1e-12)
    assert disentanglement.concentration(np.zeros(5)) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_the_threshold_is_the_best_one_of_all(sign):
    rng = np.random.default_rng(0)
    latent = sign * np.round(rng.standard_normal(60), 1)  # with equal values
    truth = latent * sign + rng.standard_normal(60) > 0.5
    threshold, above = disentanglement.best_threshold(latent, truth)
    found = balanced_accuracy((latent > threshold) == above, truth)
    tries = [
        balanced_accuracy((latent > t) == up, truth)
        for t in np.unique(latent)
        for up in (True, False)
    ]
    assert found == pytest.approx(max(tries)) and above == (sign > 0)


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros(50), noise(1, 50), "`codes` must be finite"),
        (np.zeros((50, 0)), noise(1, 50), "`codes` must be finite"),
        (np.full((50, 2), np.nan), noise(1, 50), "`codes` must be finite"),
        (noise(2, 50), np.full((50, 1), np.inf), "`factors` must be finite"),
        (noise(2, 50), noise(1, 49), "equally many rows.* 50 and 49"),
        (noise(2, 29), noise(1, 29), "rows, 30 or more.* 29"),
        (noise(2, 50), np.zeros((50, 1)), "`factors` must vary"),
    ],
)
def test_mistakes(codes, factors, message):
    for score in (evaluate.mutual_information_gap, evaluate.dci, evaluate.sap):
        with pytest.raises(ValueError, match=message):
            score(codes, factors)
    with pytest.raises(ValueError, match=message):
        evaluate.disentanglement_report(codes, factors, ["factor"])


def test_mistakes_in_names_and_seeds():
    codes, factors = noise(2, 50), noise(3, 50)
    with pytest.raises(ValueError, match=r"must name 3 factors.*'size'"):
        evaluate.disentanglement_report(codes, factors, ["size"])
    for score in (evaluate.dci, evaluate.sap):
        with pytest.raises(ValueError, match="`seed`"):
            score(codes, factors, seed=-1)
