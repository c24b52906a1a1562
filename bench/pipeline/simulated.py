"""Pipelines of tasks with a gold reward, whose annotator is simulated."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from bench.pipeline.base import Pipeline
from bench.tasks.base import Example, Simulated
from methods.core.feedback import FeedbackKind


@dataclass(frozen=True)
class SimulatedPipeline(Pipeline):
    """A simulated task at a seed: what its pipelines share, whatever the base model."""

    task: Simulated

    @abstractmethod
    def demonstrations(self) -> list[Example]:
        """Return the examples that the SFT policy is fine-tuned on."""

    @property
    def feedback_kind(self) -> FeedbackKind:
        return self.task.feedback_format.kind

    @property
    def temperature(self) -> float:
        return self.task.annotator.temperature
