"""The stages of a task with a gold reward: an annotator is simulated who knows it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bench.pipeline.feedback import ask, compare, thumbs
from bench.pipeline.language_model import fine_tune
from bench.pipeline.reward_model import gold_order_accuracy, train_reward_model
from bench.pipeline.base import HELD_OUT_PAIRS, World, load_shared_policy, write_judgements
from bench.tasks.base import Example, Question, Simulated, Split
from methods.core.feedback import Kind
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.models.sampling import SamplingLaw, stream


@dataclass(frozen=True)
class SimulatedWorld(World):
    """A simulated task at a seed: all but its text, its prompts and its base model."""

    task: Simulated

    @abstractmethod
    def make_base_model(self, folder: Path) -> dict[str, Any]:
        """Write the base model to the folder."""

    @abstractmethod
    def demonstrations(self) -> list[Example]:
        """Return what the SFT policy is fine-tuned on."""

    def makers(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        return {
            "base_model": self.make_base_model,
            "sft": self._make_sft,
            "feedback": self._make_feedback,
            "reward_model": self._make_reward_model,
        }

    @property
    def asked(self) -> Kind:
        return self.task.question.kind

    @property
    def temperature(self) -> float:
        return self.task.annotator.temperature

    def _make_sft(self, folder: Path) -> dict[str, Any]:
        policy = ModelPolicy.load(self.folder("base_model"), self.device, self.loading)
        train = partial(fine_tune, loading=self.loading)
        policy.model = self.fit(
            "sft", train, policy.model, policy.tokenizer, self.demonstrations(), self.task.sft
        )
        policy.save(folder)
        return {}

    def _make_feedback(self, folder: Path) -> dict[str, Any]:
        from_base = self.task.coverage.policy == "base_model"
        policy = (
            load_shared_policy(self.folder("base_model"), self.device) if from_base else self.sft()
        )
        task, question, seed = self.task, self.task.question, self.seed
        count = task.judgements // question.judgements
        questions = partial(ask, task, self.score, policy)
        asked = questions(
            self.prompts("train"), count, question.among, stream("pairs", "train", seed)
        )
        random = Random(f"annotator {seed}")
        answers = compare(asked, question, task.annotator, random)
        # As many single responses as there are judgements to spend.
        singles = [
            q._replace(responses=q.responses[i:], gold=q.gold[i:])
            for q in asked
            for i in range(question.judgements)
        ]
        liked = thumbs(singles, task.annotator, Random(f"thumbs {seed}"))
        write_judgements(folder / f"train.{question.kind}.jsonl", answers)
        write_judgements(folder / "train.thumbs.jsonl", liked)
        splits: tuple[Split, ...] = ("validation", "test")
        for split in splits:
            prompts = self.prompts(split)
            held = questions(prompts, HELD_OUT_PAIRS, 2, stream("pairs", split, seed))
            pairs = compare(held, Question(), task.annotator, random)
            write_judgements(folder / f"{split}.pairs.jsonl", pairs)
        return {"judgements": count * question.judgements, "thumbs": len(liked)}

    def _make_reward_model(self, folder: Path) -> dict[str, Any]:
        choices = self.feedback("choices")
        train = partial(train_reward_model, loading=self.loading)
        reward = self.fit("reward_model", train, self.folder("sft"), choices, self.task.reward)
        reward.save(folder)
        return {"reward_accuracy": self._reward_accuracy(reward)}

    def _reward_accuracy(self, reward: RewardModel) -> float:
        """Measure on fresh pairs for test prompts, against gold order."""
        policy, prompts = self.sft(), self.prompts("test")
        asked = [prompts[i % len(prompts)] for i in range(4 * HELD_OUT_PAIRS)]
        law = SamplingLaw(max_new_tokens=self.task.max_new_tokens)
        first = policy.generate(asked, stream("accuracy", "first", self.seed), law)
        second = policy.generate(asked, stream("accuracy", "second", self.seed), law)
        gold = list(zip(self.score(asked, first), self.score(asked, second), strict=True))
        return gold_order_accuracy(reward, asked, list(zip(first, second, strict=True)), gold)
