"""Simple preference optimization (SimPO, Meng et al., 2024), by TRL's CPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, NonNegative, Paper, Policy, Positive
from methods.toolkit.offline import Offline
from methods.core.trl.reference_free import fit_by_reference_free_trainer


@dataclass(frozen=True)
class SimPO(Offline):
    """Simple preference optimization.

    A logistic loss on the difference of mean log-probabilities per token, less a target margin,
    equation 6 of Meng et al. (2024). There is no reference: nothing but the margin and the end of
    training holds the policy to the SFT policy.

    beta: scale of the reward, which is beta times the mean log-probability; the larger, the sooner
    a pair is far enough apart. gamma: the target margin, in units of that reward.
    """

    paper: ClassVar = Paper("Meng et al., 2024", "https://arxiv.org/abs/2405.14734")
    feedback: ClassVar = "pairs"
    grid: ClassVar = {"beta": [1.25, 2.5, 5.0, 10.0]}

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
