"""One run: train a method at a setting and a seed, then measure the policy. Both are kept."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import math
import shutil
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.evaluation.checkpoints import measure_checkpoints
from bench.evaluation.head_to_head import win_rate_chosen
from bench.evaluation.measure import Measured, Row, at_temperatures, measure
from bench.evaluation.reference_samples import Ruler
from bench.execution.memory import PeakMemory
from bench.pipeline.base import ROOT, World, load_shared_policy
from bench.results.loading import RUN_COLUMNS
from bench.cache.store import Store, digest, source_digest, write_json
from bench.tasks.base import Split
from bench.execution.executors import Outcome
from methods.base import Context, Diverged, Method
from methods.core.models import distributed
from methods.core.training.context import CHECKPOINTS, Meter
from methods.core.feedback import Judgement
from methods.core.models.policy import ModelPolicy, Policy, load_policy
from methods.core.models.sampling import SamplingLaw
from methods.core.training.trainer import check_finite

SPLITS: tuple[Split, ...] = ("validation", "test")
# Responses per prompt for win rates at other temperatures than that of the sampling law.
AT_TEMPERATURES = 8
# And for checkpoints: many are measured, and none is a result.
AT_CHECKPOINTS = 8
# A policy whose KL is less has nothing to say that the SFT policy does not (nats).
MOVED = 0.1
POLICY, FIGURES_KIND = "policy", "figures"
CORE = [ROOT / "methods" / "base.py", *(ROOT / "methods" / "core").glob("*.py")]
OWN_PACKAGES = {"bench", "methods"}
MEASURING = [*(ROOT / "bench" / "evaluation").glob("*.py"), ROOT / "bench" / "runs.py"]


@dataclass(frozen=True)
class Run:
    """A method with its settings on a world. params: those that vary in the experiment."""

    name: str
    method: Method
    params: tuple[tuple[str, Any], ...]
    world: World
    ruler: Ruler
    budget: int
    per_prompt: int
    temperatures: tuple[float, ...] = ()
    checkpoints: int = 0

    @property
    def label(self) -> str:
        setting = " ".join(f"{key}={value}" for key, value in self.params)
        return " ".join(filter(None, [self.world.name, self.name, setting]))

    @property
    def identity(self) -> list[Any]:
        """Task, method, params and seed, as the tables name a run."""
        return [self.world.name, self.name, json.dumps(dict(self.params)), self.world.seed]

    @cached_property
    def train_key(self) -> str:
        """Return the hash of the trained policy: settings, seed, what it starts from, its code."""
        return digest(
            method=self.name,
            settings=self.method,
            stages=[self.world.key(stage) for stage in ("sft", "feedback", "reward_model")],
            law=self.ruler.law,
            budget=self.budget,
            checkpoints=self.checkpoints,
            code=source_digest([*CORE, *method_files(type(self.method))]),
        )

    @cached_property
    def key(self) -> str:
        """Return the hash of the run's figures."""
        return digest(
            policy=self.train_key,
            ruler=self.ruler.key,
            per_prompt=self.per_prompt,
            temperatures=self.temperatures,
            code=source_digest(MEASURING),
        )

    @property
    def store(self) -> Store:
        return self.world.store

    def trained(self) -> bool:
        return self.store.has(POLICY, self.train_key)

    def finished(self) -> bool:
        return self.store.has(FIGURES_KIND, self.key)

    def execute(self) -> None:
        """Train and measure, whatever of it is missing."""
        if not distributed.agreed(self.trained()):
            self._train()
        if not distributed.agreed(self.finished()):
            self._measure()

    def _train(self) -> None:
        if distributed.together() and not self.method.several_processes:
            raise ValueError("this method trains in one process, not in several together")
        world = self.world
        # What was measured last need not stay beside what is trained.
        load_shared_policy.cache_clear()
        workdir = self.store.workdir(self.train_key)
        seed_everything(world.seed)
        context = Context(
            sft=world.folder("sft"),
            prompts=world.prompts("train"),
            judgements=self._feedback(),
            law=training_law(self.ruler.law),
            budget=self.budget,
            seed=world.seed,
            workdir=workdir,
            device=world.device,
            reward_function=self._reward(),
            reward_folder=None if self.method.privileged else world.folder("reward_model"),
            checkpoints=self.checkpoints,
            loading=world.loading,
        )
        with PeakMemory(world.device) as memory:
            policy = self.method.train(context)
            if isinstance(policy, ModelPolicy):
                check_finite(policy.model)
        used = used_by_all(context.meter)
        costs = used | {
            "train_seconds": round(context.seconds(), 2),
            "peak_memory_mb": round(memory.megabytes, 1),
            "judgements": self._judgements(used["reward_calls"]),
        }
        with self.store.create(POLICY, self.train_key) as folder:
            policy.save(folder)
            write_json(folder / "costs.json", costs)
            write_json(folder / "curves.json", context.curves)
            if distributed.is_main() and (workdir / CHECKPOINTS).exists():
                shutil.move(workdir / CHECKPOINTS, folder / CHECKPOINTS)
        self.store.drop_workdir(self.train_key)

    def _reward(self) -> Any:
        if self.method.feedback != "reward":
            return None
        return self.world.score if self.method.privileged else self.world.reward_model()

    def _feedback(self) -> list[Judgement]:
        kind = self.method.feedback
        return [] if kind == "none" or kind == "reward" else self.world.feedback(kind)

    def _judgements(self, reward_calls: int) -> int:
        """Return how often the annotator was asked: for the feedback, or for each gold reward."""
        kind = self.method.feedback
        if self.method.privileged:
            return reward_calls
        if kind == "none":
            return 0
        # A reward model learned from the comparisons.
        return self.world.judgements("pairs" if kind == "reward" else kind)

    @property
    def folder(self) -> Path:
        """Where the trained policy lies, or will."""
        return self.store.folder(POLICY, self.train_key)

    def policy(self) -> Policy:
        """Return the trained policy, loaded from disk as anybody else would."""
        return load_policy(self.folder, self.world.device)

    def _measure(self) -> None:
        policy = self.policy()
        kept = self.folder / CHECKPOINTS
        with self.store.create(FIGURES_KIND, self.key) as folder:
            write_json(
                folder / "temperatures.json",
                at_temperatures(self.ruler, policy, self.temperatures, AT_TEMPERATURES),
            )
            on_the_way = measure_checkpoints(self.ruler, kept, AT_CHECKPOINTS)
            write_json(folder / "checkpoints.json", [clean(row) for row in on_the_way])
            for split in SPLITS:
                measured = measure(self.ruler, policy, split, self.per_prompt)
                if not math.isfinite(measured.figures["score"]):
                    raise Diverged(f"the {self.world.task.scored_by} reward is not finite")
                measured.figures |= win_rate_chosen(self.world, measured) if split == "test" else {}
                write_json(folder / f"{split}.json", clean(measured.figures))
                write_json(folder / f"{split}.samples.json", measured.samples)
                arrays = {"scores": measured.scores}
                if measured.weights is not None:
                    arrays["weights"] = measured.weights
                np.savez_compressed(folder / f"{split}.npz", **arrays)  # type: ignore[arg-type]

    def measured(self, split: str) -> Measured:
        """Return all that was measured on a split."""
        with np.load(self.store.folder(FIGURES_KIND, self.key) / f"{split}.npz") as arrays:
            scores, weights = arrays["scores"], arrays.get("weights")
        return Measured(self.figures(split), self.samples(split), scores, weights)

    def figures(self, split: str) -> Row:
        """Return the figures of a split."""
        return dict(self._read(FIGURES_KIND, self.key, f"{split}.json"))

    def samples(self, split: str) -> list[Row]:
        """Return the samples of a split."""
        return list(self._read(FIGURES_KIND, self.key, f"{split}.samples.json"))

    def curves(self) -> list[dict[str, float]]:
        """Return the training curves that the method logged."""
        return list(self._read(POLICY, self.train_key, "curves.json"))

    def on_the_way(self) -> list[Row]:
        """Return the figures of the checkpoints."""
        return list(self._read(FIGURES_KIND, self.key, "checkpoints.json"))

    def at_temperatures(self) -> list[Row]:
        """Return gold reward and win rate at other temperatures."""
        return list(self._read(FIGURES_KIND, self.key, "temperatures.json"))

    def _read(self, kind: str, key: str, name: str) -> Any:
        return json.loads((self.store.folder(kind, key) / name).read_text())

    def row(self, split: str, status: str, error: str = "") -> Row:
        """Return the run's row of `runs.csv` for a split, but for what needs the limit."""
        row: Row = dict.fromkeys(RUN_COLUMNS)
        strength = self.method.strength
        row |= {
            "task": self.world.name,
            "method": self.name,
            "params": json.dumps(dict(self.params)),
            "strength": getattr(self.method, strength) if strength else None,
            "seed": self.world.seed,
            "split": split,
            "status": status,
            "error": error,
            "device": self.world.device,
        }
        if status != "ok":
            return row
        return (
            row | self._read(POLICY, self.train_key, "costs.json") | self.named(self.figures(split))
        )

    def named(self, figures: Row) -> Row:
        """Return figures or a sample with their score under the name that it has in tables."""
        kind = self.world.task.scored_by
        names = {
            "score": f"{kind}_reward",
            "score_sem": f"{kind}_reward_sem",
        }
        return {names.get(name, name): value for name, value in figures.items()}


def used_by_all(meter: Meter) -> dict[str, Any]:
    """Return what all processes used together."""
    meters = [dataclasses.asdict(own) for own in distributed.gathered(meter)]
    return {name: sum(own[name] for own in meters) for name in meters[0]}


def furthest(runs: list[Run], most: int) -> list[Run]:
    """Return the runs whose policies moved furthest, one for each method, privileged ones first.

    Of those that moved, and have log-probabilities.
    """
    moved: dict[str, tuple[bool, float, Run]] = {}
    for run in runs:
        figures = run.figures("test")
        kl = figures["kl"]
        if kl is None or kl < MOVED or figures["chosen_logp_change"] is None:
            continue
        if run.name not in moved or kl > moved[run.name][1]:
            moved[run.name] = (run.method.privileged, kl, run)
    ranked = sorted(moved.values(), key=lambda entry: entry[:2], reverse=True)
    return [run for *_, run in ranked[:most]]


def method_files(method: type[Method]) -> list[Path]:
    """Return the source files of a method and of the methods that it builds on or imports from.

    Of a method in another package, all files of that package: any may be part of it.
    """
    modules = {kind.__module__ for kind in method.__mro__} - {"abc", "builtins"}
    found = [getattr(sys.modules.get(name), "__file__", None) for name in modules]
    files = {Path(file) for file in found if file}
    kinds = [kind for kind in method.__mro__ if issubclass(kind, Method)]
    for package in {kind.__module__.partition(".")[0] for kind in kinds} - OWN_PACKAGES:
        for folder in getattr(sys.modules.get(package), "__path__", []):
            files |= set(Path(folder).rglob("*.py"))
    new = files
    while new := {found for file in new for found in imported_methods(file)} - files:
        files |= new
    return sorted(files)


def imported_methods(file: Path) -> set[Path]:
    """Return the files in `methods/` that a source file imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    return {file for file in files if file.parent == ROOT / "methods" and file.exists()}


def training_law(law: SamplingLaw) -> SamplingLaw:
    """Return the law that online methods sample by: that of the evaluation, or temperature 1 with
    no cut where that is greedy or cut, and so has no gradient or no finite log-probability."""
    return law if law.is_softmax else replace(law, temperature=law.temperature or 1.0, top_k=0)


def clean(figures: Row) -> Row:
    """Return the figures with None where there is no number."""
    return {
        name: None if value is None or not math.isfinite(value) else float(value)
        for name, value in figures.items()
    }


def seed_everything(seed: int) -> None:
    """Seed the global random states that trainers draw from."""
    importlib.import_module("transformers").set_seed(seed)


def attempt(run: Run) -> Outcome:
    """Execute a run; return its status, its error in one line, and the seconds it took."""
    started = time.perf_counter()
    try:
        run.execute()
        status, error = "ok", ""
    except Diverged as problem:
        status, error = "diverged", str(problem)
    except (Exception, SystemExit) as problem:  # one failure never takes the rest down
        status, error = "failed", f"{type(problem).__name__}: {problem}"
    return Outcome(status, " ".join(error.split())[:500], time.perf_counter() - started)
