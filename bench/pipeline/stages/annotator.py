"""The simulated annotator: what it is asked for, and how it chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import mean
from typing import NamedTuple

from bench.tasks.base import Annotator, FeedbackFormat, Simulated
from methods.core.feedback import Choice, Label, Pair, Ranking, Unpaired
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingParams

Reward = Callable[[Sequence[str], Sequence[str]], list[float]]


class LabelRequest(NamedTuple):
    """Responses to one prompt that the annotator is shown, and their gold rewards."""

    prompt: str
    responses: tuple[str, ...]
    gold: tuple[float, ...]


def sample_requests(
    task: Simulated,
    gold_reward: Reward,
    policy: Policy,
    prompts: Sequence[str],
    count: int,
    per_prompt: int,
    seed: int,
) -> list[LabelRequest]:
    """Sample responses for the annotator, as the task's response source says.

    Args:
        task: Sets temperature, length and tilting of the responses.
        gold_reward: Of prompts and responses, [N].
        policy: Where the responses are sampled from.
        prompts: Each request's prompt is drawn from these.
        count: Number of requests.
        per_prompt: Responses in each request.
        seed: Of prompts, responses and tilting.
    """
    random = Random(f"pairs {seed}")
    drawn_prompts = [random.choice(prompts) for _ in range(count)]
    repeated = drawn_prompts * per_prompt
    source = task.response_source
    sampling = SamplingParams(source.temperature, max_new_tokens=task.max_new_tokens)
    responses = policy.generate(repeated, seed, sampling)
    gold = gold_reward(repeated, responses)
    if source.tilting is not None:
        drawn = tilted(repeated, gold, source.tilting, random)
        responses, gold = [responses[i] for i in drawn], [gold[i] for i in drawn]
    return [
        LabelRequest(prompt, tuple(responses[i::count]), tuple(gold[i::count]))
        for i, prompt in enumerate(drawn_prompts)
    ]


def annotate(
    requests: Sequence[LabelRequest], form: FeedbackFormat, annotator: Annotator, random: Random
) -> list[Label]:
    """Return the annotator's label of each request: a pair, a choice or a ranking."""
    labels: list[Label] = []
    for prompt, responses, gold in requests:
        places = 1 if form.kind != "rankings" else len(responses) - 1
        order = rank(annotator, gold, places, random)
        best, *others = (responses[i] for i in order)
        if form.kind == "pairs":
            labels.append(Pair(prompt, best, others[0]))
        elif form.kind == "choices":
            labels.append(Choice(prompt, best, tuple(others)))
        else:
            labels.append(Ranking(prompt, (best, *others)))
    return labels


def annotate_unpaired(
    requests: Sequence[LabelRequest], annotator: Annotator, random: Random
) -> list[Unpaired]:
    """Return the annotator's label of the first response of each request.

    The response is liked as if it were chosen over one of the responses' mean gold reward.
    """
    level = mean(request.gold[0] for request in requests)
    return [
        Unpaired(
            request.prompt,
            request.responses[0],
            choose(annotator, (request.gold[0], level), random) == 0,
        )
        for request in requests
    ]


def rank(annotator: Annotator, gold: Sequence[float], places: int, random: Random) -> list[int]:
    """Return the responses' order: the first places chosen one by one, the others as they were."""
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


def tilted(
    prompts: Sequence[str], gold: Sequence[float], beta: float, random: Random
) -> list[int]:
    """Return the index of each response, or in half of the cases of another for its prompt.

    Args:
        prompts: [N].
        gold: Gold rewards of the responses, [N].
        beta: The other is drawn with weights exp(gold / beta).
        random: Draws which responses are replaced, and by which.
    """
    by_prompt: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(i)
    drawn = list(range(len(prompts)))
    for same_prompt in by_prompt.values():
        best = max(gold[i] for i in same_prompt)
        weights = [math.exp((gold[i] - best) / beta) for i in same_prompt]
        others = random.choices(same_prompt, weights, k=len(same_prompt))
        for i, other in zip(same_prompt, others, strict=True):
            if random.random() < 0.5:
                drawn[i] = other
    return drawn
