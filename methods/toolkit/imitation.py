"""Methods that fine-tune on the best of n responses."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import ClassVar

from methods.base import Context, Count, Share
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed
from methods.core.training.rollout import best_of_each, draw_prompts, finite_rewards
from methods.core.training.trainer import Schedule, every_step, whole_batches
from methods.core.trl.sft import train_on_responses
from methods.toolkit.online import Online


@dataclass(frozen=True)
class Imitation(Online):
    """Base class of methods that fine-tune on the best of n responses.

    Attributes:
        n: Responses to each prompt, of which the best is kept.
        examples: Training examples in all, repeats included. The budget may cut them. They do not
            depend on n, so a large n is trained for as long as a small one.
        batch_size: Examples of a step of the fine-tuning.
        warmup: Share of each fine-tuning's steps in which the learning rate rises.
    """

    strength: ClassVar = "n"
    grid: ClassVar = {"n": [2, 4, 8, 16]}

    n: Count = 4
    examples: Count = 2048
    batch_size: Count = 16
    warmup: Share = 0.1

    def imitate(self, context: Context, rounds: int) -> ModelPolicy:
        """Train by rounds of sampling and fine-tuning.

        Args:
            context: The context of the training.
            rounds: How many rounds share the episodes.

        Raises:
            Diverged: A loss, a weight or a reward is not finite.
        """
        policy = context.start()
        prompts_per_round = self.batches(context, rounds * self.n)
        steps = whole_batches(self.examples, context.budget, rounds * self.batch_size)
        examples = steps * self.batch_size
        schedule = Schedule(self.learning_rate, examples, self.batch_size, self.warmup)
        for number in range(rounds if steps else 0):
            prompts = draw_prompts(context, number, prompts_per_round)
            self._round(context, policy, schedule, prompts, number)
        return policy

    def _round(
        self,
        context: Context,
        policy: ModelPolicy,
        schedule: Schedule,
        prompts: list[str],
        number: int,
    ) -> None:
        """Sample n responses to each prompt, and train on the best ones."""
        repeated = [prompt for prompt in prompts for _ in range(self.n)]
        seed = derive_seed("imitation", context.seed, number)
        responses = policy.generate(repeated, seed, context.sampling)
        rewards = finite_rewards(context, repeated, responses)
        best = best_of_each(rewards, self.n)
        steps = schedule.steps(schedule.examples)

        def checkpoint(step: int) -> None:
            episodes = (number + step / steps) * len(repeated)
            context.checkpoint(int(episodes), self.batches(context, 1), policy)

        trainer = train_on_responses(
            policy.model,
            policy.tokenizer,
            prompts,
            [responses[i] for i in best],
            context.trainer_arguments(policy.model)
            | schedule.arguments(schedule.examples)
            | {"seed": seed, "logging_steps": steps},
            [every_step(checkpoint)],
        )
        policy.model.eval()
        context.log(
            (number + 1) * len(repeated),
            reward=mean(rewards),
            best_reward=mean(rewards[i] for i in best),
            loss=next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry),
        )
