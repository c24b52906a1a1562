"""Kahneman-Tversky optimization (KTO, Ethayarajh et al., 2024), by TRL's KTOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from methods.base import Context, Paper, Policy, Positive
from methods.toolkit.offline import Offline
from methods.core.trl.kto import fit_by_kto_trainer


@dataclass(frozen=True)
class KTO(Offline):
    """Kahneman-Tversky optimization.

    A response is worth what its log-ratio is above the KL, or below it where it was disliked, and
    less and less the further: 1 - sigmoid(beta (log-ratio - KL)) is the loss where it was liked,
    with the sign turned where not (Ethayarajh et al., 2024). The KL is estimated in each batch,
    from responses to other prompts.

    beta: how soon a log-ratio is far enough. desirable_weight, undesirable_weight: of the two
    losses, for feedback in which one is rare.
    """

    paper: ClassVar = Paper("Ethayarajh et al., 2024", "https://arxiv.org/abs/2402.01306")
    feedback: ClassVar = "unpaired"

    desirable_weight: Positive = 1.0
    undesirable_weight: Positive = 1.0
    # The KL is estimated from the others of a batch.
    batch_size: Annotated[int, Ge(2)] = 32

    def train(self, context: Context) -> Policy:
        return fit_by_kto_trainer(
            context,
            self.schedule,
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )
