"""What tested claims amount to, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.analysis.claims.decisions import ClaimVerdict, Decision, Outcome
from bench.analysis.claims.results import ClaimResult
from bench.analysis.statistics import Interval
from bench.config.claim import ClaimContrast
from bench.report.claims.rows import Condition
from bench.report.content.display import MISSING, bracketed, listed, parameter, signed

# In the order in which a page shows them.
VERDICTS: tuple[ClaimVerdict, ...] = (
    "holds here",
    "holds in part",
    "does not hold here",
    "not decided",
)
# What one claim with a verdict does, and what several do.
VERBS: dict[ClaimVerdict, tuple[str, str]] = {
    "holds here": ("holds here", "hold here"),
    "holds in part": ("holds in part", "hold in part"),
    "does not hold here": ("does not hold here", "do not hold here"),
    "not decided": ("is not decided", "are not decided"),
}
# The outcomes of the contrasts that a verdict rests on.
GROUNDS: dict[ClaimVerdict, tuple[Outcome, ...]] = {
    "holds here": ("holds",),
    "holds in part": ("holds", "refuted"),
    "does not hold here": ("refuted",),
    "not decided": ("holds", "not decided"),
}
# How a contrast's outcome is shown.
OUTCOMES: dict[Outcome, str] = {
    "holds": "as predicted",
    "refuted": "not as predicted",
    "not decided": "not decided",
}
# What no result on the page can say.
LIMITS = (
    "Models are tiny and tasks are made up. How methods compare may change with the model's size. "
    "Effects are in units of this gold reward, and do not carry over.",
    "The gold reward is a program. No people judged any response.",
    "Each seed has its own random instance of the task exact. Other tasks have one for all.",
    "A method is as good as the settings that were tried. Equal KL compares frontiers through "
    "these settings, at the KLs that both methods reach.",
    "In exact and bandit all splits have the same prompts: settings are selected and measured on "
    "them, so that rewards of the selected ones are a little too high.",
    "Sampling is cheap here, which favors on-policy methods.",
    "The chance that one or more of all contrasts are decided falsely is about 5%. It is higher "
    "where numbers are very skewed over seeds, or one method has several equally good settings: "
    "see the calibration in docs/report.md.",
    "Intervals are those of one contrast, and verdicts are corrected for all contrasts and looks: "
    "an interval can exclude 0 without a verdict.",
    "That a contrast is not decided is no evidence against a claim. So few seeds can rarely show "
    "that two methods are equal.",
)


class Ground(NamedTuple):
    """A contrast that a verdict rests on.

    Attributes:
        outcome: Of the contrast.
        text: What was measured, and what it shows.
    """

    outcome: Outcome
    text: str


def headline(claims: Sequence[ClaimResult]) -> str:
    """Return how many claims have which verdict."""
    if not claims:
        return "No claim was tested."
    numbers = {verdict: [c.verdict for c in claims].count(verdict) for verdict in VERDICTS}
    parts = [f"{n} {VERBS[verdict][n > 1]}" for verdict, n in numbers.items() if n]
    return f"Of {counted(len(claims), 'claim')} tested, {listed(parts)}."


def counted(number: int, name: str) -> str:
    """Return how many there are of something, such as "2 claims"."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def grounds(result: ClaimResult) -> list[Ground]:
    """Return the clearest contrast with each outcome that the verdict rests on."""
    claim = result.tested.claim
    pairs = list(zip(claim.contrasts, result.decisions, strict=True))
    several_tasks = len(claim.experiment["tasks"]) > 1
    return [
        Ground(outcome, ground_text(*min(of_outcome, key=_unclear), several_tasks))
        for outcome in GROUNDS[result.verdict]
        if (of_outcome := [pair for pair in pairs if pair[1].outcome == outcome])
    ]


def _unclear(pair: tuple[ClaimContrast, Decision]) -> float:
    """Return the level from which on a contrast is decided: the smaller, the clearer it is."""
    contrast, decision = pair
    return decision.evidence.decided_at(contrast.predicted)


def tally(result: ClaimResult) -> str:
    """Return how many contrasts of a claim have which outcome."""
    outcomes = [decision.outcome for decision in result.decisions]
    numbers = {outcome: outcomes.count(outcome) for outcome in OUTCOMES}
    return ", ".join(f"{n} {OUTCOMES[outcome]}" for outcome, n in numbers.items() if n)


def ground_text(contrast: ClaimContrast, decision: Decision, several_tasks: bool) -> str:
    """Return what a contrast shows, as a sentence without its point.

    Both sides are named where they are two methods, the claim has one task and one is higher; else
    the contrast is.

    Args:
        contrast: What is compared.
        decision: What is said of it.
        several_tasks: Whether the claim has more than one.
    """
    mean, name = decision.evidence.mean, f"{contrast.name[:1].upper()}{contrast.name[1:]}"
    if effect_text(decision) == MISSING:
        return f"{name}: no seed has a value"
    sides = None if several_tasks else two_methods(contrast)
    if decision.finding == "equal":
        text = f"{name}: {signed(mean)} in {measured(contrast)}, too small to matter"
        text += f" (bound {parameter(contrast.bound)})"
    elif sides and decision.finding in ("higher", "lower"):
        above = decision.finding == "higher"
        size = mean if above else mirrored(mean)
        where = f"{bracketed(size)} {'above' if above else 'below'}"
        text = f"{sides[0]} is {where} {sides[1]} in {measured(contrast)}"
    else:
        text = f"{name}: {signed(mean)} in {measured(contrast)}"
    return text if decision.outcome == "holds" else f"{text}; predicted: {contrast.predicted}"


def two_methods(contrast: ClaimContrast) -> tuple[str, str] | None:
    """Return the methods of both sides, if nothing else tells the sides apart."""
    of, minus = contrast.of, contrast.minus
    if minus is None or contrast.than or not contrast.task or of.task or minus.task:
        return None
    alike = of.params == minus.params and of.along == minus.along
    return (of.method, minus.method) if alike and of.method != minus.method else None


def mirrored(interval: Interval) -> Interval:
    """Return the interval of the same number with the opposite sign."""
    return Interval(-interval.mean, -interval.high, -interval.low, interval.n)


def effect_text(decision: Decision) -> str:
    """Return a contrast's mean with its 95% interval."""
    return signed(decision.evidence.mean)


def measured(contrast: ClaimContrast) -> str:
    """Return what a contrast's number is."""
    if contrast.levels:
        return f"{contrast.quantity} per unit of level"
    if contrast.weights:
        return f"{contrast.quantity}, a weighted sum over {len(contrast.weights)} tasks"
    return contrast.quantity


def turn_text(conditions: Sequence[Condition]) -> str:
    """Return at which levels of a condition the difference is above or below 0, by its interval."""
    levels: dict[str, list[str]] = {"above 0": [], "below 0": [], "either side of 0": []}
    for each in sorted(conditions, key=lambda condition: condition.level):
        low, high = each.interval.low, each.interval.high
        side = "above 0" if low > 0 else "below 0" if high < 0 else "either side of 0"
        levels[side].append(parameter(each.level))
    found = {side: at for side, at in levels.items() if at}
    if len(found) == 1:
        return f"{next(iter(found))} at every level"
    return "; ".join(f"{side} at {listed(at)}" for side, at in found.items())


def looks_text(looks: Sequence[int]) -> str:
    """Return at which numbers of seeds a claim was tested; nothing where it was once."""
    return f"looks: {', '.join(map(str, looks))}" if len(looks) > 1 else ""
