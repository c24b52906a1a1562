"""Estimates of the KL and the entropy, against enumeration and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.models import PROMPTS, SAMPLING, drawn_kl

from bench.evaluation.enumeration import model_logprobs
from bench.evaluation.kl import best_of_n_kl
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed


def test_the_estimates_agree_with_enumeration(reference: ModelPolicy, other: ModelPolicy) -> None:
    ours, theirs = (model_logprobs(policy, PROMPTS, SAMPLING) for policy in (other, reference))
    exact = float((np.exp(ours) * (ours - theirs)).sum(1).mean())
    assert exact > 0.1
    prompts = PROMPTS * 1000
    kls, entropies = drawn_kl(other, reference, prompts, 0)
    assert min(kls) >= -1e-6
    assert abs(np.mean(kls) - exact) < 4 * np.std(kls) / len(kls) ** 0.5
    entropy = float(-(np.exp(ours) * ours).sum(1).mean())
    assert abs(np.mean(entropies) - entropy) < 4 * np.std(entropies) / len(entropies) ** 0.5


def test_the_estimate_is_unbiased_over_200_repeats(
    reference: ModelPolicy, other: ModelPolicy
) -> None:
    ours, theirs = (model_logprobs(policy, PROMPTS, SAMPLING) for policy in (other, reference))
    truth = float((np.exp(ours) * (ours - theirs)).sum(1).mean())
    repeated = [prompt for prompt in PROMPTS for _ in range(200 * 16)]
    kls, _ = drawn_kl(other, reference, repeated, derive_seed("unbiased"))
    repeats = np.reshape(kls, (len(PROMPTS), 200, 16)).mean(axis=(0, 2))
    assert truth > 0.1
    assert abs(repeats.mean() - truth) < 3 * repeats.std(ddof=1) / 200**0.5


def test_the_kl_of_the_reference_to_itself_is_0(reference: ModelPolicy) -> None:
    kls, _ = drawn_kl(reference, reference, PROMPTS * 10, 0)
    assert kls == pytest.approx([0.0] * 30, abs=1e-6)


def test_the_kl_of_best_of_n_is_the_formula_without_ties_and_less_with_ties() -> None:
    random = np.random.default_rng(0)
    n = 8
    pools = [random.normal(size=256) for _ in range(2000)]
    best = [random.normal(size=n).max() for _ in range(2000)]
    formula = math.log(n) - (n - 1) / n
    assert np.mean(best_of_n_kl(best, pools, n)) == pytest.approx(formula, abs=0.05)
    tied = [np.round(pool) for pool in pools]
    assert np.mean(best_of_n_kl(np.round(best).tolist(), tied, n)) < formula - 0.1
    few = [pool[:16] for pool in tied]
    assert np.mean(best_of_n_kl(np.round(best).tolist(), few, n)) == pytest.approx(formula)
