"""`prefrontier export`: a method's responses in the formats of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.analysis.selection import of_selected
from bench.cache.files import write_named
from bench.errors import UserError
from bench.results.loading import Results, load_results
from methods.core.models.text import in_words, with_end

FORMATS = ("alpaca_eval",)


def export(folder: Path, *, method: str, task: str, seed: int | None, form: str) -> str:
    """Return a method's test responses at its selected setting, as the text of a file.

    The format alpaca_eval is a file of model outputs: a JSON list with one response for each
    prompt, the first that was sampled.

    Args:
        folder: A results folder.
        method: The method's name.
        task: The task's name; "" for the first with samples.
        seed: The seed; None for the first with samples.
        form: One of FORMATS.

    Raises:
        UserError: The format is unknown, or there are no such samples.
    """
    if form not in FORMATS:
        raise UserError(f"--format: unknown format '{form}'; allowed: {', '.join(FORMATS)}")
    results = load_results(folder)
    samples = _test_samples(results, method, task, seed)
    if samples.empty:
        raise UserError(f"{folder}: has no test samples of {method}")
    outputs = [
        {
            "dataset": str(row["task"]),
            "instruction": in_words(row["prompt"]),
            "output": with_end(row["response"], results.ends(row["task"]), "").rstrip(),
            "generator": f"prefrontier-{method}",
        }
        for _, row in samples.drop_duplicates("prompt").iterrows()
    ]
    return json.dumps(outputs, indent=2, ensure_ascii=False) + "\n"


def print_or_write(text: str, file: Path | None) -> None:
    """Print a text, or write it to a file and print the file's name.

    Raises:
        UserError: The file cannot be written.
    """
    if file is None:
        print(text, end="")
        return
    write_named(file, text)
    print(file)


def _test_samples(results: Results, method: str, task: str, seed: int | None) -> pd.DataFrame:
    """Return the test samples of a method's selected setting on one task at one seed."""
    samples = results.samples[results.samples["split"] == "test"]
    samples = _where(samples, "task", task, "--task") if task else _first(samples, "task")
    samples = _where(samples, "method", method, "--method")
    if not samples.empty:
        samples = of_selected(samples, results.runs, str(samples["task"].iloc[0]))
    return _first(samples, "seed") if seed is None else _where(samples, "seed", seed, "--seed")


def _first(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the samples with the column's first value."""
    return samples[samples[column] == samples[column].iloc[0]] if len(samples) else samples


def _where(samples: pd.DataFrame, column: str, value: object, option: str) -> pd.DataFrame:
    """Return the samples with this value.

    Raises:
        UserError: None has it; the message names the values that there are.
    """
    known = samples[column].drop_duplicates()
    if len(samples) and value not in set(known):
        names = ", ".join(f"{name:g}" if isinstance(name, float) else str(name) for name in known)
        raise UserError(f"{option}: '{value}' has no samples here; allowed: {names}")
    return samples[samples[column] == value]
