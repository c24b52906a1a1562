"""REINFORCE leave-one-out (RLOO; Ahmadian et al., 2024), by TRL's RLOOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.toolkit.groups import Groups


@dataclass(frozen=True)
class RLOO(Groups):
    """REINFORCE leave-one-out.

    The policy gradient of reward - kl_coef * log-ratio. The baseline of a response is the mean over
    the other responses to the same prompt (Ahmadian et al., 2024). TRL clips the probability ratio
    of whole responses.

    Attributes:
        kl_coef: Coefficient of the KL, in units of reward per nat.
        normalize: Whether to scale the advantages of a batch to mean 0 and variance 1.
    """

    paper: ClassVar = Paper("Ahmadian et al., 2024", "https://arxiv.org/abs/2402.14740")
    strength_is_kl: ClassVar = True
    grid: ClassVar = {"kl_coef": [0.02, 0.05, 0.1, 0.3, 0.8]}

    normalize: bool = False

    def train(self, context: Context) -> Policy:
        from trl import RLOOConfig, RLOOTrainer

        return self.fit(context, RLOOTrainer, RLOOConfig, normalize_advantages=self.normalize)
