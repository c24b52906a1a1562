"""From the votes on a method's comparisons to win rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.judging.verdicts import Vote

# As in the report: if equal length is further out than this quantile, the length-controlled win
# rate would be an extrapolation.
TAIL = 0.05
Metrics = dict[str, float | int]


class Judged(NamedTuple):
    """A comparison with its vote."""

    prompt: str
    ours: str
    theirs: str
    vote: Vote


class Usage(NamedTuple):
    """What the comparisons used.

    Attributes:
        calls: Requests made now.
        cached: Answers that were in the cache.
        prompt_tokens: Tokens that the judge read.
        completion_tokens: Tokens that it wrote.
        cost: Dollars.
    """

    calls: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def metrics(judged: Sequence[Judged]) -> Metrics:
    """Return counts and win rates of comparisons with an opponent, by column of LLM_JUDGE.

    Every comparison is a win, a tie, a loss, unparsable or failed; win rates are of the first
    three. A metric without any comparison is nan.

    Args:
        judged: The comparisons.
    """
    votes = [row.vote for row in judged]
    won = [vote.won for vote in votes if vote.won is not None]
    first_preferred = [verdict == "first" for vote in votes for verdict in vote.decisive]
    consistent = [vote.consistent for vote in votes if vote.consistent is not None]
    failed = sum(vote.failed for vote in votes)
    return {
        "prompts": len(votes),
        "wins": sum(share > 0.5 for share in won),
        "ties": sum(share == 0.5 for share in won),
        "losses": sum(share < 0.5 for share in won),
        "unparsable": len(votes) - len(won) - failed,
        "failed": failed,
        "win_rate": _mean(won),
        "win_rate_sem": _sem(won),
        "win_rate_lc": win_rate_at_equal_length(judged),
        "first_preferred": _mean(first_preferred),
        "consistent": _mean(consistent),
    }


def win_rate_at_equal_length(judged: Sequence[Judged]) -> float:
    """Return the length-controlled win rate, with lengths in characters.

    It is nan where responses of equal length are out of range.
    """
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


def _sem(won: list[float]) -> float:
    from bench.evaluation.win_rate import sem

    return sem(won)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
