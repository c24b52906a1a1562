"""Losses on pairs of sampled responses, by hand, and what they are sampled from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from helpers.models import weights

from methods.base import Context
from methods.core.online.run import OnlineRun
from methods.rebel import REBEL
from methods.toolkit.online_pairs import OnlinePairs, ResponsePairs
from methods.xpo import XPO

T = torch.tensor
SMALL = {"batch_size": 24, "episodes": 48, "minibatches": 2, "learning_rate": 1e-3}
MakeContext = Callable[..., Context]


def made(rewards: list[list[float]]) -> ResponsePairs:
    """Return pairs whose log-ratios to the reference are 1 and -2, of which 0.5 and 0 are old."""
    ones = torch.ones(len(rewards), 1)
    reference = torch.cat([-6 * ones, -3 * ones], dim=1)
    return ResponsePairs(
        reference + T([1.0, -2.0]), reference + T([0.5, 0.0]), reference, T(rewards)
    )


def test_rebel() -> None:
    method = REBEL(kl_coef=0.2, eta=0.5)
    # The log-probabilities have moved by 0.5 and by -2. The KL costs 0.1 and 0.
    losses = method.loss(made([[4.0, 1.0], [1.0, 4.0]]))
    expected = [(2.5 / 0.5 - (3.9 - 1.0)) ** 2, (2.5 / 0.5 - (0.9 - 4.0)) ** 2]
    assert losses.tolist() == pytest.approx(expected)


def test_the_loss_of_rebel_is_0_at_the_optimal_policy() -> None:
    """It has log-ratios of reward / kl_coef, but for a constant at each prompt."""
    rewards = T([[4.0, 1.0], [0.5, 2.0]])
    reference = T([[-6.0, -3.0], [-1.0, -2.0]])
    optimal = reference + rewards / 0.2 + T([[1.0], [-7.0]])
    pairs = ResponsePairs(optimal, optimal, reference, rewards)
    assert REBEL(kl_coef=0.2).loss(pairs).tolist() == pytest.approx([0.0, 0.0], abs=1e-8)


def test_xpo() -> None:
    method = XPO(beta=0.5, alpha=0.1)
    # Margins of 3 and -3. The response of the reference is the second one, at -3 - 2.
    losses = method.loss(made([[4.0, 1.0], [1.0, 4.0]]))
    expected = [math.log1p(math.exp(-1.5)) - 0.5, math.log1p(math.exp(1.5)) - 0.5]
    assert losses.tolist() == pytest.approx(expected)


def test_the_bonus_of_xpo_makes_responses_of_the_reference_less_likely() -> None:
    pairs = made([[4.0, 1.0]])
    logprobs = pairs.logprobs.requires_grad_()
    XPO(beta=0.5, alpha=0.1).loss(pairs).sum().backward()
    plain = made([[4.0, 1.0]])
    without = plain.logprobs.requires_grad_()
    XPO(beta=0.5, alpha=0.0).loss(plain).sum().backward()
    assert logprobs.grad is not None and without.grad is not None
    assert (logprobs.grad - without.grad).tolist() == [pytest.approx([0.0, 0.1])]


def test_the_margin_is_that_of_the_better_response() -> None:
    assert made([[4.0, 1.0], [1.0, 4.0], [2.0, 2.0]]).margin.tolist() == [3.0, -3.0, 3.0]


@pytest.mark.parametrize("method", [REBEL(), XPO()])
def test_both_responses_of_a_pair_answer_the_same_prompt(
    make_context: MakeContext, method: OnlinePairs
) -> None:
    run = OnlineRun(make_context(), replace(method, **SMALL))
    rollout = method.collect(run)
    prompts = rollout.batch.ids[:, : rollout.batch.width].view(12, 2, -1)
    assert torch.equal(prompts[:, 0], prompts[:, 1])
    assert len({tuple(prompt) for prompt in prompts[:, 0].tolist()}) == 3


def test_xpo_samples_the_policy_and_the_reference(make_context: MakeContext) -> None:
    context = make_context()
    run = OnlineRun(context, XPO(**SMALL))  # type: ignore[arg-type]
    for weight in run.policy.model.parameters():
        weight.data *= 1.5
    rollout = XPO().collect(run)
    log_ratios = rollout.log_ratios.view(-1, 2)
    assert float(log_ratios[:, 1].abs().max()) < 1e-4 < 0.1 < float(log_ratios[:, 0].abs().max())
    assert context.usage.responses_sampled == context.usage.reward_calls == 24


@pytest.mark.parametrize("method", [REBEL(kl_coef=0.02), XPO(beta=0.1)])
def test_it_learns(make_context: MakeContext, method: OnlinePairs) -> None:
    context = make_context()
    method = replace(method, episodes=1536, learning_rate=5e-3)
    policy = method.train(context)
    curve = [point["reward"] for point in context.curves]
    assert curve[0] < 0.45 and sum(curve[-3:]) / 3 > 0.75
    assert all(weight.isfinite().all() for weight in weights(policy))  # type: ignore[arg-type]


def test_a_loss_of_another_shape_is_refused(make_context: MakeContext) -> None:
    class Mean(REBEL):
        def loss(self, pairs: ResponsePairs) -> torch.Tensor:
            return super().loss(pairs).mean()

    message = r"the shape of the loss is \[\]; it must be \[6\], one value for each pair"
    with pytest.raises(ValueError, match=message):
        Mean(**SMALL).train(make_context())  # type: ignore[arg-type]
