"""Identity preference optimization (IPO; Azar et al., 2023), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.core.trl.dpo import fit_by_dpo_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class IPO(Offline):
    """Identity preference optimization.

    A squared loss that pulls the margin between the log-ratios to 1 / (2 beta): equation 17 of Azar
    et al. (2023). Unlike the loss of DPO, it has a finite minimum even if the annotator always
    prefers the same response. As in TRL, log-ratios are means over the tokens of a response.

    Attributes:
        beta: KL strength, tau in the paper. The margin of 1 / (2 beta) is in nats per token.
    """

    paper: ClassVar = Paper("Azar et al., 2023", "https://arxiv.org/abs/2310.12036")
    feedback: ClassVar = "pairs"
    grid: ClassVar = {"beta": [1.0, 2.0, 4.0, 8.0]}

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(context, self.schedule, beta=self.beta, loss="ipo")
