"""How often a reward agrees with people, or with the gold reward, on pairs it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from methods.core.feedback import Label, Unpaired, derive
from methods.core.models.reward import RewardModel, TextReward

# For the interval of an accuracy.
RESAMPLES = 1000


class Accuracy(NamedTuple):
    """How often a reward agrees with people on held-out labels.

    Attributes:
        reward_accuracy: Share of the labels, ties half.
        pairs: How many labels there are.
        accuracy_low: Lower end of the 95% interval for other prompts of the same kind.
        accuracy_high: Its upper end.
    """

    reward_accuracy: float
    pairs: int
    accuracy_low: float
    accuracy_high: float


def held_out_accuracy(reward: TextReward, labels: Sequence[Label]) -> Accuracy:
    """Return how often a reward agrees with people; not a number without labels.

    Of pairs: how often it ranks the chosen response higher. Of unpaired labels: how often a liked
    response is above a disliked one, over all such pairs (the area under the ROC curve).
    """
    unpaired = [one for one in labels if isinstance(one, Unpaired)]
    if unpaired:
        prompts = [one.prompt for one in unpaired]
        rewards = np.array(reward(prompts, [one.completion for one in unpaired]))
        liked = np.array([one.label for one in unpaired])
        return _with_interval(prompts, lambda rows: _area(rewards[rows], liked[rows]))
    pairs: Any = derive(labels, "pairs")
    prompts = [pair.prompt for pair in pairs]
    margins = np.subtract(
        reward(prompts, [pair.chosen for pair in pairs]),
        reward(prompts, [pair.rejected for pair in pairs]),
    )
    right = (margins > 0) + 0.5 * (margins == 0)
    return _with_interval(prompts, lambda rows: float(right[rows].mean()))


def _area(rewards: ndarray, liked: ndarray) -> float:
    """Return the area under the ROC curve; not a number without both kinds."""
    if liked.all() or not liked.any():
        return math.nan
    margins = rewards[liked][:, None] - rewards[~liked][None]
    return float(((margins > 0) + 0.5 * (margins == 0)).mean())


def _with_interval(prompts: Sequence[str], share: Callable[[ndarray], float]) -> Accuracy:
    """Return a share of rows with its percentile bootstrap interval over prompts."""
    if not prompts:
        return Accuracy(math.nan, 0, math.nan, math.nan)
    by_prompt: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(row)
    clusters = list(by_prompt.values())
    random = np.random.default_rng(0)
    drawn = [
        share(
            np.concatenate(
                [clusters[i] for i in random.integers(len(clusters), size=len(clusters))]
            )
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Accuracy(share(np.arange(len(prompts))), len(prompts), float(low), float(high))


def gold_order_accuracy(
    reward: RewardModel,
    prompts: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    gold: Sequence[tuple[float, float]],
) -> float:
    """Return how often a reward model ranks two responses as the gold reward does, gold ties left out.

    Args:
        reward: The reward model.
        prompts: [N].
        pairs: Two responses to each prompt, [N].
        gold: Their gold rewards, [N].
    """
    kept = [i for i, (a, b) in enumerate(gold) if a != b]
    asked = [prompts[i] for i in kept]
    first = reward(asked, [pairs[i][0] for i in kept])
    second = reward(asked, [pairs[i][1] for i in kept])
    right = [
        (a > b) == (gold[i][0] > gold[i][1]) for i, a, b in zip(kept, first, second, strict=True)
    ]
    return sum(right) / len(right)
