"""Provably robust DPO (Chowdhury et al., 2024), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from methods.base import Context, Paper, Policy
from methods.core.trl.dpo import fit_by_dpo_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class RobustDPO(Offline):
    """Provably robust DPO.

    If labels are flipped at a known rate e, the loss ((1 - e) l(m) - e l(-m)) / (1 - 2 e) is an
    unbiased estimate of the loss of DPO on the unflipped labels (Chowdhury et al., 2024). Here l is
    the loss of DPO and m the margin between the log-ratios.

    Attributes:
        beta: KL strength, in units of the annotator's reward per nat.
        flip_rate: e, from 0 to below 0.5. If it is higher than the true rate, the loss has no
            lower bound.
    """

    paper: ClassVar = Paper("Chowdhury et al., 2024", "https://arxiv.org/abs/2403.00409")
    feedback: ClassVar = "pairs"

    flip_rate: Annotated[float, Ge(0), Lt(0.5)] = 0.1

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(
            context, self.schedule, beta=self.beta, loss="robust", label_smoothing=self.flip_rate
        )
