"""PPO whose reference follows the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.methods import QUICK_PPO
from helpers.models import PROMPTS, SAMPLING, same, weights

from bench.evaluation.enumeration import model_logprobs
from methods.base import Context
from methods.core.models.loading import Loading, Lora
from methods.core.online import run as online_run
from methods.core.online.run import OnlineRun
from methods.core.training import optimization
from methods.ppo import PPO

MakeContext = Callable[..., Context]
SHORT_PPO = replace(QUICK_PPO, episodes=320)
ADAPTERS = Loading(lora=Lora(rank=2))


def shift(run: OnlineRun, by: float) -> None:
    """Add a number to every weight that is trained, as an update would."""
    for weight in run.policy.model.parameters():
        if weight.requires_grad:
            weight.data += by


def end_update(run: OnlineRun) -> None:
    """End an update of the run whose gradients are 0, so that its steps move nothing."""
    for part in run.minibatches(run.collect()):
        run.backward(0 * run.logprobs(part).sum())
    run.end_update()


@pytest.mark.parametrize("loading", [Loading(), ADAPTERS])
def test_a_reference_that_keeps_itself_is_the_fixed_one(
    make_context: MakeContext, loading: Loading
) -> None:
    fixed, kept, moved = (make_context(loading=loading) for _ in range(3))
    expected = weights(SHORT_PPO.train(fixed))
    found = weights(replace(SHORT_PPO, reference_decay=1.0).train(kept))
    assert same(expected, found)
    assert [p["kl"] for p in kept.curves] == [p["kl"] for p in fixed.curves]
    assert not same(expected, weights(replace(SHORT_PPO, reference_decay=0.9).train(moved)))


def test_in_bf16_too(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast keeps the weights that it has cast: those of the policy must not be reused."""
    monkeypatch.setattr(
        optimization, "autocast", lambda *_: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    monkeypatch.setattr(online_run, "use_bf16", lambda *_: True)
    kls = []
    for decay in (None, 1.0):
        context = make_context()
        replace(SHORT_PPO, reference_decay=decay).train(context)
        kls.append([point["kl"] for point in context.curves])
    assert kls[0][-1] > 0.1
    assert kls[1] == pytest.approx(kls[0], rel=0.05, abs=1e-3)


@pytest.mark.parametrize("loading", [Loading(), ADAPTERS, Loading(micro_batch_tokens=30)])
def test_without_decay_the_reference_is_the_policy_before_the_update(
    make_context: MakeContext, loading: Loading
) -> None:
    run = OnlineRun(make_context(loading=loading), SHORT_PPO, reference_decay=0.0)
    end_update(run)
    shift(run, 0.1)
    before = weights(run.policy)
    # The policy has moved since the reference did.
    assert float(run.collect().log_ratios.abs().max()) > 0.01
    assert same(before, weights(run.policy))
    end_update(run)
    assert float(run.collect().token_log_ratios.abs().max()) < 1e-4


def test_then_there_is_no_penalty(make_context: MakeContext) -> None:
    """Each token's reward is 0 but for the last, which has the reward of the response."""
    method = replace(SHORT_PPO, kl_coef=5.0, reference_decay=0.0)
    run = OnlineRun(make_context(), method, reference_decay=0.0)
    end_update(run)
    shift(run, 0.1)
    end_update(run)
    rollout = run.collect()
    rewards = method.token_rewards(rollout, kl_coef=5.0, shift=0.0, scale=1.0)
    last = rollout.mask.sum(1) - 1
    expected = torch.zeros_like(rewards)
    expected[torch.arange(len(last)), last] = rollout.rewards
    assert torch.allclose(rewards, expected, atol=1e-3)


def test_the_reference_is_the_moving_average_of_the_policies(make_context: MakeContext) -> None:
    """After shifts to 0.1 and 0.3 with a decay of 3/4: 0.1 / 4, then (0.1 * 3/4 + 0.3) / 4."""
    context = make_context()
    run = OnlineRun(context, SHORT_PPO, reference_decay=0.75)
    for by in (0.0, 0.1, 0.2):
        shift(run, by)
        end_update(run)
    rollout = run.collect()
    average = context.start()
    for weight in average.model.parameters():
        weight.data += (0.1 * 3 / 4 + 0.3) / 4
    responses = run.policy.decode(rollout.batch)
    expected = average.logprobs(run.prompts(), responses, SAMPLING)
    found = rollout.reference_logprobs.sum(1).tolist()
    assert found == pytest.approx(expected, abs=1e-3)


def exact_kl(method: PPO, context: Context) -> float:
    """Train, and return the exact KL to the SFT policy (nats)."""
    policy = method.train(context)
    table, reference = (model_logprobs(p, PROMPTS, SAMPLING) for p in (policy, context.reference))
    return float((np.exp(table) * (table - reference)).sum(1).mean())


def test_the_policy_gets_further_from_the_sft_policy(make_context: MakeContext) -> None:
    method = replace(QUICK_PPO, kl_coef=0.5, episodes=1024)
    fixed, following = (
        exact_kl(replace(method, reference_decay=decay), make_context()) for decay in (None, 0.8)
    )
    assert following > 1.5 * fixed > 0.03


def test_the_strength_is_that_of_the_kl_only_while_the_reference_stays() -> None:
    assert PPO().strength_is_kl and PPO(reference_decay=1.0).strength_is_kl
    assert not PPO(reference_decay=0.9).strength_is_kl
