"""Checks of how far a method moves the policy: at its defaults, and with more or less strength."""

from __future__ import annotations

import math
from typing import Any

from bench.checks.exceptions import DoesNotApply, Failed
from bench.checks.policy import ANSWERS
from bench.checks.registry import check
from bench.checks.subject import LONG, Subject
from bench.checks.tiny_task import BAD, GOOD, OTHER, PROMPTS, SAMPLING, tiny_task
from bench.errors import UserError
from methods.base import Diverged, Method
from methods.core.models.outputs import logprobs_of, responses_of
from methods.core.models.policy import Policy

# The least KL of a policy that has moved (nats). The reverse KL to a policy that always gives the
# preferred answer is about 1 nat.
MOVED = 0.1
# The most training examples or episodes of a method that may have moved too little.
FULL = 4 * LONG
# The most that the smaller KL may be, as a share of the larger one, and in nats.
SHARE, SMALL = 0.8, 0.03
# How far beyond its grid a strength is varied.
FACTOR = 10


@check()
def moves(subject: Subject) -> None:
    """At its defaults, it moves away from the SFT policy by a KL that is worth measuring."""
    if subject.method.feedback == "none":
        raise DoesNotApply("it learns from no feedback")
    distance = kl(subject.long.policy, subject.start())
    if not distance >= MOVED:
        distance = kl(subject.train(budget=FULL).policy, subject.start())
    if not distance >= MOVED:
        raise Failed(
            f"at its defaults, it moves only {distance:.2f} nats from the SFT policy: "
            f"{_how_to_move(subject.make())}"
        )


@check()
def more_strength_less_kl(subject: Subject) -> None:
    """More strength gives less KL to the SFT policy; if strength_reduces_kl is False, more KL."""
    field = subject.method.strength
    if field is None or not isinstance(getattr(subject.make(), field, None), int | float):
        raise DoesNotApply("it has no strength that is a number")
    _ = subject.short
    weak, strong = extreme_strengths(subject)
    if weak == strong:
        raise DoesNotApply(f"there is only one value of {field} to try")
    weak_kl, strong_kl = (_kl_at(subject, {field: value}) for value in (weak, strong))
    reduces = strength_reduces_kl(subject.make())
    near, far = (strong_kl, weak_kl) if reduces else (weak_kl, strong_kl)
    if not (math.isfinite(near) and near <= max(SHARE * far, SMALL)):
        raise Failed(
            f"the KL to the SFT policy is {weak_kl:.2f} nats at {field} = {weak:g} and "
            f"{strong_kl:.2f} at {field} = {strong:g}; it must be clearly "
            + ("smaller: is the sign of its KL term right?" if reduces else "larger")
        )


def strength_reduces_kl(method: Method) -> bool:
    """Return whether a method declares that more strength gives less KL."""
    return method.strength_is_kl or method.strength_reduces_kl


def extreme_strengths(subject: Subject) -> tuple[float, float]:
    """Return a small and a large value of the strength, beyond its grid if they are allowed."""
    field = subject.method.strength or ""
    default = getattr(subject.make(), field)
    values = [default, *subject.method.grid.get(field, [])]
    low, high = min(values), max(values)
    if isinstance(default, int):
        # A number of examples has no effect above the budget.
        wanted = (min(low, LONG // 4), min(max(high, 2 * default), LONG))
    else:
        wanted = (low / FACTOR, high * FACTOR or 1.0)
    return _allowed(subject, field, wanted[0], low), _allowed(subject, field, wanted[1], high)


def _allowed(subject: Subject, field: str, value: float, instead: float) -> float:
    try:
        subject.make({field: value})
    except UserError:
        return instead
    return value


def _kl_at(subject: Subject, settings: dict[str, Any]) -> float:
    """Return the KL after a training, infinite if it diverges.

    Labels are noisy: without noise, no margin is large enough for some losses at any strength.
    """
    task = tiny_task().with_noisy_labels()
    try:
        trained = subject.train(budget=LONG, task=task, settings=settings)
    except Diverged:
        return math.inf
    return kl(trained.policy, subject.start())


def kl(policy: Policy, reference: Policy) -> float:
    """Return the KL over the answers: three that are listed, and all others together (nats).

    It is a lower bound of the KL over all responses, and exact up to the sampling of policies
    without log-probabilities.
    """
    total = 0.0
    for prompt in PROMPTS:
        shares = zip(answer_shares(policy, prompt), answer_shares(reference, prompt), strict=True)
        total += sum(p * math.log(p / q) for p, q in shares if p != 0)
    return total / len(PROMPTS)


def answer_shares(policy: Policy, prompt: str) -> list[float]:
    """Return the probabilities of the three answers, and that of all others together."""
    answers = [GOOD, BAD, OTHER]
    logprobs = logprobs_of(policy, [prompt] * len(answers), answers, SAMPLING)
    if logprobs is not None:
        shares = [math.exp(value) for value in logprobs]
    else:
        sampled = responses_of(policy, [prompt] * ANSWERS, 0, SAMPLING)
        shares = [sampled.count(answer) / ANSWERS for answer in answers]
    return [*shares, max(1 - sum(shares), 1e-9)]


def _how_to_move(method: Method) -> str:
    """Return which of its settings move a method further."""
    raised = [name for name in ("learning_rate", "examples", "episodes") if hasattr(method, name)]
    advice = [f"raise {' or '.join(raised)}"] if raised else []
    if method.strength and method.strength not in raised:
        verb = "lower" if strength_reduces_kl(method) else "raise"
        advice.append(f"{verb} {method.strength}")
    return ", or ".join(advice) or "it has no setting that moves it further"
