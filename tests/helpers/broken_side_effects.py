"""Plug-ins that change or write what is not theirs."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

from helpers.good_method import Good

from methods.base import Context, Policy
from methods.core.training.pairwise import fit_pairs


@dataclass(frozen=True)
class ChangesItself(Good):
    """It changes one of its settings."""

    def train(self, context: Context) -> Policy:
        object.__setattr__(self, "beta", self.beta / 2)
        return super().train(context)


@dataclass(frozen=True)
class ChangesData(Good):
    """It adds to the prompts."""

    def train(self, context: Context) -> Policy:
        context.prompts.append("a")
        return super().train(context)


@dataclass(frozen=True)
class ChangesReference(Good):
    """It copies the policy's weights to the reference."""

    def train(self, context: Context) -> Policy:
        policy = fit_pairs(context, self.loss, self.schedule)
        context.reference.model.load_state_dict(policy.model.state_dict())
        return policy


@dataclass(frozen=True)
class DrawsFromAll(Good):
    """It seeds the global random state and draws from it."""

    def train(self, context: Context) -> Policy:
        random.seed(context.seed)
        random.random()
        return super().train(context)


@dataclass(frozen=True)
class ChangesProcess(Good):
    """It sets an environment variable."""

    def train(self, context: Context) -> Policy:
        os.environ["PREFRONTIER_BROKEN"] = str(int(os.environ.get("PREFRONTIER_BROKEN", "0")) + 1)
        return super().train(context)


@dataclass(frozen=True)
class WritesElsewhere(Good):
    """It writes outside of its folder."""

    def train(self, context: Context) -> Policy:
        (context.workdir.parent / "notes.txt").write_text("here")
        return super().train(context)
