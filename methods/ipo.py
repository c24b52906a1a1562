"""Identity preference optimization (Azar et al., 2023), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.toolkit.offline import Offline
from methods.core.trl.dpo import fit_by_dpo_trainer


@dataclass(frozen=True)
class IPO(Offline):
    """Identity preference optimization.

    A squared loss that draws the difference of log-ratios to 1 / (2 beta), equation 17 of Azar et
    al. (2023). Unlike DPO's it does not run off where an annotator always prefers the same. As in
    TRL, log-ratios are means over the tokens of a response.

    beta: tau in the paper; the larger, the smaller the difference that is wanted, in nats per
    token.
    """

    paper: ClassVar = Paper("Azar et al., 2023", "https://arxiv.org/abs/2310.12036")
    feedback: ClassVar = "pairs"
    grid: ClassVar = {"beta": [1.0, 2.0, 4.0, 8.0]}

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(context, self.schedule, beta=self.beta, loss="ipo")
