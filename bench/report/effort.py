"""What a method gives over all its settings: within a KL budget, for fewer tries, in all."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.display import MISSING, number, percent
from bench.results.loading import method_order
from bench.analysis.selection import ok_rows
from bench.analysis.statistics import area_share, best_of_k, collapses, gold_within

BUDGETS = (1.0, 2.0, 4.0)


def effort_table(runs: pd.DataFrame, frontier: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return, for each method but SFT, what its settings together are worth."""
    own = runs[runs["task"] == task]
    frontier = frontier[frontier["task"] == task]
    methods = [method for method in method_order(own) if method != "sft"]
    tried = {method: own.loc[own["method"] == method, "params"].nunique() for method in methods}
    most = max(tried.values(), default=0)
    return pd.DataFrame(
        [
            {
                "method": method,
                "area under the frontier": percent(_area(own, frontier, method)),
                **_over_settings(settings_means(own, method), most),
                "collapsed": _collapsed(own, method),
            }
            for method in methods
        ]
    )


def settings_means(own: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return a setting's means over seeds: KL and gold on test, gold on validation.

    A setting that lost a seed is left out where another did not, as it is when settings are chosen.
    """
    rows = ok_rows(own)
    rows = rows[rows["method"] == method]
    seeds = rows.groupby("params")["seed"].transform("nunique")
    rows = rows[seeds == seeds.max()]
    means = rows.groupby(["params", "split"])[["kl", "reward"]].mean().unstack("split")
    empty = pd.Series(dtype=float)
    return pd.DataFrame(
        {
            "kl": means.get(("kl", "test"), empty),
            "test": means.get(("reward", "test"), empty),
            "validation": means.get(("reward", "validation"), empty),
        }
    ).dropna(subset=["test", "validation"])


def best_of_k_gains(own: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the test gain over SFT to expect after k settings: rows k = 1, 2, ..., columns seeds.

    The choice is the one that `best_of_k` makes on validation means, the same for all seeds, so
    the mean over seeds is the effort table's figure less SFT's. Seeds that lack a run are left out.
    """
    rows = ok_rows(own)
    test = rows[rows["split"] == "test"]
    start = test[test["method"] == "sft"].set_index("seed")["reward"]
    validation = settings_means(own, method)["validation"]
    gold = test[test["method"] == method].pivot_table(
        index="params", columns="seed", values="reward"
    )
    gains = gold.reindex(validation.index).sub(start, axis="columns").dropna(axis="columns")
    curves = {seed: best_of_k(validation.tolist(), gains[seed].tolist()) for seed in gains.columns}
    return pd.DataFrame(curves, index=range(1, len(validation) + 1))


def _over_settings(means: pd.DataFrame, most: int) -> dict[str, str]:
    kl, validation, test = (means[name].tolist() for name in ("kl", "validation", "test"))
    cells = {
        # A KL that is not known is within no budget.
        f"gold at KL ≤ {budget:g}": number(gold_within(kl, validation, test, budget))
        for budget in BUDGETS
    }
    expected = best_of_k(validation, test)
    expected += [math.nan] * (most - len(expected))
    return cells | {f"best of {k}": number(value) for k, value in enumerate(expected, start=1)}


def _area(own: pd.DataFrame, frontier: pd.DataFrame, method: str) -> float:
    """Return the mean share over seeds, or nan unless every seed has one."""
    rows = ok_rows(own)
    rows = rows[(rows["method"] == method) & (rows["split"] == "test")].dropna(subset=["kl"])
    shares = []
    for seed, line in frontier.groupby("seed"):
        mine, line = rows[rows["seed"] == seed], line.sort_values("kl")
        points = list(zip(mine["kl"], mine["reward"], strict=True))
        along = list(zip(line["kl"], line["reward"], strict=True))
        shares.append(area_share(points, along, along[0][1]) if points else math.nan)
    return sum(shares) / len(shares) if shares else math.nan


def _collapsed(own: pd.DataFrame, method: str) -> str:
    """Count the runs that failed, or ended below the SFT policy of their seed."""
    test = own[own["split"] == "test"]
    start = test[test["method"] == "sft"].set_index("seed")["reward"]
    rows = test[test["method"] == method]
    if start.empty:
        return MISSING
    gains = rows["reward"].where(rows["status"] == "ok") - rows["seed"].map(start)
    return f"{collapses(gains.tolist())}/{len(rows)}"
