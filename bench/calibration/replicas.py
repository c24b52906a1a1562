"""Methods under another name: the same training, with other random numbers.

All methods of a seed share that seed, so the same method twice would be the same policy twice. A
replica draws its own. As a subclass it keeps its method's settings, code and feedback, and with
them its place in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from methods.base import Context, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed
from methods.dpo import DPO
from methods.ppo import PPO


@dataclass(frozen=True)
class DPOReplica(DPO):
    """DPO under another name."""

    replica: int = 0

    def train(self, context: Context) -> Policy:
        context.seed = derive_seed("replica", self.replica, context.seed)
        return super().train(context)


@dataclass(frozen=True)
class PPOReplica(PPO):
    """PPO under another name."""

    replica: int = 0

    def train(self, context: Context) -> ModelPolicy:
        context.seed = derive_seed("replica", self.replica, context.seed)
        return super().train(context)
