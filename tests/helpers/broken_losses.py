"""Plug-ins whose losses are wrong, although training on them learns the preference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.good_method import Good

from methods.base import NonNegative
from methods.toolkit.offline import PairLogprobs

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReturnsTheMean(Good):
    """It returns the mean of its losses."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return super().loss(logprobs).mean()


@dataclass(frozen=True)
class MixesRows(Good):
    """Each of its losses depends on the mean margin of the batch."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * (logprobs.margin + logprobs.margin.mean()) / 2)


@dataclass(frozen=True)
class RewardsTheFall(Good):
    """DPOP with the sign of its penalty wrong: the chosen response gains by falling."""

    penalty: NonNegative = 2.5

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid, relu

        fall = relu(logprobs.reference_chosen - logprobs.chosen)
        return -logsigmoid(self.beta * (logprobs.margin + self.penalty * fall))
