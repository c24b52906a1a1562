"""`prefrontier check`: its table, and names that are not known."""

from __future__ import annotations

import pytest
from helpers.broken_methods import Good, SeesBatch

from bench.cli import main


def test_the_command_says_what_fails_and_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.config import catalog

    there = {"good": Good, "sees_batch": SeesBatch}
    monkeypatch.setattr(catalog, "catalog", lambda: there)
    with pytest.raises(SystemExit) as stop:
        main(["check", "sees_batch"])
    assert stop.value.code == 1
    row = next(line for line in capsys.readouterr().out.splitlines() if "of_batch" in line)
    assert "fails" in row
    assert "differ by" in row


def test_an_unknown_method_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", "nothing"])
    assert stop.value.code == 2
    assert "unknown method 'nothing'" in capsys.readouterr().err
