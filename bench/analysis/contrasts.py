"""Comparisons of two methods by paired differences, and which of them may have a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy import ndarray

from bench.analysis.selection import (
    SelectedRewards,
    order_by_validation,
    select_settings,
    selected_rewards,
)
from bench.analysis.statistics import (
    SEEDS_FOR_VERDICT,
    Interval,
    Verdict,
    crossed_interval,
    crossed_mean,
    holm,
    mean_interval,
    probability_of_improvement,
    seeds_needed,
    sign_flip_p,
    verdict,
)
from bench.errors import UserError
from bench.results.loading import Results

Kind = Literal["declared", "primary", "exploratory"]
ContrastVerdict = Verdict | Literal["lost seeds", "no prompts"]


class OverPrompts(NamedTuple):
    """How the shared test prompts contribute to a contrast's uncertainty.

    Attributes:
        prompts: Number of them; 0 where samples.parquet lacks the rewards on them.
        p: Of the two-way analysis over seeds and prompts; nan with one seed.
        from_seeds: The share of the difference's variance that more seeds would reduce.
        from_prompts: The share that more prompts would reduce.
        prompt_variance: The variance itself that more prompts would reduce, and seeds would not.
    """

    prompts: int
    p: float
    from_seeds: float
    from_prompts: float
    prompt_variance: float


class Contrast(NamedTuple):
    """How much more reward one method has than another on test prompts, paired by seed.

    Attributes:
        differences: One for each seed that both finished.
        difference: Their mean with its 95% interval: over seeds, or over seeds and prompts where
            the prompts are a sample.
        sign_flip_p: Of the sign-flip test over seeds, not corrected.
        improvement: Probability of improvement.
        lost: How many seeds the first method lost that the second finished, and the other way.
        over_prompts: Of the shared prompts; None where the prompts are not a sample.
    """

    differences: list[float]
    difference: Interval
    sign_flip_p: float
    improvement: float
    lost: tuple[int, int]
    over_prompts: OverPrompts | None = None

    @property
    def p(self) -> float:
        """The largest p of its tests, not corrected; nan where one is not known."""
        return float(
            np.maximum(self.sign_flip_p, self.over_prompts.p if self.over_prompts else 0.0)
        )


class Comparison(NamedTuple):
    """A comparison of two methods on a task.

    Attributes:
        method: The first method.
        other: The method that it is compared with.
        kind: Declared in the experiment file, the one primary comparison without such, or
            exploratory.
        contrast: Their paired differences.
        holm_p: The p corrected for all contrasts of the experiment; nan where it is exploratory.
    """

    method: str
    other: str
    kind: Kind
    contrast: Contrast
    holm_p: float

    @property
    def verdict(self) -> ContrastVerdict | None:
        """What the test says; None where it may not have a verdict.

        A method is not better by the seeds that it finished if it lost one that the other did not.
        """
        if self.kind == "exploratory":
            return None
        contrast = self.contrast
        if contrast.over_prompts and not contrast.over_prompts.prompts:
            enough = len(contrast.differences) >= SEEDS_FOR_VERDICT
            return "no prompts" if enough else "too few seeds"
        tested = verdict(contrast.differences, self.holm_p, contrast.difference)
        lost_by_winner = dict(zip(("better", "worse"), contrast.lost, strict=True)).get(tested)
        return "lost seeds" if lost_by_winner else tested


def contrast(rewards: SelectedRewards, method: str, other: str) -> Contrast:
    """Compare two methods over the seeds that both finished."""
    both = rewards.by_seed.reindex(columns=[method, other])
    paired = both.dropna()
    first, second = paired.to_numpy().T
    differences = list(first - second)
    improvement = probability_of_improvement([first], [second]) if differences else float("nan")
    ours, theirs = both.notna().to_numpy().sum(axis=0).tolist()
    lost = (theirs - len(differences), ours - len(differences))
    interval, prompts = mean_interval(differences), None
    if rewards.by_prompt is not None:
        table = _by_prompt(rewards.by_prompt, method, other, paired.index)
        unknown = interval._replace(low=float("nan"), high=float("nan"))
        interval = crossed_interval(table) if table.size else unknown
        prompts = _over_prompts(table)
    return Contrast(differences, interval, sign_flip_p(differences), improvement, lost, prompts)


def _by_prompt(
    rewards: Mapping[str, pd.DataFrame], method: str, other: str, seeds: pd.Index
) -> ndarray:
    """Return the differences between two methods, [seeds, prompts]; no prompt if not known."""
    if not {method, other} <= rewards.keys():
        return np.empty((len(seeds), 0))
    difference = rewards[method].sub(rewards[other]).reindex(seeds)
    return difference.dropna(axis="columns").to_numpy()


def _over_prompts(table: ndarray) -> OverPrompts:
    seeds, prompts = table.shape
    if seeds < 2 or not prompts:
        return OverPrompts(prompts, math.nan, math.nan, math.nan, math.nan)
    found = crossed_mean(table)
    variance = found.errors[2] ** 2

    def share(part: ndarray) -> float:
        return float(part / variance) if variance > 0 else math.nan

    return OverPrompts(
        prompts,
        float(found.p()),
        share(found.from_seeds),
        share(found.from_prompts),
        float(found.from_prompts),
    )


def declared(results: Results) -> list[tuple[str, str]]:
    """Return the contrasts that the experiment declares, of methods that the results have.

    Raises:
        UserError: The contrasts in experiment.yaml cannot be read.
    """
    try:
        content = yaml.safe_load(results.experiment)
        pairs = [(str(a), str(b)) for a, b in (content or {}).get("contrasts") or []]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        raise UserError(
            "experiment.yaml: `contrasts` cannot be read; it must be a list of [method, method]"
        ) from None
    return [pair for pair in pairs if set(pair) <= set(results.methods)]


# Sections of a report ask for it again and again.
@lru_cache(maxsize=1)
def all_with_verdict(results: Results) -> dict[str, list[Comparison]]:
    """Return the comparisons that may have a verdict, by task.

    Without a declared contrast these are the best method of each task against the second best, both
    without privilege and as ordered on validation prompts. Holm's correction is for all of them
    together, so that the whole experiment has at most one wrong verdict in 20 where no methods
    differ.
    """
    contrasts = {
        (task, method, other): contrast(rewards, method, other)
        for task in results.tasks
        for rewards in [selected_rewards(results, task)]
        for method, other in _pairs(results, task)
    }
    # A contrast without seeds was declared all the same, and counts.
    p_values = {key: c.p if c.p >= 0 else 1.0 for key, c in contrasts.items()}
    corrected = holm(p_values)
    kind: Kind = "declared" if declared(results) else "primary"
    found: dict[str, list[Comparison]] = {task: [] for task in results.tasks}
    for key, of_pair in contrasts.items():
        task, method, other = key
        found[task].append(Comparison(method, other, kind, of_pair, corrected[key]))
    return found


def _pairs(results: Results, task: str) -> list[tuple[str, str]]:
    if pairs := declared(results):
        # Those whose runs failed are among them; those that the task leaves out are not.
        ran = set(results.methods_on(task))
        return [pair for pair in pairs if set(pair) <= ran]
    order = order_by_validation(results.runs, task, results.privileged)
    return [(order[0], order[1])] if len(order) > 1 else []


def with_verdict(results: Results, task: str) -> list[Comparison]:
    """Return a task's comparisons that may have a verdict."""
    return all_with_verdict(results)[task]


def number_of_contrasts(results: Results) -> int:
    """Return how many contrasts are tested on all tasks together."""
    return sum(map(len, all_with_verdict(results).values()))


def seeds_to_tell(comparison: Comparison, contrasts: int) -> int | None:
    """Return how many seeds would confirm what a comparison shows, more than it has.

    Args:
        comparison: One that was tested and has no verdict.
        contrasts: How many are tested.

    Returns:
        As `seeds_needed` does.
    """
    differences, prompts = comparison.contrast.differences, comparison.contrast.over_prompts
    fixed = max(prompts.prompt_variance, 0.0) if prompts else 0.0
    needed = seeds_needed(differences, contrasts, fixed)
    return needed if needed is None else max(needed, len(differences) + 1)


@lru_cache(maxsize=16)
def exploratory(results: Results, task: str) -> list[Comparison]:
    """Return all other comparisons of a task, the largest differences first."""
    rewards = selected_rewards(results, task)
    known = {frozenset((c.method, c.other)) for c in with_verdict(results, task)}
    finished = select_settings(results.runs, task)
    others = [method for method in finished if method != "sft"]
    pairs = [*combinations(others, 2), *((m, "sft") for m in others if "sft" in finished)]
    comparisons = [
        Comparison(*pair, "exploratory", contrast(rewards, *pair), float("nan"))
        for pair in pairs
        if frozenset(pair) not in known
    ]
    return sorted(comparisons, key=lambda c: -np.nan_to_num(abs(c.contrast.difference.mean)))
