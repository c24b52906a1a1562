"""What the report says of methods against each other: verdicts, all tasks, wins, effort, cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from synthetic import GRID, fail, make_runs, write_folder

from bench.errors import UserError
from bench.evaluation.win_rate import length_controlled
from bench.report.across import across_contrasts, normalized_gains
from bench.report.answer import answer
from bench.report.build import build_report
from bench.report.contrasts import contrast_table, declared, exploratory, with_verdict
from bench.report.cost import asked, cost_table, savings
from bench.report.effort import best_of_k_gains, effort_table
from bench.report.ranking import ranking_table
from bench.results.loading import HEAD_TO_HEAD_COLUMNS, RUN_COLUMNS, Results, load_results, typed
from bench.report.wins import strength_table, win_rate_table
from bench.analysis.statistics import two_way_error

Pairs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two tasks, five methods, six seeds, one declared contrast."""
    runs = make_runs(["polite", "exact"], list(GRID), 6)
    return load_results(write_folder(tmp_path_factory.mktemp("both"), runs, [("dpo", "ppo")]))


def made(tmp_path: Path, contrasts: Pairs, seeds: int = 6) -> Results:
    """One task where PPO is best, then best of n, then DPO, on every seed."""
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], seeds)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    runs.loc[runs["method"] == "best_of_n", "reward"] += 1.0
    return load_results(write_folder(tmp_path, runs, contrasts))


def test_only_a_declared_contrast_gets_a_verdict(tmp_path: Path) -> None:
    results = made(tmp_path, [("dpo", "ppo")])
    verdict = answer(results, "polite").verdict
    assert verdict == "ppo is better than dpo (sign-flip p = 0.031, 6 seeds)."
    table = contrast_table(results, "polite").set_index("contrast")
    assert table["kind"].tolist() == ["declared"] + ["exploratory"] * 5
    assert table.index.tolist() == [
        "dpo vs ppo",
        "dpo vs best_of_n",
        "ppo vs best_of_n",
        "dpo vs sft",
        "ppo vs sft",
        "best_of_n vs sft",
    ]
    assert table["verdict"].tolist() == ["ppo is better"] + ["—"] * 5
    assert (table["Holm p"][1:] == "—").all()
    assert table.loc["dpo vs ppo", "Holm p"] == "0.031"
    assert table.loc["dpo vs ppo", "probability of improvement"] == "0%"
    assert table.loc["dpo vs ppo", "difference"].startswith("-2")


def test_without_a_declared_contrast_the_best_two_are_tested(tmp_path: Path) -> None:
    results = made(tmp_path, [])
    [first] = with_verdict(results, "polite")
    assert (first.method, first.other, first.kind) == ("ppo", "best_of_n", "primary")
    rest = [frozenset((c.method, c.other)) for c in exploratory(results, "polite")]
    assert len(set(rest)) == len(rest) == 5 and {"ppo", "best_of_n"} not in rest
    assert answer(results, "polite").verdict.startswith("ppo is better than best_of_n")
    made(tmp_path / "page", [], seeds=1)
    page = build_report(tmp_path / "page").read_text()
    assert "No contrast is declared, so a verdict is given on one per task" in page


def test_a_contrast_of_a_method_that_was_not_run_is_left_out(tmp_path: Path) -> None:
    assert declared(made(tmp_path, [("dpo", "other")])) == []


def test_more_contrasts_than_the_seeds_can_confirm_is_said(tmp_path: Path) -> None:
    pairs = [("ppo", "dpo"), ("ppo", "best_of_n")]
    said = answer(made(tmp_path / "six", pairs), "polite")
    assert said.verdict.count("No difference shown") == 2
    [warning] = said.warnings
    assert "2 contrasts are declared" in warning and "below 0.062 with 6 seeds" in warning
    assert "takes 7 seeds" in warning
    enough = answer(made(tmp_path / "seven", pairs, seeds=7), "polite")
    assert enough.warnings == []
    assert enough.verdict == (
        "ppo is better than dpo (Holm-corrected sign-flip p = 0.031, 7 seeds). "
        "ppo is better than best_of_n (Holm-corrected sign-flip p = 0.031, 7 seeds)."
    )
    few = answer(made(tmp_path / "five", pairs, seeds=5), "polite")
    assert few.verdict.count("Too few seeds") == 2 and few.warnings == []


def test_a_declared_contrast_that_was_lost_still_counts(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 6)
    runs = fail(runs, runs["method"] == "best_of_n", "no disk")
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    folder = write_folder(tmp_path, runs, [("ppo", "dpo"), ("ppo", "best_of_n")])
    first, lost = with_verdict(load_results(folder), "polite")
    assert first.holm_p == pytest.approx(2 * 2 / 64) and first.verdict == "none"
    assert lost.verdict == "too few seeds"


@pytest.mark.parametrize("text", ["contrasts: [", "contrasts: [[dpo]]", "contrasts: 3", "- 1"])
def test_contrasts_that_cannot_be_read(both: Results, text: str) -> None:
    with pytest.raises(UserError, match=r"experiment\.yaml: .*\[method, method\]"):
        declared(replace(both, experiment=text))
    assert declared(replace(both, experiment="")) == []


def test_gains_are_shares_of_each_seeds_own_limit(both: Results) -> None:
    gold = {("a", 0): (1.0, 2.0), ("a", 1): (0.0, 3.0), ("b", 0): (2.0, 2.5), ("b", 1): (2.0, 2.0)}
    rows = [
        (task, method, "{}", seed, split, "ok", value)
        for (task, seed), pair in gold.items()
        for method, value in zip(("sft", "dpo"), pair, strict=True)
        for split in ("validation", "test")
    ]
    names = ["task", "method", "params", "seed", "split", "status", "reward"]
    ends = {("a", 0): 4.0, ("a", 1): 6.0, ("b", 0): 1.0, ("b", 1): 1.0}
    line = [
        (task, seed, kl, gold[task, seed][0] + kl / 2 * end)
        for (task, seed), end in ends.items()
        for kl in (2.0, 0.0)
    ]
    results = replace(
        both,
        runs=typed(pd.DataFrame(rows, columns=names), RUN_COLUMNS),
        frontier=pd.DataFrame(line, columns=["task", "seed", "kl", "reward"]),
        experiment="contrasts: [[dpo, sft]]",
    )
    gains = normalized_gains(results)
    assert gains["a"]["dpo"].tolist() == pytest.approx([1 / 4, 3 / 6])
    assert gains["b"]["dpo"].tolist() == pytest.approx([0.5, 0.0])
    row = ranking_table(results).set_index("method").loc["dpo"]
    # The middle half of 0, 0.25, 0.5 and 0.5; 4 of 4 seed pairs on a, 3 of 4 on b with ties half.
    assert row["normalized gain (IQM)"].startswith("0.38 [")
    assert row["probability of improvement over SFT"].startswith("88% [")
    assert row["pipelines"] == "4/4"
    [pair] = across_contrasts(results).to_dict("records")
    assert pair["probability of improvement"] == row["probability of improvement over SFT"]
    alone = replace(results, runs=results.runs[results.runs["task"] == "a"])
    assert across_contrasts(alone).empty


def test_a_method_that_lacks_a_task_has_no_figure_over_all(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2)
    lost = (runs["task"] == "exact") & (runs["method"] == "dpo")
    results = load_results(write_folder(tmp_path, fail(runs, lost, "lost"), [("dpo", "ppo")]))
    table = ranking_table(results).set_index("method")
    assert table.loc["dpo", "normalized gain (IQM)"] == "—"
    assert table.loc["ppo", "normalized gain (IQM)"] != "—"
    assert table.loc["dpo", "pipelines"] == "2/4"


def test_win_rates_with_their_errors_and_at_equal_length(both: Results) -> None:
    table = win_rate_table(both, "polite")
    assert table["against"].tolist() == ["ppo"] + ["sft"] * 4
    own = both.head_to_head.query("task == 'polite' and method == 'dpo' and opponent == 'ppo'")
    error = two_way_error(*(own[name].to_numpy() for name in ("win_rate", "seed", "prompt")))
    longer = (own["tokens"] - own["opponent_tokens"]).to_numpy()
    equal = length_controlled(own["win_rate"].to_numpy(), longer, list(own["prompt"]))
    row = table.iloc[0]
    assert row["win rate"] == f"{100 * own['win_rate'].mean():.1f}%"
    assert row["standard error"] == f"{100 * error:.1f}%"
    assert row["length-controlled"] == f"{100 * equal:.1f}%"
    # Who is always longer is never at equal length.
    longer_still = both.head_to_head.assign(tokens=both.head_to_head["opponent_tokens"] + 1)
    told = win_rate_table(replace(both, head_to_head=longer_still), "polite").iloc[0]
    assert (told["win rate"], told["length-controlled"]) == (row["win rate"], "—")


def test_all_methods_are_on_one_scale(both: Results) -> None:
    table, fit = strength_table(both, "polite")
    assert table["method"].tolist()[0] == "ppo_gold (privileged)"
    assert table["method"].tolist()[-1] == "sft"
    assert len(table) == 5
    assert fit.startswith("These strengths give back every win rate to within ")


def test_two_methods_need_no_scale(both: Results) -> None:
    head_to_head = both.head_to_head
    two = head_to_head[head_to_head["method"].isin(["dpo", "ppo"]) & head_to_head["opponent"].isin(["dpo", "ppo"])]
    table, fit = strength_table(replace(both, head_to_head=two), "polite")
    assert table.empty and fit == ""


def test_strengths_are_those_of_the_mean_win_rates(both: Results) -> None:
    head_to_head = both.head_to_head.copy()
    # Every pair at the same odds of 2 to 1: dpo beats ppo, ppo beats sft, at twice the distance.
    place = {"dpo": 1.0, "ppo": 0.0, "sft": -1.0}
    head_to_head = head_to_head[head_to_head["method"].isin(place) & head_to_head["opponent"].isin(place)]
    apart = head_to_head["method"].map(place) - head_to_head["opponent"].map(place)
    head_to_head["win_rate"] = 1 / (1 + 2.0**-apart)
    table, fit = strength_table(replace(both, head_to_head=head_to_head), "polite")
    first, _, last = table["strength (log-odds)"]
    assert f"{logit(2 / 3):.2f}" == "0.69"
    assert (first, last) == ("0.69 [0.69, 0.69]", "-0.69 [-0.69, -0.69]")
    assert "within 0.0 points" in fit


def test_head_to_head_of_earlier_results_reads_as_one_prompt(both: Results) -> None:
    keys = ["task", "seed", "method", "opponent"]
    old = both.head_to_head.groupby(keys, as_index=False, sort=False)["win_rate"].mean()
    results = replace(both, head_to_head=typed(old, HEAD_TO_HEAD_COLUMNS))
    row = win_rate_table(results, "polite").iloc[0]
    assert row["length-controlled"] == row["tokens"] == "—"
    assert row["standard error"] != "—"
    assert len(strength_table(results, "polite")[0]) == 5


def test_judgements_saved_are_counted_over_all_settings_of_a_seed(tmp_path: Path) -> None:
    runs = make_runs(["polite"], list(GRID), 2)
    ppo = runs["method"] == "ppo"
    runs.loc[ppo, "reward_calls"] = 3000.0 + 100 * runs.loc[ppo, "seed"]
    results = load_results(write_folder(tmp_path / "many", runs))
    # Four settings: 12,000 and 12,400 answers for 4,096 labels.
    assert asked(results, "polite") == {"ppo": (12200.0, 4096.0)}
    assert savings(results, "polite") == [
        "ppo: per seed, over all settings, its reward model answered 12,200 times for 4,096 "
        "labels: 8,104 labels saved."
    ]
    column = cost_table(results, "polite").set_index("method")["labels saved, all settings"]
    assert column.to_dict() == {"ppo": "8,104"} | dict.fromkeys(
        ["sft", "dpo", "ppo_gold", "best_of_n"], "—"
    )
    runs.loc[ppo, "reward_calls"] = 500.0
    results = load_results(write_folder(tmp_path / "few", runs))
    [said] = savings(results, "polite")
    assert said.endswith("would have been cheaper, by 2,096 labels.")
    column = cost_table(results, "polite").set_index("method")["labels saved, all settings"]
    assert column["ppo"] == "-2,096"


def test_the_effort_curve_is_the_effort_tables_gain(both: Results) -> None:
    own = both.runs[both.runs["task"] == "polite"]
    gains = best_of_k_gains(own, "ppo")
    assert list(gains.index) == [1, 2, 3, 4] and len(gains.columns) == 6
    table = effort_table(both.runs, both.frontier, "polite").set_index("method")
    test = own[(own["split"] == "test") & (own["method"] == "sft")]["reward"].mean()
    for k, mean in gains.mean(axis=1).items():
        assert f"{mean + test:.2f}" == table.loc["ppo", f"best of {k}"]


def test_a_setting_that_lost_a_seed_is_not_among_the_settings_tried(both: Results) -> None:
    own = both.runs[both.runs["task"] == "polite"]
    lost = (own["method"] == "ppo") & (own["strength"] == 0.1) & (own["seed"] == 2)
    gains = best_of_k_gains(fail(own, lost, "lost"), "ppo")
    assert list(gains.index) == [1, 2, 3] and len(gains.columns) == 6
    assert np.isfinite(gains.to_numpy()).all()
