"""Judging a results folder: from its samples to llm_judge.csv."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.config.llm_judge import LLMJudge
from bench.errors import UserError
from bench.judging.cache import Answers, request_key
from bench.judging.client import Replies, ask_all
from bench.judging.comparisons import Comparison, Match, matches, read_pairs
from bench.judging.metrics import Judged, Usage, metrics
from bench.judging.template import load_template
from bench.judging.verdicts import IDENTICAL, Vote, parse

if TYPE_CHECKING:
    from rich.console import Console


class Prepared(NamedTuple):
    """A comparison with its questions.

    Attributes:
        comparison: The two responses.
        questions: Key and text of the question with our response first, then with the opponent's
            first; empty if the responses are equal.
    """

    comparison: Comparison
    questions: tuple[tuple[str, str], ...]


def judge_folder(folder: Path, settings: LLMJudge, cache: Path, console: Console) -> int:
    """Judge the test responses of a results folder and write llm_judge.csv.

    Args:
        folder: The results folder.
        settings: The judge.
        cache: Root of the cache, which keeps the answers.
        console: Shows the progress.

    Returns:
        The exit status: 1 if a request failed for good.

    Raises:
        UserError: There is nothing to compare, or the judge cannot be asked at all.
    """
    from bench.results.loading import load_results

    template = load_template(settings.template)
    judged_matches = list(matches(load_results(folder), read_pairs(folder), settings))
    if not judged_matches:
        raise UserError(f"{folder}: has no test samples with an opponent to compare them with")
    prepared = [
        [questions_of(comparison, template, settings) for comparison in match.comparisons]
        for match in judged_matches
    ]
    questions = dict(item for rows in prepared for row in rows for item in row.questions)
    answers = Answers(cache / "judge")
    with answers.asking(settings):
        replies = ask_all(questions, settings, answers, console)
    write_rows(
        folder, settings.model, judged_rows(judged_matches, prepared, settings, answers, replies)
    )
    return 1 if replies.failed else 0


def questions_of(comparison: Comparison, template: str, judge: LLMJudge) -> Prepared:
    """Return a comparison with its questions; equal responses have none."""
    if comparison.ours == comparison.theirs:
        return Prepared(comparison, ())
    questions = comparison.questions(template)
    return Prepared(comparison, tuple((request_key(judge, text), text) for text in questions))


def judged_rows(
    judged_matches: Sequence[Match],
    prepared: Sequence[Sequence[Prepared]],
    judge: LLMJudge,
    answers: Answers,
    replies: Replies,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of LLM_JUDGE. A request counts in the first row that needed it."""
    uncounted = set(replies.answered)
    for match, rows in zip(judged_matches, prepared, strict=True):
        keys = {key for row in rows for key, _ in row.questions}
        judged = [Judged(*row.comparison, vote_on(row, answers)) for row in rows]
        used = usage(keys, keys & uncounted, judge, answers)
        uncounted -= keys
        yield match._asdict() | metrics(judged) | used._asdict() | {"judge": judge.model}


def vote_on(row: Prepared, answers: Answers) -> Vote:
    """Return a comparison's vote from the answers that there are."""
    if not row.questions:
        return IDENTICAL
    ours_first, theirs_first = (answers.get(key) for key, _ in row.questions)
    return Vote(
        parse(ours_first.text) if ours_first else None,
        parse(theirs_first.text) if theirs_first else None,
        failed=ours_first is None or theirs_first is None,
    )


def usage(keys: set[str], called: set[str], judge: LLMJudge, answers: Answers) -> Usage:
    """Return what a row's requests used.

    Args:
        keys: Of all requests that the row needs.
        called: Those of them that were made now, and that no earlier row counts.
        judge: Has the prices.
        answers: By key.
    """
    answered = {key: answer for key in keys if (answer := answers.get(key)) is not None}
    new = [answer for key, answer in answered.items() if key in called]
    prompt_tokens = sum(answer.prompt_tokens for answer in new)
    completion_tokens = sum(answer.completion_tokens for answer in new)
    cost = judge.cost(prompt_tokens, completion_tokens)
    return Usage(len(new), len(answered) - len(new), prompt_tokens, completion_tokens, cost)


def write_rows(folder: Path, judge: str, rows: Iterator[dict[str, Any]]) -> None:
    """Write a judge's rows in place of its earlier ones; other judges' rows stay."""
    import pandas as pd

    from bench.results.replacing import replaced_together
    from bench.results.schema import LLM_JUDGE

    new = LLM_JUDGE.typed(LLM_JUDGE.frame(rows))
    with replaced_together(folder) as staged:
        # Another judge may just have written its own.
        others = LLM_JUDGE.read(folder)
        others = others[others["judge"] != judge]
        LLM_JUDGE.write(staged, pd.concat([others, new]) if len(others) else new)
