"""Worlds that need nothing from elsewhere: a model pretrained on their own text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from bench.pipeline.base_model import make_model, make_tokenizer
from bench.pipeline.language_model import pretrain
from bench.pipeline.simulated import SimulatedWorld
from bench.pipeline.base import ROOT, SOURCES
from bench.cache.store import digest, source_digest
from bench.tasks.base import END, Embedded, Example, Split
from methods.core.models.policy import ModelPolicy

FEEDBACK_DIALS = ("judgements", "question", "annotator", "coverage")
# Dials that a stage does not depend on, because they come in only later.
LATER = {
    "base_model": ("sft", *FEEDBACK_DIALS, "reward"),
    "sft": (*FEEDBACK_DIALS, "reward"),
    "feedback": ("reward",),
    "reward_model": (),
}


@dataclass(frozen=True)
class EmbeddedWorld(SimulatedWorld):
    """An embedded task at a seed."""

    stages: ClassVar = ("base_model", "sft", "feedback", "reward_model")

    task: Embedded

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

    def prompts(self, split: Split) -> list[str]:
        return self.task.prompts(split)

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return self.task.gold(prompts, responses)

    @property
    def end(self) -> str:
        return END

    def make_base_model(self, folder: Path) -> dict[str, Any]:
        tokenizer = make_tokenizer(self.task.words())
        model = make_model(self.task.architecture, tokenizer, self.seed)
        training = self.task.pretraining
        text = self.task.corpus(Random(f"corpus {self.seed}"), training.examples)
        self.fit("base_model", pretrain, model, tokenizer, text, training)
        ModelPolicy(model, tokenizer).save(folder)
        return {}

    def demonstrations(self) -> list[Example]:
        return self.task.demonstrations(Random(f"sft {self.seed}"), self.task.sft.examples)
