"""The optima of the task `bandit`, as a quantity of claims: no training, the same at all seeds."""

from __future__ import annotations

import pandas as pd

from bench.config.claim import Side
from bench.results.loading import Results

# Probabilities in steps of 1/200; a loss below 1e-6 is at its infimum of 0.
STEPS, AT_INFIMUM = 200, 1e-6
# Any: the optima do not depend on it in the limit of certain labels.
BETA = 0.1
# The gap between the fitted rewards grows without bound; from here on nothing changes.
GAP = 1e3


def most_unlabeled_mass(results: Results, side: Side) -> pd.Series:
    """Return the most that an optimum of DPO or PPO gives to responses without a label.

    By enumeration, the same at every seed: see `bench/evaluation/optimal/bandit.py`.
    """
    # It imports torch.
    from bench.evaluation.optimal.bandit import dpo_loss, fitted_rewards, ppo_optimum, simplex

    runs = results.runs
    seeds = sorted(runs.loc[(runs["task"] == side.task) & (runs["method"] == side.method), "seed"])
    if side.method == "dpo":
        policies = simplex(STEPS)
        mass = float(policies[dpo_loss(policies, BETA) < AT_INFIMUM, 2].max())
    elif side.method == "ppo":
        mass = float(ppo_optimum(fitted_rewards(GAP), BETA)[2])
    else:
        return pd.Series(dtype=float)
    return pd.Series(mass, index=pd.Index(seeds).unique(), dtype=float)
