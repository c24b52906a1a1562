"""Enumeration of every response of a small task, with a policy's probability of each."""

from __future__ import annotations

import itertools
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from methods.best_of_n import BestOfNPolicy, best_of_n_probabilities
from methods.core.models.batch import make_batch
from methods.core.models.outputs import OutputError, logprobs_of, model_of
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import decode_responses, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Prefixes that are read at once.
PREFIXES = 4096
# By how much the probabilities of all responses may differ from 1.
TOTAL_TOLERANCE = 0.01


@cache
def all_responses(vocabulary: int, end: int, length: int) -> tuple[tuple[int, ...], ...]:
    """Return every response as token ids: first those that end, then those cut off at the length.

    Each group is in the order of `itertools.product`, which `_expand` relies on.

    Args:
        vocabulary: Number of tokens.
        end: The end token's id.
        length: The longest response, in tokens.
    """
    others = [token for token in range(vocabulary) if token != end]
    ended = [
        (*prefix, end)
        for before in range(length)
        for prefix in itertools.product(others, repeat=before)
    ]
    return (*ended, *itertools.product(others, repeat=length))


@lru_cache(maxsize=1)
def all_texts(tokenizer: PreTrainedTokenizerBase, length: int) -> list[str]:
    """Return every response of up to `length` tokens as text, in the same order."""
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, length)
    return decode_responses(tokenizer, listed)


def model_logprobs(policy: ModelPolicy, prompts: list[str], sampling: SamplingParams) -> ndarray:
    """Return the log-probabilities of all responses under a model policy.

    One pass over the longest prefixes also gives the next-token probabilities after shorter ones.

    Args:
        policy: A model policy.
        prompts: Texts.
        sampling: Sets temperature and length.

    Returns:
        [prompts, R], in float64 (nats).
    """
    tokenizer, length = policy.tokenizer, sampling.max_new_tokens
    vocabulary, end = len(tokenizer), tokenizer.eos_token_id
    others = np.array([token for token in range(vocabulary) if token != end])
    prefixes = list(itertools.product(others.tolist(), repeat=length - 1))
    rows = []
    for ids in encode_prompts(tokenizer, prompts):
        steps = []
        for start in range(0, len(prefixes), PREFIXES):
            part = prefixes[start : start + PREFIXES]
            # The last token is not read; it makes room for the probabilities after the prefix.
            responses = [[*prefix, end] for prefix in part]
            batch = make_batch(
                [ids] * len(part), responses, tokenizer.pad_token_id, policy.model.device
            )
            steps.append(policy.next_token_logprobs(batch, sampling).double().cpu().numpy())
        rows.append(_expand(np.concatenate(steps), others, end, length))
    return np.stack(rows)


def _expand(table: ndarray, others: ndarray, end: int, length: int) -> ndarray:
    """Sum next-token log-probabilities along every response.

    Args:
        table: [prefixes, length, V], for prefixes of length - 1 tokens.
        others: Ids of all tokens but the end token.
        end: The end token's id.
        length: The longest response, in tokens.

    Returns:
        [R], in the order of `all_responses`.
    """
    count = len(others)
    ended, total = [], np.zeros(1)
    for step in range(length):
        # Prefixes that agree up to this step have the same row here: take the first of each.
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
    """Return the log-probabilities of all responses under any policy.

    Args:
        policy: Any policy.
        prompts: Texts.
        texts: All responses, [R].
        sampling: Sets temperature and length.
        reference: Log-probabilities under the SFT policy, [prompts, R].
        rewards: Proxy rewards, which best of n picks by, [prompts, R].

    Returns:
        [prompts, R] (nats); None where the policy has no log-probabilities.

    Raises:
        OutputError: The policy's log-probabilities are not those of a distribution.
    """
    if model := model_of(policy):
        return model_logprobs(model, prompts, sampling)
    if type(policy) is BestOfNPolicy:
        probabilities = [
            best_of_n_probabilities(np.exp(logprobs), prompt_rewards, policy.n)
            for logprobs, prompt_rewards in zip(reference, rewards, strict=True)
        ]
        return np.log(np.maximum(np.stack(probabilities), 1e-300))
    rows = [logprobs_of(policy, [prompt] * len(texts), texts, sampling) for prompt in prompts]
    if any(row is None for row in rows):
        return None
    logprobs = np.array(rows)
    total = np.exp(logprobs).sum(1)
    if np.abs(total - 1).max() > TOTAL_TOLERANCE:
        raise OutputError(
            f"{type(policy).__name__}.logprobs must be of one distribution: the probabilities of "
            f"all responses sum to {total[np.abs(total - 1).argmax()]:.3g}, not 1"
        )
    return logprobs
