"""Rows of every published form, and the labels that they hold."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from bench.data.forms import COLUMNS, FORMS, form_of, to_label
from bench.data.rows import RowProblem
from bench.data.wording import row_problem_text
from methods.core.feedback import Pair, Ranking, Unpaired
from methods.core.models.text import to_prompt, to_turns


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def hh(*contents: str) -> str:
    """Return a dialogue as HH writes it: a person begins."""
    speakers = ("Human", "Assistant")
    return "".join(f"\n\n{speakers[i % 2]}: {content}" for i, content in enumerate(contents))


def pair(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def bare(chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"chosen": chosen, "rejected": rejected}


TALK = [user("hi"), assistant("hello"), user("a poem?")]
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


def unpaired(**changes: Any) -> dict[str, Any]:
    return {"prompt": "p", "completion": "a", "label": 1} | changes


def ranking(**changes: Any) -> dict[str, Any]:
    return {"prompt": "p", "responses": ["a", "b"]} | changes


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
