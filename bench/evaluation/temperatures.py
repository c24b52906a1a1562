"""Reward and win rate at other sampling temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.evaluation.draw import Row
from bench.evaluation.measure import compute
from bench.evaluation.reference_samples import ReferenceSamples
from methods.core.models.policy import Policy
from methods.core.models.sampling import derive_seed


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
    pipeline = reference_samples.pipeline
    prompts = pipeline.prompts("test")
    repeated = [prompt for prompt in prompts for _ in range(per_prompt)]
    rows = []
    for temperature in temperatures:
        sampling = replace(reference_samples.sampling, temperature=temperature)
        rewards = [
            np.reshape(
                pipeline.reward(repeated, sampled.generate(repeated, seed, sampling)),
                (len(prompts), -1),
            )
            for seed, sampled in (
                (derive_seed("temperatures", "policy", pipeline.seed), policy),
                (derive_seed("temperatures", "sft", pipeline.seed), pipeline.sft()),
            )
        ]
        won = compute("WinRate", predictions=rewards[0].tolist(), references=rewards[1].tolist())
        rows.append(
            {
                "temperature": temperature,
                "reward": float(rewards[0].mean()),
                "win_rate_sft": won["win_rate"],
            }
        )
    return rows
