"""Mistakes that `prefrontier answer` finds before any policy is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.synthetic import fail, make_runs, write_folder

from bench.commands.policies.answer import run_answer
from bench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder, a cache without any policy, and a file of prompts."""
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.txt").write_text("why is my laptop frozen ?\n")
    out = write_folder(tmp_path / "run", make_runs(["polite"], ["sft", "dpo"], 2))
    (out / "experiment.yaml").write_text("tasks: {polite: {}}\nmethods: {sft: {}}\n")
    return out


def ask(folder: Path, out: Path | None = None) -> None:
    run_answer(folder, prompts=str(folder.parent / "mine.txt"), out=out, device="cpu")


def test_the_files_must_be_writable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.html").mkdir()
    monkeypatch.chdir(folder)
    for out, message in (
        (Path(), r"--out: \. is a folder"),
        (folder, "--out: .* is a folder; name a file of JSON lines"),
        (folder / "a.jsonl", r"--out: .*a\.html is a folder"),
        (folder / "a" / "b.html", "must be a file of JSON lines"),
        (folder / "runs.csv" / "a.jsonl", r"runs\.csv: cannot be written to"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            ask(folder, out)
        assert "\n" not in str(caught.value)


def test_without_a_finished_run_there_is_nothing_to_ask(folder: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    write_folder(folder, fail(runs, runs["seed"] >= 0, "out of memory"))
    (folder / "experiment.yaml").write_text("tasks: {polite: {}}\nmethods: {sft: {}}\n")
    with pytest.raises(UserError, match="no run on polite finished"):
        ask(folder)
