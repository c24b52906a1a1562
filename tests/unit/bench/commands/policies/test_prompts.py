"""Prompts of one's own, from text and from rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.commands.policies.prompts import Prompt, read_prompts
from bench.errors import UserError
from methods.core.models.text import to_turns

TURNS = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "A lamp"},
]


def test_each_line_of_a_text_is_a_prompt(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\ufeffa lamp\r\n\n  a door \n", encoding="utf-8")
    assert read_prompts(str(file)) == [Prompt(1, "a lamp"), Prompt(3, "a door")]


def test_rows_have_text_or_turns(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [{"prompt": " a lamp ", "chosen": "x"}, {"prompt": TURNS}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read_prompts(str(file))
    assert first == Prompt(1, "a lamp")
    assert to_turns(second.text) == TURNS
    assert read_prompts(str(file), plain=True)[0].text == " a lamp "


def test_rows_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text('prompt,other\n"a lamp,\nplease",1\na door,2\n')
    assert [prompt.text for prompt in read_prompts(str(file))] == ["a lamp,\nplease", "a door"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.jsonl", '{"prompt": "a"}\n{"question": "b"}\n', "line 2: no column 'prompt'"),
        ("mine.jsonl", '{"prompt": ""}\n', "line 1: an empty prompt"),
        ("mine.jsonl", '{"prompt": 3}\n', "line 1: 'prompt' must be text or a list of turns"),
        ("mine.jsonl", '{"prompt": "a"}\n{', "line 2: not JSON"),
        ("mine.txt", "\n\n", "is empty: it has no prompts"),
        ("mine.xyz", "a", "unknown file type"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_prompts(str(file))


def test_a_missing_file(tmp_path: Path) -> None:
    for name in ("nothing.txt", "nothing.jsonl"):
        with pytest.raises(UserError, match=name):
            read_prompts(str(tmp_path / name))
