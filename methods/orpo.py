"""Odds ratio preference optimization (ORPO; Hong et al., 2024), by TRL's ORPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy, Positive
from methods.core.trl.reference_free import fit_by_reference_free_trainer
from methods.toolkit.offline import Scheduled


@dataclass(frozen=True)
class ORPO(Scheduled):
    """Odds ratio preference optimization.

    Fine-tuning on the chosen response, plus a logistic loss on the ratio of its odds to those of
    the rejected response: equations 6 and 7 of Hong et al. (2024). The probability in the odds is
    the geometric mean over the tokens. There is no reference. As in TRL, the fine-tuning includes
    the tokens of the prompt.

    Attributes:
        lam: Weight of the odds ratio, lambda in the paper. Once it is so large that the fine-tuning
            hardly counts, a larger one changes nothing.
    """

    paper: ClassVar = Paper("Hong et al., 2024", "https://arxiv.org/abs/2403.07691")
    feedback: ClassVar = "pairs"
    strength: ClassVar = "lam"
    strength_reduces_kl: ClassVar = False
    grid: ClassVar = {"lam": [0.1, 0.5, 2.0, 8.0, 32.0]}

    lam: Positive = 1.0

    def train(self, context: Context) -> Policy:
        return fit_by_reference_free_trainer(context, self.schedule, "ORPO", beta=self.lam)
