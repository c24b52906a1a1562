"""Checks of what a training leaves, asks and spends."""

from __future__ import annotations

import dataclasses
import math

from bench.checks.observe import weights_digest
from bench.checks.registry import check
from bench.checks.subject import DoesNotApply, Failed, Subject, Trained
from bench.checks.tiny_task import LAW, PROMPTS
from methods.core.feedback import Choice, Ranking, Unpaired
from methods.core.models.policy import ModelPolicy, Policy

GENERATED = 8


@check()
def leaves_itself(subject: Subject) -> None:
    """Training does not change the method."""
    _unchanged(subject, "method")


@check()
def leaves_data(subject: Subject) -> None:
    """Training does not change the feedback, the prompts or the reward model."""
    _unchanged(subject, "feedback", "prompts", "reward model")


@check()
def leaves_reference(subject: Subject) -> None:
    """Training does not change the reference."""
    _unchanged(subject, "reference")


@check()
def leaves_random_state(subject: Subject) -> None:
    """Training leaves the process's random states as they were."""
    _unchanged(subject, "python random state", "numpy random state", "torch random state")


@check()
def leaves_process(subject: Subject) -> None:
    """Training leaves the default dtype and the environment as they were."""
    _unchanged(subject, "default dtype", "environment")


@check()
def writes_in_workdir(subject: Subject) -> None:
    """It writes only under its folder."""
    if written := subject.short.seen.written:
        raise Failed(f"it writes to {written[0]}; only context.workdir is its own")


@check(excusable=False)
def same_seed_same_policy(subject: Subject) -> None:
    """The same seed gives the same policy, whatever the process drew before."""
    if fingerprint(subject.train().policy) != fingerprint(subject.short.policy):
        raise Failed("two trainings with one seed gave two policies: draw from context.seed alone")


@check(excusable=False)
def other_seed_other_policy(subject: Subject) -> None:
    """Another seed gives another policy."""
    if not subject.trains:
        raise DoesNotApply("it trains nothing")
    if fingerprint(subject.train(seed=1).policy) == fingerprint(subject.short.policy):
        raise Failed("seeds 0 and 1 gave the same policy: does it use context.seed?")


@check()
def offline_asks_nothing(subject: Subject) -> None:
    """A method that learns from labels calls neither the reward nor the generator."""
    if subject.kind.feedback == "reward":
        raise DoesNotApply("it learns from the reward")
    if calls := subject.short.usage.reward_calls:
        raise Failed(f"it asked for {calls} rewards")
    if count := subject.short.seen.generations:
        raise Failed(f"it called the generator {count} times")


@check(excusable=False)
def keeps_to_the_budget(subject: Subject) -> None:
    """It uses no more training examples or episodes than the budget."""
    for trained in (subject.short, subject.long):
        budget, usage = trained.context.budget, trained.usage
        if subject.kind.feedback == "reward":
            used = {"responses": usage.responses_sampled, "rewards": usage.reward_calls}
        else:
            used = {"sequences": usage.train_sequences}
            budget *= _responses_per_label(trained)
        for what, count in used.items():
            if count > budget:
                raise Failed(f"it used {count} {what} where the budget allows {budget}")


@check(excusable=False)
def no_budget_no_change(subject: Subject) -> None:
    """With a budget of zero it returns the start policy."""
    if not subject.trains:
        raise DoesNotApply("it trains nothing")
    trained = subject.train(budget=0)
    if fingerprint(trained.policy) != fingerprint(subject.start()):
        raise Failed("the policy differs from the SFT policy")


@check()
def resumes(subject: Subject) -> None:
    """Killed and started again it gives what an uninterrupted training gives, at the same cost."""
    if not subject.long.seen.optimizer_steps:
        raise DoesNotApply("it takes no optimizer steps")
    resumed = subject.killed_and_resumed
    if fingerprint(resumed.policy) != fingerprint(subject.long.policy):
        raise Failed("the policy differs from that of an uninterrupted training")
    if resumed.context.curves != subject.long.context.curves:
        raise Failed("its curves differ from those of an uninterrupted training")
    costs = dataclasses.asdict(subject.long.usage)
    for name, count in dataclasses.asdict(resumed.usage).items():
        if name != "train_seconds" and count != costs[name]:
            raise Failed(f"it says {count} {name}, and {costs[name]} without a stop")


@check()
def losses_are_finite(subject: Subject) -> None:
    """What it logs are finite numbers."""
    for trained in (subject.short, subject.long):
        for point in trained.context.curves:
            for name, value in point.items():
                if not math.isfinite(value):
                    raise Failed(f"{name} is {value} at step {point['step']:g}")


def fingerprint(policy: Policy) -> str:
    """Return what tells two policies apart: weights, or else what it answers."""
    if type(policy) is ModelPolicy:
        return weights_digest(policy.model)
    return repr(policy.generate(PROMPTS * GENERATED, 0, LAW))


def _unchanged(subject: Subject, *names: str) -> None:
    changed = [name for name in names if name in subject.short.seen.changed]
    if changed:
        raise Failed(f"training changes the {changed[0]}")


def _responses_per_label(trained: Trained) -> int:
    first = next(iter(trained.context.labels), None)
    match first:
        case Unpaired() | None:
            return 1
        case Choice(_, _, rejected):
            return 1 + len(rejected)
        case Ranking(_, responses):
            return len(responses)
    return 2
