"""The forms in which preferences are published, read as labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench.data.dialogues import dialogue_turns, is_dialogue, part_texts, part_turns, shared_start
from bench.data.record import Record, check_answers, to_text
from bench.data.rows import Code, RowProblem
from bench.data.turns import prompt_turns, whole_prompt
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import Turns


class Form(NamedTuple):
    """One way to write a label.

    Attributes:
        name: Short and unique. `wording.py` has the text for people.
        needs: The columns that a row of this form has.
        read: Returns a record's label, or raises RowProblem.
    """

    name: str
    needs: tuple[str, ...]
    read: Callable[[Record], Label]


def to_label(
    fields: Mapping[str, Any], columns: Mapping[str, str] = {}, *, plain: bool = False
) -> Label:
    """Return the label that a row holds.

    Args:
        fields: The row's values by column.
        columns: The row's names for our columns, where they differ.
        plain: Whether the answer continues the prompt's text: white space then counts, and the
            dialogues of HH stay text.

    Raises:
        RowProblem: The row is of no known form, or a column holds something else.
    """
    return form_of(fields, columns).read(Record(fields, columns, plain))


def form_of(fields: Mapping[str, Any], columns: Mapping[str, str] = {}) -> Form:
    """Return the first form of which the row has all columns.

    Args:
        fields: As for `to_label`.
        columns: As for `to_label`.

    Raises:
        RowProblem: The row has all columns of no form.
    """
    record = Record(fields, columns)
    missing = [[name for name in form.needs if not record.has(name)] for form in FORMS]
    for form, names in zip(FORMS, missing, strict=True):
        if not names:
            return form
    # A prompt alone could be of any form.
    near = [
        names
        for form, names in zip(FORMS, missing, strict=True)
        if {*form.needs} - {*names} - {"prompt"}
    ]
    if not near:
        raise RowProblem(Code.UNKNOWN_FORM)
    raise RowProblem(
        Code.MISSING_COLUMNS, columns=[record.name(name) for name in min(near, key=len)]
    )


def _pair(record: Record) -> Pair:
    front, chosen = record.answer(record.get("chosen"), "chosen")
    other, rejected = record.answer(record.get("rejected"), "rejected")
    return _to_pair(whole_prompt(record.prompt(), [front, other]), chosen, rejected)


def _bare_pair(record: Record) -> Pair:
    """Return a pair whose prompt is the start that chosen and rejected share."""
    chosen, rejected = record.message("chosen"), record.message("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        check_answers(chosen, rejected)
        if not is_dialogue(chosen) and not is_dialogue(rejected):
            return _started_pair(record, chosen, rejected)
        if record.plain:
            start, chosen, rejected = part_texts(chosen, rejected)
            return _to_pair(prompt_turns(start, plain=True), chosen, rejected)
        return _to_pair(*part_turns(dialogue_turns(chosen), dialogue_turns(rejected)))
    if isinstance(chosen, str) or isinstance(rejected, str):
        names = [record.name("chosen"), record.name("rejected")]
        raise RowProblem(Code.TEXT_AND_TURNS, columns=names)
    return _to_pair(*part_turns(chosen, rejected))


def _started_pair(record: Record, chosen: str, rejected: str) -> Pair:
    end = shared_start(chosen, rejected)
    parts = [chosen[:end], chosen[end:], rejected[end:]]
    prompt, chosen, rejected = parts if record.plain else [part.strip() for part in parts]
    return _to_pair([{"role": "user", "content": prompt}], chosen, rejected)


def _to_pair(turns: Turns, chosen: str, rejected: str) -> Pair:
    return Pair(to_text(turns, chosen, rejected), chosen, rejected)


def _unpaired(record: Record) -> Unpaired:
    front, response = record.answer(record.get("completion"), "completion")
    turns = whole_prompt(record.prompt(), [front])
    return Unpaired(to_text(turns, response), response, record.binary("label"))


def _ranking(record: Record) -> Ranking:
    values = record.get("responses")
    if not isinstance(values, list) or len(values) < 2:
        raise RowProblem(Code.NOT_RESPONSES, column=record.name("responses"))
    answers = [record.answer(value, "responses") for value in values]
    ranks, scores = (record.numbers(column, len(values)) for column in ("ranks", "scores"))
    order = ranks or [-score for score in scores or []] or [*range(len(values))]
    best_first = [answers[place][1] for place in sorted(range(len(values)), key=order.__getitem__)]
    turns = whole_prompt(record.prompt(), [front for front, _ in answers])
    return Ranking(to_text(turns, *best_first), tuple(best_first))


def _shp(record: Record) -> Pair:
    """Return a pair of SHP (Ethayarajh et al., 2022), where label 1 prefers the first answer."""
    _, first = record.answer(record.get("human_ref_A"), "human_ref_A")
    _, second = record.answer(record.get("human_ref_B"), "human_ref_B")
    chosen, rejected = (first, second) if record.binary("labels") else (second, first)
    return _to_pair(record.prompt("history"), chosen, rejected)


def _summaries(record: Record) -> Pair:
    """Return a comparison of summaries, with the prompt of Stiennon et al. (2020)."""
    info, summaries = record.get("info"), record.get("summaries")
    if not isinstance(info, Mapping) or not isinstance(info.get("post"), str):
        raise RowProblem(Code.NO_POST, column=record.name("info"))
    if not isinstance(summaries, list) or len(summaries) != 2 or not all(map(_has_text, summaries)):
        raise RowProblem(Code.NOT_TWO_SUMMARIES, column=record.name("summaries"))
    if not info["post"].strip():
        raise RowProblem(Code.EMPTY_PROMPT)
    _, first = record.answer(summaries[0]["text"], "summaries")
    _, second = record.answer(summaries[1]["text"], "summaries")
    chosen, rejected = (second, first) if record.binary("choice") else (first, second)
    return _to_pair([{"role": "user", "content": _summary_prompt(record, info)}], chosen, rejected)


def _has_text(summary: object) -> bool:
    return isinstance(summary, Mapping) and isinstance(summary.get("text"), str)


def _summary_prompt(record: Record, info: Mapping[str, Any]) -> str:
    parts = [("SUBREDDIT: r/", "subreddit"), ("TITLE: ", "title"), ("POST: ", "post")]
    lines = [f"{start}{info[key]}" for start, key in parts if isinstance(info.get(key), str)]
    return str(record.clean("\n".join([*lines, "TL;DR:"]), "info"))


FORMS = (
    Form("pair", ("prompt", "chosen", "rejected"), _pair),
    Form("bare_pair", ("chosen", "rejected"), _bare_pair),
    Form("unpaired", ("prompt", "completion", "label"), _unpaired),
    Form("ranking", ("prompt", "responses"), _ranking),
    Form("shp", ("history", "human_ref_A", "human_ref_B", "labels"), _shp),
    Form("summaries", ("info", "summaries", "choice"), _summaries),
)
# The columns that can have other names in a row.
COLUMNS = tuple(
    dict.fromkeys([name for form in FORMS for name in form.needs] + ["ranks", "scores"])
)
