"""Win rates of the selected settings: their errors, at equal length, and on one scale."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.contrasts import with_verdict
from bench.analysis.selection import table_order
from bench.analysis.statistics import Interval, two_way_error
from bench.analysis.statistics.bradley_terry import implied_rates, strength_intervals
from bench.evaluation.win_rate import length_controlled
from bench.results.loading import Results

METHODS_FOR_SCALE = 3
# With a smaller share of length differences beyond 0, equal length would be an extrapolation.
TAIL = 0.05


class WinRate(NamedTuple):
    """How often a method beats an opponent, over all seeds and prompts.

    Attributes:
        method: The method's name.
        opponent: The opponent's name.
        rate: Mean win rate; ties count half.
        error: Standard error, clustered by seed and by prompt.
        length_controlled: The rate at equal length; nan where that is out of range.
        tokens: Mean length of the method's responses.
        opponent_tokens: Mean length of the opponent's.
    """

    method: str
    opponent: str
    rate: float
    error: float
    length_controlled: float
    tokens: float
    opponent_tokens: float


class Strengths(NamedTuple):
    """Bradley-Terry strengths of the methods of a task.

    Attributes:
        intervals: Log-strengths with mean 0, the strongest method first.
        largest_error: The largest difference between a win rate and the one that the strengths
            imply.
    """

    intervals: dict[str, Interval]
    largest_error: float


def head_to_head_of(results: Results, task: str) -> pd.DataFrame:
    """Return a task's comparisons, prompt by prompt."""
    head_to_head = results.head_to_head
    return head_to_head[head_to_head["task"] == task].dropna(subset=["win_rate"])


def win_rates(results: Results, task: str) -> list[WinRate]:
    """Return the win rates of the comparisons that may have a verdict, then those against SFT."""
    pairs = [(c.method, c.other) for c in with_verdict(results, task)]
    pairs += [
        (m, "sft")
        for m in table_order(results, task)
        if m != "sft" and {(m, "sft"), ("sft", m)}.isdisjoint(pairs)
    ]
    head_to_head = head_to_head_of(results, task)
    comparisons = {
        (method, opponent): head_to_head[
            (head_to_head["method"] == method) & (head_to_head["opponent"] == opponent)
        ]
        for method, opponent in pairs
    }
    return [_win_rate(*pair, rows) for pair, rows in comparisons.items() if not rows.empty]


def _win_rate(method: str, opponent: str, rows: pd.DataFrame) -> WinRate:
    return WinRate(
        method,
        opponent,
        float(rows["win_rate"].mean()),
        two_way_error(
            rows["win_rate"].to_numpy(), rows["seed"].to_numpy(), rows["prompt"].to_numpy()
        ),
        length_controlled_rate(rows),
        float(rows["tokens"].mean()),
        float(rows["opponent_tokens"].mean()),
    )


def length_controlled_rate(rows: pd.DataFrame) -> float:
    """Return the win rate to expect if both sides' responses were equally long.

    Args:
        rows: HEAD_TO_HEAD of one method and one opponent.

    Returns:
        nan where equal length is out of the range of what was seen, or a length is not known.
    """
    longer = (rows["tokens"] - rows["opponent_tokens"]).to_numpy()
    low, high = np.quantile(longer, [TAIL, 1 - TAIL])
    if not low <= 0 <= high:
        return math.nan
    return length_controlled(rows["win_rate"].to_numpy(), longer, list(rows["prompt"]))


def strengths(results: Results, task: str) -> Strengths | None:
    """Return the methods' Bradley-Terry strengths; None with fewer than three methods."""
    head_to_head = head_to_head_of(results, task)
    compared = set(head_to_head["method"]) & set(head_to_head["opponent"])
    methods = [method for method in results.methods if method in compared]
    if len(methods) < METHODS_FOR_SCALE:
        return None
    both = head_to_head["method"].isin(methods) & head_to_head["opponent"].isin(methods)
    cells = _cells(head_to_head[both], methods)
    intervals = strength_intervals(cells)
    implied = implied_rates(np.array([strength.mean for strength in intervals]))
    pairs = [
        pair for pair in combinations(range(len(methods)), 2) if np.isfinite(cells[pair]).any()
    ]
    error = max(abs(float(np.nanmean(cells[pair]) - implied[pair])) for pair in pairs)
    order = sorted(range(len(methods)), key=lambda i: -intervals[i].mean)
    return Strengths({methods[i]: intervals[i] for i in order}, error)


def _cells(head_to_head: pd.DataFrame, methods: list[str]) -> ndarray:
    """Return win rates [methods, methods, seeds, prompts], nan where not measured."""
    seeds, prompts = (list(head_to_head[key].unique()) for key in ("seed", "prompt"))
    values = {"method": methods, "opponent": methods, "seed": seeds, "prompt": prompts}
    places = [
        head_to_head[key].map({value: i for i, value in enumerate(known)}).to_numpy(dtype=int)
        for key, known in values.items()
    ]
    cells = np.full([len(known) for known in values.values()], np.nan)
    cells[tuple(places)] = head_to_head["win_rate"]
    return cells
