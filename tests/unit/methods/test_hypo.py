"""HyPO: the gradient of its sampled KL, and its use of the budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from helpers.models import PROMPTS, SAMPLING, drawn_kl, same, weights
from helpers.offline import SHORT, SIZE

from bench.evaluation.enumeration import all_responses
from methods.base import Context
from methods.core.models.batch import make_batch
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts
from methods.core.training.examples import PLAIN
from methods.dpo import DPO
from methods.hypo import HyPO, sampled_kl

MakeContext = Callable[..., Context]


def gradient(policy: ModelPolicy, loss: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a scalar, all weights in one row."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, policy.model.parameters())])


def exact_kl(policy: ModelPolicy, reference: ModelPolicy, prompt: str) -> torch.Tensor:
    """Return the KL over every response, with its gradient."""
    tokenizer = policy.tokenizer
    end, longest = tokenizer.eos_token_id, SAMPLING.max_new_tokens
    responses = all_responses(len(tokenizer), end, longest)
    prompts = encode_prompts(tokenizer, [prompt]) * len(responses)
    batch = make_batch(prompts, responses, tokenizer.pad_token_id, "cpu")
    logprobs = token_logprobs(policy.model, batch, PLAIN).sum(1)
    with torch.no_grad():
        start = token_logprobs(reference.model, batch, PLAIN).sum(1)
    assert abs(float(logprobs.exp().sum()) - 1) < 1e-4
    return (logprobs.exp() * (logprobs - start)).sum()


def test_the_gradient_of_the_sampled_kl_is_that_of_the_kl(
    make_context: MakeContext, reference: ModelPolicy, other: ModelPolicy
) -> None:
    exact = gradient(other, exact_kl(other, reference, "a"))
    context = make_context()
    [whole] = sampled_kl(context, other, ["a"] * 8000, 1, 10**6)
    sampled = gradient(other, whole)
    size = exact.norm()
    assert float(size) > 0 and float((sampled - exact).norm() / size) < 0.15


def test_the_sampled_kl_in_parts_has_the_same_gradient(
    make_context: MakeContext, other: ModelPolicy
) -> None:
    context, prompts = make_context(), PROMPTS * 10
    [whole] = sampled_kl(context, other, prompts, 1, 10**6)
    parts = list(sampled_kl(context, other, prompts, 1, 60))
    assert len(parts) > 3
    assert torch.allclose(gradient(other, whole), gradient(other, sum(parts)), atol=1e-4)


def test_without_the_kl_it_is_dpo_on_two_thirds_of_the_examples(make_context: MakeContext) -> None:
    ours, theirs = make_context(), make_context()
    examples = SHORT["examples"]
    trained = HyPO(**SHORT, beta=0.5, kl_coef=0.0).train(ours)
    expected = DPO(**SHORT | {"examples": 2 * examples // 3}, beta=0.5).train(theirs)
    assert isinstance(trained, ModelPolicy) and isinstance(expected, ModelPolicy)
    assert same(weights(trained), weights(expected))
    assert ours.usage.responses_sampled == 2 * examples // 3 // SIZE * SIZE


def test_it_keeps_to_the_budget_with_the_responses_that_it_samples(
    make_context: MakeContext,
) -> None:
    context = make_context(budget=10 * SIZE)
    HyPO(**SHORT).train(context)
    # Six steps of a batch's pairs and as many sampled responses.
    assert context.usage.train_sequences == 6 * SIZE * 3 <= 2 * context.budget


def test_the_sampled_kl_holds_the_policy_to_the_reference(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    method = HyPO(beta=0.2, examples=1440, batch_size=32, learning_rate=2e-3)
    kls = []
    for kl_coef in (0.0, 1.0):
        policy = replace(method, kl_coef=kl_coef).train(make_context())
        assert isinstance(policy, ModelPolicy)
        kl, _ = drawn_kl(policy, reference, PROMPTS * 100, 5)
        kls.append(sum(kl) / len(kl))
    assert kls[1] < 0.7 * kls[0]
