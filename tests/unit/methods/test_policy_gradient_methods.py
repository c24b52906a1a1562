"""Advantages and losses of policy gradients, against values computed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from methods.cispo import CISPO
from methods.core.models.batch import Batch
from methods.core.online.rollout import Rollout
from methods.dapo import DAPO
from methods.dr_grpo import DrGRPO
from methods.gspo import GSPO
from methods.nash_md import NashMD
from methods.reinforce import Reinforce
from methods.reinforce_pp import ReinforcePP
from methods.reinforce_pp_baseline import ReinforcePPBaseline
from methods.remax import ReMax
from methods.toolkit.policy_gradient import PolicyGradient

T = torch.tensor
# Of 1 and 3 as a sample.
SPREAD = math.sqrt(2)


def made(
    rewards: Sequence[float], lengths: Sequence[int], log_ratio: float = 0.0, **columns: Tensor
) -> Rollout:
    """Return a rollout of responses with these rewards and lengths.

    Every token has the log-probability -1 under the policy that sampled it, and that less the
    log-ratio under the reference.
    """
    mask = torch.arange(max(lengths)) < T(lengths).unsqueeze(1)
    prompts = torch.ones(len(rewards), 1)
    batch = Batch.of(torch.zeros_like(mask), torch.cat([prompts, mask], dim=1).long(), 1)
    old, reference = -1.0 * mask, (-1.0 - log_ratio) * mask
    ended = torch.ones(len(rewards)).bool()
    return Rollout(batch, old, reference, T(list(rewards)), ended, **columns)


def moved(rollout: Rollout, ratios: Sequence[Sequence[float]]) -> Tensor:
    """Return log-probabilities that have moved from those of the rollout by these ratios."""
    logprobs = rollout.logprobs + T(ratios).log().where(rollout.mask, 0.0)
    return logprobs.requires_grad_()


def k3(log_ratio: float) -> float:
    """Return the KL estimate of a token with this log-ratio of policy to reference."""
    return math.exp(-log_ratio) - 1 + log_ratio


def test_reinforce() -> None:
    rollout = made([1.0, 2.0, 6.0], [1, 2, 1], log_ratio=0.5)
    # Rewards less the KL: 1 - .1, 2 - .2, 6 - .1. The baseline is the mean of the others.
    expected = [0.9 - 3.85, 1.8 - 3.4, 5.9 - 1.35]
    assert Reinforce(kl_coef=0.2).advantages(rollout).tolist() == pytest.approx(expected)
    rollout.advantages = T([[2.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    losses = Reinforce().loss(rollout.logprobs, rollout)
    assert losses.tolist() == [[2.0, 0.0], [3.0, 3.0], [0.0, 0.0]]


def test_reinforce_pp() -> None:
    rollout = made([1.0, 4.0], [1, 2], log_ratio=0.5)
    # To go: 1 - .5 k, and for the second response 4 - k and 4 - .5 k, whitened over the 3 tokens.
    to_go = T([0.9, 3.8, 3.9])
    white = (to_go - to_go.mean()) / to_go.std(correction=0)
    advantages = ReinforcePP(kl_coef=0.2).advantages(rollout)
    assert advantages[rollout.mask].tolist() == pytest.approx(white.tolist(), abs=1e-5)
    assert float(advantages[0, 1]) == 0


def test_the_baseline_of_reinforce_pp() -> None:
    method = ReinforcePPBaseline(group=2, kl_coef=0.2)
    rollout = made([1.0, 3.0, 10.0, 14.0], [1, 1, 1, 1], log_ratio=0.5)
    # Less the mean of the group -1, 1, -2, 2. Their mean is 0 and their deviation sqrt(2.5).
    advantages = method.advantages(rollout)
    expected = [value / math.sqrt(2.5) for value in (-1, 1, -2, 2)]
    assert advantages.squeeze(1).tolist() == pytest.approx(expected)
    rollout.advantages = advantages
    losses = method.loss(moved(rollout, [[1.5]] * 4), rollout)
    kl = 0.2 * 0.5 * (0.5 + math.log(1.5)) ** 2
    surrogates = [-1.5 * expected[0], -1.2 * expected[1], -1.5 * expected[2], -1.2 * expected[3]]
    assert losses.squeeze(1).tolist() == pytest.approx([loss + kl for loss in surrogates])


def test_the_mean_over_tokens_weighs_long_responses_in_whitening() -> None:
    advantages = ReinforcePPBaseline(group=2).advantages(made([1.0, 3.0], [1, 3]))
    # Tokens of -1, 1, 1, 1: mean 1/2, variance 3/4.
    assert float(advantages[0, 0]) == pytest.approx(-1.5 / math.sqrt(0.75))
    assert advantages[1].tolist() == pytest.approx([0.5 / math.sqrt(0.75)] * 3)


def test_dr_grpo() -> None:
    method = DrGRPO(group=2, kl_coef=0.2)
    rollout = made([1.0, 3.0], [2, 1], log_ratio=0.5)
    assert method.advantages(rollout).tolist() == [-1.0, 1.0]
    rollout.advantages = T([[-1.0, -1.0], [1.0, 0.0]])
    losses = method.loss(moved(rollout, [[1.5, 1.0], [1.5, 1.0]]), rollout)
    kl, more_kl = 0.2 * k3(0.5), 0.2 * k3(0.5 + math.log(1.5))
    assert losses[0].tolist() == pytest.approx([1.5 + more_kl, 1.0 + kl])
    assert losses[1].tolist() == pytest.approx([-1.2 + more_kl, 0.0])
    assert method.over == "length"


def test_dapo() -> None:
    method = DAPO(group=2, kl_coef=0.2, clip=0.2, clip_high=0.28)
    rollout = made([1.0, 3.0], [1, 1], log_ratio=0.5)
    advantages = method.advantages(rollout)
    assert advantages.tolist() == pytest.approx([-1 / SPREAD, 1 / SPREAD], abs=1e-4)
    rollout.advantages = T([[-1.0], [1.0]])
    logprobs = moved(rollout, [[0.5], [1.5]])
    expected = [0.8 + 0.2 * k3(0.5 + math.log(0.5)), -1.28 + 0.2 * k3(0.5 + math.log(1.5))]
    assert method.loss(logprobs, rollout).squeeze(1).tolist() == pytest.approx(expected)
    between = moved(rollout, [[1.0], [1.25]])
    assert float(method.metrics(between, rollout)["clip_fraction"]) == 0
    assert method.over == "tokens"


def test_dapo_leaves_out_groups_of_equal_rewards() -> None:
    method = DAPO(group=2)
    rollout = made([1.0, 1.0, 2.0, 3.0, 4.0, 4.0], [1, 2, 3, 1, 2, 3])
    kept = method.mixed_groups(rollout)
    assert kept.rewards.tolist() == [2.0, 3.0]
    assert kept.mask.sum(1).tolist() == [3, 1]
    equal = made([1.0, 1.0, 4.0, 4.0], [1, 1, 1, 1])
    assert method.mixed_groups(equal).rewards.tolist() == [1.0, 1.0, 4.0, 4.0]


def test_dapo_penalizes_responses_that_are_too_long() -> None:
    method = DAPO(group=2, overlong_penalty=3.0, overlong_share=0.2)
    # Of at most 20 tokens, the last 4 cost 3/4 each.
    rollout = made([0.0] * 4, [10, 16, 18, 20])
    assert method.overlong(rollout, longest=20).tolist() == pytest.approx([0.0, 0.0, 1.5, 3.0])
    assert DAPO().overlong(rollout, longest=20).tolist() == [0.0] * 4


def test_gspo() -> None:
    method = GSPO(group=2, kl_coef=0.2, clip=0.1, clip_high=0.2)
    rollout = made([1.0, 3.0], [2, 2], log_ratio=0.5)
    advantages = method.advantages(rollout)
    assert advantages.tolist() == pytest.approx([-1 / SPREAD, 1 / SPREAD], abs=1e-4)
    rollout.advantages = T([[1.0, 1.0], [1.0, 1.0]])
    # The geometric means of the ratios are 1.1, which may pass, and 1.5, which is clipped.
    logprobs = moved(rollout, [[1.21, 1.0], [1.5, 1.5]])
    losses = method.loss(logprobs, rollout)
    kls = [0.2 * k3(0.5 + math.log(ratio)) for ratio in (1.21, 1.0, 1.5, 1.5)]
    expected = [-1.1 + kls[0], -1.1 + kls[1], -1.2 + kls[2], -1.2 + kls[3]]
    assert losses.flatten().tolist() == pytest.approx(expected)
    assert float(method.metrics(logprobs, rollout)["clip_fraction"]) == pytest.approx(0.5)
    assert method.over == "responses"


def test_gspo_gives_every_token_of_a_response_the_same_gradient() -> None:
    rollout = made([1.0, 3.0], [2, 2])
    rollout.advantages = T([[1.0, 1.0], [1.0, 1.0]])
    logprobs = moved(rollout, [[1.21, 1.0], [1.5, 1.5]])
    GSPO(group=2, kl_coef=0.0, clip=0.1, clip_high=0.2).loss(logprobs, rollout).sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == pytest.approx([-1.1, -1.1])
    assert logprobs.grad[1].tolist() == [0.0, 0.0]


def test_cispo() -> None:
    method = CISPO(group=2, kl_coef=0.2, clip_high=1.0)
    rollout = made([1.0, 3.0], [1, 1], log_ratio=0.5)
    advantages = method.advantages(rollout)
    assert advantages.tolist() == pytest.approx([-1 / SPREAD, 1 / SPREAD], abs=1e-4)
    rollout.advantages = T([[-1.0], [2.0]])
    logprobs = moved(rollout, [[0.1], [3.0]])
    kls = [0.2 * k3(0.5 + math.log(ratio)) for ratio in (0.1, 3.0)]
    # Weights of 0.1, without a lower limit, and of at most 2.
    expected = [0.1 * (math.log(0.1) - 1) + kls[0], -4 * (math.log(3.0) - 1) + kls[1]]
    losses = method.loss(logprobs, rollout)
    assert losses.squeeze(1).tolist() == pytest.approx(expected)
    # A token that is clipped keeps a gradient, and the weight has none.
    CISPO(group=2, kl_coef=0.0).loss(logprobs, rollout).sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad.squeeze(1).tolist() == pytest.approx([0.1, -4.0])
    assert float(method.metrics(logprobs, rollout)["clip_fraction"]) == pytest.approx(0.5)


def test_remax() -> None:
    rollout = made([5.0, 1.0], [2, 1], log_ratio=0.5, baselines=T([2.0, 3.0]))
    # 5 - 2 less the KL from each token on, and 1 - 3 less that of its only token.
    advantages = ReMax(kl_coef=0.2).advantages(rollout)
    assert advantages[rollout.mask].tolist() == pytest.approx([2.8, 2.9, -2.1])
    rollout.advantages = advantages
    losses = ReMax().loss(2 * rollout.logprobs, rollout)
    assert losses[rollout.mask].tolist() == pytest.approx([5.6, 5.8, -4.2])


def test_nash_md() -> None:
    rollout = made([5.0, 1.0], [2, 1], log_ratio=0.5, baselines=T([4.0, 1.0]))
    # The first wins with probability 1 / (1 + 1/e), the second half of the time.
    expected = [1 / (1 + math.exp(-1)) - 0.5 - 0.2, -0.1]
    assert NashMD(kl_coef=0.2).advantages(rollout).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("method", [ReMax, NashMD])
def test_half_of_a_batch_is_for_baselines(method: type[PolicyGradient]) -> None:
    assert method().batch_size % 2 == 0
