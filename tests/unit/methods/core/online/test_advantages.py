"""Advantages, against values computed by hand."""

from __future__ import annotations

import pytest
import torch

from methods.core.online.advantages import (
    adapted_kl_coef,
    explained_variance,
    gae,
    group_advantages,
    leave_one_out,
    masked_mean,
    rewards_to_go,
    token_rewards,
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


def test_the_reward_is_added_at_the_last_token_and_the_kl_penalty_at_each() -> None:
    mask = T([[True, True, False], [True, True, True]])
    log_ratios = T([[1.0, -2.0, 7.0], [-1.0, 0.0, 0.0]])
    rewards = token_rewards(T([10.0, 20.0]), log_ratios, mask, kl_coef=0.5)
    assert rewards.tolist() == [[-0.5, 11.0, 0.0], [0.5, 0.0, 20.0]]


def test_rewards_to_go_by_hand() -> None:
    mask = T([[True, True, True], [True, True, False]])
    rewards = T([[1.0, 2.0, 4.0], [1.0, 2.0, 0.0]])
    assert rewards_to_go(rewards, mask).tolist() == [[7.0, 6.0, 4.0], [3.0, 2.0, 0.0]]
    assert rewards_to_go(rewards, mask, gamma=0.5).tolist() == [[3.0, 4.0, 4.0], [2.0, 2.0, 0.0]]
    assert rewards.tolist() == [[1.0, 2.0, 4.0], [1.0, 2.0, 0.0]], "it changed its argument"


def test_whitening_sees_response_tokens_only() -> None:
    mask = T([[True, True, False]])
    white = whiten(T([[1.0, 3.0, 1000.0]]), mask)
    assert white.tolist() == [[pytest.approx(-1.0), pytest.approx(1.0), 0.0]]


def test_a_masked_mean_ignores_padding() -> None:
    values, mask = T([[1.0, 2.0, 99.0], [6.0, 99.0, 99.0]]), T([[1, 1, 0], [1, 0, 0]]).bool()
    assert float(masked_mean(values, mask)) == pytest.approx(3.0)


def test_group_advantages_by_hand() -> None:
    rewards = T([1.0, 3.0, 5.0, 5.0])
    assert group_advantages(rewards, 2, scale=False).tolist() == [-1.0, 1.0, 0.0, 0.0]
    # The deviation of 1 and 3 as a sample is the root of 2. A group of equal rewards has no spread.
    scaled = group_advantages(rewards, 2, scale=True)
    assert scaled.tolist() == pytest.approx([-(2**-0.5), 2**-0.5, 0.0, 0.0], abs=1e-4)


def test_leave_one_out_by_hand() -> None:
    # 1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 6 - (1 + 2) / 2.
    assert leave_one_out(T([1.0, 2.0, 6.0]), 3).tolist() == pytest.approx([-3.0, -1.5, 4.5])


def test_explained_variance_by_hand() -> None:
    returns, mask = T([[1.0, 3.0, 77.0]]), T([[True, True, False]])
    assert float(explained_variance(returns, returns, mask)) == 1.0
    # A constant error explains everything, a constant value nothing.
    assert float(explained_variance(returns + 5, returns, mask)) == 1.0
    assert float(explained_variance(T([[2.0, 2.0, 5.0]]), returns, mask)) == 0.0
    # Errors of 0 and 1 have the variance 1/4, returns of 1 and 3 the variance 1.
    assert float(explained_variance(T([[1.0, 2.0, 0.0]]), returns, mask)) == pytest.approx(0.75)
    assert float(explained_variance(T([[1.0, 2.0, 0.0]]), returns * 0, mask)) == 0.0


def test_adaptive_kl_coefficient() -> None:
    # Far above the target the error is cut to 0.2: 0.1 * (1 + 0.2 * 100 / 1000).
    assert adapted_kl_coef(0.1, 60.0, 6.0, 1000, 100) == pytest.approx(0.102)
    assert adapted_kl_coef(0.1, 5.4, 6.0, 1000, 100) == pytest.approx(0.099)
