"""Kahneman-Tversky optimization (KTO; Ethayarajh et al., 2024), by TRL's KTOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Context, Paper, Policy, Positive
from methods.core.trl.kto import fit_by_kto_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class KTO(Offline):
    """Kahneman-Tversky optimization.

    The loss of a liked response is 1 - sigmoid(beta (log-ratio - KL)). For a disliked response the
    sign inside the sigmoid is reversed (Ethayarajh et al., 2024). So the gradient vanishes as a
    log-ratio moves away from the KL, which each batch estimates from responses to other prompts.

    Attributes:
        beta: KL strength: the larger, the smaller the log-ratios at which the loss levels off.
        desirable_weight: Weight of liked responses. Raise it if they are rare.
        undesirable_weight: Weight of disliked responses. Raise it if they are rare.
        batch_size: Examples of a step, at least 2: the KL is estimated from the others of a batch.
    """

    paper: ClassVar = Paper("Ethayarajh et al., 2024", "https://arxiv.org/abs/2402.01306")
    feedback: ClassVar = "unpaired"

    desirable_weight: Positive = 1.0
    undesirable_weight: Positive = 1.0
    batch_size: Annotated[int, Ge(2)] = 32

    def train(self, context: Context) -> Policy:
        return fit_by_kto_trainer(
            context,
            self.schedule,
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )
