"""Exceptions of a plug-in: shown by one check, with the place in the plug-in's file."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.broken_exceptions import LossRaises, PolicyRaises, Raises, RaisesWithoutBudget
from helpers.broken_losses import ReturnsTheMean
from helpers.broken_settings import NeedsArgument

from bench.checks import CHECKS, Outcome, run_check
from bench.checks.exceptions import place_of
from bench.commands.check import table
from methods.base import Method

# Checks of each kind: of losses, of trainings, of policies.
SOME = [
    "one_loss_for_each_label",
    "losses_are_separate",
    "raises_nothing",
    "learns",
    "saves_and_loads",
    "answers_every_prompt",
    "same_seed_same_policy",
    "no_budget_no_change",
]


def outcomes(kind: type[Method]) -> dict[str, Outcome]:
    return {name: run_check(CHECKS[name], kind) for name in SOME}


def line_of(text: str, file: str) -> int:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        (Raises, "raises_nothing", "TypeError: unsupported operand"),
        (LossRaises, "one_loss_for_each_label", "RuntimeError: The size of tensor a"),
        (RaisesWithoutBudget, "no_budget_no_change", "ZeroDivisionError: division by zero"),
        (PolicyRaises, "learns", "KeyError: 'temperature'"),
    ],
)
def test_an_exception_fails_one_check_with_its_place(
    kind: type[Method], name: str, error: str
) -> None:
    found = outcomes(kind)
    assert [n for n, outcome in found.items() if outcome.status == "fails"] == [name]
    assert re.match(rf"(\S+/)?\w+\.py:\d+: {re.escape(error)}", found[name].reason)


def test_the_place_is_the_innermost_line_in_the_file_of_the_method() -> None:
    reason = run_check(CHECKS["one_loss_for_each_label"], LossRaises).reason
    file = inspect.getfile(LossRaises)
    assert f"broken_exceptions.py:{line_of('the line that is shown', file)}: " in reason


def test_without_a_line_in_its_file_the_place_is_in_that_of_a_base_class() -> None:
    @dataclass(frozen=True)
    class Inherits(Raises):
        """It adds nothing."""

    found = run_check(CHECKS["raises_nothing"], Inherits)
    assert found.status == "fails"
    assert "helpers/broken_exceptions.py:" in found.reason


def test_without_any_line_of_the_method_the_place_is_where_it_was_raised() -> None:
    with pytest.raises(ValueError) as raised:
        int("a")  # raised here
    place = place_of(raised.value, Method)
    assert place.endswith(f"test_exceptions.py:{line_of('# raised here', __file__)}")


def test_checks_that_an_exception_keeps_from_running_share_a_row() -> None:
    found = outcomes(Raises)
    blocked = [outcome for outcome in found.values() if outcome.blocked]
    rows = table("raises", list(found.values()))
    cells = [list(column.cells) for column in rows.columns]
    assert len(cells[0]) == len(SOME) - len(blocked) + 1
    assert cells[0][-1] == f"{len(blocked)} other checks"
    assert cells[2][-1] == "it cannot be trained: see raises_nothing"
    assert sum("TypeError" in reason for reason in cells[2]) == 1


@pytest.mark.parametrize("kind", [LossRaises, ReturnsTheMean])
def test_what_keeps_checks_from_running_is_a_check_that_fails(kind: type[Method]) -> None:
    found = outcomes(kind)
    assert found["one_loss_for_each_label"].status == "fails"
    assert found["learns"].reason == "it cannot be trained: see one_loss_for_each_label"


def test_a_method_that_cannot_be_constructed_fails_one_check() -> None:
    found = {name: run_check(check, NeedsArgument) for name, check in CHECKS.items()}
    assert [n for n, o in found.items() if o.status == "fails"] == ["default_constructible"]
    assert {o.reason for o in found.values() if o.blocked} == {
        "it cannot be constructed: see default_constructible"
    }
