"""Methods that imitate their best responses: what they train on and what they come to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.models import PROMPTS, SAMPLING, likes_a
from helpers.online import exact_share_of_a, starts_with_a

from bench.evaluation.enumeration import all_texts, model_logprobs
from methods.base import Context
from methods.best_of_n import best_of_n_probabilities
from methods.best_of_n_distilled import BestOfNDistilled
from methods.expert_iteration import ExpertIteration
from methods.toolkit import imitation

MakeContext = Callable[..., Context]


def test_distillation_trains_on_the_best_of_n(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[list[str], list[str]]] = []
    train = imitation.train_on_responses

    def recorded(model: Any, tokenizer: Any, prompts: Any, responses: Any, *rest: Any) -> Any:
        batches.append((prompts, responses))
        return train(model, tokenizer, prompts, responses, *rest)

    monkeypatch.setattr(imitation, "train_on_responses", recorded)
    rewarded: list[tuple[str, str]] = []

    def reward(prompts: list[str], responses: list[str]) -> list[float]:
        rewarded.extend(zip(prompts, responses, strict=True))
        return likes_a(prompts, responses)

    BestOfNDistilled(n=4, episodes=128, examples=64).train(make_context(reward=reward))
    [(prompts, responses)] = batches
    assert len(responses) == 32
    for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        group = rewarded[4 * i : 4 * i + 4]
        assert (prompt, response) in group
        rewards = likes_a(None, [text for _, text in group])
        assert likes_a(None, [response]) == [max(rewards)]


def test_distillation_comes_to_best_of_n(make_context: MakeContext) -> None:
    """Expected reward and KL against those of best of n itself, all by enumeration."""
    context = make_context()
    policy = BestOfNDistilled(n=4, episodes=4096, examples=4096).train(context)
    scores = np.array(likes_a(None, all_texts(policy.tokenizer, SAMPLING.max_new_tokens)))
    start, learned = (
        np.exp(model_logprobs(p, PROMPTS, SAMPLING)) for p in (context.reference, policy)
    )
    best = np.stack([best_of_n_probabilities(p, scores, 4) for p in start])
    gains = [float(((p - start) * scores).sum(1).mean()) for p in (learned, best)]
    assert 0.9 < gains[0] / gains[1] < 1.05
    kl = float((learned * np.log(learned / start)).sum(1).mean())
    assert kl < math.log(4)


def test_expert_iteration_goes_further_than_one_round(make_context: MakeContext) -> None:
    def share(rounds: int) -> float:
        return exact_share_of_a(
            ExpertIteration(rounds=rounds).train(make_context(reward=starts_with_a))
        )

    assert share(4) > share(1) + 0.02
