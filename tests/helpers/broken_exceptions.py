"""Plug-ins that raise exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.good_method import Good

from methods.base import Context, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.toolkit.offline import PairLogprobs

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Raises(Good):
    """It raises an exception after some work."""

    def train(self, context: Context) -> Policy:
        super().train(context)
        raise TypeError("unsupported operand")


@dataclass(frozen=True)
class LossRaises(Good):
    """Its loss adds tensors that do not fit."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return logprobs.margin + logprobs.margin.new_zeros(3)  # the line that is shown


@dataclass(frozen=True)
class RaisesWithoutBudget(Good):
    """It divides by the budget."""

    def train(self, context: Context) -> Policy:
        assert 1 / context.budget
        return super().train(context)


class CannotSample(ModelPolicy):
    """It raises an exception when sampled."""

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        raise KeyError("temperature")


@dataclass(frozen=True)
class PolicyRaises(Good):
    """Its policy raises an exception."""

    def train(self, context: Context) -> Policy:
        policy = super().train(context)
        return CannotSample(policy.model, policy.tokenizer)
