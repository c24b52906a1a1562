"""How often a reward agrees with people, or with the gold reward, on held-out responses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from methods.core.feedback import Label, Pair, Unpaired, derive
from methods.core.models.reward import RewardModel, TextReward

# Bootstrap samples for the interval of an accuracy.
RESAMPLES = 1000


class Accuracy(NamedTuple):
    """How often a reward agrees with people on held-out labels.

    Attributes:
        reward_accuracy: Share of the labels that it agrees with; ties count half.
        pairs: Number of labels.
        accuracy_low: Lower end of the 95% interval for other prompts of the same kind.
        accuracy_high: Its upper end.
    """

    reward_accuracy: float
    pairs: int
    accuracy_low: float
    accuracy_high: float


def held_out_accuracy(reward: TextReward, labels: Sequence[Label]) -> Accuracy:
    """Return how often a reward agrees with people; nan without labels.

    With pairs: how often it ranks the chosen response higher. With unpaired labels: how often it
    ranks a liked response above a disliked one, over all such pairs (the area under the ROC curve).

    Args:
        reward: A reward model.
        labels: All of one kind.
    """
    unpaired = [label for label in labels if isinstance(label, Unpaired)]
    if unpaired:
        prompts = [label.prompt for label in unpaired]
        rewards = np.array(reward(prompts, [label.completion for label in unpaired]))
        liked = np.array([label.label for label in unpaired])
        return _with_interval(prompts, lambda rows: _roc_area(rewards[rows], liked[rows]))
    pairs: Any = derive(labels, "pairs")
    right = 1 - wrong(pair_margins(reward, pairs))
    return _with_interval([pair.prompt for pair in pairs], lambda rows: float(right[rows].mean()))


def pair_margins(reward: TextReward, pairs: Sequence[Pair]) -> ndarray:
    """Return how much more reward the chosen response of each pair has than the rejected, [N]."""
    prompts = [pair.prompt for pair in pairs]
    return np.subtract(
        reward(prompts, [pair.chosen for pair in pairs]),
        reward(prompts, [pair.rejected for pair in pairs]),
    )


def wrong(margins: ndarray) -> ndarray:
    """Return where a reward with these margins is wrong, [N]: 1, or 0.5 for a tie."""
    return (margins < 0) + 0.5 * (margins == 0)


def _roc_area(rewards: ndarray, liked: ndarray) -> float:
    """Return the area under the ROC curve; nan where all are liked, or none."""
    if liked.all() or not liked.any():
        return math.nan
    margins = rewards[liked][:, None] - rewards[~liked][None]
    return float(((margins > 0) + 0.5 * (margins == 0)).mean())


def _with_interval(prompts: Sequence[str], share: Callable[[ndarray], float]) -> Accuracy:
    """Return an accuracy with its percentile bootstrap interval over prompts.

    Args:
        prompts: The prompt of each row, [N].
        share: Gives the accuracy on some rows, from their indices.
    """
    if not prompts:
        return Accuracy(math.nan, 0, math.nan, math.nan)
    low, high = bootstrap_interval(prompts, share)
    return Accuracy(share(np.arange(len(prompts))), len(prompts), low, high)


def bootstrap_interval(
    prompts: Sequence[str], statistic: Callable[[ndarray], float]
) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of a statistic, with prompts resampled.

    Args:
        prompts: The prompt of each row, [N].
        statistic: Gives the statistic on some rows, from their indices.
    """
    by_prompt: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(row)
    clusters = list(by_prompt.values())
    random = np.random.default_rng(0)
    drawn = [
        statistic(
            np.concatenate(
                [clusters[i] for i in random.integers(len(clusters), size=len(clusters))]
            )
        )
        for _ in range(RESAMPLES)
    ]
    if np.isnan(drawn).all():
        return math.nan, math.nan
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def gold_order_accuracy(
    reward: RewardModel,
    prompts: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    gold: Sequence[tuple[float, float]],
) -> float:
    """Return how often a reward model orders two responses as the gold reward does.

    Pairs of equal gold rewards are left out.

    Args:
        reward: The reward model.
        prompts: [N].
        pairs: Two responses to each prompt, [N].
        gold: Their gold rewards, [N].
    """
    kept = [i for i, (a, b) in enumerate(gold) if a != b]
    kept_prompts = [prompts[i] for i in kept]
    first = reward(kept_prompts, [pairs[i][0] for i in kept])
    second = reward(kept_prompts, [pairs[i][1] for i in kept])
    right = [
        (a > b) == (gold[i][0] > gold[i][1]) for i, a, b in zip(kept, first, second, strict=True)
    ]
    return sum(right) / len(right)
