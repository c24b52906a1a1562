"""Replicas of methods: the same training with other random numbers.

All methods of a seed share that seed, so training a method twice gives the same policy twice. A
replica derives a seed from its number. It is a subclass, so that it has its method's settings,
feedback and code.
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
    """DPO with a seed derived from the replica's number."""

    replica: int = 0

    def train(self, context: Context) -> Policy:
        """Train DPO with the replica's seed."""
        context.seed = derive_seed("replica", self.replica, context.seed)
        return super().train(context)


@dataclass(frozen=True)
class PPOReplica(PPO):
    """PPO with a seed derived from the replica's number."""

    replica: int = 0

    def train(self, context: Context) -> ModelPolicy:
        """Train PPO with the replica's seed."""
        context.seed = derive_seed("replica", self.replica, context.seed)
        return super().train(context)
