"""Verdicts in answers, and votes from verdicts."""

from __future__ import annotations

import pytest

from bench.judging.verdicts import IDENTICAL, Vote, parse


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("A is right. [[A]]", "first"),
        ("[[A]] at first sight, but no: [[B]]", "second"),
        ("[[C]]\n", "tie"),
        ("[[B]] [[D]]", "second"),
        ("<think>[[A]] it is</think>Well: [[C]]", "tie"),
        ("<think>[[A]] it is, or", None),
        ("<think>[[A]] it is</think>", None),
        ("", None),
        ("A", None),
        ("Response A is better than response B.", None),
        ("[[D]]", None),
        ("[A]", None),
        ("[[a]]", None),
        ("[[A/B]]", None),
        ("I am sorry, but I cannot compare these.", None),
    ],
)
def test_verdicts_are_read_and_never_guessed(answer: str, verdict: str | None) -> None:
    assert parse(answer) == verdict


@pytest.mark.parametrize(
    ("vote", "won", "consistent"),
    [
        (Vote("first", "second"), 1.0, True),
        (Vote("second", "first"), 0.0, True),
        (Vote("first", "first"), 0.5, False),
        (Vote("tie", "tie"), 0.5, True),
        (Vote("first", "tie"), 0.75, False),
        (Vote("first", None), None, None),
        (Vote(None, None, failed=True), None, None),
        (IDENTICAL, 0.5, None),
    ],
)
def test_a_vote_is_the_mean_of_both_orders(
    vote: Vote, won: float | None, consistent: bool | None
) -> None:
    assert (vote.won, vote.consistent) == (won, consistent)
