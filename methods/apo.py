"""Anchored preference optimization (APO; D'Oosterlinck et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Paper
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class APO(PairLoss):
    """Anchored preference optimization.

    DPO determines only the difference of the two log-ratios. APO determines the direction of each:
    equations 7 and 8 of D'Oosterlinck et al. (2024).

    Attributes:
        beta: KL strength: the larger, the smaller the log-ratios at which the loss levels off.
        variant: "zero" makes chosen responses more likely, for those that are better than the
            policy's. "down" makes both less likely, for those that are worse.
    """

    paper: ClassVar = Paper("D'Oosterlinck et al., 2024", "https://arxiv.org/abs/2408.06266")
    grid: ClassVar = {"beta": [0.003, 0.03, 0.3, 1.0, 3.0]}

    variant: Literal["zero", "down"] = "zero"

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        chosen = (self.beta * logprobs.chosen_ratio).sigmoid()
        if self.variant == "zero":
            return 1 - chosen + (self.beta * logprobs.rejected_ratio).sigmoid()
        return 1 + chosen - (self.beta * logprobs.margin).sigmoid()
