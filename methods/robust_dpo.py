"""Provably robust DPO (Chowdhury et al., 2024), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from methods.base import Context, Paper, Policy
from methods.toolkit.offline import Offline
from methods.core.trl.dpo import fit_by_dpo_trainer


@dataclass(frozen=True)
class RobustDPO(Offline):
    """Provably robust DPO.

    Where labels are flipped at a known rate, the loss of Chowdhury et al. (2024) has the mean that
    DPO's has on the labels as they were: ((1 - e) l(m) - e l(-m)) / (1 - 2 e), with l DPO's loss, m
    the difference of log-ratios and e the rate.

    beta: KL strength, in units of the annotator's reward per nat. flip_rate: e. Too high a rate
    asks for differences without bound.
    """

    paper: ClassVar = Paper("Chowdhury et al., 2024", "https://arxiv.org/abs/2403.00409")
    feedback: ClassVar = "pairs"

    flip_rate: Annotated[float, Ge(0), Lt(0.5)] = 0.1

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(
            context, self.schedule, beta=self.beta, loss="robust", label_smoothing=self.flip_rate
        )
