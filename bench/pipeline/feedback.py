"""Preference pairs: responses that the task's coverage gives, judged by its annotator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from bench.tasks.base import Annotator, Task
from methods.core.feedback import Pair
from methods.core.policy import Policy
from methods.core.sampling import SamplingLaw


def collect_pairs(
    task: Task, policy: Policy, prompts: Sequence[str], count: int, seed: int
) -> list[Pair]:
    """Return count pairs of responses from the policy, sampled as the task's coverage says."""
    random = Random(f"pairs {seed}")
    asked = [random.choice(prompts) for _ in range(count)]
    law = SamplingLaw(task.coverage.temperature, max_new_tokens=task.max_new_tokens)
    responses = policy.generate(asked * 2, seed, law)
    gold = task.gold(asked * 2, responses)
    if task.coverage.tilt is not None:
        drawn = tilted(asked * 2, gold, task.coverage.tilt, random)
        responses, gold = [responses[i] for i in drawn], [gold[i] for i in drawn]
    pairs = []
    for i, prompt in enumerate(asked):
        first, second = responses[i], responses[count + i]
        if prefers_first(task.annotator, gold[i], gold[count + i], random):
            pairs.append(Pair(prompt, first, second))
        else:
            pairs.append(Pair(prompt, second, first))
    return pairs


def tilted(prompts: Sequence[str], gold: Sequence[float], tilt: float, random: Random) -> list[int]:
    """Return for each response itself, or in half of the cases another one for the same prompt.

    That one is drawn with weights exp(gold / tilt).
    """
    by_prompt: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(i)
    drawn = list(range(len(prompts)))
    for own in by_prompt.values():
        best = max(gold[i] for i in own)
        weights = [math.exp((gold[i] - best) / tilt) for i in own]
        for i, other in zip(own, random.choices(own, weights, k=len(own)), strict=True):
            if random.random() < 0.5:
                drawn[i] = other
    return drawn


def prefers_first(annotator: Annotator, first: float, second: float, random: Random) -> bool:
    """Return the annotator's answer to a pair with these gold rewards."""
    if abs(first - second) < annotator.tie_margin:
        return random.random() < 0.5
    probability = 1 / (1 + math.exp(-(first - second) / annotator.temperature))
    answer = random.random() < probability
    return answer if random.random() >= annotator.flip_rate else not answer
