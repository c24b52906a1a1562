"""Methods that fine-tune on the best of n responses."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Annotated, ClassVar, TypedDict

from annotated_types import Gt, Le

from methods.base import Context, Count, Share
from methods.core.models.loading import trainable_weights
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed
from methods.core.online.rewards import best_of_each, finite_rewards
from methods.core.online.rollout import draw_prompts
from methods.core.training.trainer import Schedule, every_step, whole_batches
from methods.core.trl.sft import train_on_responses
from methods.toolkit.online import Online


class _Best(TypedDict):
    """The best responses of a round, and mean rewards of all and of the best."""

    prompts: list[str]
    responses: list[str]
    reward: float
    best_reward: float


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
    strength_reduces_kl: ClassVar = False
    grid: ClassVar = {"n": [2, 4, 8, 16]}

    n: Annotated[int, Gt(0), Le(65_536)] = 4
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
        saved = context.load_progress() or {"round": 0, "weights": {}, "best": None}
        policy.model.load_state_dict(saved["weights"], strict=False)
        best: _Best | None = saved["best"]
        for number in range(saved["round"], rounds if steps else 0):
            if best is None:
                prompts = draw_prompts(context, number, prompts_per_round)
                best = self._sample(context, policy, prompts, number)
                weights = trainable_weights(policy.model)
                context.save_progress({"round": number, "weights": weights, "best": best})
            self._fine_tune(context, policy, schedule, best, number)
            best = None
        return policy

    def _sample(
        self, context: Context, policy: ModelPolicy, prompts: list[str], number: int
    ) -> _Best:
        """Sample n responses to each prompt and keep the best ones."""
        repeated = [prompt for prompt in prompts for _ in range(self.n)]
        responses = policy.generate(repeated, self._seed(context, number), context.sampling)
        rewards = finite_rewards(context, repeated, responses)
        places = best_of_each(rewards, self.n)
        return {
            "prompts": prompts,
            "responses": [responses[i] for i in places],
            "reward": mean(rewards),
            "best_reward": mean(rewards[i] for i in places),
        }

    def _fine_tune(
        self,
        context: Context,
        policy: ModelPolicy,
        schedule: Schedule,
        best: _Best,
        number: int,
    ) -> None:
        """Train on the best responses of a round."""
        steps, sampled = schedule.steps(schedule.examples), self.n * len(best["prompts"])

        def checkpoint(step: int) -> None:
            episodes = (number + step / steps) * sampled
            context.checkpoint(int(episodes), self.batches(context, 1), policy)

        trainer = train_on_responses(
            policy.model,
            policy.tokenizer,
            best["prompts"],
            best["responses"],
            context.trainer_arguments(policy.model)
            | schedule.arguments(schedule.examples)
            | {"seed": self._seed(context, number), "logging_steps": steps},
            context.micro_batch_tokens(policy.model),
            [every_step(checkpoint)],
        )
        policy.model.eval()
        context.log(
            (number + 1) * sampled,
            reward=best["reward"],
            best_reward=best["best_reward"],
            loss=next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry),
        )

    def _seed(self, context: Context, number: int) -> int:
        return derive_seed("imitation", context.seed, number)
