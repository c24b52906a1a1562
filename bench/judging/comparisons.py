"""What is compared: each method's responses with its opponents' to the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UserError
from bench.config.llm_judge import LLMJudge
from bench.judging.template import fill

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.loading import Results

CHOSEN, REJECTED = "chosen", "rejected"
PAIR_COLUMNS = ["task", "split", "prompt", CHOSEN, REJECTED]


class Comparison(NamedTuple):
    """Two responses to a prompt, as they are shown to the judge."""

    prompt: str
    ours: str
    theirs: str

    def questions(self, template: str) -> tuple[str, str]:
        """Return the question with ours shown first, and with theirs shown first."""
        return (
            fill(template, self.prompt, self.ours, self.theirs),
            fill(template, self.prompt, self.theirs, self.ours),
        )


class Match(NamedTuple):
    """A method's comparisons with an opponent. seed: None for people's own pairs."""

    task: str
    method: str
    params: str
    seed: int | None
    opponent: str
    comparisons: list[Comparison]


def read_pairs(folder: Path) -> pd.DataFrame:
    """Return people's preferences on test prompts; no row where none were recorded."""
    import pandas as pd

    file = folder / "pairs.parquet"
    if not file.exists():
        return pd.DataFrame(columns=PAIR_COLUMNS)
    pairs = pd.read_parquet(file)
    if missing := [name for name in PAIR_COLUMNS if name not in pairs.columns]:
        raise UserError(f"{file}: column '{missing[0]}' is missing")
    return pairs[pairs["split"] == "test"]


def matches(results: Results, pairs: pd.DataFrame, judge: LLMJudge) -> Iterator[Match]:
    """Yield the comparisons of the selected settings, task by task, seed by seed.

    Opponents: the SFT policy of the same seed, and the answer that people chose. After them come
    the pairs that people judged, which tell how often the judge agrees with people.
    """
    from bench.analysis.selection import of_selected

    _check_methods(results, judge)
    samples = results.samples[results.samples["split"] == "test"]
    for task in results.tasks:
        end = results.end(task)
        own_pairs = pairs[pairs["task"] == task]
        chosen = first_responses(own_pairs, CHOSEN, end)
        selected = of_selected(samples, results.runs, task)
        for seed in sorted(set(selected["seed"].astype(int))):
            rows = selected[selected["seed"] == seed]
            by_method = {
                str(method): (str(own["params"].iloc[0]), first_responses(own, "response", end))
                for method, own in rows.groupby("method", sort=False)
            }
            _, sft = by_method.get("sft", ("", {}))
            for method, (params, ours) in by_method.items():
                if judge.methods and method not in judge.methods:
                    continue
                opponents = {"sft": sft, CHOSEN: chosen} if method != "sft" else {CHOSEN: chosen}
                for opponent, theirs in opponents.items():
                    compared = paired(ours, theirs)[: judge.prompts]
                    if compared:
                        yield Match(task, method, params, seed, opponent, compared)
        if len(own_pairs):
            yield Match(task, CHOSEN, "", None, REJECTED, human_pairs(own_pairs, end, judge))


def human_pairs(pairs: pd.DataFrame, end: str, judge: LLMJudge) -> list[Comparison]:
    """Return the first pairs that people judged, the chosen answer as ours."""
    # One of each prompt: several would not be independent.
    rows = (
        pairs.drop_duplicates("prompt")
        .head(judge.prompts)[["prompt", CHOSEN, REJECTED]]
        .itertuples(index=False)
    )
    return [
        _comparison(str(prompt), shown(chosen, end), shown(rejected, end))
        for prompt, chosen, rejected in rows
    ]


def paired(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Comparison]:
    """Return a comparison for each prompt that both have a response to."""
    return [_comparison(p, text, theirs[p]) for p, text in ours.items() if p in theirs]


def _comparison(prompt: str, ours: str, theirs: str) -> Comparison:
    from methods.core.models.text import in_words

    return Comparison(in_words(prompt), ours, theirs)


def first_responses(rows: pd.DataFrame, column: str, end: str) -> dict[str, str]:
    """Return the first response to each prompt, as it is shown."""
    first = rows.drop_duplicates("prompt")
    return {
        str(prompt): shown(text, end)
        for prompt, text in zip(first["prompt"], first[column], strict=True)
    }


def shown(response: str, end: str) -> str:
    """Return a response without its end token and the space around it."""
    return response.strip().removesuffix(end).strip()


def _check_methods(results: Results, judge: LLMJudge) -> None:
    allowed = results.methods
    if unknown := [name for name in judge.methods if name not in allowed]:
        raise UserError(f"methods: unknown method '{unknown[0]}'; allowed: {', '.join(allowed)}")
