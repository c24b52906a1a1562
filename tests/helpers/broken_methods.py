"""Plug-ins that are broken on purpose, one for each check of `prefrontier check`.

Each has one fault. `BROKEN` maps each check to the plug-in that must fail it. The plug-in for
`light_import` is in broken_heavy.py, which imports torch.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from methods.base import Context, Method, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.training.pairwise import PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.toolkit.offline import PairLoss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Good(PairLoss):
    """DPO without any fault."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)


@dataclass(frozen=True)
class NeedsArgument(Method):
    """A setting has no default."""

    size: int

    def train(self, context: Context) -> Policy:
        return context.start()


@dataclass(frozen=True)
class NotHashable(Good):
    """A setting that can be changed in place."""

    layers: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class NotPlain(Good):
    """A setting that JSON cannot hold."""

    where: Path = Path()


@dataclass(frozen=True)
class GridOfNothing(Good):
    """Its grid varies a field that it does not have."""

    grid: ClassVar = {"gamma": [1.0]}


@dataclass(frozen=True)
class ExcusesItself(Good):
    """It declares that it fails a check that no method may fail."""

    expected_failures: ClassVar = {"learns": "it is hard"}


@dataclass(frozen=True)
class LearnsNothing(Good):
    """Its loss is the same whatever the policy."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return 0 * logprobs.margin


@dataclass(frozen=True)
class IgnoresLabels(Good):
    """It prefers one answer, whatever the annotator says."""

    def train(self, context: Context) -> Policy:
        context.labels = [
            pair._replace(chosen=min(pair[1:]), rejected=max(pair[1:])) for pair in context.feedback
        ]
        return super().train(context)


class Scaled(ModelPolicy):
    """A policy with a second temperature, which `save` does not write."""

    temperature = 1.0

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        scaled = replace(sampling, temperature=self.temperature * sampling.temperature)
        return super().generate(prompts, seed, scaled)


class OncePerPrompt(ModelPolicy):
    """It answers repeated prompts once."""

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        return super().generate(list(dict.fromkeys(prompts)), seed, sampling)


class CountsPadding(ModelPolicy):
    """Its log-probabilities depend on the longest prompt of the batch."""

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        longest = max(len(prompt) for prompt in prompts)
        return [value - 0.01 * longest for value in super().logprobs(prompts, responses, sampling)]


class CountsRows(ModelPolicy):
    """Its log-probabilities depend on the size of the batch."""

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        plain = super().logprobs(prompts, responses, sampling)
        return [value - 0.01 * len(prompts) for value in plain]


@dataclass(frozen=True)
class ForgetsToSave(Good):
    """Saving its policy loses a part of it."""

    def train(self, context: Context) -> Policy:
        trained = fit_pairs(context, self.loss, self.schedule)
        policy = Scaled(trained.model, trained.tokenizer)
        policy.temperature = 0.5
        return policy


@dataclass(frozen=True)
class AnswersOnce(Good):
    """Its policy answers repeated prompts once."""

    def train(self, context: Context) -> Policy:
        trained = context.start()
        return OncePerPrompt(trained.model, trained.tokenizer)


@dataclass(frozen=True)
class SeesPadding(Good):
    """Its policy's log-probabilities depend on padding."""

    def train(self, context: Context) -> Policy:
        trained = context.start()
        return CountsPadding(trained.model, trained.tokenizer)


@dataclass(frozen=True)
class SeesBatch(Good):
    """Its policy's log-probabilities depend on the batch."""

    def train(self, context: Context) -> Policy:
        trained = context.start()
        return CountsRows(trained.model, trained.tokenizer)


@dataclass(frozen=True)
class ChangesItself(Good):
    """It changes one of its settings."""

    def train(self, context: Context) -> Policy:
        object.__setattr__(self, "beta", self.beta / 2)
        return super().train(context)


@dataclass(frozen=True)
class ChangesData(Good):
    """It adds to the prompts."""

    def train(self, context: Context) -> Policy:
        context.prompts.append("a")
        return super().train(context)


@dataclass(frozen=True)
class ChangesReference(Good):
    """It copies the policy's weights to the reference."""

    def train(self, context: Context) -> Policy:
        policy = fit_pairs(context, self.loss, self.schedule)
        context.reference.model.load_state_dict(policy.model.state_dict())
        return policy


@dataclass(frozen=True)
class DrawsFromAll(Good):
    """It seeds the global random state and draws from it."""

    def train(self, context: Context) -> Policy:
        random.seed(context.seed)
        random.random()
        return super().train(context)


@dataclass(frozen=True)
class ChangesProcess(Good):
    """It sets an environment variable."""

    def train(self, context: Context) -> Policy:
        os.environ["PREFRONTIER_BROKEN"] = str(int(os.environ.get("PREFRONTIER_BROKEN", "0")) + 1)
        return super().train(context)


@dataclass(frozen=True)
class WritesElsewhere(Good):
    """It writes outside of its folder."""

    def train(self, context: Context) -> Policy:
        (context.workdir.parent / "notes.txt").write_text("here")
        return super().train(context)


@dataclass(frozen=True)
class DrawsUnseeded(Good):
    """It draws its seed from the global random state."""

    def train(self, context: Context) -> Policy:
        context.seed = random.Random(random.random()).randrange(10**6)
        return super().train(context)


@dataclass(frozen=True)
class IgnoresSeed(Good):
    """It uses the same seed always."""

    def train(self, context: Context) -> Policy:
        context.seed = 42
        return super().train(context)


@dataclass(frozen=True)
class CallsTheGenerator(Good):
    """It learns from pairs, but samples too."""

    def train(self, context: Context) -> Policy:
        context.start().generate(context.prompts, context.seed, context.sampling)
        return super().train(context)


@dataclass(frozen=True)
class Overspends(Good):
    """It trains on twice as much as the budget allows."""

    def train(self, context: Context) -> Policy:
        schedule = Schedule(self.learning_rate, 2 * context.budget, self.batch_size)
        allowed, context.budget = context.budget, 2 * context.budget
        policy = fit_pairs(context, self.loss, schedule)
        context.budget = allowed
        return policy


@dataclass(frozen=True)
class ChangesForNothing(Good):
    """It changes the policy even with a budget of 0."""

    def train(self, context: Context) -> Policy:
        policy = fit_pairs(context, self.loss, self.schedule)
        next(policy.model.parameters()).data.mul_(1.01)
        return policy


@dataclass(frozen=True)
class StartsTwice(Good):
    """Started again, it repeats all steps from the weights that it had reached."""

    def train(self, context: Context) -> Policy:
        import torch

        kept = context.workdir / "policy.pt"
        if kept.exists():
            weights = torch.load(kept, weights_only=True)

            def start() -> ModelPolicy:
                policy = Context.start(context)
                policy.model.load_state_dict(weights)
                return policy

            context.start = start  # type: ignore[method-assign]
            return super().train(context)
        first = fit_pairs(context, self.loss, Schedule(self.learning_rate, 64))
        torch.save(first.model.state_dict(), kept)
        return super().train(context)


@dataclass(frozen=True)
class LogsNan(Good):
    """It logs nan."""

    def train(self, context: Context) -> Policy:
        context.log(1, loss=float("nan"))
        return super().train(context)


BROKEN: dict[str, type[Method]] = {
    "default_constructible": NeedsArgument,
    "hashable": NotHashable,
    "settings_are_plain": NotPlain,
    "grid_names_fields": GridOfNothing,
    "expected_failures_are_checks": ExcusesItself,
    "learns": LearnsNothing,
    "learns_the_reverse": IgnoresLabels,
    "saves_and_loads": ForgetsToSave,
    "answers_every_prompt": AnswersOnce,
    "independent_of_padding": SeesPadding,
    "independent_of_batch": SeesBatch,
    "leaves_itself": ChangesItself,
    "leaves_data": ChangesData,
    "leaves_reference": ChangesReference,
    "leaves_random_state": DrawsFromAll,
    "leaves_process": ChangesProcess,
    "writes_in_workdir": WritesElsewhere,
    "same_seed_same_policy": DrawsUnseeded,
    "other_seed_other_policy": IgnoresSeed,
    "offline_asks_nothing": CallsTheGenerator,
    "keeps_to_the_budget": Overspends,
    "no_budget_no_change": ChangesForNothing,
    "resumes": StartsTwice,
    "losses_are_finite": LogsNan,
}
