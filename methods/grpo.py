"""Group relative policy optimization (GRPO; Shao et al., 2024), by TRL's GRPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Context, NonNegative, Paper, Policy
from methods.toolkit.groups import Groups


@dataclass(frozen=True)
class GRPO(Groups):
    """Group relative policy optimization.

    PPO's clipped loss without a critic. Every token of a response has the advantage
    (r - mean) / std, taken over the responses to the same prompt, and the loss has a KL term:
    equations 3 and 4 of Shao et al. (2024).

    Attributes:
        kl_coef: Coefficient of the KL term, in units of advantage per nat and token.
        scale: What divides the rewards: their standard deviation in the group or in the batch, or
            nothing.
        average: How token losses are averaged: over each response, then over responses ("grpo"),
            over all tokens ("dapo"), or by a constant length ("dr_grpo").
    """

    paper: ClassVar = Paper("Shao et al., 2024", "https://arxiv.org/abs/2402.03300")
    grid: ClassVar = {"kl_coef": [0.05, 0.1, 0.2, 0.4, 0.8]}

    kl_coef: NonNegative = 0.3
    scale: Literal["group", "batch", "none"] = "group"
    average: Literal["grpo", "dapo", "dr_grpo"] = "grpo"

    def train(self, context: Context) -> Policy:
        from trl import GRPOConfig, GRPOTrainer

        return self.fit(
            context,
            GRPOTrainer,
            GRPOConfig,
            scale_rewards=self.scale,
            loss_type=self.average,
            use_bias_correction_kl=False,
        )
