"""A squared hinge loss on preference pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Positive
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class SquaredHinge(PairLoss):
    """Squared hinge loss on the margin between log-ratios.

    The loss is max(0, target - beta * margin)^2. A pair has no gradient once its margin reaches
    target / beta (nats), so the policy stops where a logistic loss would push it further.

    Attributes:
        beta: KL strength.
        target: The margin to reach, in units of beta * margin.
    """

    grid: ClassVar = {"beta": [0.25, 0.5, 1.0, 2.0]}

    target: Positive = 1.0

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return (self.target - self.beta * logprobs.margin).clamp(min=0) ** 2
