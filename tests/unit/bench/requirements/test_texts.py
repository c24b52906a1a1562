"""How many preferences there are, and how long."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.preferences import write_rows

from bench.requirements.texts import TEMPLATE, rows_of, texts_of
from bench.tasks.recorded import Recorded


def row(prompt: int, chosen: int, rejected: int) -> dict[str, str]:
    """A pair with texts of so many tokens, of four characters each."""
    return {"prompt": "abc " * prompt, "chosen": "yes " * chosen, "rejected": "no. " * rejected}


def test_lengths_are_those_of_the_rows_that_are_used(tmp_path: Path) -> None:
    rows = [row(10 + i % 2, 5, 50) for i in range(20)] + [row(500, 5, 50)]
    data = write_rows(tmp_path / "prefs.jsonl", rows)
    task = Recorded(data=str(data), max_prompt_tokens=100, response_tokens=32)
    texts = texts_of(task, positions=8192)
    assert (texts.rows, texts.responses) == (20, 2)
    assert 9 <= texts.prompt - TEMPLATE <= 11
    assert texts.longest_prompt <= 100 and texts.longest_response == 32
    # Long responses are cut.
    assert 16 < texts.response < 20
    assert texts_of(Recorded(data=str(data)), positions=8192).rows == 21
    assert rows_of(task) == 21


def test_a_short_context_leaves_room_for_the_response(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", [row(10, 5, 6), row(400, 5, 6)])
    texts = texts_of(Recorded(data=str(data), response_tokens=200), positions=256)
    assert texts.longest <= 256 and texts.longest_response == 128


def test_a_file_in_the_home_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_rows(tmp_path / "prefs.jsonl", [row(10 + i, 5, 6) for i in range(12)])
    assert rows_of(Recorded(data="~/prefs.jsonl")) == 12


def test_data_on_the_hub_is_not_fetched() -> None:
    task = Recorded(data="owner/name", rows=1000, max_prompt_tokens=512)
    texts = texts_of(task, positions=8192)
    assert (texts.rows, texts.longest_prompt) == (1000, 512)
    assert rows_of(task) == 0
