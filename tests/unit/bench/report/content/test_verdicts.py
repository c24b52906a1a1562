"""Verdicts in words: short, with the size of the difference, and with what would tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import make_runs, write_folder

from bench.analysis.contrasts import seeds_to_tell, with_verdict
from bench.report.content.display import bracketed
from bench.report.content.verdicts import (
    other_verdicts,
    short_verdict,
    unreachable_verdict_warnings,
    verdict_statement,
)
from bench.results.loading import Results, load_results


def two_methods(folder: Path, gains: list[float], tasks: tuple[str, ...] = ("polite",)) -> Results:
    """Return results in which PPO has so much more reward than DPO on each seed."""
    runs = make_runs(list(tasks), ["sft", "dpo", "ppo"], len(gains))
    runs["reward"] = 1.0
    ppo = runs["method"] == "ppo"
    runs.loc[ppo, "reward"] += runs.loc[ppo, "seed"].map(dict(enumerate(gains)))
    return load_results(write_folder(folder, runs, [("dpo", "ppo")]))


def test_a_verdict_names_the_winner_and_by_how_much(tmp_path: Path) -> None:
    results = two_methods(tmp_path, [0.9, 1.1, 1.0, 1.05, 0.95, 1.0])
    assert verdict_statement(results, "polite") == (
        "ppo is better than dpo by 1.00 [0.93, 1.07] (p = 0.031)."
    )
    [comparison] = with_verdict(results, "polite")
    assert short_verdict(comparison) == "ppo is better"


def test_an_inconclusive_contrast_says_who_is_ahead_and_how_many_seeds_would_tell(
    tmp_path: Path,
) -> None:
    gains = [1.0, 0.6, 1.4, -0.2, 0.8, 0.9]
    results = two_methods(tmp_path, gains)
    [comparison] = with_verdict(results, "polite")
    needed = seeds_to_tell(comparison, 1)
    assert needed is not None and needed > 6
    assert verdict_statement(results, "polite") == (
        "Inconclusive: ppo ahead of dpo by 0.75 [0.19, 1.31], p = 0.062; "
        f"about {needed} seeds would tell."
    )
    assert short_verdict(comparison) == "inconclusive"


def test_a_difference_that_hardly_shows_needs_too_many_seeds(tmp_path: Path) -> None:
    results = two_methods(tmp_path, [1.0, -1.0, 1.2, -1.1, 0.9, -0.9])
    statement = verdict_statement(results, "polite")
    assert statement.startswith("Inconclusive: ppo ahead of dpo by 0.02 [-1.1")
    assert statement.endswith("; more than 100 seeds are needed.")


def test_all_contrasts_count_for_the_seeds_that_would_tell(tmp_path: Path) -> None:
    results = two_methods(tmp_path, [1.0, 1.1, 1.2, 1.1, 1.0, 0.9], ("polite", "haiku", "exact"))
    assert verdict_statement(results, "exact") == (
        "Inconclusive: ppo ahead of dpo by 1.05 [0.94, 1.16], Holm p = 0.094; "
        "about 7 seeds would tell."
    )
    assert unreachable_verdict_warnings(results, "exact") == [
        "No verdict is possible: with 3 contrasts and 6 seeds, p cannot fall below 0.094. Run 7 "
        "seeds, or test fewer contrasts."
    ]


def test_too_few_seeds_still_have_a_size(tmp_path: Path) -> None:
    two = verdict_statement(two_methods(tmp_path / "2", [1.0, 1.2]), "polite")
    assert two.startswith("Too few seeds for a verdict (2 of 6): ppo ahead of dpo by 1.10 [")
    one = verdict_statement(two_methods(tmp_path / "1", [1.0]), "polite")
    assert one == "Too few seeds for a verdict (1 of 6): ppo ahead of dpo by 1.00."


def recorded(difference: float, seed_deviation: float, prompt_deviation: float) -> Results:
    table = crossed_values(difference, 6, 64, seed_deviation, prompt_deviation)
    return recorded_results({"ppo": np.zeros_like(table), "dpo": table}, [("dpo", "ppo")])


def test_where_prompts_are_the_main_source_prompts_would_tell() -> None:
    statement = verdict_statement(recorded(0.1, 0.02, 1.0), TASK)
    assert statement.startswith("Inconclusive: ") and statement.endswith("more prompts would tell.")


def test_seeds_would_not_tell_what_the_prompts_leave_open() -> None:
    [comparison] = with_verdict(recorded(0.5, 1.0, 0.1), TASK)
    prompts = comparison.contrast.over_prompts
    assert prompts is not None and prompts.from_seeds > 0.5
    with_prompts = seeds_to_tell(comparison, 1)
    wider = prompts._replace(prompt_variance=prompts.prompt_variance + 0.02)
    unsure = comparison._replace(contrast=comparison.contrast._replace(over_prompts=wider))
    with_more = seeds_to_tell(unsure, 1)
    assert with_prompts is not None and (with_more is None or with_more > with_prompts)


def test_a_verdict_on_recorded_data_has_the_interval_over_seeds_and_prompts() -> None:
    results = recorded(0.5, 0.02, 1.0)
    [comparison] = with_verdict(results, TASK)
    size = bracketed(comparison.contrast.difference)
    assert verdict_statement(results, TASK) == f"dpo is better than ppo by {size} (p = 0.031)."
    lacking = replace(results, samples=results.samples.iloc[:0])
    assert verdict_statement(lacking, TASK).startswith("No verdict: samples.parquet lacks")


@pytest.mark.parametrize(("contrasts", "sentences"), [(1, 0), (3, 2), (6, 4)])
def test_the_statement_is_on_the_first_contrast_and_others_follow(
    contrasts: int, sentences: int, tmp_path: Path
) -> None:
    methods = ["sft", "dpo", "ppo", "best_of_n"]
    pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]][:contrasts]
    runs = make_runs(["polite"], methods, 10)
    results = load_results(write_folder(tmp_path, runs, pairs))
    assert "sft by" in verdict_statement(results, "polite")
    others = other_verdicts(results, "polite")
    assert len(others) == sentences
    if contrasts == 6:
        assert others[-1] == "2 more verdicts are under Contrasts."
