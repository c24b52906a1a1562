"""Rollouts: joined, split, and cut to size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.models import PROMPTS

from methods.base import Context, Diverged
from methods.core.models.sampling import SamplingParams
from methods.core.online.rewards import gather_rewards
from methods.core.online.rollout import Rollout, collect, interleave

LONG = SamplingParams(max_new_tokens=12)
MakeContext = Callable[..., Context]


def rollout(context: Context, prompts: list[str], seed: int) -> Rollout:
    return collect(context, context.reference, prompts, seed)


def texts(context: Context, rows: Rollout) -> list[str]:
    return context.reference.decode(rows.batch)


def test_interleaved_rollouts_have_the_two_responses_to_a_prompt_as_neighbors(
    make_context: MakeContext,
) -> None:
    context = make_context(sampling=LONG, reward=lambda p, r: [float(len(t)) for t in r])
    first, second = rollout(context, PROMPTS, 0), rollout(context, PROMPTS, 1)
    both = interleave(first, second)
    both_texts = (texts(context, first), texts(context, second))
    expected = [t for pair in zip(*both_texts, strict=True) for t in pair]
    assert texts(context, both) == expected
    assert both.rewards.tolist() == [len(text) for text in expected]
    for name in ("logprobs", "reference_logprobs"):
        sums = torch.stack([getattr(first, name).sum(1), getattr(second, name).sum(1)], dim=1)
        assert torch.allclose(getattr(both, name).sum(1), sums.flatten(), atol=1e-6), name


def test_rows_are_as_narrow_as_they_allow(make_context: MakeContext) -> None:
    context = make_context(sampling=LONG)
    whole = rollout(context, PROMPTS * 5, 0)
    whole.values = torch.arange(whole.mask.shape[1] + 1.0).expand(len(whole.rewards), -1)
    shortest = [int(whole.mask.sum(1).argmin())]
    part = whole.rows(shortest)
    length = int(whole.mask.sum(1).min())
    assert length < whole.mask.shape[1]
    assert part.logprobs.shape == (1, length) and part.values.shape == (1, length + 1)
    assert part.batch.ids.shape[1] == int(whole.batch.mask.sum(1)[shortest])
    assert torch.equal(part.logprobs[0], whole.logprobs[shortest, :length][0])


def test_rewards_must_be_finite() -> None:
    assert gather_rewards(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    with pytest.raises(Diverged, match="a reward is not finite"):
        gather_rewards(torch.tensor([1.0, float("nan")]))
