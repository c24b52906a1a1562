"""What a row says: the forms in which preferences are published, as labels.

What is wrong with a row is a ValueError in a few words without anything of the row: they are
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench.data.dialogues import dialogue_turns, is_dialogue, part_texts, part_turns, shared_start
from bench.data.record import Record, check_answers, to_text
from bench.data.turns import prompt_turns, whole_prompt
from methods.core.feedback import Label, Pair, Ranking, Unpaired
from methods.core.models.text import Turns

Judged = Pair | Ranking | Unpaired


class Form(NamedTuple):
    """One way to write a label. one, many: what such rows are called; needs: its columns."""

    one: str
    many: str
    needs: tuple[str, ...]
    read: Callable[[Record], Judged]


def to_label(
    fields: Mapping[str, Any], columns: Mapping[str, str] = {}, *, plain: bool = False
) -> Label:
    """Return what a row says. Raises ValueError with what is wrong with the row.

    columns: our names to theirs, where they differ. plain: the answer goes on in the prompt's text,
    so that white space counts, and HH's dialogues stay text.
    """
    return form_of(fields, columns).read(Record(fields, columns, plain))


def form_of(fields: Mapping[str, Any], columns: Mapping[str, str] = {}) -> Form:
    """Return the first form of which the row has all columns. Raises ValueError with what lacks."""
    record = Record(fields, columns)
    lacking = [[ours for ours in form.needs if not record.has(ours)] for form in FORMS]
    for form, lacks in zip(FORMS, lacking, strict=True):
        if not lacks:
            return form
    # A prompt alone could be of any form.
    near = [
        lacks
        for form, lacks in zip(FORMS, lacking, strict=True)
        if {*form.needs} - {*lacks} - {"prompt"}
    ]
    if not near:
        forms = "; ".join(", ".join(form.needs) for form in FORMS)
        raise ValueError(f"the columns are of no known form: allowed are {forms}")
    names = [f"'{record.name(ours)}'" for ours in min(near, key=len)]
    raise ValueError(f"no column{'s' if len(names) > 1 else ''} {', '.join(names)}")


def _pair(record: Record) -> Pair:
    front, chosen = record.answer(record.get("chosen"), "chosen")
    other, rejected = record.answer(record.get("rejected"), "rejected")
    return _to_pair(whole_prompt(record.prompt(), [front, other]), chosen, rejected)


def _bare_pair(record: Record) -> Pair:
    """Return a pair whose prompt is what chosen and rejected share."""
    one, other = record.said("chosen"), record.said("rejected")
    names = record.name("chosen"), record.name("rejected")
    if isinstance(one, str) != isinstance(other, str):
        raise ValueError(f"'{names[0]}' and '{names[1]}' must both be text or both lists of turns")
    if isinstance(one, str) and isinstance(other, str):
        check_answers(one, other)
        if not is_dialogue(one) and not is_dialogue(other):
            return _started_pair(record, one, other)
        if record.plain:
            head, chosen, rejected = part_texts(one, other)
            return _to_pair(prompt_turns(head, plain=True), chosen, rejected)
        one, other = dialogue_turns(one), dialogue_turns(other)
    assert not isinstance(one, str) and not isinstance(other, str)
    return _to_pair(*part_turns(one, other))


def _started_pair(record: Record, one: str, other: str) -> Pair:
    end = shared_start(one, other)
    turns = [{"role": "user", "content": one[:end] if record.plain else one[:end].strip()}]
    chosen, rejected = (text[end:] if record.plain else text[end:].strip() for text in (one, other))
    return _to_pair(turns, chosen, rejected)


def _to_pair(turns: Turns, chosen: str, rejected: str) -> Pair:
    return Pair(to_text(turns, chosen, rejected), chosen, rejected)


def _thumb(record: Record) -> Unpaired:
    front, response = record.answer(record.get("completion"), "completion")
    turns = whole_prompt(record.prompt(), [front])
    return Unpaired(to_text(turns, response), response, record.binary("label"))


def _ranking(record: Record) -> Ranking:
    values = record.get("responses")
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"'{record.name('responses')}' must be a list of two or more responses")
    answers = [record.answer(value, "responses") for value in values]
    ranks, scores = (record.numbers(ours, len(values)) for ours in ("ranks", "scores"))
    order = ranks or [-score for score in scores or []] or [*range(len(values))]
    best_first = [answers[place][1] for place in sorted(range(len(values)), key=order.__getitem__)]
    turns = whole_prompt(record.prompt(), [front for front, _ in answers])
    return Ranking(to_text(turns, *best_first), tuple(best_first))


def _shp(record: Record) -> Pair:
    _, one = record.answer(record.get("human_ref_A"), "human_ref_A")
    _, other = record.answer(record.get("human_ref_B"), "human_ref_B")
    chosen, rejected = (one, other) if record.binary("labels") else (other, one)
    return _to_pair(record.prompt("history"), chosen, rejected)


def _summaries(record: Record) -> Pair:
    """Return a comparison of summaries, with the prompt of Stiennon et al. (2020)."""
    info, summaries = record.get("info"), record.get("summaries")
    if not isinstance(info, Mapping) or not isinstance(info.get("post"), str):
        raise ValueError(f"'{record.name('info')}' must be an object with the text 'post'")
    if not isinstance(summaries, list) or len(summaries) != 2 or not all(map(_has_text, summaries)):
        raise ValueError(f"'{record.name('summaries')}' must be a list of two objects with 'text'")
    if not info["post"].strip():
        raise ValueError("an empty prompt")
    _, one = record.answer(summaries[0]["text"], "summaries")
    _, other = record.answer(summaries[1]["text"], "summaries")
    chosen, rejected = (other, one) if record.binary("choice") else (one, other)
    return _to_pair([{"role": "user", "content": _to_summarize(record, info)}], chosen, rejected)


def _has_text(summary: object) -> bool:
    return isinstance(summary, Mapping) and isinstance(summary.get("text"), str)


def _to_summarize(record: Record, info: Mapping[str, Any]) -> str:
    lines = [("SUBREDDIT: r/", "subreddit"), ("TITLE: ", "title"), ("POST: ", "post")]
    told = [f"{name}{info[key]}" for name, key in lines if isinstance(info.get(key), str)]
    return str(record.clean("\n".join([*told, "TL;DR:"]), "info"))


FORMS = (
    Form("a pair", "pairs", ("prompt", "chosen", "rejected"), _pair),
    Form("a pair without a prompt", "pairs without a prompt", ("chosen", "rejected"), _bare_pair),
    Form("a unpaired", "unpaired", ("prompt", "completion", "label"), _thumb),
    Form("a ranking", "rankings", ("prompt", "responses"), _ranking),
    Form(
        "a pair of SHP",
        "pairs of SHP",
        ("history", "human_ref_A", "human_ref_B", "labels"),
        _shp,
    ),
    Form(
        "a comparison of summaries",
        "comparisons of summaries",
        ("info", "summaries", "choice"),
        _summaries,
    ),
)
# All names that can be renamed.
COLUMNS = tuple(
    dict.fromkeys([name for form in FORMS for name in form.needs] + ["ranks", "scores"])
)
