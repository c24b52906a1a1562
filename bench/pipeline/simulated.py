"""The stages of a simulated task: a model pretrained on its text, an annotator who has gold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from bench.pipeline.base_model import make_model, make_tokenizer
from bench.pipeline.feedback import ask, compare, thumbs
from bench.pipeline.language_model import fine_tune, pretrain
from bench.pipeline.reward_model import gold_order_accuracy, train_reward_model
from bench.pipeline.world import (
    HELD_OUT_PAIRS,
    ROOT,
    SOURCES,
    World,
    load_shared_policy,
    write_judgements,
)
from bench.store import digest, source_digest
from bench.tasks.base import END, Question, Simulated, Split
from methods.core.feedback import Kind
from methods.core.policy import ModelPolicy
from methods.core.reward import RewardModel
from methods.core.sampling import SamplingLaw, stream

FEEDBACK_DIALS = ("judgements", "question", "annotator", "coverage")
# Dials that a stage does not depend on, because they come in only later.
LATER = {
    "base_model": ("sft", *FEEDBACK_DIALS, "reward"),
    "sft": (*FEEDBACK_DIALS, "reward"),
    "feedback": ("reward",),
    "reward_model": (),
}


@dataclass(frozen=True)
class SimulatedWorld(World):
    """A simulated task at a seed."""

    stages: ClassVar = ("base_model", "sft", "feedback", "reward_model")

    task: Simulated

    def key(self, stage: str) -> str:
        dials = {
            field.name: getattr(self.task, field.name)
            for field in dataclasses.fields(self.task)
            if field.name not in LATER[stage]
        }
        return digest(
            stage=stage,
            task=self.task.name,
            dials=dials,
            seed=self.seed,
            device=self.device,
            code=source_digest([*SOURCES, ROOT / "bench" / "tasks" / f"{self.task.name}.py"]),
        )

    def makers(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        return {
            "base_model": self._make_base_model,
            "sft": self._make_sft,
            "feedback": self._make_feedback,
            "reward_model": self._make_reward_model,
        }

    def prompts(self, split: Split) -> list[str]:
        return self.task.prompts(split)

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return self.task.gold(prompts, responses)

    @property
    def asked(self) -> Kind:
        return self.task.question.kind

    @property
    def end(self) -> str:
        return END

    @property
    def temperature(self) -> float:
        return self.task.annotator.temperature

    def _make_base_model(self, folder: Path) -> dict[str, Any]:
        tokenizer = make_tokenizer(self.task.words())
        model = make_model(self.task.architecture, tokenizer, self.seed)
        training = self.task.pretraining
        text = self.task.corpus(Random(f"corpus {self.seed}"), training.examples)
        self.fit("base_model", pretrain, model, tokenizer, text, training)
        ModelPolicy(model, tokenizer).save(folder)
        return {}

    def _make_sft(self, folder: Path) -> dict[str, Any]:
        base = ModelPolicy.load(self.folder("base_model"), "cpu")
        training = self.task.sft
        shown = self.task.demonstrations(Random(f"sft {self.seed}"), training.examples)
        self.fit("sft", fine_tune, base.model, base.tokenizer, shown, training)
        base.save(folder)
        return {}

    def _make_feedback(self, folder: Path) -> dict[str, Any]:
        from_base = self.task.coverage.policy == "base_model"
        policy = (
            load_shared_policy(self.folder("base_model"), self.device) if from_base else self.sft()
        )
        task, question, seed = self.task, self.task.question, self.seed
        count = task.judgements // question.judgements
        asked = ask(
            task,
            policy,
            task.prompts("train"),
            count,
            question.among,
            stream("pairs", "train", seed),
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
            prompts = task.prompts(split)
            held = ask(task, policy, prompts, HELD_OUT_PAIRS, 2, stream("pairs", split, seed))
            pairs = compare(held, Question(), task.annotator, random)
            write_judgements(folder / f"{split}.pairs.jsonl", pairs)
        return {"judgements": count * question.judgements, "thumbs": len(liked)}

    def _make_reward_model(self, folder: Path) -> dict[str, Any]:
        choices = self.feedback("choices")
        reward = self.fit(
            "reward_model", train_reward_model, self.folder("sft"), choices, self.task.reward
        )
        reward.save(folder)
        return {"reward_accuracy": self._reward_accuracy(reward)}

    def _reward_accuracy(self, reward: RewardModel) -> float:
        """Measure on fresh pairs for test prompts, against gold order."""
        policy, task = self.sft(), self.task
        prompts = task.prompts("test")
        asked = [prompts[i % len(prompts)] for i in range(4 * HELD_OUT_PAIRS)]
        law = SamplingLaw(max_new_tokens=task.max_new_tokens)
        first = policy.generate(asked, stream("accuracy", "first", self.seed), law)
        second = policy.generate(asked, stream("accuracy", "second", self.seed), law)
        gold = list(zip(task.gold(asked, first), task.gold(asked, second), strict=True))
        return gold_order_accuracy(reward, asked, list(zip(first, second, strict=True)), gold)
