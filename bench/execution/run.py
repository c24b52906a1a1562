"""One run: a method at a setting and a seed, trained and measured. Both are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.cache.code import code_digest
from bench.cache.keys import digest
from bench.cache.uses import used_by_others
from bench.evaluation.draw import Row
from bench.evaluation.measure import Measured
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.measuring import (
    CHECKPOINTS_FILE,
    TEMPERATURES_FILE,
    measure_policy,
    read_json,
    read_measured,
)
from bench.execution.memory import release_memory
from bench.execution.training import CURVES_FILE, USAGE_FILE, train_policy
from bench.pipeline.base import Pipeline
from methods.base import Method
from methods.core.models import distributed
from methods.core.models.policy import Policy, load_policy
from methods.core.training.context import CHECKPOINTS

POLICY, METRICS = "policy", "metrics"


@dataclass(frozen=True)
class Run:
    """A method with its setting on a pipeline.

    Attributes:
        name: The method's name.
        method: With all its hyper-parameters.
        params: Those that vary in the experiment.
        reference_samples: Those of the pipeline.
        budget: The most training examples or episodes.
        per_prompt: Responses to each prompt in the evaluation.
        temperatures: Other sampling temperatures.
        checkpoints: How many intermediate policies are kept.
    """

    name: str
    method: Method
    params: tuple[tuple[str, Any], ...]
    reference_samples: ReferenceSamples
    budget: int
    per_prompt: int
    temperatures: tuple[float, ...] = ()
    checkpoints: int = 0

    @property
    def pipeline(self) -> Pipeline:
        """The task and seed."""
        return self.reference_samples.pipeline

    @property
    def label(self) -> str:
        """The run's name in the progress output."""
        params = " ".join(f"{key}={value}" for key, value in self.params)
        return " ".join(filter(None, [self.pipeline.name, self.name, params]))

    @property
    def identity(self) -> dict[str, Any]:
        """Task, method, params and seed, as the tables name a run."""
        return {
            "task": self.pipeline.name,
            "method": self.name,
            "params": json.dumps(dict(self.params)),
            "seed": self.pipeline.seed,
        }

    @property
    def strength(self) -> float | None:
        """The value of the hyper-parameter that trades reward against KL."""
        name = self.method.strength
        return getattr(self.method, name) if name else None

    @cached_property
    def train_key(self) -> str:
        """The key of the trained policy: settings, seed, what it starts from, code."""
        return digest(
            method=self.name,
            settings=self.method,
            stages=[self.pipeline.key(stage) for stage in ("sft", "feedback", "reward_model")],
            sampling=self.reference_samples.sampling,
            budget=self.budget,
            checkpoints=self.checkpoints,
            code=code_digest("bench.execution.training", type(self.method).__module__),
        )

    @cached_property
    def key(self) -> str:
        """The key of the run's metrics."""
        return digest(
            policy=self.train_key,
            reference_samples=self.reference_samples.key,
            per_prompt=self.per_prompt,
            temperatures=self.temperatures,
            code=code_digest("bench.execution.measuring"),
        )

    @property
    def policy_folder(self) -> Path:
        """Folder of the trained policy on this machine, whether it exists yet or not."""
        return self.pipeline.store.folder(POLICY, self.train_key)

    @property
    def training_folder(self) -> Path:
        """Where the training writes its points while it runs (`methods.core.training.points`)."""
        return self.pipeline.store.unfinished(POLICY, self.train_key)

    @property
    def metrics_folder(self) -> Path:
        """Folder of the metrics, which must have been measured."""
        return self.pipeline.store.need(METRICS, self.key)

    def trained(self) -> bool:
        """Return whether the policy has been trained."""
        return self.pipeline.store.has(POLICY, self.train_key)

    def finished(self) -> bool:
        """Return whether the policy has been measured."""
        return self.pipeline.store.has(METRICS, self.key)

    def execute(self) -> None:
        """Train and measure the policy, as far as that has not been done."""
        if distributed.broadcast(self.finished()):
            return
        self.train()
        self.pipeline.store.make(METRICS, self.key, self._measure)

    def train(self) -> None:
        """Train the policy, unless it has been trained."""
        self.pipeline.store.make(POLICY, self.train_key, self._train)
        # The optimizer and the references need not stay beside what is measured.
        release_memory()

    def _train(self, folder: Path) -> dict[str, Any]:
        trained = train_policy(
            self.method,
            self.pipeline,
            sampling=self.reference_samples.sampling,
            budget=self.budget,
            checkpoints=self.checkpoints,
            workdir=self.pipeline.store.workdir(POLICY, self.train_key),
        )
        trained.write(folder)
        return {}

    def _measure(self, folder: Path) -> dict[str, Any]:
        with self.reading_policy() as trained:
            measure_policy(
                self.reference_samples,
                self.policy(),
                per_prompt=self.per_prompt,
                temperatures=self.temperatures,
                checkpoints=trained / CHECKPOINTS,
                records=[trained / name for name in (USAGE_FILE, CURVES_FILE)],
                folder=folder,
            )
        return {}

    def drop_policy(self) -> None:
        """Remove the trained policy, its checkpoints, and what is left of its training.

        Not where another experiment that runs refers to it: it may measure it otherwise.
        """
        store = self.pipeline.store
        if f"{POLICY}/{self.train_key}" not in used_by_others(store):
            store.drop(POLICY, self.train_key)

    @contextmanager
    def reading_policy(self) -> Iterator[Path]:
        """Give the folder of the trained policy, to be read.

        Raises:
            Missing: It is not there, or reading failed because another command dropped it.
        """
        store = self.pipeline.store
        try:
            yield store.need(POLICY, self.train_key)
        except Exception:
            store.need(POLICY, self.train_key)
            raise

    def policy(self) -> Policy:
        """Return the trained policy, loaded from disk."""
        folder = self.pipeline.store.need(POLICY, self.train_key)
        return load_policy(folder, self.pipeline.device)

    def measured(self, split: str) -> Measured:
        """Return all that was measured on a split."""
        return read_measured(self.metrics_folder, split)

    def metrics(self, split: str) -> Row:
        """Return the metrics of a split."""
        return dict(read_json(self.metrics_folder / f"{split}.json"))

    def samples(self, split: str) -> list[Row]:
        """Return the samples of a split."""
        return list(read_json(self.metrics_folder / f"{split}.samples.json"))

    def checkpoint_rows(self) -> list[Row]:
        """Return the metrics of each checkpoint."""
        return list(read_json(self.metrics_folder / CHECKPOINTS_FILE))

    def temperature_rows(self) -> list[Row]:
        """Return reward and win rate at other temperatures."""
        return list(read_json(self.metrics_folder / TEMPERATURES_FILE))

    def curves(self) -> list[dict[str, float]]:
        """Return the training curves that the method logged."""
        return list(read_json(self.metrics_folder / CURVES_FILE))

    def usage(self) -> Row:
        """Return what training used."""
        return dict(read_json(self.metrics_folder / USAGE_FILE))
