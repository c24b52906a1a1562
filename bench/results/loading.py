"""Reading a results folder: only runs.csv must be there, what else is missing reads as empty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.config.llm_judge import LLM_JUDGE_COLUMNS, LLM_JUDGE_FILE
from bench.report.display import marked
from bench.tasks.base import END


def _columns(names: str) -> list[str]:
    return names.split()


RUN_COLUMNS = _columns(
    "task method params strength seed split status error gold_reward gold_reward_sem proxy_reward "
    "proxy_reward_sem kl kl_sem win_rate_sft win_rate_sft_sem response_tokens entropy distinct_2 "
    "ended_rate chosen_logp_change rejected_logp_change limit_reward efficiency judgements "
    "prompts_seen responses_sampled reward_calls train_tokens train_seconds peak_memory_mb device "
    "judge_reward judge_reward_sem win_rate_chosen win_rate_chosen_sem implicit_accuracy"
)
FRONTIER_COLUMNS = _columns("task seed kl reward effective_samples")
# An opponent that is no method: the response that people chose for the prompt.
CHOSEN = "chosen"
# Here `prompt` is the number of a test prompt.
HEAD_TO_HEAD_COLUMNS = _columns("task seed prompt method opponent win_rate tokens opponent_tokens")
CURVE_COLUMNS = _columns("task method params seed step metric value")
STAGE_COLUMNS = _columns("task seed stage seconds reward_accuracy pairs accuracy_low accuracy_high")
OBJECTIVE_COLUMNS = _columns(
    "task method params strength seed objective optimum reference share "
    "regret_optimizer regret_signal regret_meeting"
)
CHECKPOINT_COLUMNS = _columns(
    "task method params strength seed step gold_reward proxy_reward kl response_tokens entropy "
    "chosen_logp_change rejected_logp_change judge_reward"
)
OPTIMUM_COLUMNS = _columns(
    "task method params seed kl response_tokens optimum_tokens mode_mass optimum_mode_mass"
)
TEMPERATURE_COLUMNS = _columns(
    "task method params seed temperature gold_reward win_rate_sft judge_reward"
)
# What a method is, and its settings on a task: JSON of those fixed, and of the values tried.
METHOD_COLUMNS = _columns("task method title learns_from dial authors paper fixed tried")
SAMPLE_COLUMNS = _columns(
    "task method params seed split prompt response gold proxy kl response_tokens judge"
)
TEXT_COLUMNS = frozenset(
    _columns(
        "task method params split status error device opponent metric stage prompt response title "
        "learns_from dial authors paper fixed tried"
    )
)


@dataclass(frozen=True)
class Results:
    """What a run left, in memory. Text that is missing is "", a figure that is missing is nan."""

    runs: pd.DataFrame
    frontier: pd.DataFrame
    head_to_head: pd.DataFrame
    curves: pd.DataFrame
    stages: pd.DataFrame
    objective: pd.DataFrame
    temperatures: pd.DataFrame
    checkpoints: pd.DataFrame
    optimum: pd.DataFrame
    descriptions: pd.DataFrame
    llm_judge: pd.DataFrame
    samples: pd.DataFrame
    manifest: dict[str, Any]
    experiment: str

    @property
    def tasks(self) -> list[str]:
        """Tasks, in order of appearance."""
        return list(dict.fromkeys(self.runs["task"]))

    @property
    def methods(self) -> list[str]:
        """Methods, the SFT policy first, then in order of appearance."""
        return method_order(self.runs)

    @property
    def privileged(self) -> frozenset[str]:
        """Methods that were given the gold reward."""
        methods = described(self.manifest, "methods")
        return frozenset(name for name, about in methods.items() if about.get("privileged"))

    def learns_from(self, method: str) -> str:
        """Return the kind of feedback that a method takes, "" where that is not known."""
        return str(described(self.manifest, "methods").get(method, {}).get("feedback") or "")

    def marked(self, method: str) -> str:
        """Return the method's name, and whether it is privileged."""
        return marked(method, method in self.privileged)

    def scale(self, task: str) -> str:
        """Return what policies are measured by: "gold", or "judge" where none is known."""
        return str(described(self.manifest, "tasks").get(task, {}).get("scored_by") or "gold")

    @property
    def judged(self) -> list[str]:
        """Tasks without a gold reward."""
        return [task for task in self.tasks if self.scale(task) == "judge"]

    def end(self, task: str) -> str:
        """Return the end token of the policies, as text."""
        return str(described(self.manifest, "tasks").get(task, {}).get("end") or END)

    def task_title(self, task: str) -> str:
        """Return the task's title, or its name."""
        return str(described(self.manifest, "tasks").get(task, {}).get("title") or task)


def described(manifest: dict[str, Any], what: str) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each method or task, as far as it says anything."""
    return {name: about or {} for name, about in (manifest.get(what) or {}).items()}


def method_order(runs: pd.DataFrame) -> list[str]:
    """Return the methods, the SFT policy first, then in order of appearance."""
    return sorted(dict.fromkeys(runs["method"]), key=lambda method: method != "sft")


def load_results(folder: Path) -> Results:
    """Read a results folder. Raises UserError without runs.csv."""
    if not (folder / "runs.csv").is_file():
        raise UserError(f"{folder}: no results folder: it has no runs.csv")
    manifest = folder / "manifest.json"
    experiment = folder / "experiment.yaml"
    samples = folder / "samples.parquet"
    return Results(
        runs=typed(_read_csv(folder / "runs.csv"), RUN_COLUMNS),
        frontier=_optional(folder / "frontier.csv", FRONTIER_COLUMNS),
        head_to_head=_optional(folder / "head_to_head.csv", HEAD_TO_HEAD_COLUMNS),
        curves=_optional(folder / "curves.csv", CURVE_COLUMNS),
        stages=_optional(folder / "stages.csv", STAGE_COLUMNS),
        objective=_optional(folder / "objective.csv", OBJECTIVE_COLUMNS),
        temperatures=_optional(folder / "temperatures.csv", TEMPERATURE_COLUMNS),
        checkpoints=_optional(folder / "checkpoints.csv", CHECKPOINT_COLUMNS),
        optimum=_optional(folder / "optimum.csv", OPTIMUM_COLUMNS),
        descriptions=_optional(folder / "methods.csv", METHOD_COLUMNS),
        llm_judge=_optional(folder / LLM_JUDGE_FILE, LLM_JUDGE_COLUMNS, TEXT_COLUMNS | {"judge"}),
        samples=typed(pd.read_parquet(samples) if samples.exists() else None, SAMPLE_COLUMNS),
        manifest=json.loads(manifest.read_text("utf-8")) if manifest.exists() else {},
        experiment=experiment.read_text("utf-8") if experiment.exists() else "",
    )


def typed(
    frame: pd.DataFrame | None, columns: Sequence[str], text: frozenset[str] = TEXT_COLUMNS
) -> pd.DataFrame:
    """Return the frame with these columns, text as str and figures as finite float.

    Where there are rewards, also with `score`: what policies are measured by, the gold reward or
    where there is none a judge's.
    """
    frame = (pd.DataFrame() if frame is None else frame).reindex(columns=list(columns))
    for column in columns:
        if column in text:
            frame[column] = frame[column].astype(object).fillna("").astype(str)
        else:
            frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    frame = frame.replace([np.inf, -np.inf], np.nan)
    for gold, judge in (("gold_reward", "judge_reward"), ("gold", "judge")):
        if {gold, judge} <= set(columns):
            frame["score"] = frame[gold].fillna(frame[judge])
    return frame


def _optional(
    file: Path, columns: Sequence[str], text: frozenset[str] = TEXT_COLUMNS
) -> pd.DataFrame:
    there = file.exists() and file.stat().st_size > 1
    return typed(_read_csv(file) if there else None, columns, text)


def _read_csv(file: Path) -> pd.DataFrame:
    # As text, so that a method or an error called "NA" stays what it is.
    return pd.read_csv(file, dtype=str, keep_default_na=False)
