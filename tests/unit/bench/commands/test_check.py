"""`prefrontier check`: its table, and names that are not known."""

from __future__ import annotations

import pytest
from helpers.broken_exceptions import Raises
from helpers.broken_policies import SeesBatch
from helpers.good_method import Good

from bench import checks
from bench.cli import main


def test_a_failed_check_is_shown_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.config import catalog

    there = {"good": Good, "sees_batch": SeesBatch}
    monkeypatch.setattr(catalog, "catalog", lambda: there)
    some = {name: checks.CHECKS[name] for name in ("hashable", "independent_of_batch")}
    monkeypatch.setattr(checks, "CHECKS", some)
    with pytest.raises(SystemExit) as stop:
        main(["check", "sees_batch"])
    assert stop.value.code == 1
    row = next(line for line in capsys.readouterr().out.splitlines() if "of_batch" in line)
    assert "fails" in row
    assert "differ by" in row


def test_an_exception_is_shown_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.config import catalog

    monkeypatch.setattr(catalog, "catalog", lambda: {"raises": Raises})
    with pytest.raises(SystemExit) as stop:
        main(["check", "raises"])
    assert stop.value.code == 1
    output = capsys.readouterr().out
    assert output.count("TypeError") == 1
    assert "broken_exceptions.py:" in output
    assert " other checks " in output


def test_an_unknown_method_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", "nothing"])
    assert stop.value.code == 2
    assert "unknown method 'nothing'" in capsys.readouterr().err
