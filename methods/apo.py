"""Anchored preference optimization (APO; D'Oosterlinck et al., 2024), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Context, Paper, Policy
from methods.core.trl.dpo import fit_by_dpo_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class APO(Offline):
    """Anchored preference optimization.

    DPO determines only the difference of the two log-ratios. APO (D'Oosterlinck et al., 2024)
    determines the direction of each. Let s(x) = sigmoid(beta x), and let u and v be the log-ratios
    of the chosen and the rejected response. The loss is 1 - s(u) + s(v) for "zero" and
    1 + s(u) - s(u - v) for "down".

    Attributes:
        beta: KL strength: the larger, the smaller the log-ratios at which the loss levels off.
        variant: "zero" makes chosen responses more likely, for those that are better than the
            policy's. "down" makes both less likely, for those that are worse.
    """

    paper: ClassVar = Paper("D'Oosterlinck et al., 2024", "https://arxiv.org/abs/2408.06266")
    feedback: ClassVar = "pairs"

    variant: Literal["zero", "down"] = "zero"

    def train(self, context: Context) -> Policy:
        loss = f"apo_{self.variant}"
        return fit_by_dpo_trainer(context, self.schedule, beta=self.beta, loss=loss)
