"""The optima of the task `bandit`, as quantities of claims: no training, the same at all seeds.

By enumeration: see `bench/evaluation/optimal/bandit.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.config.claim import Side
from bench.results.loading import Results

# Probabilities are multiples of 1 over this.
STEPS = 200
# Where a side names none.
BETA = 0.1
# The gap between the fitted rewards grows without bound; from here on nothing changes.
GAP = 1e3


def most_unlabeled_mass(results: Results, side: Side) -> pd.Series:
    """Return the most that an optimum of DPO, IPO or PPO gives to responses without a label."""
    # It imports torch.
    from bench.evaluation.optimal.bandit import fitted_rewards, ppo_optimum, simplex

    if side.method == "ppo":
        kl_coef = side.params.get("kl_coef", BETA)
        mass = float(ppo_optimum(fitted_rewards(GAP), kl_coef)[2])
    else:
        mass = float(_optima(simplex(STEPS), side)[:, 2].max())
    return _at_all_seeds(mass, results, side)


def least_kl(results: Results, side: Side) -> pd.Series:
    """Return the least KL to the reference (nats) of an optimum of DPO or IPO."""
    from bench.evaluation.optimal.bandit import kls_to_reference, simplex

    # All others have an infinite KL.
    policies = simplex(STEPS)
    policies = policies[policies[:, 2] == 0]
    return _at_all_seeds(float(kls_to_reference(_optima(policies, side)).min()), results, side)


def _optima(policies: ndarray, side: Side) -> ndarray:
    """Return those of the policies [N, 3] at which the loss of a side's method is least."""
    from bench.evaluation.optimal.bandit import dpo_loss, ipo_loss

    loss = dpo_loss if side.method == "dpo" else ipo_loss
    losses = loss(policies, side.params.get("beta", BETA))
    optima: ndarray = policies[losses == np.nanmin(losses)]
    return optima


def _at_all_seeds(value: float, results: Results, side: Side) -> pd.Series:
    runs = results.runs
    seeds = runs.loc[(runs["task"] == side.task) & (runs["method"] == side.method), "seed"]
    return pd.Series(value, index=pd.Index(sorted(seeds.unique())), dtype=float)
