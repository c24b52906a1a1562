"""Deriving kinds of feedback from each other."""

from __future__ import annotations

import pytest

from methods.core.feedback import Choice, FeedbackKind, Label, Pair, Ranking, Unpaired, derive


def test_rankings_and_choices_give_pairs_and_choices() -> None:
    ranking = Ranking("a", ("x", "y", "z"))
    assert derive([ranking], "pairs") == [
        Pair("a", "x", "y"),
        Pair("a", "x", "z"),
        Pair("a", "y", "z"),
    ]
    assert derive([ranking], "choices") == [Choice("a", "x", ("y", "z")), Choice("a", "y", ("z",))]
    assert derive([Choice("a", "x", ("y", "z"))], "pairs") == [
        Pair("a", "x", "y"),
        Pair("a", "x", "z"),
    ]
    assert derive([Pair("a", "x", "y")], "choices") == [Choice("a", "x", ("y",))]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (Pair("a", "x", "y"), "unpaired"),
        (Unpaired("a", "x", True), "pairs"),
        (Choice("a", "x", ("y", "z")), "rankings"),
    ],
)
def test_other_kinds_cannot_be_derived(label: Label, kind: FeedbackKind) -> None:
    with pytest.raises(ValueError, match="cannot be derived"):
        derive([label], kind)
