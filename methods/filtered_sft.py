"""Fine-tuning on the chosen responses only, by TRL's SFTTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from methods.base import Context, Paper, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.training.policy_trainer import fit_by_trainer
from methods.core.trl.sft import response_trainer
from methods.toolkit.offline import Scheduled

if TYPE_CHECKING:
    from transformers import Trainer


@dataclass(frozen=True)
class FilteredSFT(Scheduled):
    """Fine-tuning on the chosen responses.

    The rejected responses are left out: Preferred-FT, a baseline of Rafailov et al. (2023). There
    is no KL strength: the policy approaches the distribution of the chosen responses, and longer
    training takes it no further.
    """

    paper: ClassVar = Paper("Rafailov et al., 2023", "https://arxiv.org/abs/2305.18290")
    feedback: ClassVar = "pairs"
    grid: ClassVar = {"examples": [512, 1024, 2048, 4096, 8192]}

    def train(self, context: Context) -> Policy:
        def build(policy: ModelPolicy, arguments: dict[str, Any], callbacks: list[Any]) -> Trainer:
            pairs = context.feedback
            return response_trainer(
                policy.model,
                policy.tokenizer,
                [pair.prompt for pair in pairs],
                [pair.chosen for pair in pairs],
                arguments,
                context.micro_batch_tokens(policy.model),
                callbacks,
            )

        return fit_by_trainer(context, self.schedule, build)
