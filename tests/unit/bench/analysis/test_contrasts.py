"""Paired differences, and which comparisons may have a verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import fail, make_results, make_runs, write_folder
from scipy.stats import ttest_rel

from bench.analysis.contrasts import all_with_verdict, contrast, declared, exploratory, with_verdict
from bench.analysis.selection import selected_rewards, selected_rows
from bench.analysis.statistics import (
    crossed_interval,
    crossed_mean,
    holm,
    verdict,
)
from bench.errors import UserError
from bench.report.content.verdicts import verdict_statement
from bench.results.loading import Results, load_results
from bench.results.schema import RUNS


def ordered(tmp_path: Path, contrasts: list[tuple[str, str]]) -> Results:
    """One task where PPO is best, then best-of-n, then DPO, on every seed."""
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 6)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    runs.loc[runs["method"] == "best_of_n", "reward"] += 1.0
    return load_results(write_folder(tmp_path, runs, contrasts))


def test_differences_are_paired_by_seed() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 4)
    lost = (runs["method"] == "dpo") & (runs["seed"] == 2)
    shuffled = fail(runs, lost, "lost").sample(frac=1, random_state=0)
    rows = selected_rows(RUNS.typed(shuffled), "polite")
    ppo, dpo = (
        rows[rows["method"] == method].set_index("seed")["reward"][[0, 1, 3]].tolist()
        for method in ("ppo", "dpo")
    )
    rewards = selected_rewards(make_results({"runs": shuffled}), "polite")
    expected = ttest_rel(ppo, dpo).confidence_interval()
    difference = contrast(rewards, "ppo", "dpo").difference
    assert difference.n == 3
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))


def test_without_a_declared_contrast_the_best_two_are_tested(tmp_path: Path) -> None:
    results = ordered(tmp_path, [])
    [first] = with_verdict(results, "polite")
    assert (first.method, first.other, first.kind) == ("ppo", "best_of_n", "primary")
    assert first.verdict == "better"
    others = exploratory(results, "polite")
    pairs = {frozenset((c.method, c.other)) for c in others}
    assert len(pairs) == len(others) == 5 and {"ppo", "best_of_n"} not in pairs
    assert {comparison.verdict for comparison in others} == {None}


def test_a_contrast_of_a_method_that_was_not_run_is_left_out(tmp_path: Path) -> None:
    assert declared(ordered(tmp_path, [("dpo", "other")])) == []


def test_a_contrast_is_not_tested_where_the_task_leaves_a_method_out(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 6)
    runs = runs[(runs["task"] == "polite") | (runs["method"] != "ppo")]
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    results = load_results(write_folder(tmp_path, runs, [("ppo", "dpo")]))
    [only] = with_verdict(results, "polite")
    assert only.holm_p == pytest.approx(2 / 64) and only.verdict == "better"
    assert with_verdict(results, "exact") == []
    assert verdict_statement(results, "exact").startswith("No verdict: no declared contrast")


def test_a_declared_contrast_that_was_lost_still_counts(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 6)
    runs = fail(runs, runs["method"] == "best_of_n", "no disk")
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    folder = write_folder(tmp_path, runs, [("ppo", "dpo"), ("ppo", "best_of_n")])
    first, lost = with_verdict(load_results(folder), "polite")
    assert first.holm_p == pytest.approx(2 * 2 / 64) and first.verdict == "none"
    assert lost.verdict == "too few seeds"


@pytest.mark.parametrize(("loser", "verdict"), [("ppo", "lost seeds"), ("dpo", "better")])
def test_a_method_is_not_better_by_the_seeds_that_it_finished(
    tmp_path: Path, loser: str, verdict: str
) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 8)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    runs = fail(runs, (runs["method"] == loser) & runs["seed"].isin([2, 5]), "nan")
    for pair, said in ((("ppo", "dpo"), verdict), (("dpo", "ppo"), verdict)):
        folder = write_folder(tmp_path / pair[0], runs, [pair])
        [comparison] = with_verdict(load_results(folder), "polite")
        assert comparison.contrast.difference.n == 6 and comparison.holm_p < 0.05
        assert comparison.contrast.lost == ((2, 0) if pair[0] == loser else (0, 2))
        turned = {"better": "worse"} if pair[0] == "dpo" else {}
        assert comparison.verdict == turned.get(said, said)


def test_seeds_that_both_lost_cost_nobody_a_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 8)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    runs = fail(runs, (runs["method"] != "sft") & runs["seed"].isin([2, 5]), "nan")
    [comparison] = with_verdict(
        load_results(write_folder(tmp_path, runs, [("ppo", "dpo")])), "polite"
    )
    assert comparison.contrast.lost == (0, 0) and comparison.verdict == "better"


@pytest.mark.parametrize("text", ["contrasts: [", "contrasts: [[dpo]]", "contrasts: 3", "- 1"])
def test_contrasts_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"experiment\.yaml: .*\[method, method\]"):
        declared(make_results({}, experiment=text))


def test_an_experiment_without_text_declares_nothing() -> None:
    assert declared(make_results({})) == []


def shared_prompts(mean: float, seed_deviation: float, seeds: int = 6) -> Results:
    """DPO above PPO by this much, over 64 prompts that differ by 1."""
    difference = crossed_values(mean, seeds, 64, seed_deviation)
    ppo = np.random.default_rng(1).normal(size=difference.shape)
    return recorded_results({"ppo": ppo, "dpo": ppo + difference}, [("dpo", "ppo")])


def test_where_seeds_share_prompts_a_contrast_rests_on_both() -> None:
    results = shared_prompts(0.3, 0.02)
    [comparison] = with_verdict(results, TASK)
    difference = crossed_values(0.3, 6, 64, 0.02)
    found = comparison.contrast
    assert found.difference == pytest.approx(crossed_interval(difference))
    assert found.over_prompts is not None and found.over_prompts.prompts == 64
    assert found.over_prompts.p == pytest.approx(crossed_mean(difference).p())
    assert found.p == max(found.sign_flip_p, found.over_prompts.p)
    assert found.over_prompts.from_prompts > 0.9 and found.over_prompts.from_seeds < 0.05


def test_agreeing_seeds_are_no_verdict_where_prompts_differ() -> None:
    # On these prompts all seeds have the same sign; on others they might all have the other.
    [comparison] = with_verdict(shared_prompts(0.1, 0.02), TASK)
    assert verdict(comparison.contrast.differences) == "better"
    assert comparison.verdict == "none" and comparison.holm_p > 0.05
    [comparison] = with_verdict(shared_prompts(0.5, 0.02), TASK)
    assert comparison.verdict == "better" and comparison.holm_p == pytest.approx(2 / 64)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_fewer_seeds_have_an_interval_over_prompts_and_no_verdict(seeds: int) -> None:
    [comparison] = with_verdict(shared_prompts(0.9, 0.02, seeds), TASK)
    assert comparison.contrast.difference.low > 0
    assert comparison.verdict == "too few seeds"


def test_without_rewards_on_each_prompt_there_is_no_verdict() -> None:
    results = shared_prompts(0.9, 0.02)
    missing = replace(results, samples=results.samples.iloc[:0])
    [comparison] = with_verdict(missing, TASK)
    assert comparison.verdict == "no prompts"
    assert math.isnan(comparison.contrast.difference.half_width)
    assert comparison.contrast.difference.mean == pytest.approx(
        crossed_values(0.9, 6, 64, 0.02).mean()
    )


def test_only_seeds_that_both_finished_count() -> None:
    results = shared_prompts(0.9, 0.02, 8)
    lost = (results.runs["method"] == "ppo") & (results.runs["seed"] == 3)
    results = replace(results, runs=fail(results.runs, lost, "nan"))
    [comparison] = with_verdict(results, TASK)
    difference = np.delete(crossed_values(0.9, 8, 64, 0.02), 3, axis=0)
    assert comparison.contrast.difference == pytest.approx(crossed_interval(difference))


def test_prompts_of_embedded_tasks_are_no_sample(tmp_path: Path) -> None:
    results = ordered(tmp_path, [("ppo", "dpo")])
    for name, sampled in (("polite", False), ("exact", False), ("sentiment", True)):
        manifest = {"tasks": {"polite": {"task": name}}}
        assert replace(results, manifest=manifest).has_sampled_prompts("polite") == sampled
    judged = replace(results, manifest={}, runs=results.runs.assign(reward_source="judge"))
    assert judged.has_sampled_prompts("polite")


def test_the_correction_is_for_the_contrasts_of_all_tasks(tmp_path: Path) -> None:
    runs = make_runs(["polite", "haiku", "exact"], ["sft", "dpo", "ppo"], 7)
    runs.loc[(runs["method"] == "ppo") & (runs["task"] != "exact"), "reward"] += 2.0
    runs.loc[(runs["task"] == "exact"), "reward"] = runs["seed"] % 2 * (runs["method"] == "ppo")
    by_task = all_with_verdict(load_results(write_folder(tmp_path, runs, [("ppo", "dpo")])))
    corrected = {task: comparison.holm_p for task, [comparison] in by_task.items()}
    p_values = {task: comparison.contrast.p for task, [comparison] in by_task.items()}
    assert corrected == holm(p_values) and corrected["polite"] == pytest.approx(3 * 2 / 128)
