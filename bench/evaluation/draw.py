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
from methods.core.models.policy import ModelPolicy, Policy, response_ids
from methods.core.models.sampling import derive_seed
from methods.core.models.text import has_ended

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
    if isinstance(policy, ModelPolicy):
        columns = _as_tokens(reference_samples, policy, repeated, seed)
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
    sampling, reference = reference_samples.sampling, reference_samples.pipeline.sft()
    columns: Columns = {
        name: [math.nan] * len(prompts) for name in ("response", "kl", "entropy", "response_tokens")
    }
    for places, batch in policy.sampled(prompts, seed, sampling):
        measured: Columns = {
            "response": policy.decode(batch),
            "response_tokens": [len(ids) for ids in response_ids(batch)],
        }
        if sampling.is_softmax:
            kls, entropies = model_kl(policy, reference, batch, sampling)
            measured |= {"kl": kls, "entropy": entropies}
        for name, values in measured.items():
            for place, value in zip(places, values, strict=True):
                columns[name][place] = value
    return columns


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
    responses = policy.generate(prompts, seed, sampling)
    proxy = pipeline.reward_model()(prompts, responses)
    kls = entropies = [math.nan] * len(responses)
    if not sampling.is_softmax:
        pass
    elif isinstance(policy, BestOfNPolicy) and not reference_samples.listed:
        kls = best_of_n_kl(proxy, pools, policy.n)
    elif (logprobs := policy.logprobs(prompts, responses, sampling)) is not None:
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
