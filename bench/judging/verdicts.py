"""What the judge said, and the vote of a comparison that was asked in both orders."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Verdict = Literal["first", "second", "tie"]
_LETTERS: dict[str, Verdict] = {"A": "first", "B": "second", "C": "tie"}
_SCORES: dict[Verdict, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
_VERDICT = re.compile(r"\[\[([ABC])\]\]")
# What some servers leave in the answer; without an end it was cut off before any verdict.
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def parse(answer: str) -> Verdict | None:
    """Return the last verdict in an answer; None where there is none: it is never guessed."""
    letters = _VERDICT.findall(_THOUGHT.sub("", answer))
    return _LETTERS[letters[-1]] if letters else None


class Vote(NamedTuple):
    """The verdicts on ours against theirs: with ours shown first, and with theirs shown first.

    A verdict is None where the answer could not be parsed, or where the request failed (failed is
    True if either did). same: the texts are equal, so the judge was not asked.
    """

    ours_first: Verdict | None
    theirs_first: Verdict | None
    failed: bool = False
    same: bool = False

    @property
    def won(self) -> float | None:
        """1 for ours, 0 for theirs, 0.5 for a tie: the mean of both orders.

        None without both, as one order alone would carry the judge's liking for a position.
        """
        if self.ours_first is None or self.theirs_first is None:
            return None
        return (_SCORES[self.ours_first] + 1 - _SCORES[self.theirs_first]) / 2

    @property
    def consistent(self) -> bool | None:
        """Whether both orders agree; None without both."""
        if self.same or self.ours_first is None or self.theirs_first is None:
            return None
        return _SCORES[self.ours_first] == 1 - _SCORES[self.theirs_first]

    @property
    def decisive(self) -> list[Verdict]:
        """The single answers that preferred one of the two."""
        single = () if self.same else (self.ours_first, self.theirs_first)
        return [verdict for verdict in single if verdict in ("first", "second")]


SAME = Vote("tie", "tie", same=True)
