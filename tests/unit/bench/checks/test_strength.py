"""Checks of how far a method moves, and the KL that they measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
from helpers.broken_strength import FlipsKL, MovesLittle
from helpers.good_method import Good

from bench.checks import CHECKS, run_check
from bench.checks.strength import answer_shares, extreme_strengths, kl
from bench.checks.subject import Subject, tiny_task
from bench.checks.tiny_task import PROMPTS, SAMPLING
from methods.base import Context, Count, Diverged, NonNegative, Policy, Share
from methods.best_of_n import BestOfN, BestOfNPolicy
from methods.reinforce import Reinforce
from methods.sft import SFT


@dataclass(frozen=True)
class Repeats(SFT):
    """Its strength is an integer."""

    strength: ClassVar = "examples"
    grid: ClassVar = {"examples": [2048, 16384]}
    examples: Count = 8192


@dataclass(frozen=True)
class Mixes(SFT):
    """Its strength is at most 1, and it may be 0."""

    strength: ClassVar = "mixture"
    grid: ClassVar = {"mixture": [0.0, 0.5]}
    mixture: Share = 0.2


@dataclass(frozen=True)
class StartsAtZero(SFT):
    """Its strength is 0 by default, and it has no grid."""

    strength: ClassVar = "kl_coef"
    kl_coef: NonNegative = 0.0


@dataclass(frozen=True)
class DivergesIfStrong(Good):
    """It diverges at a large beta."""

    def train(self, context: Context) -> Policy:
        if self.beta > 2:
            raise Diverged("loss is nan")
        return super().train(context)


@pytest.mark.parametrize(
    ("method", "weak", "strong"),
    [
        (Good, min(Good.grid["beta"]) / 10, max(Good.grid["beta"]) * 10),
        (BestOfN, min(BestOfN.grid["n"]), max(BestOfN.grid["n"])),
        # More than the budget would have no effect.
        (Repeats, 512, 2048),
        # A share of 5 is not allowed.
        (Mixes, 0.0, 0.5),
        (StartsAtZero, 0.0, 1.0),
    ],
)
def test_a_strength_is_varied_beyond_its_grid_as_far_as_allowed(
    method: type, weak: float, strong: float
) -> None:
    assert extreme_strengths(Subject(method)) == pytest.approx((weak, strong))


@pytest.mark.slow
def test_a_correct_online_method_passes_and_a_wrong_sign_of_the_kl_fails() -> None:
    check = CHECKS["more_strength_less_kl"]
    assert run_check(check, Reinforce).status == "passes"
    wrong = run_check(check, FlipsKL)
    assert wrong.status == "fails"
    assert "is the sign of its KL term right?" in wrong.reason
    assert run_check(check, SFT).status == "does not apply"


def test_the_declared_direction_counts() -> None:
    @dataclass(frozen=True)
    class Declared(Good):
        """It declares that beta moves it away."""

        strength_reduces_kl: ClassVar = False

    outcome = run_check(CHECKS["more_strength_less_kl"], Declared)
    assert outcome.status == "fails"
    assert "clearly larger" in outcome.reason


def test_a_training_that_diverges_is_far_away() -> None:
    outcome = run_check(CHECKS["more_strength_less_kl"], DivergesIfStrong)
    assert outcome.status == "fails"
    assert f"inf at beta = {10 * max(Good.grid['beta']):g}" in outcome.reason


def test_a_method_that_moves_little_is_told_what_to_change() -> None:
    outcome = run_check(CHECKS["moves"], MovesLittle)
    assert outcome.status == "fails"
    assert "it moves only 0.0" in outcome.reason
    assert outcome.reason.endswith("raise learning_rate or examples, or lower beta")


def test_the_kl_is_that_of_the_answers() -> None:
    start = Subject(Good).start()
    assert kl(start, start) == 0
    [first, second, third, others] = answer_shares(start, PROMPTS[0])
    assert first + second + third + others == pytest.approx(1)
    task = tiny_task()
    best = BestOfNPolicy(task_start := Subject(BestOfN).start(), task.reward_model, 1)
    sampled = answer_shares(best, PROMPTS[0])
    assert best.logprobs(PROMPTS, PROMPTS, SAMPLING) is None
    # 256 samples: a standard error of 3 points at most.
    exact = answer_shares(task_start, PROMPTS[0])
    assert all(math.isclose(p, q, abs_tol=0.12) for p, q in zip(sampled, exact, strict=True))


def test_a_quarter_of_noisy_labels_is_wrong() -> None:
    task = tiny_task()
    for kind in ("pairs", "choices", "rankings", "unpaired"):
        clean, noisy = task.labels(kind), task.with_noisy_labels().labels(kind)
        assert sum(a != b for a, b in zip(clean, noisy, strict=True)) == len(clean) / 4
