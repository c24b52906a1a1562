"""Conformance checks: each fails the plug-in that is broken for it, and passes a correct one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from datasets.fingerprint import get_temporary_cache_files_directory
from helpers.broken_heavy import HeavyImport
from helpers.broken_methods import BROKEN
from helpers.declared_failures import Declared, DeclaredInVain
from helpers.good_method import Good

from bench.checks import CHECKS, run_check
from methods.base import Context, Policy
from methods.dpo import DPO

PLUG_INS = BROKEN | {"light_import": HeavyImport}
# The checks that find a wrong loss, direction or exception.
WRONG_METHODS = [
    "one_loss_for_each_label",
    "losses_are_separate",
    "first_step_raises_chosen",
    "raises_nothing",
    "moves",
    "more_strength_less_kl",
]


def test_there_is_a_broken_plug_in_for_every_check() -> None:
    assert set(PLUG_INS) == set(CHECKS)


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_broken_plug_in_fails_its_check(name: str) -> None:
    outcome = run_check(CHECKS[name], PLUG_INS[name])
    assert outcome.status == "fails"
    assert outcome.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG_METHODS)
def test_a_wrong_method_fails_no_other_check(name: str) -> None:
    outcomes = [run_check(check, PLUG_INS[name]) for check in CHECKS.values()]
    assert [outcome.check.name for outcome in outcomes if outcome.status == "fails"] == [name]


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_correct_plug_in_passes(name: str) -> None:
    assert run_check(CHECKS[name], Good).status == "passes"


def test_an_expected_failure_is_shown_with_its_reason_and_must_happen() -> None:
    declared = run_check(CHECKS["independent_of_batch"], Declared)
    assert (declared.status, declared.reason) == ("fails as expected", "its logits are in 8 bits")
    assert run_check(CHECKS["leaves_itself"], DeclaredInVain).status == "fails"


@dataclass(frozen=True)
class NanLogprobs(Good):
    """Its log-probabilities are nan."""

    def train(self, context: Context) -> Policy:
        policy = super().train(context)
        policy.logprobs = lambda prompts, responses, sampling: [math.nan] * len(prompts)
        return policy


@dataclass(frozen=True)
class WritesTensors(Good):
    """It writes tensors outside of its folder, which raises no audit event."""

    def train(self, context: Context) -> Policy:
        import torch

        torch.save({}, f=str(context.workdir.parent / "notes.pt"))
        return super().train(context)


@pytest.mark.parametrize("name", ["learns", "learns_the_reverse", "independent_of_batch"])
def test_nan_passes_no_check(name: str) -> None:
    assert run_check(CHECKS[name], NanLogprobs).status == "fails"


def test_tensors_written_outside_of_the_folder_are_found() -> None:
    assert run_check(CHECKS["writes_in_workdir"], WritesTensors).status == "fails"


def test_a_method_may_write_to_the_libraries_temporary_folder() -> None:
    # As it is where something was trained before in the same process.
    get_temporary_cache_files_directory()
    assert run_check(CHECKS["writes_in_workdir"], DPO).status == "passes"
