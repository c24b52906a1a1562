"""Table 1 of Xu et al. (2024): where DPO's loss is at its infimum, and where PPO's objective is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.evaluation.optimal.bandit import (
    REFERENCE,
    dpo_loss,
    fitted_rewards,
    ipo_loss,
    kls_to_reference,
    ppo_objective,
    ppo_optimum,
    simplex,
)

BETA = 0.1
FINE = simplex(200)
# exp(-gap / beta) is e^-1000.
LARGE = 100.0


def test_the_simplex_holds_every_policy_once() -> None:
    assert len({tuple(policy) for policy in simplex(20)}) == 21 * 22 / 2
    assert np.abs(FINE.sum(1) - 1).max() < 1e-12 and FINE.min() == 0


def test_dpo_loss_by_hand() -> None:
    """At the reference it is log 2; odds of 3 to 1 with beta 1 make it log(1 + 1/3)."""
    assert dpo_loss(REFERENCE, BETA) == pytest.approx(math.log(2), abs=1e-12)
    assert dpo_loss(np.array([0.3, 0.1, 0.6]), 1.0) == pytest.approx(math.log(4 / 3), abs=1e-12)


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_dpo_is_optimal_wherever_y2_is_never_given(beta: float) -> None:
    """The paper's (0.1, 0, 0.9) too; every policy that gives y2 has a loss above the infimum."""
    assert dpo_loss(np.array([0.1, 0.0, 0.9]), beta) == pytest.approx(0, abs=1e-6)
    losses, y1, y2 = dpo_loss(FINE, beta), FINE[:, 0], FINE[:, 1]
    np.testing.assert_allclose(losses[(y2 == 0) & (y1 > 0)], 0, atol=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log1p((y2 / y1) ** beta)
    given = y2 > 0
    np.testing.assert_allclose(losses[given], expected[given], rtol=1e-9)
    assert losses[given].min() > 1e-3
    assert np.isnan(losses[(y1 == 0) & (y2 == 0)]).all()


@pytest.mark.parametrize("unseen", [-5.0, 0.0, 1e6])
def test_ppo_has_one_optimum_whatever_the_reward_of_y3(unseen: float) -> None:
    rewards = fitted_rewards(LARGE, unseen)
    objective = ppo_objective(FINE, rewards, BETA)
    assert (objective[FINE[:, 2] > 0] == -np.inf).all()
    [best] = np.flatnonzero(objective > objective.max() - 1e-6)
    np.testing.assert_array_equal(FINE[best], [1, 0, 0])
    np.testing.assert_allclose(ppo_optimum(rewards, BETA), [1, 0, 0], atol=1e-6)


def test_ppo_optimum_in_closed_form_is_that_of_the_search() -> None:
    """Where the gap is small the optimum is inside: sigmoid(gap / beta) on y1."""
    rewards = fitted_rewards(0.2)
    optimum = ppo_optimum(rewards, BETA)
    np.testing.assert_allclose(optimum[0], 1 / (1 + math.exp(-2)), rtol=1e-12)
    value, found = ppo_objective(optimum, rewards, BETA), ppo_objective(FINE, rewards, BETA)
    assert value == pytest.approx(BETA * math.log(REFERENCE @ np.exp(rewards / BETA)), abs=1e-12)
    assert found.max() <= value
    assert np.abs(FINE[found.argmax()] - optimum).max() <= 1 / 200


def test_the_optimum_tends_to_y1_alone_as_the_likelihood_of_the_label_tends_to_1() -> None:
    gaps = [0.1, 0.5, 1.0, 2.0]
    shares = [ppo_optimum(fitted_rewards(gap), BETA)[0] for gap in gaps]
    assert shares == sorted(shares) and 1 - shares[-1] < 1e-6 < 1 - shares[0]


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
def test_with_a_certain_label_dpo_leaves_the_reference_at_any_beta_and_ipo_does_not(
    beta: float,
) -> None:
    policies = FINE[FINE[:, 2] == 0]
    kls = kls_to_reference(policies)
    dpo = dpo_loss(policies, beta)
    # At the infimum y2 is never given.
    assert kls[np.nanargmin(dpo)] == pytest.approx(math.log(2), abs=1e-9)
    ipo = ipo_loss(policies, beta)
    odds = math.exp(1 / (2 * beta))
    y1 = policies[np.nanargmin(ipo), 0]
    assert y1 == pytest.approx(odds / (1 + odds), abs=0.003)  # the grid's steps are 0.005
