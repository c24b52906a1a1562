"""Simple preference optimization (SimPO; Meng et al., 2024), by TRL's CPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, NonNegative, Paper, Policy, Positive
from methods.core.trl.reference_free import fit_by_reference_free_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class SimPO(Offline):
    """Simple preference optimization.

    A logistic loss on the difference of the implicit rewards minus a target margin: equation 6 of
    Meng et al. (2024). The implicit reward is beta times the mean log-probability of the tokens.
    There is no reference: only the margin and the length of the training hold the policy to the SFT
    policy.

    Attributes:
        beta: Implicit reward per nat and token. The larger, the sooner a pair reaches the margin.
        gamma: The target margin, in units of the implicit reward.
    """

    paper: ClassVar = Paper("Meng et al., 2024", "https://arxiv.org/abs/2405.14734")
    feedback: ClassVar = "pairs"
    grid: ClassVar = {"beta": [0.6, 1.25, 2.5, 5.0, 10.0]}

    beta: Positive = 2.5
    gamma: NonNegative = 0.5

    def train(self, context: Context) -> Policy:
        return fit_by_reference_free_trainer(
            context,
            self.schedule,
            "CPO",
            loss_type="simpo",
            cpo_alpha=0.0,
            beta=self.beta,
            simpo_gamma=self.gamma,
        )
