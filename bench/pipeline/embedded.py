"""Pipelines that need no download: the base model is pretrained on the task's own text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from bench.pipeline.base import Stage
from bench.pipeline.simulated import SimulatedPipeline
from bench.pipeline.stages import base_model, feedback, reward_model, sft
from bench.tasks.base import END, Embedded, Example, Split


@dataclass(frozen=True)
class EmbeddedPipeline(SimulatedPipeline):
    """An embedded task at a seed."""

    task_class: ClassVar = Embedded
    stages: ClassVar = {
        # Reads all options that no later stage names: they determine text and gold reward.
        "base_model": Stage(base_model.make_embedded),
        "sft": Stage(sft.make_simulated, ("base_model",), ("sft",)),
        "feedback": Stage(
            feedback.make_simulated,
            ("sft",),
            ("labels", "feedback_format", "annotator", "response_source"),
        ),
        "reward_model": Stage(reward_model.make_simulated, ("feedback",), ("reward_model",)),
    }

    task: Embedded

    def stage_options(self, stage: str) -> Sequence[str]:
        if stage != "base_model":
            return super().stage_options(stage)
        later = {name for spec in self.stages.values() for name in spec.options}
        fields = [field.name for field in dataclasses.fields(self.task)]
        return [name for name in fields if name not in later]

    def prompts(self, split: Split) -> list[str]:
        return self.task.prompts(split)

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return self.task.gold(prompts, responses)

    @property
    def end(self) -> str:
        return END

    def demonstrations(self) -> list[Example]:
        return self.task.demonstrations(Random(f"sft {self.seed}"), self.task.sft.examples)
