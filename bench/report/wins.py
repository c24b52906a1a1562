"""Win rates of the selected settings in tables: errors, equal length, and one scale."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd

from bench.analysis.bradley_terry import implied_rates, strength_intervals
from bench.evaluation.win_rate import length_controlled
from bench.report.contrasts import with_verdict
from bench.report.display import MISSING, number
from bench.results.loading import Results
from bench.analysis.statistics import Interval, two_way_error

METHODS_FOR_SCALE = 3
# Where fewer differences in length than this share lie beyond 0, it would be an extrapolation.
TAIL = 0.05


def win_rate_table(results: Results, task: str) -> pd.DataFrame:
    """Return the win rates against SFT and in the contrasts that may have a verdict."""
    pairs = [(c.method, c.other) for c in with_verdict(results, task)]
    pairs += [
        (m, "sft")
        for m in results.methods
        if m != "sft" and {(m, "sft"), ("sft", m)}.isdisjoint(pairs)
    ]
    head_to_head, lines = head_to_head_of(results, task), []
    for method, other in pairs:
        own = head_to_head[(head_to_head["method"] == method) & (head_to_head["opponent"] == other)]
        if own.empty:
            continue
        error = two_way_error(
            own["win_rate"].to_numpy(), own["seed"].to_numpy(), own["prompt"].to_numpy()
        )
        lines.append(
            {
                "method": method,
                "against": other,
                "win rate": _percent(own["win_rate"].mean()),
                "standard error": _percent(error),
                "length-controlled": at_equal_length(own),
                "tokens": number(own["tokens"].mean(), 1),
                "opponent's tokens": number(own["opponent_tokens"].mean(), 1),
            }
        )
    return pd.DataFrame(lines)


def head_to_head_of(results: Results, task: str) -> pd.DataFrame:
    """Return the task's comparisons, prompt by prompt."""
    head_to_head = results.head_to_head
    return head_to_head[head_to_head["task"] == task].dropna(subset=["win_rate"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if math.isfinite(share) else MISSING


def at_equal_length(own: pd.DataFrame) -> str:
    """Return the length-controlled win rate, or a dash where equal length is out of range."""
    longer = (own["tokens"] - own["opponent_tokens"]).to_numpy()
    low, high = np.quantile(longer, [TAIL, 1 - TAIL])
    # Not so either where a length is missing.
    if not low <= 0 <= high:
        return MISSING
    return _percent(length_controlled(own["win_rate"].to_numpy(), longer, list(own["prompt"])))


def strength_table(results: Results, task: str) -> tuple[pd.DataFrame, str]:
    """Return the methods' Bradley-Terry strengths, and in words how well one scale fits them.

    Empty where fewer than three methods were compared.
    """
    head_to_head = head_to_head_of(results, task)
    found = set(head_to_head["method"]) & set(head_to_head["opponent"])
    methods = [method for method in results.methods if method in found]
    if len(methods) < METHODS_FOR_SCALE:
        return pd.DataFrame(), ""
    cells = _cells(head_to_head[head_to_head["method"].isin(methods) & head_to_head["opponent"].isin(methods)], methods)
    strengths = strength_intervals(cells)
    order = sorted(range(len(methods)), key=lambda i: -strengths[i].mean)
    table = pd.DataFrame(
        [
            {
                "method": results.marked(methods[i]),
                "strength (log-odds)": _interval(strengths[i]),
            }
            for i in order
        ]
    )
    implied = implied_rates(np.array([own.mean for own in strengths]))
    pairs = [
        pair for pair in combinations(range(len(methods)), 2) if np.isfinite(cells[pair]).any()
    ]
    error = max(abs(float(np.nanmean(cells[pair]) - implied[pair])) for pair in pairs)
    return table, f"These strengths give back every win rate to within {100 * error:.1f} points."


def _cells(head_to_head: pd.DataFrame, methods: list[str]) -> np.ndarray:
    """Return win rates [methods, methods, seeds, prompts], nan where not measured."""
    keys = ("method", "opponent", "seed", "prompt")
    known = [methods, methods, list(head_to_head["seed"].unique()), list(head_to_head["prompt"].unique())]
    places = [
        head_to_head[key].map({name: i for i, name in enumerate(names)}).to_numpy(dtype=int)
        for key, names in zip(keys, known, strict=True)
    ]
    cells = np.full([len(names) for names in known], np.nan)
    cells[tuple(places)] = head_to_head["win_rate"]
    return cells


def _interval(own: Interval) -> str:
    return f"{number(own.mean)} [{number(own.low)}, {number(own.high)}]"
