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
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.rollout import collect
from methods.reinforce import policy_gradient_loss

MakeContext = Callable[..., Context]


def test_reinforce_estimates_the_exact_policy_gradient(
    make_context: MakeContext, other: ModelPolicy, reference: ModelPolicy
) -> None:
    kl_coef, prompt = 0.5, "a b c"
    tokenizer, model = other.tokenizer, other.model
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, SAMPLING.max_new_tokens)
    asked = encode_prompts(tokenizer, [prompt] * len(listed))
    batch = make_batch(asked, listed, tokenizer.pad_token_id, "cpu")
    rewards = torch.tensor(likes_a(None, all_texts(tokenizer, SAMPLING.max_new_tokens)))
    with torch.no_grad():
        anchors = token_logprobs(reference.model, batch, SAMPLING).sum(1)
    logprobs = token_logprobs(model, batch, SAMPLING).sum(1)
    assert float(logprobs.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    objective = (logprobs.exp() * (rewards - kl_coef * (logprobs - anchors))).sum()
    exact = gradient(objective, model)

    rollout = collect(make_context(), other, [prompt] * 10_000, seed=0)
    returns = rollout.rewards - kl_coef * rollout.log_ratios
    sampled = token_logprobs(model, rollout.batch, SAMPLING)
    estimate = gradient(-policy_gradient_loss(sampled, returns - returns.mean()), model)
    assert float((estimate - exact).norm() / exact.norm()) < 0.1


def gradient(value: Tensor, model: LlamaForCausalLM) -> Tensor:
    parts = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return torch.cat([part.flatten() for part in parts if part is not None])


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
