"""Direct preference optimization (Rafailov et al., 2023), by TRL's DPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Context, Paper, Policy, Share
from methods.core.trl.dpo import fit_by_dpo_trainer
from methods.toolkit.offline import Offline


@dataclass(frozen=True)
class DPO(Offline):
    """Direct preference optimization.

    A logistic loss on the margin between the log-ratios of the chosen and the rejected response:
    equation 7 of Rafailov et al. (2023).

    Attributes:
        beta: Coefficient of the divergence. For the KL, in units of the annotator's reward per nat.
        divergence: What holds the policy to the reference: the reverse KL, or another f-divergence
            (Wang et al., 2023, table 1).
        alpha: Of the alpha-divergence, whose derivative at a ratio u is
            (u^(alpha - 1) - 1) / (alpha - 1).
    """

    paper: ClassVar = Paper("Rafailov et al., 2023", "https://arxiv.org/abs/2305.18290")
    feedback: ClassVar = "pairs"
    distributed: ClassVar = True

    divergence: Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"] = (
        "reverse_kl"
    )
    alpha: Share = 0.5

    @property
    def strength_is_kl(self) -> bool:  # type: ignore[override]
        """Whether `beta` is the coefficient of the KL: it may be that of another divergence."""
        return self.divergence == "reverse_kl"

    def train(self, context: Context) -> Policy:
        return fit_by_dpo_trainer(
            context,
            self.schedule,
            beta=self.beta,
            f_divergence_type=self.divergence,
            f_alpha_divergence_coef=self.alpha,
        )
