"""The optimal frontier, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.frontiers import STEPS, gains, random_responses
from scipy.stats import norm

from bench.evaluation.optimal.frontier import FEWEST_EFFECTIVE, OptimalFrontier
from bench.evaluation.optimal.weighting import effective_samples


@pytest.mark.parametrize("beta", [0.2, 1.0, 5.0])
def test_the_optimum_and_the_frontier_have_a_closed_form(beta: float) -> None:
    rewards, reference = random_responses()
    frontier = OptimalFrontier.from_list(rewards, reference)
    tilted = np.exp(reference + rewards / beta)
    best = tilted / tilted.sum(1, keepdims=True)
    kl = float((best * (np.log(best) - reference)).sum(1).mean())
    reward = float((best * rewards).sum(1).mean())
    assert frontier.optimum(beta) == pytest.approx(reward - beta * kl, abs=1e-9)
    assert frontier.kl(beta) == pytest.approx(kl, abs=1e-9)
    assert frontier.reward(kl) == pytest.approx(reward, abs=1e-6)
    assert frontier.efficiency(reward, kl) == pytest.approx(1.0, abs=1e-5)


def test_the_frontier_starts_at_the_reference_and_no_policy_is_above_it() -> None:
    rewards, reference = random_responses()
    frontier = OptimalFrontier.from_list(rewards, reference)
    start = float((np.exp(reference) * rewards).sum(1).mean())
    assert frontier.reward(0.0) == pytest.approx(start)
    random = np.random.default_rng(1)
    for _ in range(50):
        logits = reference + random.normal(size=rewards.shape) * random.uniform(0, 2)
        policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        kl = float((policy * (np.log(policy) - reference)).sum(1).mean())
        assert (
            float((policy * rewards).sum(1).mean()) <= float(frontier.reward(kl) or np.inf) + 1e-9
        )


@pytest.mark.parametrize("levels", [None, 3, 1])
def test_the_curve_follows_the_frontier_from_the_reference_to_its_end(levels: int | None) -> None:
    random = np.random.default_rng(3)
    drawn = (
        random.normal(size=(24, 4000))
        if levels is None
        else random.integers(levels, size=(24, 4000))
    )
    frontier = OptimalFrontier.from_samples(drawn.astype(float))
    curve = frontier.curve()
    assert curve[0] == (0.0, pytest.approx(frontier.reference_reward()), pytest.approx(4000))
    assert curve[-1].kl == pytest.approx(frontier.largest_kl)
    for kl, reward, samples in curve:
        # Not beyond the largest KL, not even after rounding in a file.
        assert float(f"{kl:.8g}") <= frontier.largest_kl <= math.log(4000) - 3
        assert reward == pytest.approx(frontier.reward(kl), abs=1e-2)
        assert FEWEST_EFFECTIVE <= samples < 4000.001
    assert np.all(np.diff(curve, axis=0)[:, :2] >= -1e-9)
    assert np.all(np.diff(curve, axis=0)[:, 2] <= 1e-6)


def test_a_sampled_frontier_is_near_the_exact_one_and_ends_where_it_cannot_be() -> None:
    rewards, reference = random_responses()
    exact = OptimalFrontier.from_list(rewards, reference)
    random = np.random.default_rng(2)
    drawn = [random.choice(200, size=32768, p=np.exp(row)) for row in reference]
    sampled = OptimalFrontier.from_samples(
        np.stack([r[i] for r, i in zip(rewards, drawn, strict=True)])
    )
    assert sampled.reward(math.log(32768) - 2.9) is None
    start = exact.reference_reward()
    for kl in (0.5, 1.0, 2.0):
        gain = float(exact.reward(kl) or 0) - start
        assert abs(float(sampled.reward(kl) or 0) - float(exact.reward(kl) or 0)) < 0.02 * gain


def test_effective_samples_by_hand() -> None:
    # Evenly weighted: all of them. Weights 1/2, 1/2, 0, 0: two. Harmonic mean of 4 and 2: 8/3.
    assert effective_samples(np.array([[0.25] * 4])) == pytest.approx(4)
    assert effective_samples(np.array([[0.5, 0.5, 0, 0]])) == pytest.approx(2)
    assert effective_samples(np.array([[0.25] * 4, [0.5, 0.5, 0, 0]])) == pytest.approx(8 / 3)


def test_too_few_samples_give_no_frontier() -> None:
    frontier = OptimalFrontier.from_samples(np.random.default_rng(0).normal(size=(2, 64)))
    assert frontier.largest_kl == 0
    assert frontier.curve() == []
    assert frontier.reward(0.1) is None
    assert frontier.at_kl(0.1, frontier.rewards) is None
    assert frontier.efficiency(1.0, 0.1) is None


@pytest.mark.parametrize("mean, spread", [(3.2, 0.8), (2.0, 0.9), (4.0, 0.3)])
def test_a_frontier_from_responses_that_are_all_different(mean: float, spread: float) -> None:
    """Rewards N(0, 1) under the reference: R*(k) = sqrt(2 k). A policy's are N(mean, spread)."""
    for seed in range(4):
        random = np.random.default_rng(seed)
        rewards = np.concatenate(
            [random.normal(size=(24, 1024)), random.normal(mean, spread, size=(24, 256))], axis=1
        )
        logprobs = np.stack([norm.logpdf(rewards), norm.logpdf(rewards, mean, spread)])
        alone = OptimalFrontier.from_samples(rewards[:, :1024])
        pooled = OptimalFrontier.from_pooled_samples(rewards, logprobs, [1024, 256])
        for frontier in (alone, pooled):
            kls = list(STEPS * frontier.largest_kl)
            true_gains = np.sqrt(np.multiply(2, kls))
            assert np.abs(np.divide(gains(frontier, kls), true_gains) - 1).max() < 0.02
        assert pooled.largest_kl > 1.5 * alone.largest_kl > 0.5


def test_a_listed_frontier_is_flat_beyond_the_best_responses() -> None:
    """A policy can move further than the best one; no more reward is there."""
    rewards, logprobs = random_responses()
    frontier = OptimalFrontier.from_list(rewards, logprobs)
    best = rewards.max(1).mean()
    assert frontier.reward(50.0) == pytest.approx(best, abs=1e-6)
    assert frontier.efficiency(best, 50.0) == pytest.approx(1.0, abs=1e-6)
    assert frontier.curve()[-1].kl == pytest.approx(8.0)
