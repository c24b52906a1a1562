"""The simulated annotator: sampled responses to label, and how it chooses among them."""

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
    """Responses to one prompt that the annotator labels.

    Attributes:
        prompt: Text.
        responses: Sampled for the prompt.
        gold: Their gold rewards.
    """

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

    Returns:
        [count] requests.
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
    requests: Sequence[LabelRequest],
    feedback_format: FeedbackFormat,
    annotator: Annotator,
    random: Random,
) -> list[Label]:
    """Return the annotator's label of each request: a pair, a choice or a ranking."""
    labels: list[Label] = []
    for prompt, responses, gold in requests:
        places = 1 if feedback_format.kind != "rankings" else len(responses) - 1
        order = rank(annotator, gold, places, random)
        best, *others = (responses[i] for i in order)
        if feedback_format.kind == "pairs":
            labels.append(Pair(prompt, best, others[0]))
        elif feedback_format.kind == "choices":
            labels.append(Choice(prompt, best, tuple(others)))
        else:
            labels.append(Ranking(prompt, (best, *others)))
    return labels


def annotate_unpaired(
    requests: Sequence[LabelRequest], annotator: Annotator, random: Random
) -> list[Unpaired]:
    """Return the annotator's label of the first response of each request.

    The annotator likes a response with the probability that it would choose it over a response of
    the mean gold reward.
    """
    mean_gold = mean(request.gold[0] for request in requests)
    return [
        Unpaired(
            request.prompt,
            request.responses[0],
            choose(annotator, (request.gold[0], mean_gold), random) == 0,
        )
        for request in requests
    ]


def rank(annotator: Annotator, gold: Sequence[float], places: int, random: Random) -> list[int]:
    """Return the annotator's order of several responses, as indices.

    Args:
        annotator: Who ranks.
        gold: Gold rewards of the responses.
        places: How many places are chosen, one by one; the others keep their order.
        random: Draws each choice.
    """
    remaining = list(range(len(gold)))
    order = []
    for _ in range(places):
        order.append(remaining.pop(choose(annotator, [gold[i] for i in remaining], random)))
    return order + remaining


def choose(annotator: Annotator, gold: Sequence[float], random: Random) -> int:
    """Return the index of the response that the annotator chooses; see `Annotator`."""
    if max(gold) - min(gold) < annotator.tie_margin:
        return random.randrange(len(gold))
    best = max(gold)
    weights = [math.exp((reward - best) / annotator.temperature) for reward in gold]
    (chosen,) = random.choices(range(len(gold)), weights)
    if random.random() < annotator.flip_rate:
        chosen = random.choice([i for i in range(len(gold)) if i != chosen])
    return chosen


def tilted(prompts: Sequence[str], gold: Sequence[float], beta: float, random: Random) -> list[int]:
    """Resample half of the responses from those for the same prompt, tilted towards gold.

    Args:
        prompts: [N].
        gold: Gold rewards of the responses, [N].
        beta: Responses are resampled with weights exp(gold / beta).
        random: Draws which responses are replaced, and by which.

    Returns:
        For each place the index of the response that stands there, [N].
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
