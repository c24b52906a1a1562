"""Rows that hold no label say what is wrong, whatever they hold."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from helpers.forms import TALK, assistant, bare, hh, pair, ranking, unpaired, user

from bench.data.forms import FORMS, form_of, to_label
from bench.data.rows import RowProblem
from bench.data.wording import row_problem_text

PARTED = "dialogues that differ before the last answer"
NOT_A_MESSAGE = "'chosen' must be text or a list of turns"
BAD: list[tuple[dict[str, Any], str]] = [
    (pair("p", " \n", "b"), "an empty answer"),
    (pair("p", [assistant("")], "b"), "an empty answer"),
    (bare(hh("a", ""), hh("a", "b")), "an empty answer"),
    (bare("", ""), "an empty answer"),
    (pair("p", "a", "a "), "equal answers"),
    (bare(hh("a", "b"), hh("a", "b")), "equal answers"),
    (bare([user("a"), assistant("b")], [user("a"), assistant("b")]), "equal answers"),
    (ranking(responses=["a", "b", "a"]), "equal answers"),
    (pair(" ", "a", "b"), "an empty prompt"),
    (pair([], "a", "b"), "an empty prompt"),
    (pair([], [*TALK, assistant("a")], [*TALK, assistant("b")]), "an empty prompt"),
    (bare(hh("", "a"), hh("", "b")), "an empty prompt"),
    (bare([assistant("a")], [assistant("b")]), "an empty prompt"),
    (pair("p", 7, "b"), NOT_A_MESSAGE),
    (pair("p", None, "b"), NOT_A_MESSAGE),
    (pair("p", ["a"], "b"), NOT_A_MESSAGE),
    (pair("p", {"role": "assistant", "content": "a"}, "b"), NOT_A_MESSAGE),
    (pair(7, "a", "b"), "'prompt' must be text or a list of turns"),
    (pair(None, "a b", "a c"), "'prompt' must be text or a list of turns"),
    (pair("p", "\ud800", "b"), "'chosen' has half a character (a lone surrogate)"),
    (pair("p", "a\0", "b"), "'chosen' has a NUL character"),
    (unpaired(completion="\0"), "'completion' has a NUL character"),
    (
        pair([{"role": ["user"], "content": "p"}], "a", "b"),
        "a turn of 'prompt' must have one of the roles system, user, assistant, tool",
    ),
    (
        pair("p", [{"from": "gpt", "value": "a"}], "b"),
        "a turn of 'chosen' must have one of the roles system, user, assistant, tool",
    ),
    (
        pair([user([{"type": "text", "text": "p"}])], "a", "b"),
        "a turn of 'prompt' must have text as its content",
    ),
    (pair("p", [user("p")], "b"), "'chosen' must end with a turn of the assistant"),
    (pair("p", [], "b"), "'chosen' must end with a turn of the assistant"),
    (
        pair("p", [user("q"), assistant("a")], [user("q"), assistant("b")]),
        "another prompt in the answer's dialogue",
    ),
    (
        pair("hi", [*TALK, assistant("a")], [user("hi"), assistant("b")]),
        PARTED,
    ),
    (bare([*TALK, assistant("a")], [user("hi"), assistant("b")]), PARTED),
    (bare(hh("a", "b", "c", "d"), hh("a", "x", "c", "e")), PARTED),
    (bare(hh("a", "b", "c", "d"), hh("a", "b")), PARTED),
    (bare(hh("a", "b", "c"), hh("a", "b", "d")), PARTED),
    (bare(hh("a", "b"), hh("c", "d")), PARTED),
    (bare(hh("a", "b"), hh("a")), PARTED),
    (bare(hh("a", "b"), "c"), PARTED),
    (
        bare("a b", [user("a"), assistant("b")]),
        "'chosen' and 'rejected' must both be text or both lists of turns",
    ),
    (bare("blue", "black"), "no shared start"),
    (bare(" one", " two"), "no shared start"),
    (unpaired(label="maybe"), "'label' must be 0 or 1, or true or false"),
    (unpaired(label=None), "'label' must be 0 or 1, or true or false"),
    (unpaired(label=0.5), "'label' must be 0 or 1, or true or false"),
    (unpaired(label=[1]), "'label' must be 0 or 1, or true or false"),
    (ranking(responses=["a"]), "'responses' must be a list of two or more responses"),
    (ranking(responses="ab"), "'responses' must be a list of two or more responses"),
    (ranking(responses=["a", 7]), "'responses' must be text or a list of turns"),
    (ranking(ranks=[1, 1.0]), "a tie"),
    (ranking(scores=[0.5, 0.5]), "a tie"),
    (ranking(ranks=[1, 2, 3]), "'ranks' must have one number for each response"),
    (ranking(scores=[1, float("nan")]), "'scores' must be a list of numbers"),
    (ranking(scores=[True, False]), "'scores' must be a list of numbers"),
    (
        {"info": {"post": None}, "summaries": [], "choice": 0},
        "'info' must be an object with the text 'post'",
    ),
    (
        {"info": {"post": "p"}, "summaries": [{"text": "a"}, {"text": None}], "choice": 0},
        "'summaries' must be a list of two objects with 'text'",
    ),
    ({"prompt": "p", "chosen": "a"}, "no column 'rejected'"),
    ({"chosen": "a"}, "no column 'rejected'"),
    ({"prompt": "p", "completion": "a"}, "no column 'label'"),
    ({"history": "p", "labels": 1}, "no columns 'human_ref_A', 'human_ref_B'"),
]


@pytest.mark.parametrize(("row", "complaint"), BAD)
def test_bad_rows_say_what_is_wrong(row: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RowProblem) as caught:
        to_label(row)
    assert row_problem_text(caught.value) == complaint


@pytest.mark.parametrize("row", [{}, {"prompt": "p"}, {"text": "a"}])
def test_rows_of_no_form_list_the_forms(row: dict[str, Any]) -> None:
    with pytest.raises(RowProblem) as caught:
        to_label(row)
    text = row_problem_text(caught.value)
    assert "no known form: allowed are prompt, chosen, rejected; " in text


def anything(generator: random.Random, depth: int = 0) -> Any:
    """Return any value that JSON can hold, now and then one that is nearly right."""
    leaves: list[Callable[[], Any]] = [
        lambda: generator.choice(
            ["", " ", "a", "a b", "a c", hh("a", "b"), hh("a"), "\ud800", "1"]
        ),
        lambda: generator.choice([None, True, 0, 1, -1, 10**400, 0.5, float("nan"), float("inf")]),
    ]
    branches: list[Callable[[], Any]] = [
        lambda: [anything(generator, depth + 1) for _ in range(generator.randrange(4))],
        lambda: [user("a"), assistant(anything(generator, depth + 1))],
        lambda: {
            key: anything(generator, depth + 1)
            for key in generator.sample(["role", "content", "text", "post", "title"], 2)
        },
    ]
    return generator.choice(leaves if depth > 2 else leaves + branches)()


GOOD: list[dict[str, Any]] = [
    pair("p", "a b", "a c"),
    bare(hh("p", "a"), hh("p", "b")),
    bare([*TALK, assistant("a")], [*TALK, assistant("b")]),
    unpaired(),
    ranking(responses=["a", "b", "c"], ranks=[1, 3, 2], scores=None),
    {"history": "p", "human_ref_A": "a", "human_ref_B": "b", "labels": 1},
    {"info": {"post": "p"}, "summaries": [{"text": "a"}, {"text": "b"}], "choice": 0},
]


def test_every_form_is_among_the_good_rows() -> None:
    assert {form_of(row).name for row in GOOD} == {form.name for form in FORMS}


def test_whatever_a_row_holds_it_is_a_label_or_a_row_problem() -> None:
    generator = random.Random(0)
    good = 0
    for _ in range(4000):
        row = dict(generator.choice(GOOD))
        for name in generator.sample(sorted(row), generator.randrange(1, 3)):
            row[name] = anything(generator)
        try:
            read = to_label(row, plain=generator.random() < 0.5)
        except RowProblem as problem:
            # What an artifact holds of it is JSON, and its text is one line.
            assert json.loads(json.dumps(problem.details)) == problem.details
            assert "\n" not in row_problem_text(problem)
        else:
            good += 1
            assert read.prompt.strip()
            json.dumps(read, ensure_ascii=False).encode()
    assert 100 < good < 3000
