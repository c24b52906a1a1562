"""Feedback: responses that the task's coverage gives, judged by its annotator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import mean
from typing import NamedTuple

from bench.tasks.base import Annotator, Question, Simulated
from methods.core.feedback import Choice, Judgement, Pair, Ranking, Thumb
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingLaw


class Asked(NamedTuple):
    """A question to the annotator: responses to a prompt, and their gold rewards."""

    prompt: str
    responses: tuple[str, ...]
    gold: tuple[float, ...]


def ask(
    task: Simulated,
    score: Callable[[Sequence[str], Sequence[str]], list[float]],
    policy: Policy,
    prompts: Sequence[str],
    count: int,
    among: int,
    seed: int,
) -> list[Asked]:
    """Return count questions among responses from the policy, as the task's coverage says.

    score: the gold reward.
    """
    random = Random(f"pairs {seed}")
    asked = [random.choice(prompts) for _ in range(count)]
    law = SamplingLaw(task.coverage.temperature, max_new_tokens=task.max_new_tokens)
    responses = policy.generate(asked * among, seed, law)
    gold = score(asked * among, responses)
    if task.coverage.tilt is not None:
        drawn = tilted(asked * among, gold, task.coverage.tilt, random)
        responses, gold = [responses[i] for i in drawn], [gold[i] for i in drawn]
    return [
        Asked(prompt, tuple(responses[i::count]), tuple(gold[i::count]))
        for i, prompt in enumerate(asked)
    ]


def compare(
    questions: Sequence[Asked], question: Question, annotator: Annotator, random: Random
) -> list[Judgement]:
    """Return the annotator's answer to each question, as pairs, choices or rankings."""
    answers: list[Judgement] = []
    for prompt, responses, gold in questions:
        places = 1 if question.kind != "rankings" else len(responses) - 1
        order = rank(annotator, gold, places, random)
        best, *rest = (responses[i] for i in order)
        if question.kind == "pairs":
            answers.append(Pair(prompt, best, rest[0]))
        elif question.kind == "choices":
            answers.append(Choice(prompt, best, tuple(rest)))
        else:
            answers.append(Ranking(prompt, (best, *rest)))
    return answers


def thumbs(questions: Sequence[Asked], annotator: Annotator, random: Random) -> list[Thumb]:
    """Return the annotator's thumb on the first response of each question.

    It goes up as if the response were chosen over one that is as good as their mean.
    """
    level = mean(question.gold[0] for question in questions)
    return [
        Thumb(q.prompt, q.responses[0], choose(annotator, (q.gold[0], level), random) == 0)
        for q in questions
    ]


def rank(annotator: Annotator, gold: Sequence[float], places: int, random: Random) -> list[int]:
    """Return the responses' order: the first places chosen one by one, the rest as they were."""
    left = list(range(len(gold)))
    order = []
    for _ in range(places):
        order.append(left.pop(choose(annotator, [gold[i] for i in left], random)))
    return order + left


def choose(annotator: Annotator, gold: Sequence[float], random: Random) -> int:
    """Return which of several responses with these gold rewards the annotator chooses."""
    if max(gold) - min(gold) < annotator.tie_margin:
        return random.randrange(len(gold))
    best = max(gold)
    weights = [math.exp((one - best) / annotator.temperature) for one in gold]
    (chosen,) = random.choices(range(len(gold)), weights)
    if random.random() < annotator.flip_rate:
        chosen = random.choice([i for i in range(len(gold)) if i != chosen])
    return chosen


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
