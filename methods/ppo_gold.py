"""PPO against the gold reward: what the optimizer could do with a perfect signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.ppo import PPO


@dataclass(frozen=True)
class PPOGold(PPO):
    """PPO on the gold reward, which no other method sees.

    Its critic starts from zero: it has no reward model to start from.
    """

    privileged: ClassVar = True

    value_init: Literal["reward_model", "zero"] = "zero"
