"""PPO's arithmetic, against values computed by hand."""

from __future__ import annotations

import pytest
import torch

from methods.core.training.ppo_losses import (
    adapted_kl_coef,
    gae,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)

T = torch.tensor
TRUE = T([[True, True]])


def test_gae_by_hand() -> None:
    # delta_1 = 1 + .5*2 - 1 = 1, delta_0 = 0 + .5*1 - 3 = -2.5; A_0 = -2.5 + .5*.8*A_1
    # A_1 = delta_1' = 1 - 1 = 0 as the value after the last token counts as 0.
    rewards, values = T([[0.0, 1.0]]), T([[3.0, 1.0, 2.0]])
    advantages, returns = gae(rewards, values, TRUE, gamma=0.5, lam=0.8)
    assert advantages.tolist() == [[pytest.approx(-2.5), pytest.approx(0.0)]]
    assert returns.tolist() == [[pytest.approx(0.5), pytest.approx(1.0)]]


def test_gae_with_lambda_one_is_return_minus_value() -> None:
    torch.manual_seed(0)
    rewards, values = torch.randn(3, 5), torch.randn(3, 6)
    mask = torch.arange(5) < T([[5], [3], [1]])
    rewards = rewards * mask
    advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
    total = rewards.flip(1).cumsum(1).flip(1)
    assert torch.allclose(advantages[mask], (total - values[:, :-1])[mask], atol=1e-5)
    assert torch.allclose(returns[mask], total[mask], atol=1e-5)


def test_gae_ignores_values_after_the_end() -> None:
    mask = T([[True, False]])
    one, _ = gae(T([[1.0, 0.0]]), T([[0.5, 9.0, 9.0]]), mask, 1.0, 0.95)
    assert one.tolist() == [[pytest.approx(0.5), 0.0]]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    # Clipped where the step would go further in the advantage's direction, and only there.
    [(1.5, 1.0, -1.2), (0.5, 1.0, -0.5), (1.5, -1.0, 1.5), (0.5, -1.0, 0.8), (1.0, 2.0, -2.0)],
)
def test_policy_loss_by_hand(ratio: float, advantage: float, expected: float) -> None:
    new = T([[ratio, 1.0]]).log()
    mask = T([[True, False]])
    loss = policy_loss(new, torch.zeros(1, 2), T([[advantage, 50.0]]), mask, clip=0.2)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_policy_loss_has_no_gradient_where_it_is_clipped() -> None:
    new = T([[0.5, 0.0]], requires_grad=True)
    policy_loss(new, torch.zeros(1, 2), T([[1.0, 1.0]]), TRUE, clip=0.2).backward()
    assert new.grad is not None
    assert new.grad.tolist() == [[0.0, pytest.approx(-0.5)]]


def test_value_loss_by_hand() -> None:
    # Value 2, old 0, clip .5 -> .5; target 1: max((2-1)^2, (.5-1)^2) / 2 = .5. Second: (1-1)^2 = 0.
    loss = value_loss(T([[2.0, 1.0]]), T([[0.0, 1.0]]), T([[1.0, 1.0]]), TRUE, clip=0.5)
    assert float(loss) == pytest.approx(0.25)


def test_the_reward_is_added_at_the_last_token_and_the_kl_penalty_at_each() -> None:
    mask = T([[True, True, False], [True, True, True]])
    rewards = token_rewards(
        T([10.0, 20.0]),
        T([[1.0, 2.0, 7.0], [0.0, 0.0, 0.0]]),
        T([[0.0, 4.0, 9.0], [1.0, 0.0, 0.0]]),
        mask,
        kl_coef=0.5,
    )
    assert rewards.tolist() == [[-0.5, 11.0, 0.0], [0.5, 0.0, 20.0]]


def test_whitening_sees_response_tokens_only() -> None:
    mask = T([[True, True, False]])
    white = whiten(T([[1.0, 3.0, 1000.0]]), mask)
    assert white.tolist() == [[pytest.approx(-1.0), pytest.approx(1.0), 0.0]]


def test_adaptive_kl_coefficient() -> None:
    # Far above the target the error is cut to 0.2: 0.1 * (1 + 0.2 * 100 / 1000).
    assert adapted_kl_coef(0.1, 60.0, 6.0, 1000, 100) == pytest.approx(0.102)
    assert adapted_kl_coef(0.1, 5.4, 6.0, 1000, 100) == pytest.approx(0.099)
