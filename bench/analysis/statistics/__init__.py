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
from bench.analysis.statistics.equal_kl import EqualKL, mean_gap
from bench.analysis.statistics.equivalence import (
    above_p,
    above_ps,
    difference_p,
    difference_ps,
    equivalence_p,
    equivalence_ps,
)
from bench.analysis.statistics.findings import (
    Finding,
    decision_p,
    finding,
    holm_levels,
    settled_p,
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
from bench.analysis.statistics.sequential import (
    chance_of_rejection,
    nominal_levels,
    one_sided_sequential_p,
    one_sided_sequential_ps,
    seeds_sequential_p,
    seeds_sequential_ps,
    sequential_p,
    sequential_ps,
)
from bench.analysis.statistics.settings import area_share, best_of_k, collapses, reward_within
from bench.analysis.statistics.trend import slope_weights, slopes
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
    "EqualKL",
    "Finding",
    "Interval",
    "Verdict",
    "above_p",
    "above_ps",
    "area_share",
    "best_of_k",
    "chance_of_rejection",
    "collapses",
    "crossed_interval",
    "crossed_mean",
    "decision_p",
    "difference_p",
    "difference_ps",
    "equivalence_p",
    "equivalence_ps",
    "finding",
    "holm",
    "holm_levels",
    "iqm",
    "mean_gap",
    "mean_interval",
    "nominal_levels",
    "one_sided_sequential_p",
    "one_sided_sequential_ps",
    "probability_of_improvement",
    "reward_within",
    "seeds_for_verdict",
    "seeds_needed",
    "seeds_sequential_p",
    "seeds_sequential_ps",
    "sequential_p",
    "sequential_ps",
    "settled_p",
    "sign_flip_p",
    "sign_flip_ps",
    "slope_weights",
    "slopes",
    "stratified_bootstrap",
    "t_test_power",
    "two_way_error",
    "verdict",
    "welch_interval",
]
