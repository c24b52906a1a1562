"""Rewards of responses: finite, of all processes, and the best of each group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from methods.core.models import distributed
from methods.core.training.context import Context
from methods.core.training.trainer import Diverged

if TYPE_CHECKING:
    from torch import Tensor

# Finite weights can give such a reward: to a policy that diverged, or if the reward model did.
NOT_FINITE = "a reward is not finite: lower the learning rate, or that of the reward model"


def finite_rewards(
    context: Context, prompts: Sequence[str], responses: Sequence[str]
) -> list[float]:
    """Return the reward of each response.

    Raises:
        Diverged: A reward is not finite.
    """
    rewards = context.reward(prompts, responses)
    if not all(map(math.isfinite, rewards)):
        raise Diverged(NOT_FINITE)
    return rewards


def check_rewards(rewards: Tensor) -> None:
    """Raise Diverged if a reward is not finite: in all processes, as they see all rewards."""
    if not bool(rewards.isfinite().all()):
        raise Diverged(NOT_FINITE)


def gather_rewards(rewards: Tensor) -> Tensor:
    """Return the rewards of all processes, [B].

    Raises:
        Diverged: A reward is not finite.
    """
    import torch

    rewards = torch.cat(distributed.all_gather(rewards.cpu())).to(rewards.device)
    check_rewards(rewards)
    return rewards


def best_of_each(rewards: Sequence[float], n: int) -> list[int]:
    """Return the place of the highest reward in each group of n neighbors, the first of equals."""
    groups = (range(start, start + n) for start in range(0, len(rewards), n))
    return [max(group, key=rewards.__getitem__) for group in groups]
