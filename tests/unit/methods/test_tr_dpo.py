"""TR-DPO's reference. Its training is compared with TRL's in test_against_trl.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.models import same, weights

from methods.base import Context
from methods.core.models.loading import Loading, Lora
from methods.core.models.policy import ModelPolicy
from methods.core.training import optimization
from methods.core.training.examples import PLAIN
from methods.dpo import DPO
from methods.tr_dpo import TRDPO, FollowingReference

MakeContext = Callable[..., Context]
RESPONSES = (["a", "b"], ["a b", "c </answer>"])


def shift(policy: ModelPolicy, by: float) -> None:
    """Add a number to every weight that is trained."""
    for weight in policy.model.parameters():
        if weight.requires_grad:
            weight.data += by


def logprobs(reference: FollowingReference) -> torch.Tensor:
    [(_, batch)] = reference.policy.batches(*RESPONSES)
    return reference.logprobs(batch).sum(1)


def test_the_reference_stays_until_an_update_and_the_policy_always(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    policy = make_context().start()
    following = FollowingReference(policy, alpha=0.25, update_every=2)
    shift(policy, 0.1)
    before = weights(policy)
    following.after_step(1)
    start = torch.tensor(reference.logprobs(*RESPONSES, PLAIN))
    assert torch.allclose(logprobs(following), start, atol=1e-5)
    following.after_step(2)
    quarter = make_context().start()
    shift(quarter, 0.025)
    expected = torch.tensor(quarter.logprobs(*RESPONSES, PLAIN))
    assert torch.allclose(logprobs(following), expected, atol=1e-4)
    assert not torch.allclose(expected, start, atol=1e-2)
    assert same(weights(policy), before)


def test_a_hard_update_takes_the_policy(make_context: MakeContext) -> None:
    policy = make_context().start()
    following = FollowingReference(policy, alpha=1.0, update_every=1)
    shift(policy, 0.1)
    following.after_step(1)
    now = torch.tensor(policy.logprobs(*RESPONSES, PLAIN))
    assert torch.allclose(logprobs(following), now, atol=1e-5)


def test_the_gradient_is_that_of_the_policy(make_context: MakeContext) -> None:
    """The reference computes between the forward pass and the backward pass of the policy."""
    policy = make_context().start()
    following = FollowingReference(policy, alpha=1.0, update_every=1)
    shift(policy, 0.1)
    [(_, batch)] = policy.batches(*RESPONSES)

    def gradient(between: Callable[[], object]) -> list[torch.Tensor]:
        logits = policy.model(input_ids=batch.ids, attention_mask=batch.mask).logits
        between()
        logits.logsumexp(-1).sum().backward()
        gradients = [w.grad.clone() for w in policy.model.parameters() if w.grad is not None]
        policy.model.zero_grad()
        return gradients

    assert same(gradient(lambda: following.logprobs(batch)), gradient(lambda: None))


def test_in_bf16_an_unmoved_reference_is_that_of_dpo(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autocast keeps the weights that it has cast: those of the policy must not be reused."""
    monkeypatch.setattr(
        optimization, "autocast", lambda *_: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    short = {"beta": 0.5, "examples": 256, "batch_size": 16, "learning_rate": 1e-2}
    margins = []
    for method in (DPO(**short), TRDPO(**short, update_every=1000)):  # type: ignore[arg-type]
        context = make_context()
        method.train(context)
        margins.append([point["logratio_margin"] for point in context.curves])
    assert margins[0][-1] > 1
    assert margins[1] == pytest.approx(margins[0], rel=0.05)


def test_with_adapters_only_their_weights_are_copied(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    context = make_context(loading=Loading(lora=Lora(rank=2)))
    policy = context.start()
    following = FollowingReference(policy, alpha=1.0, update_every=1)
    shift(policy, 0.1)
    start = torch.tensor(reference.logprobs(*RESPONSES, PLAIN))
    assert torch.allclose(logprobs(following), start, atol=1e-5)
    following.after_step(1)
    assert not torch.allclose(logprobs(following), start, atol=1e-2)
