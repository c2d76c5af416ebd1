"""What latents carry: numbers that are known, and the words for them."""

import json
import math
import time

import numpy as np
import pytest

from keras_vae import evaluate, priors

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)


def test_codes_that_say_nothing_have_no_information():
    found = evaluate.elbo_surgery(np.zeros((100, 3)), np.zeros((100, 3)))
    assert found["mutual_information"] == found["kl_aggregate_posterior"] == 0
    assert not found["mutual_information_is_capped"]
    shifted = evaluate.elbo_surgery(np.full((100, 3), 2.0), np.zeros((100, 3)))
    assert shifted["mutual_information"] == pytest.approx(0, abs=1e-9)
    assert shifted["kl_aggregate_posterior"] == pytest.approx(6)


@pytest.mark.parametrize("log_var", [-8, -20, -30])
def test_codes_far_apart_tell_all_images_apart(log_var):
    z_mean = 3 * rng.standard_normal((200, 8))
    found = evaluate.elbo_surgery(z_mean.astype("float32"), np.full((200, 8), log_var, "float32"))
    assert found["mutual_information"] == pytest.approx(math.log(200))
    assert found["mutual_information_cap"] == math.log(200)
    assert found["mutual_information_is_capped"]


def test_one_latent_agrees_with_the_integral():
    n = 4000
    z_mean = rng.choice([-1.0, 0.2, 1.5], n)
    variance = np.where(z_mean > 0, 0.3, 0.6)
    z = np.linspace(-8, 8, 20001)
    components, counts = np.unique(np.stack([z_mean, variance]), axis=1, return_counts=True)
    means, variances = components[:, :, None]
    densities = np.exp(-0.5 * (z - means) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
    shares = counts / n
    mixture = shares @ densities
    ratio = np.log(densities / mixture)
    information = shares @ np.sum(densities * ratio, axis=1) * (z[1] - z[0])
    prior = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    aggregate = np.sum(mixture * np.log(mixture / prior)) * (z[1] - z[0])
    found = evaluate.elbo_surgery(z_mean[:, None], np.log(variance)[:, None])
    assert found["mutual_information"] == pytest.approx(information, abs=0.04)
    assert found["kl_aggregate_posterior"] == pytest.approx(aggregate, abs=0.04)


def test_blocks_are_those_of_the_plain_sum():
    """An uneven last block, and latents of very different scales."""
    z_mean = rng.standard_normal((1203, 2)) * [1, 0.3]
    z_log_var = -1 + 0.5 * rng.standard_normal((1203, 2))
    eps = np.random.default_rng(7).standard_normal((1203, 2))
    z = z_mean + np.exp(z_log_var / 2) * eps
    parts = (z[:, None] - z_mean) ** 2 / np.exp(z_log_var) + z_log_var
    logs = -0.5 * parts.sum(axis=2)
    mixture = np.log(np.mean(np.exp(logs), axis=1))
    expected = np.mean(np.diag(logs) - mixture)
    found = evaluate.elbo_surgery(z_mean, z_log_var, seed=7)
    assert found["mutual_information"] == pytest.approx(expected, rel=1e-9)


def test_the_parts_add_up_to_the_kl():
    z_mean, z_log_var = rng.standard_normal((300, 5)), rng.standard_normal((300, 5)) - 1
    report = evaluate.latents_report(z_mean, z_log_var)
    parts = report["mutual_information"] + report["kl_aggregate_posterior"]
    assert parts == pytest.approx(report["kl_loss"], rel=1e-12)
    assert report["kl_loss"] == pytest.approx(sum(report["kl"])) and len(report["kl"]) == 5
    assert report["kl_aggregate_posterior"] >= 0
    assert report == evaluate.latents_report(z_mean, z_log_var)
    other = evaluate.latents_report(z_mean, z_log_var, seed=1)
    assert other["mutual_information"] != report["mutual_information"]


def test_many_images_take_seconds():
    z_mean = rng.standard_normal((10_000, 64)).astype("float32")
    start = time.perf_counter()
    found = evaluate.elbo_surgery(z_mean, np.full_like(z_mean, -1))
    assert found["elbo_surgery_images"] == 5000 and time.perf_counter() - start < 30


def codes(scales):
    z_mean = np.random.default_rng(1).standard_normal((500, len(scales))) * scales
    return z_mean, np.zeros_like(z_mean)


def test_collapsed_latents_are_counted_from_one():
    report = evaluate.latents_report(*codes([1, 0.01, 1, 0]))
    assert report["collapsed"] == [2, 4]
    assert report["active_units"] == 2 and report["latent_dim"] == 4
    assert json.loads(json.dumps(report)) == report


def test_a_plain_autoencoder_has_variances_only():
    report = evaluate.latents_report(codes([1, 0])[0])
    assert report == {"latent_dim": 2, "active_units": 1, "collapsed": [2]}
    found, remedy = evaluate.advice(report)
    assert "1 of 2 latents has collapsed: z 2." in found and "KL" not in remedy


@pytest.mark.parametrize(
    "shapes", [((0, 2), (0, 2)), ((5, 2), (5, 3)), ((5,), (5,)), ((5, 0), (5, 0))]
)
def test_codes_that_do_not_fit_are_refused(shapes):
    for act in (evaluate.latents_report, evaluate.elbo_surgery):
        with pytest.raises(ValueError, match="`z_mean` and `z_log_var` must have the same shape"):
            act(*map(np.zeros, shapes))
    with pytest.raises(ValueError, match="Received: \\(5, 2\\) and None"):
        evaluate.elbo_surgery(np.zeros((5, 2)), None)


# A prior that is learned


def mixture(means, variance=1.0):
    """A mixture of Gaussians of equal shares, as a model's learned prior."""
    means = np.asarray(means, "float32")
    prior = priors.MixturePrior(len(means))
    prior.build((None, means.shape[1]))
    prior.means.assign(means)
    prior.log_vars.assign(np.full(means.shape, math.log(variance), "float32"))
    return prior


def test_a_learned_prior_that_is_the_normal_one_has_its_numbers():
    generator = np.random.default_rng(3)
    z_mean = generator.standard_normal((3000, 3)).astype("float32")
    z_log_var = generator.uniform(-3, -1, (3000, 3)).astype("float32")
    normal = evaluate.latents_report(z_mean, z_log_var)
    for prior in (priors.StandardNormal(), None):
        assert evaluate.latents_report(z_mean, z_log_var, prior=prior) == normal
    found = evaluate.latents_report(z_mean, z_log_var, prior=mixture(np.zeros((1, 3))))
    sampled = "kl_loss", "kl_aggregate_posterior"  # the rest does not depend on the prior
    assert {n: v for n, v in found.items() if n not in sampled} == {
        n: v for n, v in normal.items() if n not in sampled
    }
    # One draw for each image: log q - log p has a standard deviation of a few nats.
    for name in sampled:
        assert 0 < abs(found[name] - normal[name]) < 0.2


def test_the_kl_to_a_learned_prior_agrees_with_the_integral():
    n, variance = 4000, 0.3
    z_mean = np.random.default_rng(4).choice([-1.5, 1.5], n)
    z = np.linspace(-9, 9, 20001)

    def density(mean, variance):
        return np.exp(-0.5 * (z - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)

    prior = (density(-1, 0.5) + density(1, 0.5)) / 2
    shares = [np.mean(z_mean < 0), np.mean(z_mean > 0)]
    parts = np.array([density(-1.5, variance), density(1.5, variance)])
    step, aggregate = z[1] - z[0], shares @ parts
    kl = shares @ np.sum(parts * np.log(parts / prior), axis=1) * step
    mismatch = np.sum(aggregate * np.log(aggregate / prior)) * step
    codes = z_mean[:, None], np.full((n, 1), math.log(variance))
    found = evaluate.elbo_surgery(*codes, prior=mixture([[-1], [1]], 0.5))
    assert found["kl_aggregate_posterior"] == pytest.approx(mismatch, abs=0.04)
    assert found["mutual_information"] == pytest.approx(kl - mismatch, abs=0.04)
    report = evaluate.latents_report(*codes, prior=mixture([[-1], [1]], 0.5))
    assert report["kl_loss"] == pytest.approx(kl, abs=0.04)
    assert report["kl_loss"] < sum(report["kl"])  # that to N(0, 1), of the same latents


def test_a_prior_that_is_far_away_is_told_by_its_kl():
    codes = np.zeros((200, 2), "float32"), np.zeros((200, 2), "float32")
    found = evaluate.latents_report(*codes, prior=mixture([[3, 4]]))
    assert found["kl_loss"] == pytest.approx(12.5, abs=1.5) and found["kl"] == [0, 0]
    assert found["mutual_information"] == 0
    assert evaluate.latents_report(*codes, seed=1, prior=mixture([[3, 4]])) != found


# Advice


def test_there_is_no_advice_if_all_latents_are_active():
    assert evaluate.advice(evaluate.latents_report(*codes([1, 1]))) == []


def test_many_collapsed_latents_have_remedies():
    report = evaluate.latents_report(*codes([1, 0, 0, 0]))
    found, remedy = evaluate.advice(report, beta=4)
    assert "3 of 4 latents have collapsed: z 2, z 3 and z 4." in found
    for word in ("--kl-warmup", "--free-bits", "a `--beta` below 4", "smaller decoder"):
        assert word in remedy
    _, remedy = evaluate.advice(report, beta=0, kl_warmup=5, free_bits=0.1)
    assert "longer warm-up" in remedy and "more free bits" in remedy and "--beta" not in remedy


def test_a_few_of_many_are_harmless():
    report = evaluate.latents_report(*codes([1] * 60 + [0] * 12))
    found, rest = evaluate.advice(report)
    assert "z 61, z 62" in found and "and 3 more." in found
    assert "harmless" in rest


def test_a_model_whose_decoder_ignores_the_code():
    found, remedy = evaluate.advice(evaluate.latents_report(*codes([0, 0])))
    assert "decoder ignores the code" in found and "--kl-warmup" in remedy


def test_advice_checks_its_numbers():
    with pytest.raises(ValueError, match="Argument `beta` must be"):
        evaluate.advice(evaluate.latents_report(*codes([0])), beta=-1)
