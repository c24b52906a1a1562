"""Measuring, against enumeration and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import LAW, PROMPTS, drawn_kl

from bench.evaluation.enumeration import all_texts, listed_logprobs, model_logprobs
from bench.evaluation.kl import best_of_n_kl
from bench.evaluation.optimal.frontier import FEWEST_EFFECTIVE, OptimalFrontier, effective_samples
from bench.evaluation.metrics import ClusteredMean, DistinctN, WinRate
from bench.evaluation.optimal.regret import split_regret
from bench.evaluation.win_rate import weighted_win_rate
from methods.best_of_n import BestOfNPolicy, best_of_n_probabilities
from methods.core.models.policy import ModelPolicy


def test_kl_estimator_against_enumeration(reference: ModelPolicy, other: ModelPolicy) -> None:
    ours, theirs = (model_logprobs(policy, PROMPTS, LAW) for policy in (other, reference))
    exact = float((np.exp(ours) * (ours - theirs)).sum(1).mean())
    assert exact > 0.1
    prompts = PROMPTS * 1000
    kls, entropies = drawn_kl(other, reference, prompts, 0)
    assert min(kls) >= -1e-6
    assert abs(np.mean(kls) - exact) < 4 * np.std(kls) / len(kls) ** 0.5
    entropy = float(-(np.exp(ours) * ours).sum(1).mean())
    assert abs(np.mean(entropies) - entropy) < 4 * np.std(entropies) / len(entropies) ** 0.5


def test_kl_of_the_reference_to_itself_is_0(reference: ModelPolicy) -> None:
    kls, _ = drawn_kl(reference, reference, PROMPTS * 10, 0)
    assert kls == pytest.approx([0.0] * 30, abs=1e-6)


def pipeline() -> tuple[np.ndarray, np.ndarray]:
    """Rewards and reference log-probabilities of a small random pipeline."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 200))
    return random.normal(size=(3, 200)), logits - np.log(np.exp(logits).sum(1, keepdims=True))


@pytest.mark.parametrize("beta", [0.2, 1.0, 5.0])
def test_optimum_and_limit_against_the_closed_form(beta: float) -> None:
    rewards, reference = pipeline()
    limit = OptimalFrontier.from_list(rewards, reference)
    tilted = np.exp(reference + rewards / beta)
    best = tilted / tilted.sum(1, keepdims=True)
    kl = float((best * (np.log(best) - reference)).sum(1).mean())
    reward = float((best * rewards).sum(1).mean())
    assert limit.optimum(beta) == pytest.approx(reward - beta * kl, abs=1e-9)
    assert limit.kl(beta) == pytest.approx(kl, abs=1e-9)
    assert limit.reward(kl) == pytest.approx(reward, abs=1e-6)
    assert limit.efficiency(reward, kl) == pytest.approx(1.0, abs=1e-5)


def test_limit_starts_at_the_reference_and_cannot_be_beaten() -> None:
    rewards, reference = pipeline()
    limit = OptimalFrontier.from_list(rewards, reference)
    start = float((np.exp(reference) * rewards).sum(1).mean())
    assert limit.reward(0.0) == pytest.approx(start)
    random = np.random.default_rng(1)
    for _ in range(50):
        logits = reference + random.normal(size=rewards.shape) * random.uniform(0, 2)
        policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        kl = float((policy * (np.log(policy) - reference)).sum(1).mean())
        assert float((policy * rewards).sum(1).mean()) <= float(limit.reward(kl) or np.inf) + 1e-9


@pytest.mark.parametrize("levels", [None, 3, 1])
def test_the_curve_lies_on_the_limit_from_the_reference_to_its_end(levels: int | None) -> None:
    random = np.random.default_rng(3)
    drawn = (
        random.normal(size=(24, 4000))
        if levels is None
        else random.integers(levels, size=(24, 4000))
    )
    limit = OptimalFrontier.from_samples(drawn.astype(float))
    curve = limit.curve()
    assert curve[0] == (0.0, pytest.approx(limit.reference_reward()), pytest.approx(4000))
    assert curve[-1].kl == pytest.approx(limit.largest_kl)
    for kl, reward, samples in curve:
        # Not a hair beyond, not even when written to a file.
        assert float(f"{kl:.8g}") <= limit.largest_kl <= math.log(4000) - 3
        assert reward == pytest.approx(limit.reward(kl), abs=1e-2)
        assert FEWEST_EFFECTIVE <= samples < 4000.001
    assert np.all(np.diff(curve, axis=0)[:, :2] >= -1e-9)
    assert np.all(np.diff(curve, axis=0)[:, 2] <= 1e-6)


def test_sampled_limit_comes_near_the_exact_one_and_stops_where_it_cannot() -> None:
    rewards, reference = pipeline()
    exact = OptimalFrontier.from_list(rewards, reference)
    random = np.random.default_rng(2)
    drawn = [random.choice(200, size=32768, p=np.exp(row)) for row in reference]
    sampled = OptimalFrontier.from_samples(np.stack([r[i] for r, i in zip(rewards, drawn, strict=True)]))
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


def test_nothing_is_drawn_where_too_few_samples_are_there() -> None:
    limit = OptimalFrontier.from_samples(np.random.default_rng(0).normal(size=(2, 64)))
    assert limit.largest_kl == 0
    assert limit.curve() == []
    assert limit.reward(0.1) is None
    assert limit.at_kl(0.1, limit.rewards) is None
    assert limit.efficiency(1.0, 0.1) is None


def test_best_of_n_by_hand_with_a_tie() -> None:
    # Scores 0, 1, 1 with probabilities .5, .25, .25; n = 2: P(0) = .25, the tied share .75 evenly.
    probabilities = best_of_n_probabilities(np.array([0.5, 0.25, 0.25]), np.array([0, 1, 1]), 2)
    assert probabilities.tolist() == pytest.approx([0.25, 0.375, 0.375])


def test_best_of_n_by_enumeration_against_sampling(reference: ModelPolicy) -> None:
    texts = all_texts(reference.tokenizer, LAW.max_new_tokens)
    listed = model_logprobs(reference, PROMPTS, LAW)
    lengths = np.array([float(len(set(text.split()))) for text in texts])

    def score(prompts: object, responses: list[str]) -> list[float]:
        return [float(len(set(response.split()))) for response in responses]

    policy = BestOfNPolicy(reference, score, 4)  # type: ignore[arg-type]
    exact = listed_logprobs(policy, PROMPTS, texts, LAW, listed, np.tile(lengths, (3, 1)))
    assert exact is not None
    expected = float((np.exp(exact) * lengths).sum(1).mean())
    drawn = score(None, policy.generate(PROMPTS * 500, 0, LAW))
    assert abs(np.mean(drawn) - expected) < 4 * np.std(drawn) / len(drawn) ** 0.5


def test_best_of_n_kl_without_ties_is_the_formula_and_with_ties_is_less() -> None:
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


def test_win_rate_by_hand_and_its_swap() -> None:
    assert weighted_win_rate(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.375)
    assert weighted_win_rate(np.array([2.0, 3.0]), np.array([1.0, 3.0])) == pytest.approx(0.625)
    weighted = weighted_win_rate(np.array([1.0, 3.0]), np.array([2.0]), np.array([0.9, 0.1]))
    assert weighted == pytest.approx(0.1)
    result = WinRate().compute(predictions=[[1.0, 3.0], [0.0]], references=[[2.0, 3.0], [0.0]])
    assert result["win_rate"] == pytest.approx((0.375 + 0.5) / 2)


def test_clustered_mean_by_hand() -> None:
    result = ClusteredMean().compute(predictions=[1.0, 3.0, 10.0, 20.0], references=[0, 0, 1, 1])
    assert result["mean"] == pytest.approx(8.5)
    assert result["sem"] == pytest.approx(np.std([2, 15], ddof=1) / 2**0.5)


def test_distinct_2_by_hand() -> None:
    result = DistinctN().compute(predictions=["a b a b", "b a"], n=2)
    assert result["distinct"] == pytest.approx(2 / 4)


@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
def test_the_regrets_parts_are_the_divergences_that_they_are_said_to_be(beta: float) -> None:
    gold, reference = pipeline()
    random = np.random.default_rng(4)
    proxy = gold + random.normal(size=gold.shape)
    logits = reference + random.normal(size=gold.shape)
    policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    def divergence(p: np.ndarray, q: np.ndarray) -> float:
        return float((p * (np.log(p) - np.log(q))).sum(1).mean())

    def mean(p: np.ndarray, values: np.ndarray) -> float:
        return float((p * values).sum(1).mean())

    def optimum(reward: np.ndarray) -> np.ndarray:
        tilted = np.exp(reference + reward / beta)
        return tilted / tilted.sum(1, keepdims=True)

    best, asked_for = optimum(gold), optimum(proxy)
    kl = divergence(policy, np.exp(reference))
    limit = OptimalFrontier.from_list(gold, reference)
    parts = split_regret(mean(policy, gold), mean(policy, proxy), kl, beta, limit, limit.of(proxy))
    assert parts is not None
    assert parts.optimizer == pytest.approx(beta * divergence(policy, asked_for), abs=1e-6)
    assert parts.signal == pytest.approx(beta * divergence(asked_for, best), abs=1e-6)
    assert parts.meeting == pytest.approx(-mean(policy - asked_for, gold - proxy), abs=1e-6)
    assert sum(parts) == pytest.approx(beta * divergence(policy, best), abs=1e-6)
    # On gold itself there is no signal to blame.
    alone = split_regret(mean(policy, gold), mean(policy, gold), kl, beta, limit, None)
    same = split_regret(mean(policy, gold), mean(policy, gold), kl, beta, limit, limit)
    assert alone is not None and same is not None
    assert alone == pytest.approx(same, abs=1e-9)
    assert sum(alone) == pytest.approx(sum(parts), abs=1e-6)


def test_no_regret_is_given_where_the_optimum_is_out_of_reach() -> None:
    random = np.random.default_rng(5)
    limit = OptimalFrontier.from_samples(random.normal(size=(24, 3000)))
    assert split_regret(1.0, 1.0, 1.0, 0.05, limit, None) is None
    assert split_regret(1.0, 1.0, 1.0, 2.0, limit, limit.of(40 * limit.rewards)) is None
    assert split_regret(1.0, 1.0, 1.0, 2.0, limit, limit) is not None
