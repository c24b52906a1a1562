"""Direct preference optimization (Rafailov et al., 2023), by TRL's DPOTrainer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Count, Diverged, Method, Policy, Positive, Share
from methods.core.preference_data import PairCollator, pair_rows
from methods.core.training import every_step, train_quietly


@dataclass(frozen=True)
class DPO(Method):
    """Direct preference optimization.

    A logistic loss on the difference of log-ratios, equation 7 of Rafailov et al. (2023).

    beta: KL strength, in units of the annotator's reward per nat. examples: pairs to train on in
    all, repeats included, cut to the budget. warmup: share of the steps.
    """

    feedback: ClassVar = "pairs"
    strength: ClassVar = "beta"
    strength_is_kl: ClassVar = True
    grid: ClassVar = {"beta": [0.5, 0.8, 1.2, 2.0]}

    beta: Positive = 1.0
    learning_rate: Positive = 5e-4
    examples: Count = 8192
    batch_size: Count = 32
    warmup: Share = 0.1

    def train(self, context: Context) -> Policy:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        policy = context.start()
        steps = min(self.examples, context.budget) // self.batch_size
        if steps == 0:
            return policy
        arguments = DPOConfig(
            **context.trainer_arguments(policy.model),
            beta=self.beta,
            learning_rate=self.learning_rate,
            per_device_train_batch_size=self.batch_size,
            max_steps=steps,
            warmup_steps=round(self.warmup * steps),
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=256,
            max_length=None,
            remove_unused_columns=False,
            logging_steps=10,
            logging_nan_inf_filter=False,
        )
        trainer = DPOTrainer(
            policy.model,
            args=arguments,
            train_dataset=Dataset.from_list(pair_rows(policy.tokenizer, context.feedback)),
            data_collator=PairCollator(policy.tokenizer.pad_token_id),
            processing_class=policy.tokenizer,
            callbacks=[
                every_step(
                    lambda step: context.checkpoint(
                        step * self.batch_size, steps * self.batch_size, policy
                    )
                )
            ],
        )
        train_quietly(trainer)
        for entry in trainer.state.log_history:
            if "loss" in entry:
                self._log(context, entry)
        policy.model.eval()
        return policy

    def _log(self, context: Context, entry: dict[str, float]) -> None:
        names = {
            "loss": "loss",
            "rewards/margins": "reward_margin",
            "logps/chosen": "chosen_logp",
            "logps/rejected": "rejected_logp",
        }
        point = {ours: float(entry[theirs]) for theirs, ours in names.items() if theirs in entry}
        if not math.isfinite(point["loss"]):
            raise Diverged(f"loss is {point['loss']} at step {entry['step']}")
        context.log(int(entry["step"]) * self.batch_size, **point)
