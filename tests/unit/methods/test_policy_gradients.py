"""Online methods follow the exact policy gradient, and TRL's steps are those of the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from helpers.models import SAMPLING, likes_a, weights
from helpers.online import METHODS, Recorder, starts_with_a
from torch import Tensor
from transformers import LlamaForCausalLM

from bench.evaluation.enumeration import all_responses, all_texts
from methods.base import Context
from methods.core.models.batch import make_batch
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.online.rollout import collect
from methods.core.online.surrogates import average
from methods.nash_md import NashMD
from methods.reinforce import Reinforce
from methods.remax import ReMax
from methods.toolkit.policy_gradient import PolicyGradient, Rollout

MakeContext = Callable[..., Context]


KL_COEF, PROMPT, COUNT = 0.5, "a b c", 10_000
# What a response of the opponent, or the greedy one, is worth.
BASELINE = 0.6


def listed(policy: ModelPolicy) -> tuple[Tensor, Tensor]:
    """Return the rewards of all responses to the prompt, and their log-probabilities, both [N]."""
    responses = all_responses(
        len(policy.tokenizer), policy.tokenizer.eos_token_id, SAMPLING.max_new_tokens
    )
    prompts = encode_prompts(policy.tokenizer, [PROMPT] * len(responses))
    batch = make_batch(prompts, responses, policy.tokenizer.pad_token_id, "cpu")
    rewards = torch.tensor(likes_a(None, all_texts(policy.tokenizer, SAMPLING.max_new_tokens)))
    return rewards, token_logprobs(policy.model, batch, SAMPLING).sum(1)


@pytest.mark.parametrize("method", [Reinforce(), ReMax(), NashMD()], ids=lambda m: type(m).__name__)
def test_the_gradient_is_the_exact_policy_gradient(
    make_context: MakeContext, other: ModelPolicy, reference: ModelPolicy, method: PolicyGradient
) -> None:
    """Of the reward less the KL, or of the probability to win less the KL."""
    method = replace(method, kl_coef=KL_COEF)
    rewards, logprobs = listed(other)
    assert float(logprobs.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    gains = (rewards - BASELINE).sigmoid() if isinstance(method, NashMD) else rewards
    penalties = KL_COEF * (logprobs - listed(reference)[1].detach())
    exact = gradient((logprobs.exp() * (gains - penalties)).sum(), other.model)

    rollout = collect(make_context(), other, [PROMPT] * COUNT, seed=0)
    rollout.baselines = torch.full((COUNT,), BASELINE)
    rollout.advantages = method._token_advantages(rollout)
    losses = method.loss(token_logprobs(other.model, rollout.batch, SAMPLING), rollout)
    longest = SAMPLING.max_new_tokens
    loss = longest * average(losses, rollout.mask, method.over, longest)
    estimate = gradient(-loss, other.model)
    assert float((estimate - exact).norm() / exact.norm()) < 0.1


def gradient(value: Tensor, model: LlamaForCausalLM) -> Tensor:
    parts = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return torch.cat([part.flatten() for part in parts if part is not None])


def policy_gradient_loss(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """Return minus the mean of advantage times log-probability, whose gradient is REINFORCE's.

    Args:
        logprobs: Of the tokens, [B, T].
        advantages: Of the responses, [B].
    """
    return -(advantages * logprobs.sum(1)).mean()


def leave_one_out(rewards: Tensor, lengths: Tensor) -> Tensor:
    """RLOO: the advantage against the others of the group; every token of a response counts."""
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return (rewards - others).flatten()


def standardized(rewards: Tensor, lengths: Tensor) -> Tensor:
    """GRPO: the advantage in standard deviations of the group; the mean token of a response."""
    spread = rewards.std(1, keepdim=True) + 1e-4
    return ((rewards - rewards.mean(1, keepdim=True)) / spread).flatten() / lengths


@pytest.mark.parametrize(("name", "formula"), [("rloo", leave_one_out), ("grpo", standardized)])
def test_one_step_of_a_group_trainer_is_the_papers(
    make_context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    formula: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """A plain gradient step of size 1, so that the weights show the gradient itself."""
    import trl

    recorder = Recorder(monkeypatch)
    once = {"episodes": 64, "batch_size": 64, "minibatches": 1, "learning_rate": 1.0}
    method = replace(METHODS[name], **once)  # type: ignore[arg-type]
    context = make_context(reward=recorder.reward)
    kind = name.upper()
    policy = method.fit(  # type: ignore[attr-defined]
        context,
        getattr(trl, f"{kind}Trainer"),
        getattr(trl, f"{kind}Config"),
        optim="sgd",
        max_grad_norm=1e9,
        lr_scheduler_type="constant",
        **({"loss_type": "grpo", "use_bias_correction_kl": False} if name == "grpo" else {}),
    )
    start = context.start()
    prompts, responses = map(list, zip(*recorder.rewarded, strict=True))
    batch = make_batch(
        encode_prompts(start.tokenizer, prompts),
        encode_responses(start.tokenizer, responses),
        start.tokenizer.pad_token_id,
        "cpu",
    )
    rewards = torch.tensor(starts_with_a(prompts, responses)).view(-1, 4)
    advantages = formula(rewards, batch.response_mask.sum(1))
    logprobs = token_logprobs(start.model, batch, SAMPLING)
    expected = gradient(-policy_gradient_loss(logprobs, advantages), start.model)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(weights(policy), weights(start), strict=True)]
    )
    assert float(expected.norm()) > 0.01
    assert torch.allclose(moved, expected, atol=1e-5)


class OfWholeResponses(Reinforce):
    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        return super().loss(logprobs, rollout).sum(1, keepdim=True)


class InAColumn(Reinforce):
    def advantages(self, rollout: Rollout) -> Tensor:
        return super().advantages(rollout).unsqueeze(1)


@pytest.mark.parametrize(
    ("method", "name"), [(OfWholeResponses, "loss"), (InAColumn, "advantages")]
)
def test_another_shape_is_refused(
    make_context: MakeContext, method: type[Reinforce], name: str
) -> None:
    message = rf"the shape of the {name} is \[64, 1\]; it must be \[64, \d\]"
    with pytest.raises(ValueError, match=message):
        method(episodes=64).train(make_context(reward=starts_with_a))
