"""A method's samples in the formats of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.analysis.selection import of_selected
from bench.errors import UserError
from bench.results.loading import load_results
from methods.core.models.text import in_words

FORMATS = ("alpaca_eval",)


def export(folder: Path, *, method: str, task: str, seed: int | None, form: str) -> str:
    """Return a method's test responses, at its selected setting, as a file's text.

    alpaca_eval: a model-outputs file, a JSON list with one response for each instruction: the
    first one sampled. Without a task or seed, the first one that there is. Raises UserError.
    """
    if form not in FORMATS:
        raise UserError(f"--format: unknown format '{form}'; allowed: {', '.join(FORMATS)}")
    results = load_results(folder)
    samples = results.samples[results.samples["split"] == "test"]
    samples = _only(samples, "task", task, "--task") if task else _first(samples, "task")
    samples = _only(samples, "method", method, "--method")
    if not samples.empty:
        samples = of_selected(samples, results.runs, str(samples["task"].iloc[0]))
    samples = _first(samples, "seed") if seed is None else _only(samples, "seed", seed, "--seed")
    if samples.empty:
        raise UserError(f"{folder}: has no test samples of {method}")
    rows = samples.drop_duplicates("prompt")
    outputs = [
        {
            "dataset": str(row["task"]),
            "instruction": in_words(row["prompt"]),
            "output": row["response"].removesuffix(results.end(row["task"])).rstrip(),
            "generator": f"prefrontier-{method}",
        }
        for _, row in rows.iterrows()
    ]
    return json.dumps(outputs, indent=2, ensure_ascii=False) + "\n"


def _first(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    return samples[samples[column] == samples[column].iloc[0]] if len(samples) else samples


def _only(samples: pd.DataFrame, column: str, value: object, option: str) -> pd.DataFrame:
    allowed = samples[column].drop_duplicates()
    if len(samples) and value not in set(allowed):
        names = ", ".join(f"{name:g}" if isinstance(name, float) else str(name) for name in allowed)
        raise UserError(f"{option}: '{value}' has no samples here; allowed: {names}")
    return samples[samples[column] == value]
