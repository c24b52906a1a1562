"""The simulated annotator: sampled responses to label, and how it chooses among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import mean
from typing import NamedTuple

from bench.errors import UserError
from bench.tasks.base import END, Simulated
from bench.tasks.coverage import first_word
from bench.tasks.labeling import Annotator, FeedbackFormat
from methods.core.feedback import Choice, Label, Pair, Ranking, Unpaired
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingParams, derive_seed

# How often responses are drawn again. Half a percent of allowed responses are enough.
MOST_ROUNDS = 2000
# After so many rounds a request whose first response begins with a rare word is drawn anew.
ROUNDS_OF_A_START = 200

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
        task: Sets temperature, length, tilting and coverage of the responses.
        gold_reward: Of prompts and responses, [N].
        policy: Where the responses are sampled from.
        prompts: Each request's prompt is drawn from these.
        count: Number of requests.
        per_prompt: Responses in each request.
        seed: Of prompts, responses and tilting.

    Returns:
        [count] requests.

    Raises:
        UserError: The policy hardly gives the responses that the response source allows.
    """
    random = Random(f"pairs {seed}")
    drawn_prompts = [random.choice(prompts) for _ in range(count)]
    repeated = drawn_prompts * per_prompt
    source = task.response_source
    sampling = SamplingParams(source.temperature, max_new_tokens=task.max_new_tokens)
    responses = policy.generate(repeated, seed, sampling)
    for attempt in range(MOST_ROUNDS):
        places = not_allowed(task, responses, count)
        if not places:
            break
        if (attempt + 1) % ROUNDS_OF_A_START == 0:
            places = with_starts(task, places, count, per_prompt)
        again = [repeated[i] for i in places]
        drawn_again = policy.generate(again, derive_seed("again", attempt, seed), sampling)
        for i, response in zip(places, drawn_again, strict=True):
            responses[i] = response
    else:
        raise UserError(
            f"options.response_source: after {MOST_ROUNDS:,} attempts {len(places):,} of "
            f"{len(responses):,} responses are still not covered, not distinct or not alike"
        )
    gold = gold_reward(repeated, responses)
    if source.tilting is not None:
        drawn = tilted(repeated, gold, source.tilting, random)
        responses, gold = [responses[i] for i in drawn], [gold[i] for i in drawn]
    return [
        LabelRequest(prompt, tuple(responses[i::count]), tuple(gold[i::count]))
        for i, prompt in enumerate(drawn_prompts)
    ]


def not_allowed(task: Simulated, responses: Sequence[str], count: int) -> list[int]:
    """Return the places of responses that the response source does not allow.

    Args:
        task: Sets coverage, and whether responses must differ or begin alike.
        responses: The first response of each request, then the second of each, and so on.
        count: Number of requests.
    """
    source = task.response_source
    return [
        i
        for i, response in enumerate(responses)
        if not task.is_covered(response)
        or (source.distinct and response in responses[i % count : i : count])
        or (
            source.shares_start(i % count)
            and first_word(response) != first_word(responses[i % count])
        )
    ]


def with_starts(task: Simulated, places: Sequence[int], count: int, per_prompt: int) -> list[int]:
    """Return places of responses, with all others of their requests if these must begin alike.

    Args:
        task: Says which requests must.
        places: Of some responses.
        count: Number of requests.
        per_prompt: Responses in each request.
    """
    alike = {i % count for i in places if task.response_source.shares_start(i % count)}
    return sorted({*places, *(i + count * n for i in alike for n in range(per_prompt))})


def annotate(
    requests: Sequence[LabelRequest],
    feedback_format: FeedbackFormat,
    annotator: Annotator,
    random: Random,
) -> list[Label]:
    """Return the annotator's label of each request: a pair, a choice or a ranking."""
    labels: list[Label] = []
    for request in requests:
        prompt, responses, _ = request
        places = 1 if feedback_format.kind != "rankings" else len(responses) - 1
        order = rank(annotator, seen_rewards(request, annotator), places, random)
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

    The annotator likes a response with the probability that it would choose it over a response
    whose reward is the mean of all, plus the annotator's strictness.
    """
    seen = [seen_rewards(request, annotator)[0] for request in requests]
    standard = mean(seen) + annotator.strictness
    return [
        Unpaired(
            request.prompt,
            request.responses[0],
            choose(annotator, (reward, standard), random) == 0,
        )
        for request, reward in zip(requests, seen, strict=True)
    ]


def seen_rewards(request: LabelRequest, annotator: Annotator) -> list[float]:
    """Return the rewards that the annotator sees: the gold rewards, and its liking for length."""
    return [
        gold + annotator.length_bonus * len(response.removesuffix(END).split())
        for response, gold in zip(request.responses, request.gold, strict=True)
    ]


def rank(annotator: Annotator, rewards: Sequence[float], places: int, random: Random) -> list[int]:
    """Return the annotator's order of several responses, as indices.

    Args:
        annotator: Who ranks.
        rewards: Of the responses, as the annotator sees them.
        places: How many places are chosen, one by one; the others keep their order.
        random: Draws each choice.
    """
    remaining = list(range(len(rewards)))
    order = []
    for _ in range(places):
        order.append(remaining.pop(choose(annotator, [rewards[i] for i in remaining], random)))
    return order + remaining


def choose(annotator: Annotator, rewards: Sequence[float], random: Random) -> int:
    """Return the index of the response that the annotator chooses; see `Annotator`."""
    if max(rewards) - min(rewards) < annotator.tie_margin:
        return random.randrange(len(rewards))
    best = max(rewards)
    weights = [math.exp((reward - best) / annotator.temperature) for reward in rewards]
    (chosen,) = random.choices(range(len(rewards)), weights)
    if random.random() < annotator.flip_rate:
        chosen = random.choice([i for i in range(len(rewards)) if i != chosen])
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
