"""Plug-ins whose policies are broken in saving, sampling or log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from helpers.good_method import Good

from methods.base import Context, Policy
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.training.pairwise import fit_pairs


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


class Sharp(ModelPolicy):
    """It samples at a low temperature, and scores at the one that it is asked for."""

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        return super().generate(prompts, seed, replace(sampling, temperature=0.3))

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        return super().logprobs(prompts, responses, sampling)


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
class Sharpens(Good):
    """Its policy's log-probabilities are not those of its samples."""

    def train(self, context: Context) -> Policy:
        trained = context.start()
        return Sharp(trained.model, trained.tokenizer)
