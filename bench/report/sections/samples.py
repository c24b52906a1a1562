"""A few responses side by side: the same prompts, the first seed, the selected settings."""

from __future__ import annotations

import pandas as pd

from bench.analysis.selection import of_selected
from bench.report.content.display import MISSING, number
from bench.report.content.section import Part, Section, Text
from bench.results.loading import Results
from methods.core.models.text import in_words

INTRODUCTION = (
    "The first test prompts of the first seed, with the first response of each method at its "
    "selected setting."
)
PROMPTS = 3
# More responses to a prompt fold away.
FOLDED = 8


def samples_section(results: Results) -> Section | None:
    """Return the section; None where no samples were kept."""
    parts = [part for task in results.tasks for part in sample_parts(results, task)]
    return Section("samples", "Samples", INTRODUCTION, parts=tuple(parts)) if parts else None


def sample_parts(results: Results, task: str) -> list[Part]:
    """Return two parts for each prompt: the prompt, and each method's response."""
    rows = of_selected(results.samples, results.runs, task)
    rows = rows[rows["split"] == "test"]
    rows = rows[rows["seed"] == rows["seed"].min()]
    parts = []
    for i, prompt in enumerate(list(dict.fromkeys(rows["prompt"]))[:PROMPTS], start=1):
        responses = _responses(results, task, rows[rows["prompt"] == prompt])
        title = f"{results.task_title(task)}: prompt {i}"
        parts.append(Part(title, texts=(Text("", in_words(prompt)),)))
        parts.append(Part(texts=responses, folded=len(responses) > FOLDED))
    return parts


def _responses(results: Results, task: str, rows: pd.DataFrame) -> tuple[Text, ...]:
    """Return each method's first response to a prompt, with its rewards and KL."""
    firsts = rows.drop_duplicates("method").set_index("method").to_dict("index")
    source = results.reward_source(task)
    return tuple(
        Text(
            results.marked(method),
            str(firsts[method]["response"]) or MISSING,
            f"{source} reward {number(firsts[method]['reward'])} · "
            f"proxy reward {number(firsts[method]['proxy_reward'])} · "
            f"KL {number(firsts[method]['kl'])}",
        )
        for method in results.methods
        if method in firsts
    )
