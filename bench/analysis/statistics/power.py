"""How many seeds a contrast needs to be told from chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.statistics.verdicts import SIGNIFICANCE, seeds_for_verdict

POWER = 0.8
# More seeds than this are not worth a number: nobody runs them.
MOST_SEEDS = 100


def t_test_power(
    mean: float, deviation: float, n: int, alpha: float = SIGNIFICANCE, fixed: float = 0.0
) -> float:
    """Return the power of the two-sided one-sample t-test, by the noncentral t distribution.

    Args:
        mean: Of the differences.
        deviation: Their standard deviation over seeds.
        n: Number of seeds.
        alpha: Significance level.
        fixed: Variance of the mean that more seeds do not reduce.
    """
    from scipy.stats import nct, t

    error = (deviation**2 / n + fixed) ** 0.5
    if not error:
        return float(mean != 0)
    # scipy's tails fail for large shifts; the power is 1 long before.
    shift = min(abs(mean) / error, 35.0)
    critical = t.ppf(1 - alpha / 2, n - 1)
    wrong_side = np.nan_to_num(nct.cdf(-critical, n - 1, shift))
    return float(nct.sf(critical, n - 1, shift) + wrong_side)


def seeds_needed(differences: Sequence[float], contrasts: int, fixed: float = 0.0) -> int | None:
    """Return how many seeds would confirm a contrast with a power of 80%.

    As if the difference and its spread over seeds were what they are in these seeds. The level is
    corrected for the number of contrasts (Bonferroni), as Holm's method corrects the smallest p.

    Args:
        differences: Paired differences, one for each seed.
        contrasts: Number of contrasts that are tested.
        fixed: Variance of the mean that more seeds do not reduce, such as that of shared prompts.

    Returns:
        Never fewer than a verdict needs; None above MOST_SEEDS, or if the spread is not known.
    """
    if len(differences) < 2:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    for n in range(seeds_for_verdict(contrasts), MOST_SEEDS + 1):
        if t_test_power(mean, deviation, n, SIGNIFICANCE / contrasts, fixed) >= POWER:
            return n
    return None
