"""What is said of responses that were cut, and of policies that repeat one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from helpers.synthetic import make_results, make_runs

from bench.report.content.responses import cut_warnings, repeated_warnings
from bench.results.loading import Results


def with_ended(rates: dict[str, float], about: dict[str, object]) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    runs["ended_rate"] = runs["method"].map(rates)
    return replace(make_results({"runs": runs}), manifest={"tasks": {"polite": about}})


LIMIT = {"options": {"response_tokens": 32}}


def test_a_limit_that_cuts_the_reference_too_is_to_be_raised() -> None:
    results = with_ended({"sft": 0.59, "dpo": 0.5, "ppo": 0.95}, LIMIT)
    assert cut_warnings(results, "polite") == [
        "50% of dpo's responses and 41% of sft's were cut at 32 tokens: raise response_tokens."
    ]


def test_responses_that_training_made_longer_are_told_from_those() -> None:
    [warning] = cut_warnings(with_ended({"sft": 0.98, "dpo": 0.5, "ppo": 0.95}, {}), "polite")
    assert warning == ("50% of dpo's responses were cut at the longest length (2% of sft's).")


@pytest.mark.parametrize("about", [LIMIT, {}])
def test_few_cut_responses_are_nothing_to_warn_of(about: dict[str, object]) -> None:
    assert cut_warnings(with_ended({"sft": 0.91, "dpo": 0.9, "ppo": 1.0}, about), "polite") == []


def test_where_all_responses_are_listed_none_is_cut() -> None:
    results = with_ended({"sft": 0.2, "dpo": 0.1, "ppo": 0.1}, LIMIT | {"enumerable": True})
    assert cut_warnings(results, "polite") == []


def test_a_policy_that_repeats_one_response_is_warned_of() -> None:
    runs = make_runs(["polite"], ["sft", "ppo"], 2)
    texts = {
        "sft": [f"answer {number}" for number in range(10)],
        "ppo": ["I see."] * 4 + list("abcdef"),
    }
    samples = pd.DataFrame(
        {
            **{"task": "polite", "split": "test", "method": method, "params": params, "seed": seed},
            "prompt": f"prompt {number}",
            "response": response,
        }
        for method, params in runs[["method", "params"]].drop_duplicates().itertuples(index=False)
        for seed in range(2)
        for number, response in enumerate(texts[method])
    )
    [warning] = repeated_warnings(make_results({"runs": runs, "samples": samples}), "polite")
    assert warning.startswith("40% of ppo's responses are one and the same text")
