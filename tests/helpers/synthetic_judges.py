"""Judges and a calibration for a made-up results folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results import schema

RUN = ["method", "params", "seed"]
# Of errors of 29% and 34%, 20% would make both wrong in 69% of what the judge gets wrong.
SHARED = {
    "stage": "agreement",
    "both_wrong": 0.2,
    "error_correlation": 0.47,
    "error_correlation_low": 0.38,
    "error_correlation_high": 0.56,
    "margin_correlation": 0.6,
    "margin_correlation_low": 0.52,
    "margin_correlation_high": 0.67,
}


def accuracy(stage: str, share: float) -> dict[str, Any]:
    """Return the metrics of a stage that made a judge or a reward model."""
    interval = {"accuracy_low": share - 0.05, "accuracy_high": share + 0.05}
    return {"stage": stage, "reward_accuracy": share, **interval}


def add_judges(folder: Path, task: str) -> None:
    """Give a task of a results folder a judge instead of a gold reward, and a language model."""
    runs = schema.RUNS.read(folder)
    judged = runs["task"] == task
    runs.loc[judged, "reward_source"] = "judge"
    trained = judged & (runs["method"] != "sft")
    runs.loc[trained, ["win_rate_chosen", "implicit_accuracy"]] = [0.4, 0.6]
    schema.RUNS.write(folder, runs)
    stages = schema.STAGES.read(folder)
    stages = stages[(stages["task"] != task) | (stages["stage"] != "reward_model")]
    added = schema.STAGES.frame(
        {"task": task, "seed": seed, "seconds": 3.5, "pairs": 400, **metrics}
        for seed in sorted(set(runs.loc[judged, "seed"]))
        for metrics in (accuracy("judge", 0.71), accuracy("reward_model", 0.66), SHARED)
    )
    schema.STAGES.write(folder, pd.concat([stages, added]))
    schema.LLM_JUDGE.write(folder, schema.LLM_JUDGE.frame(_comparisons(runs[judged])))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tasks"][task] = {
        "title": f"{task}: what people prefer",
        "judge": "a reward model",
        "judge_warning": "The judge has the same weights.",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _comparisons(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of LLM_JUDGE: each method against SFT, and pairs that people labeled."""
    shared = {
        "judge": "a-language-model",
        "task": runs["task"].iloc[0],
        "prompts": 40,
        "wins": 22,
        "ties": 4,
        "losses": 12,
        "unparsable": 2,
        "failed": 0,
        "win_rate": 0.63,
        "win_rate_lc": 0.6,
        "first_preferred": 0.55,
        "consistent": 0.8,
    }
    trained = runs.loc[runs["method"] != "sft"].drop_duplicates(["method", "seed"])
    rows = [shared | {**run, "opponent": "sft"} for run in trained[RUN].to_dict("records")]
    return [*rows, shared | {"method": schema.CHOSEN, "opponent": "rejected"}]


def add_calibration(folder: Path) -> None:
    """Put a calibration's summary into the manifest of a results folder."""
    from bench.calibration.summary import summarize

    counts = ["comparisons", "better", "worse", "none", "covered"]
    rows = [("itself", "equal", 100, 2, 1, 97, 95), ("known order", "better", 80, 60, 0, 20, 77)]
    pairs = pd.DataFrame(rows, columns=["kind", "truth", *counts])
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["calibration"] = summarize(pairs, 120)
    (folder / "manifest.json").write_text(json.dumps(manifest))
