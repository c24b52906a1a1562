"""Statistics for few seeds: intervals, tests, corrections, and summaries over settings.

Imports: nothing.
To add a statistic, write its function and add its name here.
"""

from bench.analysis.statistics.crossed import (
    CrossedMean,
    crossed_interval,
    crossed_mean,
    two_way_error,
)
from bench.analysis.statistics.intervals import (
    RESAMPLES,
    Interval,
    iqm,
    mean_interval,
    probability_of_improvement,
    stratified_bootstrap,
    welch_interval,
)
from bench.analysis.statistics.power import MOST_SEEDS, seeds_needed, t_test_power
from bench.analysis.statistics.settings import area_share, best_of_k, collapses, reward_within
from bench.analysis.statistics.verdicts import (
    SEEDS_FOR_VERDICT,
    SIGNIFICANCE,
    Verdict,
    holm,
    seeds_for_verdict,
    sign_flip_p,
    sign_flip_ps,
    verdict,
)

__all__ = [
    "MOST_SEEDS",
    "RESAMPLES",
    "SEEDS_FOR_VERDICT",
    "SIGNIFICANCE",
    "CrossedMean",
    "Interval",
    "Verdict",
    "area_share",
    "best_of_k",
    "collapses",
    "crossed_interval",
    "crossed_mean",
    "holm",
    "iqm",
    "mean_interval",
    "probability_of_improvement",
    "reward_within",
    "seeds_for_verdict",
    "seeds_needed",
    "sign_flip_p",
    "sign_flip_ps",
    "stratified_bootstrap",
    "t_test_power",
    "two_way_error",
    "verdict",
    "welch_interval",
]
