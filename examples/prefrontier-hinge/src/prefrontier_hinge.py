"""A squared hinge loss on preference pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class SquaredHinge(PairLoss):
    """Squared hinge loss on the margin between log-ratios.

    max(0, target - beta margin)^2, in nats^2: a pair is left alone once its margin has reached
    target / beta, so the policy stops moving where a logistic loss would go on.

    beta: KL strength. target: the scaled margin that is wanted.
    """

    grid: ClassVar = {"beta": [0.25, 0.5, 1.0, 2.0]}

    target: Positive = 1.0

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return (self.target - self.beta * logprobs.margin).clamp(min=0) ** 2
