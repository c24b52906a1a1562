"""Plug-ins that are unfinished, or whose feedback cannot be derived, are refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from helpers.experiments import changed, write

from bench.config.catalog import catalog
from bench.config.files import load_experiment
from bench.config.settings import check_feedback
from bench.errors import UserError
from methods.base import Method
from methods.core.feedback import DERIVABLE
from methods.sft import SFT
from methods.toolkit.offline import PairLoss


def test_feedback_that_cannot_be_derived_is_refused() -> None:
    @dataclass(frozen=True)
    class Ranker(SFT):
        feedback: ClassVar = "rankings"

    check_feedback("tasks.exact", DERIVABLE["rankings"], "ranker", Ranker())
    with pytest.raises(UserError, match=r"'ranker' learns from rankings.*it must be rankings"):
        check_feedback("tasks.exact", DERIVABLE["pairs"], "ranker", Ranker())


@dataclass(frozen=True)
class NoSuchField(SFT):
    strength: ClassVar = "bta"


@dataclass(frozen=True)
class NoStrength(SFT):
    strength_is_kl: ClassVar = True


@dataclass(frozen=True)
class NoLoss(PairLoss):
    """It is not finished."""


@dataclass(frozen=True)
class NoType(SFT):
    margin: "Unheard" = 1.0  # type: ignore[name-defined]  # noqa: F821, UP037


@dataclass(frozen=True)
class NoKind(SFT):
    feedback: ClassVar = "pair"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NoSuchField, ["methods.mine: its strength 'bta' is none of its fields"]),
        (NoStrength, ["methods.mine", "strength names no field"]),
        (NoLoss, ["methods.mine: NoLoss cannot be made", "loss"]),
        (NoType, ["methods.mine: NoType cannot be made", "Unheard"]),
        (NoKind, ["methods.mine: unknown feedback 'pair'", "pairs, choices, rankings, unpaired"]),
    ],
)
def test_an_unfinished_plug_in_is_refused_before_anything_is_trained(
    kind: type[Method], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog(), "mine", kind)
    with pytest.raises(UserError) as wrong:
        load_experiment(write(tmp_path, changed("methods", "mine", value={})))
    assert all(word in str(wrong.value) for word in words)
    assert "\n" not in str(wrong.value)
