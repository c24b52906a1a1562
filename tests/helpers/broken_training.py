"""Plug-ins that train wrongly: on labels, seeds, budgets or after a restart."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.good_method import Good

from methods.base import Context, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.training.pairwise import PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LearnsNothing(Good):
    """Its loss is the same whatever the policy."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return 0 * logprobs.margin


@dataclass(frozen=True)
class IgnoresLabels(Good):
    """It prefers one answer, whatever the annotator says."""

    def train(self, context: Context) -> Policy:
        context.labels = [
            pair._replace(chosen=min(pair[1:]), rejected=max(pair[1:])) for pair in context.feedback
        ]
        return super().train(context)


@dataclass(frozen=True)
class DrawsUnseeded(Good):
    """It draws its seed from the global random state."""

    def train(self, context: Context) -> Policy:
        context.seed = random.Random(random.random()).randrange(10**6)
        return super().train(context)


@dataclass(frozen=True)
class IgnoresSeed(Good):
    """It uses the same seed always."""

    def train(self, context: Context) -> Policy:
        context.seed = 42
        return super().train(context)


@dataclass(frozen=True)
class CallsTheGenerator(Good):
    """It learns from pairs, but samples too."""

    def train(self, context: Context) -> Policy:
        context.start().generate(context.prompts, context.seed, context.sampling)
        return super().train(context)


@dataclass(frozen=True)
class Overspends(Good):
    """It trains on twice as much as the budget allows."""

    def train(self, context: Context) -> Policy:
        schedule = Schedule(self.learning_rate, 2 * context.budget, self.batch_size)
        allowed, context.budget = context.budget, 2 * context.budget
        policy = fit_pairs(context, self.loss, schedule)
        context.budget = allowed
        return policy


@dataclass(frozen=True)
class ChangesForNothing(Good):
    """It changes the policy even with a budget of 0."""

    def train(self, context: Context) -> Policy:
        policy = fit_pairs(context, self.loss, self.schedule)
        next(policy.model.parameters()).data.mul_(1.01)
        return policy


@dataclass(frozen=True)
class StartsTwice(Good):
    """Started again, it repeats all steps from the weights that it had reached."""

    def train(self, context: Context) -> Policy:
        import torch

        kept = context.workdir / "policy.pt"
        if kept.exists():
            weights = torch.load(kept, weights_only=True)

            def start() -> ModelPolicy:
                policy = Context.start(context)
                policy.model.load_state_dict(weights)
                return policy

            context.start = start  # type: ignore[method-assign]
            return super().train(context)
        first = fit_pairs(context, self.loss, Schedule(self.learning_rate, 64))
        torch.save(first.model.state_dict(), kept)
        return super().train(context)


@dataclass(frozen=True)
class LogsNan(Good):
    """It logs nan."""

    def train(self, context: Context) -> Policy:
        context.log(1, loss=float("nan"))
        return super().train(context)
