"""Whether judge and reward model err on the same held-out pairs of people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from bench.pipeline.stages.accuracy import bootstrap_interval, pair_margins, wrong

if TYPE_CHECKING:
    from bench.pipeline.recorded import RecordedPipeline


class SharedErrors(NamedTuple):
    """What the errors of two rewards have in common. Intervals are for other prompts.

    Attributes:
        pairs: Number of held-out pairs.
        both_wrong: Share of the pairs on which both are wrong; ties count half.
        error_correlation: Correlation of being wrong (the phi coefficient); nan where one never is.
        error_correlation_low: Lower end of its 95% interval.
        error_correlation_high: Its upper end.
        margin_correlation: Correlation of the margins between chosen and rejected response.
        margin_correlation_low: Lower end of its 95% interval.
        margin_correlation_high: Its upper end.
    """

    pairs: int
    both_wrong: float
    error_correlation: float
    error_correlation_low: float
    error_correlation_high: float
    margin_correlation: float
    margin_correlation_low: float
    margin_correlation_high: float


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Compare judge and reward model on validation and test prompts, which neither has seen.

    Returns:
        The fields of `SharedErrors`, and none where there are no pairs.
    """
    pairs = [*pipeline.held_out_pairs("validation"), *pipeline.held_out_pairs("test")]
    if not pairs:
        return {}
    rewards = (pipeline.judge(), pipeline.reward_model())
    margins = [pair_margins(reward, pairs) for reward in rewards]
    return shared_errors([pair.prompt for pair in pairs], *margins)._asdict()


def shared_errors(prompts: Sequence[str], first: ndarray, second: ndarray) -> SharedErrors:
    """Return what the errors of two rewards have in common.

    Margins are of the response that people chose over the other, so what the two correlate by is
    what they share beyond people's labels.

    Args:
        prompts: The prompt of each pair, [N].
        first: Margins of one reward, [N].
        second: Margins of the other, [N].
    """
    errors, margins = (wrong(first), wrong(second)), (first, second)
    return SharedErrors(
        len(prompts),
        float((errors[0] * errors[1]).mean()),
        correlation(*errors),
        *bootstrap_interval(prompts, lambda rows: correlation(*(e[rows] for e in errors))),
        correlation(*margins),
        *bootstrap_interval(prompts, lambda rows: correlation(*(m[rows] for m in margins))),
    )


def correlation(first: ndarray, second: ndarray) -> float:
    """Return Pearson's correlation; nan where one of the two does not vary."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread else math.nan
