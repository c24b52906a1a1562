"""Why runs failed, how many, and on which seeds."""

from __future__ import annotations

from helpers.synthetic import fail, make_runs

from bench.analysis.failures import failures, missing_seeds, started_runs
from bench.results.schema import RUNS


def test_errors_that_differ_in_numbers_are_one_reason() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    ppo, dpo = runs["method"] == "ppo", runs["method"] == "dpo"
    runs = fail(runs, ppo & (runs["seed"] == 0), "3 GiB at step 1.5e-3")
    runs = fail(runs, ppo & (runs["seed"] == 1), "20 GiB at step 7")
    runs = RUNS.typed(fail(runs, dpo & (runs["strength"] == 0.1), "no disk"))
    first, second = failures(runs, "polite")
    assert first == ("failed", "3 GiB at step 1.5e-3", {"ppo": 8})
    assert second == ("failed", "no disk", {"dpo": 2})
    assert started_runs(runs, "polite") == {"sft": 2, "dpo": 8, "ppo": 8}
    assert failures(runs, "haiku") == []


def test_divergence_is_a_reason_of_its_own() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    runs = RUNS.typed(fail(runs, runs["method"] == "dpo", "lost"))
    runs.loc[(runs["status"] == "failed") & (runs["seed"] == 1), "status"] = "diverged"
    assert [(f.status, f.runs) for f in failures(runs, "polite")] == [
        ("failed", {"dpo": 4}),
        ("diverged", {"dpo": 4}),
    ]


def test_seeds_are_missing_only_where_another_method_finished_them() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 4)
    lost = (runs["method"] == "dpo") & runs["seed"].isin([1, 2])
    lost |= (runs["method"] == "ppo") | (runs["seed"] == 3)
    assert missing_seeds(RUNS.typed(fail(runs, lost, "lost")), "polite") == {"dpo": [1, 2]}
