"""Group relative policy optimization (Shao et al., 2024), by TRL's GRPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Context, NonNegative, Paper, Policy
from methods.toolkit.groups import Groups


@dataclass(frozen=True)
class GRPO(Groups):
    """Group relative policy optimization.

    PPO's clipped loss without a critic: every token of a response has the advantage (r - mean) /
    std over the responses to the same prompt, and the loss has a KL of its own: equations 3 and 4
    of Shao et al. (2024).

    kl_coef is in units of advantage per nat and token. scale: what the rewards are divided by,
    their standard deviation in the group or the batch, or nothing. average: the loss is that of the
    mean response (grpo), the mean token (dapo) or, with a length that does not vary, of neither
    (dr_grpo).
    """

    paper: ClassVar = Paper("Shao et al., 2024", "https://arxiv.org/abs/2402.03300")
    grid: ClassVar = {"kl_coef": [0.25, 0.4, 0.6, 1.0]}

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
