"""Reward and win rate at other sampling temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy import ndarray

from bench.evaluation.draw import Row
from bench.evaluation.measure import compute
from bench.evaluation.reference_samples import ReferenceSamples
from bench.pipeline.base import Pipeline
from methods.core.models.outputs import responses_of
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingParams, derive_seed


def at_temperatures(
    reference_samples: ReferenceSamples,
    policy: Policy,
    temperatures: Sequence[float],
    per_prompt: int,
) -> list[Row]:
    """Measure a policy on test prompts at several sampling temperatures.

    Args:
        reference_samples: Those of the pipeline.
        policy: The policy to measure.
        temperatures: Of sampling, of the policy and of SFT alike; 0 is greedy.
        per_prompt: Responses to each prompt.

    Returns:
        A row for each temperature: temperature, reward, win_rate_sft.
    """
    rows = []
    for temperature in temperatures:
        sampling = replace(reference_samples.sampling, temperature=temperature)
        # Greedy responses to a prompt are all the same.
        count = per_prompt if temperature > 0 else 1
        rewards = _rewards(reference_samples.pipeline, policy, sampling, count, "policy")
        sft_rewards = _sft_rewards(reference_samples.pipeline, sampling, count)
        won = compute("WinRate", predictions=rewards.tolist(), references=sft_rewards.tolist())
        rows.append(
            {
                "temperature": temperature,
                "reward": float(rewards.mean()),
                "win_rate_sft": won["win_rate"],
            }
        )
    return rows


@lru_cache(maxsize=8)
def _sft_rewards(pipeline: Pipeline, sampling: SamplingParams, count: int) -> ndarray:
    """Return the SFT policy's rewards, [prompts, count], which all runs of a pipeline share."""
    return _rewards(pipeline, pipeline.sft(), sampling, count, "sft")


def _rewards(
    pipeline: Pipeline, policy: Policy, sampling: SamplingParams, count: int, purpose: str
) -> ndarray:
    """Sample responses to each test prompt, and return their rewards, [prompts, count]."""
    prompts = pipeline.prompts("test")
    repeated = [prompt for prompt in prompts for _ in range(count)]
    seed = derive_seed("temperatures", purpose, pipeline.seed)
    responses = responses_of(policy, repeated, seed, sampling)
    return np.reshape(pipeline.reward(repeated, responses), (len(prompts), count))
