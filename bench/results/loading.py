"""Reading a results folder: only runs.csv must be there; what else is missing reads as empty."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError, reason_of
from bench.results import schema
from bench.results.manifest import read_experiment, read_manifest
from bench.results.reading import place_of, shown
from bench.results.replacing import complete_replacement, unchanged
from bench.tasks import TASKS
from bench.tasks.base import END, Embedded

# By the names that Results gives them.
TABLES = {
    "runs": schema.RUNS,
    "frontier": schema.FRONTIER,
    "head_to_head": schema.HEAD_TO_HEAD,
    "curves": schema.CURVES,
    "stages": schema.STAGES,
    "regret": schema.REGRET,
    "temperatures": schema.TEMPERATURES,
    "checkpoints": schema.CHECKPOINTS,
    "optimum": schema.OPTIMUM,
    "method_settings": schema.METHODS,
    "llm_judge": schema.LLM_JUDGE,
    "samples": schema.SAMPLES,
}


# Compared by identity, so that analyses of the same results can be cached.
@dataclass(frozen=True, eq=False)
class Results:
    """What a run left. Text that is missing is "", a number that is missing is nan.

    Attributes:
        runs: RUNS, and likewise the other tables of `bench.results.schema`.
        method_settings: METHODS.
        manifest: manifest.json.
        experiment: experiment.yaml as text.
    """

    runs: pd.DataFrame
    frontier: pd.DataFrame
    head_to_head: pd.DataFrame
    curves: pd.DataFrame
    stages: pd.DataFrame
    regret: pd.DataFrame
    temperatures: pd.DataFrame
    checkpoints: pd.DataFrame
    optimum: pd.DataFrame
    method_settings: pd.DataFrame
    llm_judge: pd.DataFrame
    samples: pd.DataFrame
    manifest: dict[str, Any]
    experiment: str

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks, in order of appearance."""
        return list(dict.fromkeys(self.runs["task"]))

    @cached_property
    def methods(self) -> list[str]:
        """Methods, the SFT policy first, then in order of appearance."""
        return method_order(self.runs)

    def methods_on(self, task: str) -> list[str]:
        """Return the methods that were run on a task, in the same order."""
        return list(self._finished_on[task])

    @cached_property
    def privileged(self) -> frozenset[str]:
        """Methods that were given the gold reward."""
        methods = self.described("methods")
        return frozenset(name for name, about in methods.items() if about.get("privileged"))

    def of_task(self, task: str) -> Results:
        """Return the results of one task alone."""
        tables: dict[str, Any] = {
            field.name: table[table["task"] == task]
            for field in fields(self)
            if isinstance(table := getattr(self, field.name), pd.DataFrame)
        }
        return replace(self, **tables)

    def first_seeds(self, count: int) -> Results:
        """Return the results as they were with this many seeds."""
        tables: dict[str, Any] = {
            field.name: table[table["seed"].isna() | (table["seed"] < count)]
            for field in fields(self)
            if isinstance(table := getattr(self, field.name), pd.DataFrame) and "seed" in table
        }
        return replace(self, **tables)

    def learns_from(self, method: str) -> str:
        """Return the kind of feedback that a method takes, "" where that is not known."""
        return str(self.described("methods").get(method, {}).get("feedback") or "")

    def failed(self, task: str = "") -> list[str]:
        """Return the methods without a finished run on a task, or on any where none is named."""
        if task:
            return [method for method, any_ok in self._finished_on[task].items() if not any_ok]
        tasks = self._finished_on.values()
        return [method for method in self.methods if not any(of.get(method) for of in tasks)]

    @cached_property
    def _finished_on(self) -> dict[str, dict[str, bool]]:
        """Whether any run of each method finished, by task."""
        ok = self.runs["status"] == "ok"
        finished = ok.groupby([self.runs["task"], self.runs["method"]]).any()
        return {
            str(task): {method: bool(finished[task, method]) for method in method_order(rows)}
            for task, rows in self.runs.groupby("task", sort=False)
        }

    def marked(self, method: str, task: str = "") -> str:
        """Return a method's name, marked where it was given the gold reward or has no result.

        Args:
            method: The method's name.
            task: The task whose results are meant; all tasks where none is named.
        """
        marks = ["privileged"] * (method in self.privileged)
        marks += ["failed"] * (method in self.failed(task))
        return f"{method} ({', '.join(marks)})" if marks else method

    def reward_source(self, task: str) -> str:
        """Return what gives a task's reward, gold or judge."""
        sources = self.runs.loc[self.runs["task"] == task, "reward_source"]
        known = [source for source in sources if source]
        return str(known[0]) if known else "gold"

    @property
    def reward_name(self) -> str:
        """What gives the reward over all tasks: gold, judge, or "gold or judge"."""
        return " or ".join(dict.fromkeys(map(self.reward_source, self.tasks)))

    @property
    def judged(self) -> list[str]:
        """Tasks without a gold reward."""
        return [task for task in self.tasks if self.reward_source(task) == "judge"]

    def ends(self, task: str) -> list[str]:
        """Return the end tokens of a task's policies, as text."""
        return list(self.described("tasks").get(task, {}).get("ends") or [END])

    def has_sampled_prompts(self, task: str) -> bool:
        """Return whether a task's test prompts are a sample from data, which all seeds share.

        An embedded task's prompts are the task's own: there are no others to generalize to.
        """
        kind = TASKS.get(str(self.described("tasks").get(task, {}).get("task")))
        if kind is None:
            return self.reward_source(task) == "judge"
        return not issubclass(kind, Embedded)

    @cached_property
    def prompt_rewards(self) -> pd.DataFrame:
        """Mean reward on each test prompt, with task, method, params, seed and prompt.

        Only of tasks whose prompts are a sample.
        """
        tasks = [task for task in self.tasks if self.has_sampled_prompts(task)]
        rows = self.samples[self.samples["task"].isin(tasks) & (self.samples["split"] == "test")]
        key = ["task", "method", "params", "seed", "prompt"]
        return rows.groupby(key, sort=False)["reward"].mean().reset_index()

    def task_title(self, task: str) -> str:
        """Return a task's title, or its name."""
        return str(self.described("tasks").get(task, {}).get("title") or task)

    def described(self, what: str) -> dict[str, dict[str, Any]]:
        """Return what the manifest says of each method or task, as far as it says anything."""
        return {name: about or {} for name, about in (self.manifest.get(what) or {}).items()}


def method_order(runs: pd.DataFrame) -> list[str]:
    """Return the methods, the SFT policy first, then in order of appearance."""
    return sorted(dict.fromkeys(runs["method"]), key=lambda method: method != "sft")


def load_results(folder: Path) -> Results:
    """Read a results folder.

    Raises:
        UserError: The folder has no runs.csv, or one of its files is damaged.
    """
    complete_replacement(folder)
    if not (folder / schema.RUNS.file).exists():
        raise UserError(f"{folder}: no results folder: it has no {schema.RUNS.file}")
    try:
        # All tables are of one run.
        with unchanged(folder):
            results = _read(folder)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: cannot be read: {reason_of(error)}") from None
    _check_runs(folder, results.runs)
    return results


def _read(folder: Path) -> Results:
    return Results(
        **{name: table.read(folder) for name, table in TABLES.items()},
        manifest=read_manifest(folder / "manifest.json"),
        experiment=read_experiment(folder / "experiment.yaml"),
    )


def _check_runs(folder: Path, runs: pd.DataFrame) -> None:
    """Raise UserError if there is no run, or if one is there twice, which would count twice."""
    file = folder / schema.RUNS.file
    if runs.empty:
        raise UserError(f"{file}: has no run")
    key = ["task", "method", "params", "seed", "split"]
    again = runs.duplicated(key).to_numpy()
    if again.any():
        row = int(again.argmax())
        run = ", ".join(f"{name} {shown(runs[name].iloc[row])}" for name in key)
        raise UserError(f"{place_of(file, row)}: a run is there twice: {run}")
