"""Checks of the policy that a training gives."""

from __future__ import annotations

from collections.abc import Sequence

from bench.checks.registry import check
from bench.checks.subject import DoesNotApply, Failed, Subject, check_folder
from bench.checks.tiny_task import BAD, GOOD, LAW, PROMPTS
from methods.core.models.policy import Policy, load_policy

# How far the share of the preferred answer, of both, must move: from one half.
MARGIN = 0.1
DRAWN = 256
TOLERANCE = 1e-4


@check(excusable=False)
def learns(subject: Subject) -> None:
    """It learns to prefer one answer to another, past a margin."""
    _has_feedback(subject)
    moved = preference(subject.long.policy) - preference(subject.start())
    if not moved >= MARGIN:  # nor is it, where it is no number
        raise Failed(
            f"the share of the preferred answer moved by {moved:+.2f}; it must by {MARGIN}"
        )


@check(excusable=False)
def learns_the_reverse(subject: Subject) -> None:
    """With chosen and rejected swapped it learns the reverse."""
    _has_feedback(subject)
    moved = preference(subject.reverse.policy) - preference(subject.start())
    if not moved <= -MARGIN:
        raise Failed(
            f"the share of the answer that is now rejected moved by {moved:+.2f}; "
            f"it must by {-MARGIN}"
        )


@check()
def saves_and_loads(subject: Subject) -> None:
    """The policy saved and loaded is the same policy."""
    policy = subject.short.policy
    folder = check_folder() / f"saved-{id(subject):x}"
    policy.save(folder)
    loaded = load_policy(folder, "cpu")
    if loaded.generate(PROMPTS * 4, 0, LAW) != policy.generate(PROMPTS * 4, 0, LAW):
        raise Failed("it answers otherwise once loaded")
    if _logprobs(loaded, PROMPTS) != _logprobs(policy, PROMPTS):
        raise Failed("its log-probabilities differ once loaded")


@check()
def answers_every_prompt(subject: Subject) -> None:
    """One answer to each prompt, in their order, the same for the same seed."""
    policy = subject.short.policy
    asked = PROMPTS * 3
    answers = policy.generate(asked, 7, LAW)
    if len(answers) != len(asked):
        raise Failed(f"{len(answers)} answers to {len(asked)} prompts")
    if policy.generate(asked, 7, LAW) != answers:
        raise Failed("the same seed gives other answers")
    if policy.generate(asked * 4, 8, LAW) == policy.generate(asked * 4, 9, LAW):
        raise Failed("two seeds give the same answers")


@check()
def independent_of_padding(subject: Subject) -> None:
    """A log-probability does not depend on the lengths of its neighbors."""
    policy = _with_logprobs(subject)
    short, long = min(PROMPTS, key=len), max(PROMPTS, key=len)
    (alone,) = _logprobs(policy, [short])
    (beside, _) = _logprobs(policy, [short, long], [GOOD, "a b </answer>"])
    if not abs(alone - beside) <= TOLERANCE:
        raise Failed(f"{alone:.6f} alone, and {beside:.6f} beside a longer one")


@check()
def independent_of_batch(subject: Subject) -> None:
    """A log-probability does not depend on how many are asked for at once, or in what order."""
    policy = _with_logprobs(subject)
    asked = [PROMPTS[0]] * 40
    given = [GOOD, BAD] * 20
    together = _logprobs(policy, asked, given)
    alone = [_logprobs(policy, [p], [r])[0] for p, r in zip(asked[:2], given[:2], strict=True)]
    apart = [abs(one - alone[i % 2]) for i, one in enumerate(together)]
    if too_far := [one for one in apart if not one <= TOLERANCE]:
        raise Failed(f"the same response has log-probabilities that differ by {too_far[0]:.6f}")


def preference(policy: Policy) -> float:
    """Return the mean share of the preferred answer among the two, over the prompts."""
    import numpy as np

    good = policy.logprobs(PROMPTS, [GOOD] * len(PROMPTS), LAW)
    bad = policy.logprobs(PROMPTS, [BAD] * len(PROMPTS), LAW)
    if good is not None and bad is not None:
        return float(np.mean(1 / (1 + np.exp(np.subtract(bad, good)))))
    answers = policy.generate(PROMPTS * DRAWN, 0, LAW)
    return answers.count(GOOD) / max(1, answers.count(GOOD) + answers.count(BAD))


def _has_feedback(subject: Subject) -> None:
    if subject.kind.feedback == "none":
        raise DoesNotApply("it learns from nothing")


def _with_logprobs(subject: Subject) -> Policy:
    policy = subject.short.policy
    if policy.logprobs(PROMPTS[:1], [GOOD], LAW) is None:
        raise DoesNotApply("its policy has no log-probabilities")
    return policy


def _logprobs(
    policy: Policy, prompts: Sequence[str], responses: Sequence[str] | None = None
) -> list[float]:
    given = responses or [GOOD] * len(prompts)
    return policy.logprobs(prompts, given, LAW) or []
