"""Online DPO (Guo et al., 2024), by TRL's experimental OnlineDPOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, MultipleOf

from methods.base import Context, Paper, Policy, Positive
from methods.core.trl.experimental import experimental
from methods.core.trl.online import fit_by_online_trainer
from methods.toolkit.online import Online

# Longer than any text (tokens), so that no prompt is cut.
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class OnlineDPO(Online):
    """Online DPO.

    DPO on pairs that the policy samples. The response with the higher reward is the chosen one:
    algorithm 1 of Guo et al. (2024).

    Attributes:
        beta: KL strength. It has no unit of reward, because a label says which response is better
            but not by how much.
        batch_size: Responses between updates, two to each prompt.
        loss: "sigmoid" is the loss of DPO, "ipo" that of IPO.
    """

    paper: ClassVar = Paper("Guo et al., 2024", "https://arxiv.org/abs/2402.04792")
    strength: ClassVar = "beta"
    grid: ClassVar = {"beta": [0.01, 0.05, 0.2, 0.8, 3.0]}

    beta: Positive = 0.2
    batch_size: Annotated[int, Ge(2), MultipleOf(2)] = 32
    loss: Literal["sigmoid", "ipo"] = "sigmoid"

    def train(self, context: Context) -> Policy:
        trl = experimental("online_dpo")
        return fit_by_online_trainer(
            context,
            trl.OnlineDPOTrainer,
            trl.OnlineDPOConfig,
            batches=self.batches(context, self.batch_size),
            batch_size=self.batch_size,
            group=2,
            curve=self._curve,
            learning_rate=self.learning_rate,
            per_device_train_batch_size=self.batch_size // 2,
            max_new_tokens=context.sampling.max_new_tokens,
            max_length=NO_LIMIT,
            beta=self.beta,
            loss_type=self.loss,
        )

    def _curve(self, entry: dict[str, float]) -> dict[str, float]:
        # TRL's implicit rewards are beta times log-ratios. Its own KL metric counts padding.
        log_ratios = (entry["rewards/chosen"] + entry["rewards/rejected"]) / 2 / self.beta
        return {
            "reward": entry["objective/scores"],
            "kl": log_ratios,
            "reward_margin": entry["rewards/margins"],
        }
