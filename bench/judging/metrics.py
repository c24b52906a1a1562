"""From the votes of one side's comparisons to its metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.judging.verdicts import Vote

# As in the report: where equal length is further out than this, it would be an extrapolation.
TAIL = 0.05
Metrics = dict[str, float | int]


class Judged(NamedTuple):
    """A comparison and how it went."""

    prompt: str
    ours: str
    theirs: str
    vote: Vote


class Usage(NamedTuple):
    """What comparisons took. calls: really made; cached: answers that were there; cost: dollars."""

    calls: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def metrics(judged: Sequence[Judged]) -> Metrics:
    """Return the win rates over the opponent and what they rest on, as columns of llm_judge.csv.

    prompts = wins + ties + losses + unparsable + failed, and only the first three are in the win
    rates. win_rate: the mean of `Vote.won`; a win is more than 0.5. win_rate_lc: see
    `length_controlled`, with lengths in characters. first_preferred: of the single answers that
    preferred any, the share that preferred what was shown first. consistent: of the comparisons
    with both answers, the share where they agree. What cannot be told is not a number.
    """
    votes = [row.vote for row in judged]
    won = [vote.won for vote in votes if vote.won is not None]
    decisive = [verdict == "first" for vote in votes for verdict in vote.decisive]
    agreed = [vote.consistent for vote in votes if vote.consistent is not None]
    failed = sum(vote.failed for vote in votes)
    return {
        "prompts": len(votes),
        "wins": sum(share > 0.5 for share in won),
        "ties": sum(share == 0.5 for share in won),
        "losses": sum(share < 0.5 for share in won),
        "unparsable": len(votes) - len(won) - failed,
        "failed": failed,
        "win_rate": _mean(won),
        "win_rate_sem": _error(won),
        "win_rate_lc": at_equal_length(judged),
        "first_preferred": _mean(decisive),
        "consistent": _mean(agreed),
    }


def at_equal_length(judged: Sequence[Judged]) -> float:
    """Return the length-controlled win rate; not a number where equal length is out of range."""
    import numpy as np

    from bench.evaluation.win_rate import length_controlled

    valid = [row for row in judged if row.vote.won is not None]
    if not valid:
        return math.nan
    longer = np.array([len(row.ours) - len(row.theirs) for row in valid], dtype=float)
    low, high = np.quantile(longer, [TAIL, 1 - TAIL])
    if not low <= 0 <= high:
        return math.nan
    won = np.array([row.vote.won for row in valid], dtype=float)
    return length_controlled(won, longer, [row.prompt for row in valid])


def _error(won: list[float]) -> float:
    from bench.evaluation.win_rate import sem

    return sem(won)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
