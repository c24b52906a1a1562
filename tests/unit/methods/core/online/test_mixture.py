"""The mixture is really sampled token by token, from both models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.models import SAMPLING
from scipy.stats import chisquare

from bench.evaluation.enumeration import all_responses, all_texts
from methods.base import Context
from methods.core.models.batch import make_batch
from methods.core.models.loading import Loading, Lora
from methods.core.models.logprobs import response_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts
from methods.core.online.mixture import mixed_with

PROMPT, COUNT = "a b c", 4000
LONG = SamplingParams(max_new_tokens=12)
MakeContext = Callable[..., Context]


def sampled(policy: ModelPolicy, sampling: SamplingParams = LONG) -> list[str]:
    batch, _ = policy.sample(["a", PROMPT] * 20, 0, sampling)
    return policy.decode(batch)


def test_the_mixture_has_the_probabilities_of_its_definition(
    other: ModelPolicy, reference: ModelPolicy
) -> None:
    share, tokenizer = 0.3, other.tokenizer
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, SAMPLING.max_new_tokens)
    texts = all_texts(tokenizer, SAMPLING.max_new_tokens)
    prompts = encode_prompts(tokenizer, [PROMPT] * len(listed))
    batch = make_batch(prompts, listed, tokenizer.pad_token_id, "cpu")
    with torch.no_grad():
        policy_logprobs = response_logprobs(other.model, batch, SAMPLING)
        reference_logprobs = response_logprobs(reference.model, batch, SAMPLING)
    mixed = ((1 - share) * policy_logprobs + share * reference_logprobs).log_softmax(-1)
    tokens = mixed.gather(1, batch.responses[batch.response_mask].unsqueeze(1)).squeeze(1)
    rows = batch.response_mask.nonzero()[:, 0]
    logprobs = torch.zeros(len(listed)).index_add(0, rows, tokens)
    probabilities = logprobs.double().exp().numpy()
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-4)

    with mixed_with(other.model, reference.model, share):
        drawn, _ = other.sample([PROMPT] * COUNT, 0, SAMPLING)
    responses = other.decode(drawn)

    def p_value(expected: np.ndarray) -> float:
        likely = np.argsort(-expected)[:40]
        counts = [responses.count(texts[i]) for i in likely]
        shares = expected[likely]
        return float(
            chisquare(
                [*counts, COUNT - sum(counts)], COUNT * np.array([*shares, 1 - shares.sum()])
            ).pvalue
        )

    assert p_value(probabilities) > 0.01
    for model_logprobs in (policy_logprobs, reference_logprobs):
        alone = model_logprobs.gather(1, batch.responses[batch.response_mask].unsqueeze(1))
        sums = torch.zeros(len(listed)).index_add(0, rows, alone.squeeze(1))
        assert p_value(sums.double().exp().numpy()) < 1e-6


def test_at_its_ends_the_mixture_is_one_of_the_models(
    other: ModelPolicy, reference: ModelPolicy
) -> None:
    """Rows of different lengths, which leave the batch at different times."""
    policy_responses, reference_responses = sampled(other), sampled(reference)
    assert policy_responses != reference_responses
    for share, expected in ((0.0, policy_responses), (1.0, reference_responses)):
        with mixed_with(other.model, reference.model, share):
            assert sampled(other) == expected
            assert sampled(other) == expected
    assert sampled(other) == policy_responses, "it still mixes after its context"


def test_the_reference_may_be_the_policy_without_its_adapters(make_context: MakeContext) -> None:
    context = make_context(loading=Loading(lora=Lora(rank=2)))
    policy = context.start()
    torch.manual_seed(0)
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            weight.data += 0.5 * torch.randn_like(weight)
    policy_responses, reference_responses = sampled(policy), sampled(context.reference)
    assert policy_responses != reference_responses
    for share, expected in ((0.0, policy_responses), (1.0, reference_responses)):
        with mixed_with(policy.model, context.reference.model, share):
            assert sampled(policy) == expected
