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
    """Return count pairs: both responses sampled from the policy, at the coverage's temperature."""
    random = Random(f"pairs {seed}")
    asked = [random.choice(prompts) for _ in range(count)]
    law = SamplingLaw(task.coverage.temperature, max_new_tokens=task.max_new_tokens)
    responses = policy.generate(asked * 2, seed, law)
    gold = task.gold(asked * 2, responses)
    pairs = []
    for i, prompt in enumerate(asked):
        first, second = responses[i], responses[count + i]
        if prefers_first(task.annotator, gold[i], gold[count + i], random):
            pairs.append(Pair(prompt, first, second))
        else:
            pairs.append(Pair(prompt, second, first))
    return pairs


def prefers_first(annotator: Annotator, first: float, second: float, random: Random) -> bool:
    """Return the annotator's answer to a pair with these gold rewards."""
    if abs(first - second) < annotator.tie_margin:
        return random.random() < 0.5
    probability = 1 / (1 + math.exp(-(first - second) / annotator.temperature))
    answer = random.random() < probability
    return answer if random.random() >= annotator.flip_rate else not answer
