"""What TRL's trainers are given, and what is said where TRL lacks one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest

from methods.base import Context
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.trl.experimental import experimental
from methods.core.trl.pair_rows import token_rows
from methods.core.trl.reference_free import TokenCollator
from methods.simpo import SimPO

MakeContext = Callable[..., Context]


def test_a_response_that_was_cut_off_has_no_end(reference: ModelPolicy) -> None:
    tokenizer = reference.tokenizer
    end = tokenizer.eos_token_id
    # What the trainer itself makes of the text: an end everywhere.
    theirs = {"chosen_input_ids": [3, 6, 7, end]}
    pairs = token_rows(tokenizer, [Pair("a", "a b c", "c b </answer>")])
    batch = TokenCollator(tokenizer.pad_token_id)([row | theirs for row in pairs])
    assert (batch["chosen_input_ids"] == end).sum() == 0
    assert (batch["rejected_input_ids"] == end).sum() == 1
    assert (batch["chosen_labels"] != -100).sum() == (batch["rejected_labels"] != -100).sum() == 3


def test_a_trl_without_the_trainer_says_so(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trl.experimental.cpo", None)
    with pytest.raises(
        ImportError,
        match=r"^this method needs trl\.experimental\.cpo, which TRL [\d.]+ does not have$",
    ):
        replace(SimPO(), examples=32).train(make_context())


def test_an_experimental_trainer_comes_without_its_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "trl.experimental", raising=False)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert experimental("utils").DPODataCollatorWithPadding
    assert [str(w.message) for w in shown if "experimental" in str(w.message)] == []
