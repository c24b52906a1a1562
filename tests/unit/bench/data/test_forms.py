"""Rows of every published form, and the labels that they hold."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.forms import TALK, assistant, bare, hh, pair, user

from bench.data.forms import COLUMNS, to_label
from bench.data.rows import RowProblem
from bench.data.wording import row_problem_text
from methods.core.feedback import Pair, Ranking, Unpaired
from methods.core.models.text import to_prompt, to_turns

TALK_PAIR = Pair(to_prompt(TALK), "no", "roses are red")
SYSTEM = {"role": "system", "content": "be brief"}


@pytest.mark.parametrize(
    "row",
    [
        pair("why ?", "because", "so"),
        pair(" why ?\n", "because ", "\tso"),
        pair([user("why ?")], [assistant(" because")], [assistant("so")]),
        # UltraFeedback: the whole conversation, and its user turn as text.
        pair("why ?", [user("why ? "), assistant("because")], [user("why ?"), assistant("so")]),
        pair("why ?", "because", [user("why ?"), assistant("so")]),
        bare([user("why ?"), assistant("because")], [user("why ?"), assistant("so")]),
        bare(hh("why ?", "because"), hh("why ?", "so")),
        bare(hh("why ?", "because").strip(), hh(" why ?", "so").strip()),
        pair("\n\nHuman: why ?\n\nAssistant:", " because", " so"),
        {"history": "why ?", "human_ref_A": "because", "human_ref_B": "so", "labels": 1},
        {"history": "why ?", "human_ref_A": "so", "human_ref_B": "because", "labels": 0},
    ],
)
def test_one_pair_in_every_form(row: dict[str, Any]) -> None:
    assert to_label(row) == Pair("why ?", "because", "so")


@pytest.mark.parametrize(
    "row",
    [
        pair(TALK, "no", "roses are red"),
        pair(TALK, [assistant("no")], [assistant("roses are red ")]),
        pair(TALK, [*TALK, assistant("no")], [*TALK, assistant("roses are red")]),
        pair("hi", [*TALK, assistant("no")], [*TALK, assistant("roses are red")]),
        pair("a poem?", [*TALK, assistant("no")], [*TALK, assistant("roses are red")]),
        pair(hh("hi", "hello", "a poem?", ""), "no", "roses are red"),
        pair(hh("hi", "hello", "a poem?"), "no", "roses are red"),
        bare([*TALK, assistant("no")], [*TALK, assistant("roses are red")]),
        bare(hh("hi", "hello", "a poem?", "no"), hh("hi", "hello", "a poem?", "roses are red")),
        # Written under Windows.
        bare(
            hh("hi", "hello", "a poem?", "no").replace("\n", "\r\n"),
            hh("hi", "hello", "a poem?", "roses are red").replace("\n", "\r\n"),
        ),
    ],
)
def test_one_conversation_in_every_form(row: dict[str, Any]) -> None:
    assert to_label(row) == TALK_PAIR


def test_turns_keep_role_and_content_only() -> None:
    turns = [SYSTEM, user("why ?") | {"id": 7}, assistant("Well,")]
    read = to_label(pair(turns, "because", "so"))
    assert to_turns(read.prompt) == [SYSTEM, user("why ?"), assistant("Well,")]
    # A system turn that only the conversation has belongs to the prompt.
    whole = [[SYSTEM, user("why ?"), assistant(answer)] for answer in ("because", "so")]
    assert to_turns(to_label(pair("why ?", *whole)).prompt) == [SYSTEM, user("why ?")]


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        # What the texts share reaches into the answers, or into a speaker's name.
        ("Sure, here it is", "Sure, here is one"),
        ("I\n\nAssume so", "I\n\nAssist"),
        ("Sure", "Sure, but"),
        ("He said Human: hi", "He said Assistant: hi"),
        ("A list:\nHuman: x\nAssistant: y", "A list:\nHuman: z"),
        ("Human: is what I am not", "Human: no"),
        ("sch\u00f6n \u2028 \U0001f600", "sch\u00f6n \u2028 \U0001f601"),
        ("x" * 300_000, "x" * 300_000 + "y"),
    ],
)
def test_the_answer_begins_after_the_last_assistant(chosen: str, rejected: str) -> None:
    row = bare(hh("one", "two", "three", chosen), hh("one", "two", "three", rejected))
    turns = [user("one"), assistant("two"), user("three")]
    assert to_label(row) == Pair(to_prompt(turns), chosen, rejected)


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        ("The sky is blue.", "The sky is black.", ("The sky is", "blue.", "black.")),
        ("a\nb c", "a\nd", ("a", "b c", "d")),
        ("a b", "a b c", ("a", "b", "b c")),
    ],
)
def test_texts_that_start_alike(chosen: str, rejected: str, expected: tuple[str, ...]) -> None:
    assert to_label(bare(chosen, rejected)) == Pair(*expected)


def test_plain_text_is_kept_as_it_is() -> None:
    row = pair("Once ", " upon\n", "more")
    assert to_label(row, plain=True) == Pair("Once ", " upon\n", "more")
    texts = (hh("hi", "yes \n"), hh("hi", " no"))
    start = "\n\nHuman: hi\n\nAssistant:"
    assert to_label(bare(*texts), plain=True) == Pair(start, " yes \n", "  no")
    read = to_label(bare("The sky  is", "The sky  was"), plain=True)
    assert read == Pair("The sky ", " is", " was")


@pytest.mark.parametrize(
    ("label", "liked"),
    [(True, True), (0, False), (1.0, True), ("TRUE", True), (" false ", False), ("0", False)],
)
def test_unpaired_labels(label: Any, liked: bool) -> None:
    for completion in ("because", [assistant("because")], [user("why ?"), assistant("because")]):
        row = {"prompt": "why ?", "completion": completion, "label": label}
        assert to_label(row) == Unpaired("why ?", "because", liked)


@pytest.mark.parametrize(
    "order",
    [
        {"responses": ["a", [assistant("b")], "c "]},
        {"responses": ["c", "a", "b"], "ranks": [3, 1, 2]},
        {"responses": ["c", "a", "b"], "scores": [-1.5, 10, 2], "ranks": None},
        {"responses": ["b", "a", "c"], "scores": [0, 10**400, -(10**400)]},
    ],
)
def test_rankings(order: dict[str, Any]) -> None:
    assert to_label({"prompt": "p", **order}) == Ranking("p", ("a", "b", "c"))


def test_comparisons_of_summaries() -> None:
    row: dict[str, Any] = {
        "info": {"post": "A long story.", "title": "Help", "subreddit": "relationships"},
        "summaries": [{"text": " short", "note": None}, {"text": " long", "note": None}],
        "choice": 1,
    }
    prompt = "SUBREDDIT: r/relationships\nTITLE: Help\nPOST: A long story.\nTL;DR:"
    assert to_label(row) == Pair(prompt, "long", "short")
    assert to_label(row, plain=True) == Pair(prompt, " long", " short")
    row |= {"info": {"post": "A long story.", "title": None}, "choice": 0}
    assert to_label(row) == Pair("POST: A long story.\nTL;DR:", "short", "long")


def test_columns_can_have_other_names() -> None:
    columns = {"prompt": "question", "chosen": "better", "rejected": "worse"}
    row = {"question": "why ?", "better": "because", "worse": "so", "chosen": 7}
    assert to_label(row, columns) == Pair("why ?", "because", "so")
    with pytest.raises(RowProblem) as caught:
        to_label({"question": "why ?", "better": "because"}, columns)
    assert row_problem_text(caught.value) == "no column 'worse'"
    swapped = {"chosen": "rejected", "rejected": "chosen"}
    assert to_label(pair("p", "a", "b"), swapped) == Pair("p", "b", "a")
    assert {"prompt", "completion", "labels", "scores"} <= set(COLUMNS)


def test_an_assistant_who_speaks_twice_gives_one_answer_in_every_form() -> None:
    expected = Pair("a", "b\n\nAssistant: more", "c")
    twice = [assistant("b"), assistant("more")]
    rows = [
        bare(hh("a", "b\n\nAssistant: more"), hh("a", "c")),
        bare([user("a"), *twice], [user("a"), assistant("c")]),
        pair("a", twice, [assistant("c")]),
        pair([user("a")], [user("a"), *twice], "c"),
        pair("a", "b\n\nAssistant: more", "c"),
    ]
    assert [to_label(row) for row in rows] == [expected] * len(rows)
