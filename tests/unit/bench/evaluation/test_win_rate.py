"""The win rate at equal length: where the length decides, there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import expit

from bench.evaluation.win_rate import length_controlled, separated_by_length

NAMES = [f"prompt {i}" for i in range(16)]
LENGTHS = np.random.default_rng(0).permutation(np.array([-9, -7, -4, -3, -2, *range(1, 12)]))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_judge_that_goes_by_length_alone_gives_no_rate(sign: int) -> None:
    won = (sign * LENGTHS > 0).astype(float)
    assert math.isnan(length_controlled(won, LENGTHS.astype(float), NAMES))
    # Even where the threshold is not 0, and where a prompt lies on it.
    won = np.where(LENGTHS == 3, 0.5, LENGTHS > 3).astype(float)
    assert math.isnan(length_controlled(won, LENGTHS.astype(float), NAMES))


def test_ties_at_equal_length_give_the_rate_there() -> None:
    lengths = np.where(LENGTHS < 3, 0, LENGTHS).astype(float)
    won = np.where(lengths > 0, 1.0, 0.5)
    assert length_controlled(won, lengths, NAMES) == pytest.approx(0.5, abs=1e-3)


def test_one_exception_gives_a_rate() -> None:
    won = (LENGTHS > 0).astype(float)
    won[LENGTHS == 5] = 0.0
    assert 0 < length_controlled(won, LENGTHS.astype(float), NAMES) < 1


@pytest.mark.parametrize("won", [np.ones(16), np.zeros(16)])
def test_a_side_that_wins_at_every_length_is_not_decided_by_length(won: ndarray) -> None:
    assert not separated_by_length(won, LENGTHS.astype(float))


def test_the_rate_is_at_the_optimum_of_the_penalized_likelihood() -> None:
    random = np.random.default_rng(0)
    prompts, longer = np.tile(np.arange(12), 5), random.normal(1, 2, size=60)
    difficulty = random.normal(0, 1.5, size=12)[prompts]
    won = random.binomial(16, expit(0.5 + 0.8 * longer + difficulty)) / 16
    columns = np.column_stack(
        [np.ones(60), np.tanh(longer / longer.std(ddof=1)), prompts[:, None] == np.arange(12)]
    )
    penalty = np.array([1e-6, 1e-6] + [1.0] * 12)

    def loss(weights: ndarray) -> float:
        odds = columns @ weights
        fit = (won * np.logaddexp(0, -odds) + (1 - won) * np.logaddexp(0, odds)).sum()
        return float(fit + (penalty * weights**2).sum() / 2)

    weights = minimize(loss, np.zeros(14), options={"gtol": 1e-6}).x
    truth = expit(weights[0] + weights[2:][prompts]).mean()
    assert length_controlled(won, longer, list(prompts)) == pytest.approx(truth, abs=1e-5)
