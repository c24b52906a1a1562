"""The comparisons that are judged: each method's responses with its opponents'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.config.llm_judge import LLMJudge
from bench.errors import UserError
from bench.judging.template import fill
from methods.core.models.text import with_end

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.loading import Results

CHOSEN, REJECTED = "chosen", "rejected"


class Comparison(NamedTuple):
    """Two responses to a prompt, as the judge sees them."""

    prompt: str
    ours: str
    theirs: str

    def questions(self, template: str) -> tuple[str, str]:
        """Return the questions with our response shown first, and with the opponent's first."""
        return (
            fill(template, self.prompt, self.ours, self.theirs),
            fill(template, self.prompt, self.theirs, self.ours),
        )


class Match(NamedTuple):
    """A method's comparisons with an opponent.

    Attributes:
        task: The task's name.
        method: The method's name, or "chosen" for the pairs that people labeled.
        params: The method's selected setting, as JSON.
        seed: The seed; None for the pairs that people labeled.
        opponent: "sft", "chosen" or "rejected".
        comparisons: One per prompt.
    """

    task: str
    method: str
    params: str
    seed: int | None
    opponent: str
    comparisons: list[Comparison]


def read_pairs(folder: Path) -> pd.DataFrame:
    """Return the pairs that people labeled on test prompts; none without recorded data.

    Raises:
        UserError: The file is damaged.
    """
    from bench.results.schema import PAIRS

    pairs = PAIRS.read(folder)
    return pairs[pairs["split"] == "test"]


def matches(results: Results, pairs: pd.DataFrame, judge: LLMJudge) -> Iterator[Match]:
    """Yield the comparisons of the selected settings, by task and seed.

    The opponents are the SFT policy of the same seed, and the response that people chose. A task's
    last match is of the pairs that people labeled: it measures how often the judge agrees.

    Args:
        results: The results folder.
        pairs: From `read_pairs`.
        judge: Limits the prompts and methods.

    Raises:
        UserError: The judge's settings name an unknown method.
    """
    from bench.analysis.selection import of_selected

    _check_methods(results, judge)
    samples = results.samples[results.samples["split"] == "test"]
    for task in results.tasks:
        ends = results.ends(task)
        task_pairs = pairs[pairs["task"] == task]
        chosen = first_responses(task_pairs, CHOSEN, ends)
        selected = of_selected(samples, results.runs, task)
        for seed in sorted(set(selected["seed"].astype(int))):
            rows = selected[selected["seed"] == seed]
            yield from _seed_matches(task, seed, rows, chosen, ends, judge)
        if len(task_pairs):
            labeled = labeled_pairs(task_pairs, ends, judge.prompts)
            yield Match(task, CHOSEN, "", None, REJECTED, labeled)


def _seed_matches(
    task: str,
    seed: int,
    rows: pd.DataFrame,
    chosen: Mapping[str, str],
    ends: Sequence[str],
    judge: LLMJudge,
) -> Iterator[Match]:
    """Yield each method's matches from the samples of a task and seed."""
    by_method = {
        str(method): (str(group["params"].iloc[0]), first_responses(group, "response", ends))
        for method, group in rows.groupby("method", sort=False)
    }
    _, sft = by_method.get("sft", ("", {}))
    for method, (params, responses) in by_method.items():
        if judge.methods and method not in judge.methods:
            continue
        opponents = {"sft": sft, CHOSEN: chosen} if method != "sft" else {CHOSEN: chosen}
        for opponent, opponent_responses in opponents.items():
            comparisons = paired(responses, opponent_responses)[: judge.prompts]
            if comparisons:
                yield Match(task, method, params, seed, opponent, comparisons)


def labeled_pairs(pairs: pd.DataFrame, ends: Sequence[str], most: int) -> list[Comparison]:
    """Return the first pairs that people labeled, with the chosen response as ours.

    Args:
        pairs: From `read_pairs`, of one task.
        end: The end token as text.
        most: The most pairs.
    """
    # One pair for each prompt: several would not be independent.
    first = pairs.drop_duplicates("prompt").head(most)
    return [
        _comparison(str(prompt), shown(chosen, ends), shown(rejected, ends))
        for prompt, chosen, rejected in zip(
            first["prompt"], first[CHOSEN], first[REJECTED], strict=True
        )
    ]


def paired(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Comparison]:
    """Return a comparison for each prompt to which both have a response."""
    return [_comparison(p, text, theirs[p]) for p, text in ours.items() if p in theirs]


def _comparison(prompt: str, ours: str, theirs: str) -> Comparison:
    from methods.core.models.text import in_words

    return Comparison(in_words(prompt), ours, theirs)


def first_responses(rows: pd.DataFrame, column: str, ends: Sequence[str]) -> dict[str, str]:
    """Return the first response to each prompt, as the judge sees it."""
    first = rows.drop_duplicates("prompt")
    return {
        str(prompt): shown(text, ends)
        for prompt, text in zip(first["prompt"], first[column], strict=True)
    }


def shown(response: str, ends: Sequence[str]) -> str:
    """Return a response without its end token and surrounding spaces."""
    return with_end(response.strip(), ends, "").strip()


def _check_methods(results: Results, judge: LLMJudge) -> None:
    allowed = results.methods
    if unknown := [name for name in judge.methods if name not in allowed]:
        raise UserError(f"methods: unknown method '{unknown[0]}'; allowed: {', '.join(allowed)}")
