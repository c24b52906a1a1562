"""Plug-ins that move too little, or the wrong way with their strength."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from helpers.good_method import Good

from methods.base import Context, Count, Policy
from methods.reinforce import Reinforce


@dataclass(frozen=True)
class MovesLittle(Good):
    """It trains on too few examples to move."""

    examples: Count = 704


@dataclass(frozen=True)
class FlipsKL(Reinforce):
    """The sign of its KL is wrong: it is rewarded for leaving the reference."""

    def train(self, context: Context) -> Policy:
        return Reinforce(**asdict(self) | {"kl_coef": -self.kl_coef}).train(context)
