"""Methods that fine-tune on the best of n responses: the fields and the rounds that they share."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import ClassVar

from methods.base import Context, Count, Share
from methods.core.trl.sft import train_on_responses
from methods.toolkit.online import Online
from methods.core.models.policy import ModelPolicy
from methods.core.training.rollout import best_of_each, draw_prompts, finite_rewards
from methods.core.models.sampling import derive_seed
from methods.core.training.trainer import Schedule, every_step, whole_batches


@dataclass(frozen=True)
class Imitation(Online):
    """n: responses to each prompt, of which the best is kept.

    examples: to train on in all, repeats included, cut to the budget, so that a large n is trained
    for as long as a small one. batch_size, warmup: of the fine-tuning. learning_rate, episodes: as
    in Online.
    """

    strength: ClassVar = "n"
    grid: ClassVar = {"n": [2, 4, 8, 16]}

    n: Count = 4
    examples: Count = 2048
    batch_size: Count = 16
    warmup: Share = 0.1

    def imitate(self, context: Context, rounds: int) -> ModelPolicy:
        """Return the policy after this many rounds of sampling and fine-tuning. Raises Diverged."""
        policy = context.start()
        kept = self.batches(context, rounds * self.n)
        steps = whole_batches(self.examples, context.budget, rounds * self.batch_size)
        examples = steps * self.batch_size
        schedule = Schedule(self.learning_rate, examples, self.batch_size, self.warmup)
        for number in range(rounds if steps else 0):
            self._round(context, policy, schedule, draw_prompts(context, number, kept), number)
        return policy

    def _round(
        self,
        context: Context,
        policy: ModelPolicy,
        schedule: Schedule,
        prompts: list[str],
        number: int,
    ) -> None:
        """Sample n responses to each prompt and train on the best of them."""
        asked = [prompt for prompt in prompts for _ in range(self.n)]
        seed = derive_seed("imitation", context.seed, number)
        responses = policy.generate(asked, seed, context.sampling)
        scores = finite_rewards(context, asked, responses)
        best = best_of_each(scores, self.n)
        steps = schedule.steps(schedule.examples)

        def checkpoint(step: int) -> None:
            done = (number + step / steps) * len(asked)
            context.checkpoint(int(done), self.batches(context, 1), policy)

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
            (number + 1) * len(asked),
            reward=mean(scores),
            best_reward=mean(scores[i] for i in best),
            loss=next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry),
        )
