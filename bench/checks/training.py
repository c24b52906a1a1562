"""Checks of a training: its side effects, its use of the budget, its seeds and its resumption."""

from __future__ import annotations

import dataclasses
import math

from bench.checks.exceptions import DoesNotApply, Failed
from bench.checks.observe import weights_digest
from bench.checks.registry import check
from bench.checks.subject import ObservedTraining, Subject
from bench.checks.tiny_task import PROMPTS, SAMPLING
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
    """Training does not change the global random states."""
    _unchanged(subject, "python random state", "numpy random state", "torch random state")


@check()
def leaves_process(subject: Subject) -> None:
    """Training changes neither the default dtype nor the environment."""
    _unchanged(subject, "default dtype", "environment")


@check()
def writes_in_workdir(subject: Subject) -> None:
    """It writes only in its folder."""
    if written := subject.short.observation.written:
        raise Failed(f"it writes to {written[0]}; it may write only in context.workdir")


@check(excusable=False)
def same_seed_same_policy(subject: Subject) -> None:
    """The same seed gives the same policy, whatever the global random states."""
    first = fingerprint(subject.short.policy)
    if fingerprint(subject.train().policy) != first:
        raise Failed("the same seed gave two policies: draw from context.seed only")


@check(excusable=False)
def other_seed_other_policy(subject: Subject) -> None:
    """Another seed gives another policy."""
    if not subject.trains:
        raise DoesNotApply("it trains nothing")
    if fingerprint(subject.train(seed=1).policy) == fingerprint(subject.short.policy):
        raise Failed("seeds 0 and 1 gave the same policy: does it use context.seed?")


@check()
def offline_asks_nothing(subject: Subject) -> None:
    """A method that learns from labels neither calls the reward nor samples responses."""
    if subject.method.feedback == "reward":
        raise DoesNotApply("it learns from the reward")
    if calls := subject.short.usage.reward_calls:
        raise Failed(f"it called the reward {calls} times")
    if count := subject.short.observation.generations:
        raise Failed(f"it called the generator {count} times")


@check(excusable=False)
def keeps_to_the_budget(subject: Subject) -> None:
    """It uses no more training examples or episodes than the budget allows."""
    for trained in (subject.short, subject.long):
        budget, usage = trained.context.budget, trained.usage
        if subject.method.feedback == "reward":
            used = {"responses": usage.responses_sampled, "rewards": usage.reward_calls}
        else:
            used = {"sequences": usage.train_sequences}
            budget *= _responses_per_label(trained)
        for name, count in used.items():
            if count > budget:
                raise Failed(f"it used {count} {name}; the budget allows {budget}")


@check(excusable=False)
def no_budget_no_change(subject: Subject) -> None:
    """With a budget of 0, it returns the SFT policy."""
    if not subject.trains:
        raise DoesNotApply("it trains nothing")
    trained = subject.train(budget=0)
    if fingerprint(trained.policy) != fingerprint(subject.start()):
        raise Failed("the policy differs from the SFT policy")


@check()
def resumes(subject: Subject) -> None:
    """Killed and started again, it gives the policy, curves and usage of a training in one go."""
    if not subject.long.observation.optimizer_steps:
        raise DoesNotApply("it takes no optimizer steps")
    resumed = subject.killed_and_resumed
    if fingerprint(resumed.policy) != fingerprint(subject.long.policy):
        raise Failed("the policy differs from that of an uninterrupted training")
    curves, resumed_curves = (
        [_without_times(point) for point in trained.context.curves]
        for trained in (subject.long, resumed)
    )
    if resumed_curves != curves:
        raise Failed("its curves differ from those of an uninterrupted training")
    usage = _without_times(dataclasses.asdict(subject.long.usage))
    for name, count in _without_times(dataclasses.asdict(resumed.usage)).items():
        if count != usage[name]:
            raise Failed(f"it counts {count} {name}, an uninterrupted training {usage[name]}")


@check()
def losses_are_finite(subject: Subject) -> None:
    """It logs only finite numbers."""
    for trained in (subject.short, subject.long):
        for point in trained.context.curves:
            for name, value in point.items():
                if not math.isfinite(value):
                    raise Failed(f"{name} is {value} at step {point['step']:g}")


def fingerprint(policy: Policy) -> str:
    """Return what identifies a policy: a hash of its weights, or its answers."""
    if type(policy) is ModelPolicy:
        return weights_digest(policy.model)
    return repr(policy.generate(PROMPTS * GENERATED, 0, SAMPLING))


def _without_times(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are the same in every training of one seed."""
    return {name: value for name, value in metrics.items() if not name.endswith("seconds")}


def _unchanged(subject: Subject, *names: str) -> None:
    changed = [name for name in names if name in subject.short.observation.changed]
    if changed:
        raise Failed(f"training changes the {changed[0]}")


def _responses_per_label(trained: ObservedTraining) -> int:
    first = next(iter(trained.context.labels), None)
    match first:
        case Unpaired() | None:
            return 1
        case Choice(_, _, rejected):
            return 1 + len(rejected)
        case Ranking(_, responses):
            return len(responses)
    return 2
