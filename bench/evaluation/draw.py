"""Sampled responses of a policy to the prompts of a split, with reward, KL and length of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from bench.evaluation.kl import best_of_n_kl, model_kl
from bench.evaluation.reference_samples import ReferenceSamples, lengths
from bench.tasks.base import Split
from methods.best_of_n import BestOfNPolicy
from methods.core.models.outputs import logprobs_of, model_of, responses_of
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.models.text import decode_responses, distinct, encode_prompts, has_ended

Row = dict[str, Any]
Columns = dict[str, list[Any]]


def draw(
    reference_samples: ReferenceSamples, policy: Policy, split: Split, per_prompt: int
) -> list[Row]:
    """Sample responses and measure each of them.

    Args:
        reference_samples: Those of the pipeline.
        policy: The policy to sample.
        split: The split whose prompts it answers.
        per_prompt: Responses to each prompt.

    Returns:
        A row for each response: prompt, response, reward, proxy_reward, kl and entropy (nats; nan
        where unknown), response_tokens, ended, and group, the index of its prompt.
    """
    pipeline = reference_samples.pipeline
    prompts = pipeline.prompts(split)
    groups = [i for i in range(len(prompts)) for _ in range(per_prompt)]
    repeated = [prompts[i] for i in groups]
    # The same for all methods of a seed.
    seed = derive_seed("responses", split, pipeline.seed)
    if model := model_of(policy):
        columns = _as_tokens(reference_samples, model, repeated, seed)
    else:
        pools = [reference_samples.proxy_rewards(split)[i] for i in groups]
        columns = _as_text(reference_samples, policy, repeated, seed, pools)
    responses = columns["response"]
    proxy = columns.get("proxy_reward") or pipeline.reward_model()(repeated, responses)
    tokenizer = pipeline.sft().tokenizer
    columns |= {
        "prompt": repeated,
        "reward": pipeline.reward(repeated, responses),
        "proxy_reward": proxy,
        "ended": [has_ended(tokenizer, response) for response in responses],
        "group": groups,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _as_tokens(
    reference_samples: ReferenceSamples, policy: ModelPolicy, prompts: list[str], seed: int
) -> Columns:
    """Sample a model policy; KL and entropy are those of the very tokens that were sampled."""
    sampling = reference_samples.sampling
    ids: list[list[int]] = [[]] * len(prompts)
    for places, batch in policy.sampled(prompts, seed, sampling):
        for place, response in zip(places, batch.response_ids(), strict=True):
            ids[place] = response
    columns: Columns = {
        "response": decode_responses(policy.tokenizer, ids),
        "response_tokens": [len(response) for response in ids],
    }
    if sampling.is_softmax:
        reference = reference_samples.pipeline.sft()
        return columns | _kl_of_tokens(policy, reference, prompts, ids, sampling)
    return columns | {name: [math.nan] * len(prompts) for name in ("kl", "entropy")}


def _kl_of_tokens(
    policy: ModelPolicy,
    reference: ModelPolicy,
    prompts: list[str],
    responses: list[list[int]],
    sampling: SamplingParams,
) -> Columns:
    """Return KL and entropy of each response, given as token ids; of equal ones once."""
    firsts, equals = distinct(prompts, [tuple(response) for response in responses])
    prompt_ids = encode_prompts(policy.tokenizer, [prompts[i] for i in firsts])
    rows: Columns = {name: [math.nan] * len(firsts) for name in ("kl", "entropy")}
    for places, batch in policy.token_batches(prompt_ids, [responses[i] for i in firsts]):
        measured = model_kl(policy, reference, batch, sampling)
        for name, values in zip(rows, measured, strict=True):
            for place, value in zip(places, values, strict=True):
                rows[name][place] = value
    return {name: [values[number] for number in equals] for name, values in rows.items()}


def _as_text(
    reference_samples: ReferenceSamples,
    policy: Policy,
    prompts: list[str],
    seed: int,
    pools: list[ndarray],
) -> Columns:
    """Sample any policy; KL and entropy are estimated from texts, nan where that is impossible.

    Args:
        reference_samples: Those of the pipeline.
        policy: The policy to sample.
        prompts: [N].
        seed: Of sampling.
        pools: For each prompt the proxy rewards of the SFT policy's samples, [N] arrays.
    """
    pipeline, sampling = reference_samples.pipeline, reference_samples.sampling
    responses = responses_of(policy, prompts, seed, sampling)
    proxy = pipeline.reward_model()(prompts, responses)
    kls = entropies = [math.nan] * len(responses)
    if not sampling.is_softmax:
        pass
    elif type(policy) is BestOfNPolicy and not reference_samples.listed:
        kls = best_of_n_kl(proxy, pools, policy.n)
    elif (logprobs := logprobs_of(policy, prompts, responses, sampling)) is not None:
        # Single-sample estimates: unbiased too, but of more variance.
        reference = pipeline.sft().logprobs(prompts, responses, sampling)
        kls, entropies = list(np.subtract(logprobs, reference)), list(np.negative(logprobs))
    tokens = lengths(pipeline.sft().tokenizer, responses, sampling.max_new_tokens)
    return {
        "response": responses,
        "kl": kls,
        "entropy": entropies,
        "response_tokens": tokens.tolist(),
        "proxy_reward": proxy,
    }
