"""Bad rows are left out, with the reason and their lines; the others keep theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.data.checks import (
    Checked,
    ProblemCount,
    TooManyBadRowsError,
    check_rows,
    count_problems,
    require_enough,
    sift,
)
from bench.data.reading import read_rows
from bench.data.rows import BadRow, Code, Row, RowProblem
from bench.data.wording import (
    problem_lines,
    problem_text,
    too_many_bad_rows_text,
    used_rows_text,
)
from methods.core.feedback import Label


def check(file: Path, content: bytes) -> Checked:
    file.write_bytes(content)
    return check_rows(read_rows(str(file)), {}, plain=False)


def text_of(row: BadRow) -> str:
    return ": ".join(filter(None, problem_text(row.code, row.details)))


def test_bad_rows_are_named_with_their_lines(tmp_path: Path) -> None:
    def pair(**changes: Any) -> str:
        return json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"} | changes)

    unpaired = json.dumps({"prompt": "p", "completion": "a", "label": 1})
    lines: list[tuple[str | bytes, str]] = [
        ("null", "not an object"),
        (unpaired[:-1], "not JSON: Expecting ',' delimiter at column 46"),
        (pair(), ""),
        ("", ""),
        (pair(chosen=" "), "an empty answer"),
        (unpaired, "an unpaired label among pairs"),
        (pair(rejected="a"), "equal answers"),
        (b'{"prompt": "\xff"}', "not UTF-8 text"),
        ("  \t", ""),
        (pair(rejected=3), "'rejected' must be text or a list of turns"),
        (pair(chosen=None), "'chosen' must be text or a list of turns"),
        (pair(prompt="q"), ""),
        ("[" * 100_000, "JSON that is nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "a number with too many digits"),
        ('{"prompt": "p", "chosen": "a b"}', "no column 'rejected'"),
        ('{"chosen": "a b", "rejected": "a c"}', "a pair without a prompt among pairs"),
        ('[{"prompt": "p"}]', "not an object"),
        (pair(chosen="\ud800"), "'chosen' has half a character (a lone surrogate)"),
        (pair(chosen="x" * 10**6), ""),
        (pair(prompt=""), "an empty prompt"),
        (pair(chosen=""), "an empty answer"),
    ]
    content = b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line, _ in lines)
    checked = check(tmp_path / "bad.jsonl", content)
    expected = {line: text for line, (_, text) in enumerate(lines, start=1) if text}
    assert {row.line: text_of(row) for row in checked.bad} == expected
    assert checked.lines == [3, 12, 19]
    assert used_rows_text("bad.jsonl", 3, 16) == "bad.jsonl: 3 of 19 rows used, 16 left out"
    summary = problem_lines(count_problems(checked.bad))
    assert summary[:4] == [
        "2 not an object: lines 1, 17",
        "2 an empty answer: lines 5, 21",
        "1 not JSON (the first: Expecting ',' delimiter at column 46): line 2",
        "1 an unpaired label among pairs: line 6",
    ]
    assert sum(int(line.split()[0]) for line in summary) == 16


def test_the_first_good_row_decides() -> None:
    unpaired = {"prompt": "p", "completion": "a", "label": 1}
    rows = [Row(1, {**unpaired, "label": "maybe"}), Row(2, unpaired)]
    rows += [Row(3, {"prompt": "p", "chosen": "a", "rejected": "b"})]
    rows += [Row(4, {"prompt": "p", "responses": ["a", "b"]})]
    checked = check_rows(rows, {}, plain=False)
    assert checked.lines == [2]
    assert checked.bad[1:] == [
        BadRow(3, Code.MIXED_FORMS, {"form": "pair", "first": "unpaired"}),
        BadRow(4, Code.MIXED_FORMS, {"form": "ranking", "first": "unpaired"}),
    ]


def refuse_long(label: Label) -> None:
    if len(label[1]) > 15:
        raise RowProblem(Code.PROMPT_TOO_LONG, tokens=15)


def test_rows_that_fail_a_further_check_join_the_bad_ones_in_order() -> None:
    rows: list[Row | BadRow] = [
        Row(i, {"prompt": "p", "completion": "a" * i, "label": 1}) for i in range(1, 40)
    ]
    rows.append(BadRow(40, Code.NOT_UTF8, {}))
    checked = sift(check_rows(rows, {}, plain=False), refuse_long)
    assert checked.lines == [*range(1, 16)] and len(checked.labels) == 15
    assert [row.line for row in checked.bad] == [*range(16, 41)]
    problems = count_problems(checked.bad)
    assert problems == [
        ProblemCount("prompt_too_long", {"tokens": 15}, 24, [16, 17, 18, 19, 20]),
        ProblemCount("not_utf8", {}, 1, [40]),
    ]
    assert problem_lines(problems) == [
        "24 a prompt of more than 15 tokens: lines 16, 17, 18, 19, 20 and 19 more",
        "1 not UTF-8 text: line 40",
    ]


def test_rows_with_another_detail_are_another_kind_unless_it_is_an_example() -> None:
    bad = [
        BadRow(1, Code.NOT_BINARY, {"column": "label"}),
        BadRow(2, Code.NOT_BINARY, {"column": "choice"}),
        BadRow(3, Code.TOO_FEW_CELLS, {"cells": 2, "columns": 4}),
        BadRow(4, Code.TOO_FEW_CELLS, {"cells": 3, "columns": 4}),
    ]
    assert problem_lines(count_problems(bad)) == [
        "2 too few cells (the first: 2 where the header has 4): lines 3, 4",
        "1 'label' must be 0 or 1, or true or false: line 1",
        "1 'choice' must be 0 or 1, or true or false: line 2",
    ]


def test_too_many_bad_rows_are_an_error() -> None:
    rows = [Row(i, {"prompt": "p", "completion": "a" * i, "label": 1}) for i in range(1, 41)]
    checked = sift(check_rows(rows, {}, plain=False), refuse_long)
    require_enough(checked, 25 / 40)
    with pytest.raises(TooManyBadRowsError) as caught:
        require_enough(checked, 0.5)
    text = too_many_bad_rows_text("x", caught.value)
    assert "x: 25 of 40 rows cannot be used: 25 a prompt of more than 15 tokens" in text
    assert "0.5 may be left out; bad_rows sets it" in text


def test_no_good_row_is_an_error_whatever_share_is_allowed(tmp_path: Path) -> None:
    checked = check(tmp_path / "bad.jsonl", b"null\n[]\n")
    with pytest.raises(TooManyBadRowsError) as caught:
        require_enough(checked, 1)
    text = too_many_bad_rows_text("bad.jsonl", caught.value)
    assert text == "bad.jsonl: no row of 2 can be used: 2 not an object: lines 1, 2"
