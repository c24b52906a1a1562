"""Best of n by enumeration, against sampling and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.models import PROMPTS, SAMPLING

from bench.evaluation.enumeration import all_texts, listed_logprobs, model_logprobs
from methods.best_of_n import BestOfNPolicy, best_of_n_probabilities
from methods.core.models.policy import ModelPolicy


def test_best_of_n_by_hand_with_a_tie() -> None:
    # Rewards 0, 1, 1 with probabilities .5, .25, .25; n = 2: P(0) = .25, the tied share .75 evenly.
    probabilities = best_of_n_probabilities(np.array([0.5, 0.25, 0.25]), np.array([0, 1, 1]), 2)
    assert probabilities.tolist() == pytest.approx([0.25, 0.375, 0.375])


def test_best_of_n_by_enumeration_against_sampling(reference: ModelPolicy) -> None:
    texts = all_texts(reference.tokenizer, SAMPLING.max_new_tokens)
    listed = model_logprobs(reference, PROMPTS, SAMPLING)
    lengths = np.array([float(len(set(text.split()))) for text in texts])

    def distinct_words(prompts: object, responses: list[str]) -> list[float]:
        return [float(len(set(response.split()))) for response in responses]

    policy = BestOfNPolicy(reference, distinct_words, 4)  # type: ignore[arg-type]
    exact = listed_logprobs(policy, PROMPTS, texts, SAMPLING, listed, np.tile(lengths, (3, 1)))
    assert exact is not None
    expected = float((np.exp(exact) * lengths).sum(1).mean())
    drawn = distinct_words(None, policy.generate(PROMPTS * 500, 0, SAMPLING))
    assert abs(np.mean(drawn) - expected) < 4 * np.std(drawn) / len(drawn) ** 0.5
