"""Methods that learn from single liked or disliked responses minimize their papers' losses."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import mean
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS, weights
from helpers.offline import SHORT, SIZE, STEPS, text

from methods.base import Context
from methods.bco import BCO, RewardShift, classifier_loss
from methods.core.feedback import Unpaired
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.pairwise import PLAIN, UnpairedLogprobs
from methods.core.trl.kto import passes
from methods.kto import KTO

MakeContext = Callable[..., Context]


def test_binary_classifier_by_hand() -> None:
    shift = RewardShift()
    first = shift.update(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([True, True, False]))
    assert float(first) == pytest.approx((1.5 - 1.0) / 2)
    second = shift.update(torch.tensor([-2.0], requires_grad=True), torch.tensor([False]))
    assert float(second) == pytest.approx((1.5 - 1.5) / 2) and not second.requires_grad
    losses = classifier_loss(
        torch.tensor([2.0, 2.0]), torch.tensor([True, False]), torch.tensor(0.5)
    )
    # log(1 + e^-1.5) where liked, log(1 + e^1.5) where not.
    assert losses.tolist() == pytest.approx([0.2014133, 1.7014133])


def test_binary_classifier_trains_on_its_loss(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """beta and the batch's own shift enter; nothing is left over from an earlier training."""
    seen: list[Callable[[UnpairedLogprobs], torch.Tensor]] = []
    monkeypatch.setattr(
        "methods.bco.fit_unpaired", lambda context, loss, schedule: seen.append(loss)
    )
    method, context = BCO(beta=0.5), make_context()
    method.train(context)
    method.train(context)
    batch = UnpairedLogprobs(
        torch.tensor([-1.0, -3.0]), torch.tensor([-3.0, -1.0]), torch.tensor([True, False])
    )
    unbalanced = UnpairedLogprobs(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([True]))
    # Rewards 1 and -1, shift 0: log(1 + e^-1). Alone, 0.5 with shift 0.25: log(1 + e^-0.25).
    assert seen[0](batch).tolist() == pytest.approx([0.3132617, 0.3132617])
    assert seen[1](unbalanced).tolist() == pytest.approx([0.5759394])


def logprobs_of(model: Any, tokenizer: Any, prompts: Any, responses: Any) -> torch.Tensor:
    asked, given = encode_prompts(tokenizer, prompts), encode_responses(tokenizer, responses)
    return token_logprobs(model, make_batch(asked, given, 0, "cpu"), PLAIN).sum(1)


def test_kto_is_the_papers(make_context: MakeContext, reference: ModelPolicy) -> None:
    """Weights after 20 steps are those of a plain loop over the formula, by batches of 16."""
    random = Random(0)
    unpaired = [
        Unpaired(random.choice(PROMPTS), text(random, random.randint(1, 3)), random.random() < 0.6)
        for _ in range(100)
    ]
    method = KTO(
        beta=0.5, desirable_weight=1.5, undesirable_weight=0.75, warmup=0.0, **SHORT
    )  # fmt: skip
    context = make_context(labels=unpaired)
    trained = method.train(context)
    model, tokenizer = context.start().model, reference.tokenizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    order, losses = passes(unpaired, STEPS * SIZE, context.seed), []
    for step in range(STEPS):
        batch = order[step * SIZE : (step + 1) * SIZE]
        prompts, responses = [t.prompt for t in batch], [t.completion for t in batch]
        liked = torch.tensor([t.label for t in batch])
        others = [responses[-1], *responses[:-1]]
        with torch.no_grad():
            kl = (
                logprobs_of(model, tokenizer, prompts, others)
                - logprobs_of(reference.model, tokenizer, prompts, others)
            ).mean().clamp(min=0)  # fmt: skip
            start = logprobs_of(reference.model, tokenizer, prompts, responses)
        above = 0.5 * (logprobs_of(model, tokenizer, prompts, responses) - start - kl)
        losses_of = (1.5 * (1 - above.sigmoid()), 0.75 * (1 - (-above).sigmoid()))
        loss = torch.where(liked, *losses_of).mean()
        losses.append(float(loss))
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert isinstance(trained, ModelPolicy)
    for a, b in zip(weights(trained), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
    shown = [point["loss"] for point in context.curves]
    assert shown == pytest.approx([mean(losses[:10]), mean(losses[10:])], abs=1e-4)


def test_unpaired_labels_come_in_another_order_with_another_seed() -> None:
    unpaired = [Unpaired("a", str(i), True) for i in range(10)]
    first = passes(unpaired, 25, 0)
    assert sorted(first[:10]) == sorted(first[10:20]) == unpaired
    assert first[:10] != first[10:20] and first == passes(unpaired, 25, 0) != passes(
        unpaired, 25, 1
    )
