"""A few responses side by side: the same prompts, the first seed, the selected settings."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from bench.report.display import MISSING, number
from bench.results.loading import Results
from bench.analysis.selection import of_selected
from methods.core.models.text import in_words

SHOWN = 3


class Sample(NamedTuple):
    """One response, raw: whoever shows it must escape it."""

    method: str
    response: str
    gold: str
    proxy: str
    kl: str


class SamplePrompt(NamedTuple):
    """A prompt and each method's first response to it."""

    prompt: str
    samples: list[Sample]


def sample_prompts(results: Results, task: str) -> list[SamplePrompt]:
    """Return the first test prompts of the first seed with every method's response."""
    own = of_selected(results.samples, results.runs, task)
    own = own[own["split"] == "test"]
    own = own[own["seed"] == own["seed"].min()]
    return [
        SamplePrompt(in_words(prompt), _samples(results, own[own["prompt"] == prompt]))
        for prompt in list(dict.fromkeys(own["prompt"]))[:SHOWN]
    ]


def _samples(results: Results, rows: pd.DataFrame) -> list[Sample]:
    firsts = rows.drop_duplicates("method").set_index("method").to_dict("index")
    return [
        Sample(
            method,
            str(firsts[method]["response"]) or MISSING,
            number(firsts[method]["reward"]),
            number(firsts[method]["proxy"]),
            number(firsts[method]["kl"]),
        )
        for method in results.methods
        if method in firsts
    ]
