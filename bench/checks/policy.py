"""Checks of the trained policy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.checks.exceptions import Blocked, DoesNotApply, Failed
from bench.checks.losses import has_losses, wrong_shape
from bench.checks.registry import check
from bench.checks.subject import Subject
from bench.checks.tiny_task import BAD, GOOD, OTHER, PROMPTS, SAMPLING, check_folder
from methods.core.models.outputs import logprobs_of, responses_of
from methods.core.models.policy import Policy, load_policy

# By how much the share of the preferred answer among the two must change; it starts at one half.
MARGIN = 0.1
# Answers to each prompt from policies without log-probabilities.
ANSWERS = 256
TOLERANCE = 1e-4
# By how many standard errors the share of an answer may differ from its probability.
ERRORS = 5


@check(excusable=False)
def raises_nothing(subject: Subject) -> None:
    """Training raises no exception."""
    if has_losses(subject.method) and wrong_shape(subject):
        raise DoesNotApply("its losses do not have the shape [B]")
    try:
        _ = subject.short, subject.long
    except Blocked:
        if subject.error is None:
            raise
        raise subject.error from None


@check(excusable=False)
def learns(subject: Subject) -> None:
    """It learns to prefer one answer to another by a margin."""
    _has_feedback(subject)
    change = preference(subject.long.policy) - preference(subject.start())
    if not change >= MARGIN:  # also where it is nan
        raise Failed(
            f"the share of the preferred answer changed by {change:+.2f}; "
            f"it must change by at least {MARGIN:+}"
        )


@check(excusable=False)
def learns_the_reverse(subject: Subject) -> None:
    """With chosen and rejected swapped, it learns the reverse."""
    _has_feedback(subject)
    change = preference(subject.reverse.policy) - preference(subject.start())
    if not change <= -MARGIN:
        raise Failed(
            f"the share of the answer that is now rejected changed by {change:+.2f}; "
            f"it must change by at least {-MARGIN}"
        )


@check()
def saves_and_loads(subject: Subject) -> None:
    """Saving and loading does not change the policy."""
    policy = subject.short.policy
    folder = check_folder() / f"saved-{id(subject):x}"
    policy.save(folder)
    loaded = load_policy(folder, "cpu")
    if loaded.generate(PROMPTS * 4, 0, SAMPLING) != policy.generate(PROMPTS * 4, 0, SAMPLING):
        raise Failed("it gives other answers once loaded")
    if _logprobs(loaded, PROMPTS) != _logprobs(policy, PROMPTS):
        raise Failed("its log-probabilities differ once loaded")


@check()
def answers_every_prompt(subject: Subject) -> None:
    """It gives one answer to each prompt, in order, and the same answers with the same seed."""
    policy = subject.short.policy
    prompts = PROMPTS * 3
    answers = responses_of(policy, prompts, 7, SAMPLING)
    if policy.generate(prompts, 7, SAMPLING) != answers:
        raise Failed("the same seed gives other answers")
    if policy.generate(prompts * 4, 8, SAMPLING) == policy.generate(prompts * 4, 9, SAMPLING):
        raise Failed("two seeds give the same answers")


@check()
def samples_by_its_logprobs(subject: Subject) -> None:
    """It gives each answer as often as its log-probabilities say."""
    policy = _with_logprobs(subject)
    for prompt in PROMPTS:
        answers = responses_of(policy, [prompt] * ANSWERS, 0, SAMPLING)
        for answer in (GOOD, BAD, OTHER):
            (logprob,) = _logprobs(policy, [prompt], [answer])
            expected, share = math.exp(logprob), answers.count(answer) / ANSWERS
            error = math.sqrt(expected * (1 - min(expected, 1)) / ANSWERS)
            if abs(share - expected) > ERRORS * error + 1 / ANSWERS:
                raise Failed(
                    f"it gives {answer!r} to {prompt!r} in {share:.0%} of the samples; by its "
                    f"log-probabilities it would in {expected:.0%}"
                )


@check()
def independent_of_padding(subject: Subject) -> None:
    """A log-probability does not depend on the other lengths in the batch."""
    policy = _with_logprobs(subject)
    short, long = min(PROMPTS, key=len), max(PROMPTS, key=len)
    (alone,) = _logprobs(policy, [short])
    (beside, _) = _logprobs(policy, [short, long], [GOOD, "a b </answer>"])
    if not abs(alone - beside) <= TOLERANCE:
        raise Failed(f"{alone:.6f} alone, {beside:.6f} in a batch with a longer prompt")


@check()
def independent_of_batch(subject: Subject) -> None:
    """A log-probability does not depend on the size or the order of the batch."""
    policy = _with_logprobs(subject)
    prompts, responses = [PROMPTS[0]] * 40, [GOOD, BAD] * 20
    batched = _logprobs(policy, prompts, responses)
    alone = [_logprobs(policy, prompts[:1], [response])[0] for response in responses[:2]]
    differences = [abs(value - alone[i % 2]) for i, value in enumerate(batched)]
    if too_large := [value for value in differences if not value <= TOLERANCE]:
        raise Failed(f"the same response has log-probabilities that differ by {too_large[0]:.6f}")


def preference(policy: Policy) -> float:
    """Return the share of the preferred answer among the two, averaged over the prompts."""
    import numpy as np

    good = logprobs_of(policy, PROMPTS, [GOOD] * len(PROMPTS), SAMPLING)
    bad = logprobs_of(policy, PROMPTS, [BAD] * len(PROMPTS), SAMPLING)
    if good is not None and bad is not None:
        return float(np.mean(1 / (1 + np.exp(np.subtract(bad, good)))))
    answers = responses_of(policy, PROMPTS * ANSWERS, 0, SAMPLING)
    return answers.count(GOOD) / max(1, answers.count(GOOD) + answers.count(BAD))


def _has_feedback(subject: Subject) -> None:
    if subject.method.feedback == "none":
        raise DoesNotApply("it learns from no feedback")


def _with_logprobs(subject: Subject) -> Policy:
    policy = subject.short.policy
    if logprobs_of(policy, PROMPTS[:1], [GOOD], SAMPLING) is None:
        raise DoesNotApply("its policy has no log-probabilities")
    return policy


def _logprobs(
    policy: Policy, prompts: Sequence[str], responses: Sequence[str] | None = None
) -> list[float]:
    responses = responses or [GOOD] * len(prompts)
    return logprobs_of(policy, prompts, responses, SAMPLING) or []
