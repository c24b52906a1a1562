"""Every response of a pipeline that is small enough, and a policy's probability of each."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from methods.best_of_n import BestOfNPolicy, best_of_n_probabilities
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams, make_batch
from methods.core.models.text import decode_responses, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@cache
def all_responses(vocabulary: int, end: int, length: int) -> tuple[tuple[int, ...], ...]:
    """Return every response as tokens: those that end, and those cut off at the length.

    Their order is that of the prefixes, so that a prefix's probabilities can be read off in rows.
    """
    others = [token for token in range(vocabulary) if token != end]
    ended = [
        (*prefix, end)
        for before in range(length)
        for prefix in itertools.product(others, repeat=before)
    ]
    return (*ended, *itertools.product(others, repeat=length))


def all_texts(tokenizer: PreTrainedTokenizerBase, length: int) -> list[str]:
    """Return every response as text."""
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, length)
    return decode_responses(tokenizer, listed)


def model_logprobs(policy: ModelPolicy, prompts: list[str], sampling: SamplingParams) -> ndarray:
    """Return log-probabilities [prompts, R] of all responses under a model policy, in float64.

    One pass over the longest prefixes gives the next-token probabilities at all shorter ones.
    """
    tokenizer, length = policy.tokenizer, sampling.max_new_tokens
    vocabulary, end = len(tokenizer), tokenizer.eos_token_id
    others = np.array([token for token in range(vocabulary) if token != end])
    prefixes = list(itertools.product(others.tolist(), repeat=length - 1))
    rows = []
    for ids in encode_prompts(tokenizer, prompts):
        steps = []
        for start in range(0, len(prefixes), 4 * policy.batch_size):
            part = prefixes[start : start + 4 * policy.batch_size]
            # The last token is never read: it makes room for the probabilities before it.
            responses = [[*prefix, end] for prefix in part]
            batch = make_batch(
                [ids] * len(part), responses, tokenizer.pad_token_id, policy.model.device
            )
            steps.append(policy.next_token_logprobs(batch, sampling).double().cpu().numpy())
        rows.append(_expand(np.concatenate(steps), others, end, length))
    return np.stack(rows)


def _expand(table: ndarray, others: ndarray, end: int, length: int) -> ndarray:
    """Sum next-token log-probabilities [prefixes, length, V] along every response."""
    count = len(others)
    ended, total = [], np.zeros(1)
    for step in range(length):
        # All prefixes that agree up to this step have the same row: take the first of each.
        shared = table[:: count ** (length - 1 - step), step]
        ended.append(total + shared[:, end])
        total = (total[:, None] + shared[:, others]).reshape(-1)
    return np.concatenate([*ended, total])


def listed_logprobs(
    policy: Policy,
    prompts: list[str],
    texts: list[str],
    sampling: SamplingParams,
    reference: ndarray,
    rewards: ndarray,
) -> ndarray | None:
    """Return log-probabilities [prompts, R] of all responses under any policy, or None.

    reference: those of the SFT policy; rewards: the learned rewards, which best of n picks by.
    """
    if isinstance(policy, ModelPolicy):
        return model_logprobs(policy, prompts, sampling)
    if isinstance(policy, BestOfNPolicy):
        ratio = [
            best_of_n_probabilities(np.exp(ref), score, policy.n)
            for ref, score in zip(reference, rewards, strict=True)
        ]
        return np.log(np.maximum(np.stack(ratio), 1e-300))
    rows = [policy.logprobs([prompt] * len(texts), texts, sampling) for prompt in prompts]
    return None if any(row is None for row in rows) else np.array(rows)
