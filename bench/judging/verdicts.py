"""The judge's verdicts, and the vote of a comparison from its verdicts in both orders."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Verdict = Literal["first", "second", "tie"]
_LETTERS: dict[str, Verdict] = {"A": "first", "B": "second", "C": "tie"}
_WON: dict[Verdict, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
_VERDICT = re.compile(r"\[\[([ABC])\]\]")
# Some servers leave the reasoning in the answer. Without its end, the answer has no verdict yet.
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def parse(answer: str) -> Verdict | None:
    """Return the last verdict in an answer; None if it has none. Verdicts are never guessed."""
    letters = _VERDICT.findall(_THOUGHT.sub("", answer))
    return _LETTERS[letters[-1]] if letters else None


class Vote(NamedTuple):
    """The verdicts of a comparison in both orders.

    Attributes:
        ours_first: The verdict with our response shown first; None if there is none.
        theirs_first: The verdict with the opponent's response shown first; None if there is none.
        failed: Whether a request failed.
        identical: Whether the responses are equal, so that the judge was not asked.
    """

    ours_first: Verdict | None
    theirs_first: Verdict | None
    failed: bool = False
    identical: bool = False

    @property
    def won(self) -> float | None:
        """The mean of both orders: 1 if ours won, 0 if the opponent's won, 0.5 for a tie.

        None without both verdicts: one order alone has the judge's position bias.
        """
        if self.ours_first is None or self.theirs_first is None:
            return None
        return (_WON[self.ours_first] + 1 - _WON[self.theirs_first]) / 2

    @property
    def consistent(self) -> bool | None:
        """Whether both orders agree; None without both verdicts."""
        if self.identical or self.ours_first is None or self.theirs_first is None:
            return None
        return _WON[self.ours_first] == 1 - _WON[self.theirs_first]

    @property
    def decisive(self) -> list[Verdict]:
        """The verdicts that are no ties."""
        verdicts = () if self.identical else (self.ours_first, self.theirs_first)
        return [verdict for verdict in verdicts if verdict in ("first", "second")]


IDENTICAL = Vote("tie", "tie", identical=True)
