"""Judging a results folder: llm_judge.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UserError
from bench.judging.cache import Answers, request_key
from bench.judging.client import Replies, ask_all
from bench.judging.comparisons import Comparison, Match, matches, read_pairs
from bench.judging.metrics import Judged, Usage, metrics
from bench.config.llm_judge import LLMJudge
from bench.results.schema import LLM_JUDGE
from bench.judging.template import load_template
from bench.judging.verdicts import SAME, Vote, parse

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


class Asked(NamedTuple):
    """A comparison and its two questions by key, ours shown first, then theirs; None if same."""

    comparison: Comparison
    questions: tuple[tuple[str, str], tuple[str, str]] | None


def judge_folder(folder: Path, settings: LLMJudge, cache: Path, console: Console) -> int:
    """Judge the test responses of a results folder and write llm_judge.csv.

    Returns the exit status: 1 if a request failed for good. cache: the root of the cache, where
    the answers stay. Raises UserError if the judge cannot be asked at all.
    """
    from bench.results.loading import load_results

    template = load_template(settings.template)
    found = list(matches(load_results(folder), read_pairs(folder), settings))
    if not found:
        raise UserError(f"{folder}: has no test samples with an opponent to compare them with")
    asked = [
        [to_ask(comparison, template, settings) for comparison in match.comparisons]
        for match in found
    ]
    questions = dict(item for own in asked for row in own for item in row.questions or ())
    answers = Answers(cache / "judge")
    replies = ask_all(questions, settings, answers, console)
    rows = judged_rows(found, asked, settings, answers, replies)
    write_rows(folder / LLM_JUDGE.file, settings.model, rows)
    return 1 if replies.failed else 0


def to_ask(comparison: Comparison, template: str, judge: LLMJudge) -> Asked:
    """Return what is asked about a comparison: nothing where the two texts are the same."""
    if comparison.ours == comparison.theirs:
        return Asked(comparison, None)
    ours_first, theirs_first = comparison.questions(template)
    keys = request_key(judge, ours_first), request_key(judge, theirs_first)
    return Asked(comparison, ((keys[0], ours_first), (keys[1], theirs_first)))


def judged_rows(
    found: Sequence[Match],
    asked: Sequence[Sequence[Asked]],
    judge: LLMJudge,
    answers: Answers,
    replies: Replies,
) -> Iterator[list[object]]:
    """Yield the rows of llm_judge.csv. A call is counted in the first row that needed it."""
    uncounted = set(replies.asked)
    for match, own in zip(found, asked, strict=True):
        keys = {key for row in own for key, _ in row.questions or ()}
        judged = [Judged(*row.comparison, vote(row, answers)) for row in own]
        used = usage(keys, keys & uncounted, judge, answers)
        uncounted -= keys
        values = match._asdict() | metrics(judged) | used._asdict() | {"judge": judge.model}
        yield [values[column] for column in LLM_JUDGE.names]


def vote(asked: Asked, answers: Answers) -> Vote:
    """Return a comparison's vote, as far as there are answers."""
    if asked.questions is None:
        return SAME
    ours_first, theirs_first = (answers.get(key) for key, _ in asked.questions)
    return Vote(
        parse(ours_first.text) if ours_first else None,
        parse(theirs_first.text) if theirs_first else None,
        failed=ours_first is None or theirs_first is None,
    )


def usage(keys: set[str], called: set[str], judge: LLMJudge, answers: Answers) -> Usage:
    """Return what the requests took. called: those that were made for them just now."""
    answered = {key: answer for key in keys if (answer := answers.get(key)) is not None}
    made = [answer for key, answer in answered.items() if key in called]
    prompt_tokens = sum(answer.prompt_tokens for answer in made)
    completion_tokens = sum(answer.completion_tokens for answer in made)
    cost = judge.cost(prompt_tokens, completion_tokens)
    return Usage(len(made), len(answered) - len(made), prompt_tokens, completion_tokens, cost)


def write_rows(file: Path, judge: str, rows: Iterable[list[object]]) -> None:
    """Write a judge's rows in place of those that it had; other judges' rows stay as they are."""
    import pandas as pd

    from bench.cache.files import write_text

    own = pd.DataFrame(list(rows), columns=LLM_JUDGE.names)
    # Else a missing seed would make the others floats.
    own["seed"] = own["seed"].astype("Int64")
    text = own.to_csv(index=False, float_format="%.8g")
    others = read_rows(file)
    others = others[others["judge"] != judge]
    if len(others):
        text = others.to_csv(index=False) + text.split("\n", 1)[1]
    write_text(file, text)


def read_rows(file: Path) -> pd.DataFrame:
    """Return llm_judge.csv as text, word for word; no row where it is missing."""
    import pandas as pd

    if not file.exists() or not file.stat().st_size:
        return pd.DataFrame(columns=LLM_JUDGE.names)
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    return rows.reindex(columns=LLM_JUDGE.names, fill_value="")
