"""`prefrontier check`: every check finds out the plug-in that is broken for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
from broken_heavy import HeavyImport
from broken_methods import BROKEN, Good, SeesBatch
from datasets.fingerprint import get_temporary_cache_files_directory

from bench.checks import CHECKS, run_check
from bench.checks.subject import Failed
from bench.cli import main
from bench.testing import parametrize_with_checks
from methods.base import Context, Method, Policy
from methods.dpo import DPO
from methods.sft import SFT

BROKEN["light_import"] = HeavyImport


def test_there_is_a_broken_plug_in_for_every_check() -> None:
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_broken_plug_in_is_found_out(name: str) -> None:
    outcome = run_check(CHECKS[name], BROKEN[name])
    assert outcome.verdict == "fails"
    assert outcome.why


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_correct_plug_in_passes(name: str) -> None:
    assert run_check(CHECKS[name], Good).verdict == "passes"


@dataclass(frozen=True)
class Declared(SeesBatch):
    """It says what it fails."""

    expected_failures: ClassVar = {"independent_of_batch": "its logits are in 8 bits"}


@dataclass(frozen=True)
class DeclaredInVain(Good):
    """It says that it fails what it passes."""

    expected_failures: ClassVar = {"leaves_itself": "it does not"}


def test_an_expected_failure_has_its_reason_and_must_happen() -> None:
    declared = run_check(CHECKS["independent_of_batch"], Declared)
    assert (declared.verdict, declared.why) == ("fails as expected", "its logits are in 8 bits")
    assert run_check(CHECKS["leaves_itself"], DeclaredInVain).verdict == "fails"


@dataclass(frozen=True)
class NoNumbers(Good):
    """Its log-probabilities are no numbers."""

    def train(self, context: Context) -> Policy:
        policy = super().train(context)
        policy.logprobs = lambda prompts, responses, sampling: [math.nan] * len(prompts)
        return policy


@dataclass(frozen=True)
class WritesTensors(Good):
    """It writes tensors beside its folder, as no Python code does."""

    def train(self, context: Context) -> Policy:
        import torch

        torch.save({}, f=str(context.workdir.parent / "notes.pt"))
        return super().train(context)


@pytest.mark.parametrize("name", ["learns", "learns_the_reverse", "independent_of_batch"])
def test_what_is_no_number_passes_no_check(name: str) -> None:
    assert run_check(CHECKS[name], NoNumbers).verdict == "fails"


def test_files_of_tensors_are_seen() -> None:
    assert run_check(CHECKS["writes_in_workdir"], WritesTensors).verdict == "fails"


def test_the_libraries_temporary_folder_is_no_fault_of_the_method() -> None:
    # As it is where something was trained before in the same process.
    get_temporary_cache_files_directory()
    assert run_check(CHECKS["writes_in_workdir"], DPO).verdict == "passes"


@dataclass(frozen=True)
class DeclaredAside(SFT):
    """It says that it fails what does not apply to it."""

    expected_failures: ClassVar = {"resumes": "it does not"}


def test_a_plug_ins_own_suite_says_what_check_says() -> None:
    def applied(kind: type[Method], name: str) -> None:
        mark = parametrize_with_checks([kind])
        [apply] = [p.values[1] for p in mark.args[1] if p.id == f"{kind.__name__}-{name}"]
        apply(kind)

    applied(Good, "leaves_itself")
    assert run_check(CHECKS["resumes"], DeclaredAside).verdict == "does not apply"
    applied(DeclaredAside, "resumes")
    with pytest.raises(pytest.xfail.Exception, match="its logits are in 8 bits"):
        applied(Declared, "independent_of_batch")
    with pytest.raises(AssertionError, match="take it out of expected_failures"):
        applied(DeclaredInVain, "leaves_itself")
    with pytest.raises(Failed):
        applied(BROKEN["leaves_itself"], "leaves_itself")


@parametrize_with_checks(["sft"])
def test_parametrized_as_a_plug_ins_own_suite(method: type[Method], check: object) -> None:
    assert callable(check)
    check(method)


def test_the_command_says_what_fails_and_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import catalog

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
