"""Sequence likelihood calibration (SLiC-HF, Zhao et al., 2023), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.toolkit.offline import Offline
from methods.core.trl.dpo import fit_by_dpo_trainer


@dataclass(frozen=True)
class SLiC(Offline):
    """Sequence likelihood calibration.

    The hinge loss of SLiC-HF (Zhao et al., 2023), as TRL has it: on log-ratios to the reference,
    which take the place of the paper's second term, a cross-entropy that holds the policy near.

    beta: a pair counts until its difference of log-ratios is 1 / beta nats, delta in the paper.
    """

    paper: ClassVar = Paper("Zhao et al., 2023", "https://arxiv.org/abs/2305.10425")
    feedback: ClassVar = "pairs"

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(context, self.schedule, beta=self.beta, loss="hinge")
