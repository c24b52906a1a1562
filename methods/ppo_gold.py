"""PPO on the gold reward: what the optimizer reaches with a perfect reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.ppo import PPO


@dataclass(frozen=True)
class PPOGold(PPO):
    """PPO on the gold reward, which no other method sees.

    Attributes:
        value_init: "zero", because there is no reward model to start the critic from.
    """

    privileged: ClassVar = True

    value_init: Literal["reward_model", "zero"] = "zero"
