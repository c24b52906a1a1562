"""Comparisons of two methods by paired differences, and which of them may have a verdict."""

from __future__ import annotations

from itertools import combinations
from typing import Literal, NamedTuple

import pandas as pd
import yaml

from bench.analysis.selection import (
    order_by_validation,
    reward_by_seed,
    select_settings,
    selected_rows,
)
from bench.analysis.statistics import (
    Interval,
    Verdict,
    holm,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
    verdict,
)
from bench.errors import UserError
from bench.results.loading import Results

Kind = Literal["declared", "primary", "exploratory"]
Said = Verdict | Literal["lost seeds"]


class Contrast(NamedTuple):
    """How much more reward one method has than another on test prompts, paired by seed.

    Attributes:
        differences: One for each seed that both finished.
        difference: Their mean and its t-interval.
        p: Of the sign-flip test, not corrected.
        improvement: Probability of improvement.
        lost: How many seeds the first method lost that the second finished, and the other way.
    """

    differences: list[float]
    difference: Interval
    p: float
    improvement: float
    lost: tuple[int, int]


class Comparison(NamedTuple):
    """A comparison of two methods on a task.

    Attributes:
        method: The first method.
        other: The method that it is compared with.
        kind: Declared in the experiment file, the one primary comparison without such, or
            exploratory.
        contrast: Their paired differences.
        holm_p: The p corrected for the number of contrasts; nan where it is exploratory.
    """

    method: str
    other: str
    kind: Kind
    contrast: Contrast
    holm_p: float

    @property
    def verdict(self) -> Said | None:
        """What the test says; None where it may not have a verdict.

        A method is not better by the seeds that it finished if it lost one that the other did not.
        """
        if self.kind == "exploratory":
            return None
        said = verdict(self.contrast.differences, self.holm_p)
        lost_by_winner = dict(zip(("better", "worse"), self.contrast.lost, strict=True)).get(said)
        return "lost seeds" if lost_by_winner else said


def contrast(rows: pd.DataFrame, method: str, other: str) -> Contrast:
    """Compare two methods over the seeds that both finished; rows are of `selected_rows`."""
    return contrast_of(reward_by_seed(rows), method, other)


def contrast_of(rewards: pd.DataFrame, method: str, other: str) -> Contrast:
    """Compare two methods over the seeds that both finished; rewards are of `reward_by_seed`."""
    both = rewards.reindex(columns=[method, other])
    first, second = both.dropna().to_numpy().T
    differences = list(first - second)
    improvement = probability_of_improvement([first], [second]) if differences else float("nan")
    interval = paired_interval(first.tolist(), second.tolist())
    ours, theirs = both.notna().to_numpy().sum(axis=0).tolist()
    lost = (theirs - len(differences), ours - len(differences))
    return Contrast(differences, interval, sign_flip_p(differences), improvement, lost)


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


def with_verdict(results: Results, task: str) -> list[Comparison]:
    """Return the comparisons of a task that may have a verdict.

    Without a declared contrast this is the best method against the second best, both without
    privilege and as ordered on validation prompts.
    """
    rewards = reward_by_seed(selected_rows(results.runs, task))
    kind: Kind = "declared"
    pairs = declared(results)
    if not pairs:
        kind, order = "primary", order_by_validation(results.runs, task, results.privileged)
        pairs = [(order[0], order[1])] if len(order) > 1 else []
    contrasts = {pair: contrast_of(rewards, *pair) for pair in pairs}
    # A contrast without seeds was declared all the same, and counts.
    p_values = {
        " ".join(pair): contrast.p if contrast.differences else 1.0
        for pair, contrast in contrasts.items()
    }
    corrected = holm(p_values)
    return [Comparison(*pair, kind, contrasts[pair], corrected[" ".join(pair)]) for pair in pairs]


def exploratory(results: Results, task: str) -> list[Comparison]:
    """Return all other comparisons of a task, those with SFT last."""
    rewards = reward_by_seed(selected_rows(results.runs, task))
    known = {frozenset((c.method, c.other)) for c in with_verdict(results, task)}
    finished = select_settings(results.runs, task)
    others = [method for method in finished if method != "sft"]
    pairs = [*combinations(others, 2), *((m, "sft") for m in others if "sft" in finished)]
    return [
        Comparison(*pair, "exploratory", contrast_of(rewards, *pair), float("nan"))
        for pair in pairs
        if frozenset(pair) not in known
    ]
