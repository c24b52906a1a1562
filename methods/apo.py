"""Anchored preference optimization (D'Oosterlinck et al., 2024), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Context, Paper, Policy
from methods.toolkit.offline import Offline
from methods.core.trl.dpo import fit_by_dpo_trainer


@dataclass(frozen=True)
class APO(Offline):
    """Anchored preference optimization.

    DPO sets only the difference of the two log-ratios; APO (D'Oosterlinck et al., 2024) says where
    each is to go. With s(x) = sigmoid(beta x), and u, v the log-ratios of the chosen and the
    rejected response, the loss is 1 - s(u) + s(v) in "zero" and 1 + s(u) - s(u - v) in "down".

    beta: how soon a log-ratio is far enough. variant: "zero" where the chosen responses are better
    than the policy's own, and should become likelier; "down" where they are worse.
    """

    paper: ClassVar = Paper("D'Oosterlinck et al., 2024", "https://arxiv.org/abs/2408.06266")
    feedback: ClassVar = "pairs"

    variant: Literal["zero", "down"] = "zero"

    def train(self, context: Context) -> Policy:
        loss = f"apo_{self.variant}"
        return fit_by_dpo_trainer(context, self.schedule, beta=self.beta, loss=loss)
