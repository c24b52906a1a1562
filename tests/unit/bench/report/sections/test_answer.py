"""What the answer says, what it must not say, and what it warns of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_design import GRID, LEARNS_FROM
from helpers.synthetic_judges import add_judges

from bench.analysis.selection import of_selected, selected_rows
from bench.analysis.statistics import crossed_interval
from bench.report.content.display import bracketed
from bench.report.sections.answer import answer, answer_section
from bench.results.loading import Results, load_results

Contrasts = list[tuple[str, str]]


def loaded(folder: Path, runs: pd.DataFrame) -> Results:
    return load_results(write_folder(folder, runs))


def ordered(folder: Path, contrasts: Contrasts, seeds: int = 6) -> Results:
    """One task where PPO is best, then best-of-n, then DPO, on every seed."""
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], seeds)
    runs.loc[runs["method"] == "ppo", "reward"] += 2.0
    runs.loc[runs["method"] == "best_of_n", "reward"] += 1.0
    return load_results(write_folder(folder, runs, contrasts))


@pytest.mark.parametrize("seeds", [1, 5, 6])
def test_a_verdict_needs_six_seeds(seeds: int, tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], seeds)
    runs.loc[runs["method"] == "ppo", "reward"] += 0.5
    part = answer(loaded(tmp_path, runs), "polite")
    assert ("ppo is better than dpo" in part.statement) == (seeds == 6)
    assert ("Too few seeds" in part.statement) == (seeds < 6)
    assert not any("is better" in sentence for sentence in part.paragraphs)


def test_only_declared_contrasts_get_a_verdict(tmp_path: Path) -> None:
    results = ordered(tmp_path, [("dpo", "ppo")])
    assert answer(results, "polite").statement.startswith("ppo is better than dpo by ")
    note = answer_section(results).introduction
    assert note.startswith("Only declared contrasts receive a verdict: dpo vs ppo. It takes 6")


def test_the_answer_says_how_many_contrasts_are_declared(tmp_path: Path) -> None:
    three = [("ppo", "dpo"), ("ppo", "best_of_n"), ("dpo", "best_of_n")]
    note = answer_section(ordered(tmp_path / "3", three)).introduction
    named = "ppo vs dpo, ppo vs best_of_n and dpo vs best_of_n."
    assert note.startswith(f"Only declared contrasts receive a verdict: {named} It takes 7 seeds")
    assert "corrected for 3 tests" in note
    note = answer_section(ordered(tmp_path / "4", [*three, ("dpo", "sft")])).introduction
    assert note.startswith("Only declared contrasts receive a verdict: 4 contrasts.")


def test_without_a_declared_contrast_the_best_two_get_a_verdict(tmp_path: Path) -> None:
    results = ordered(tmp_path, [])
    assert answer(results, "polite").statement.startswith("ppo is better than best_of_n")
    note = answer_section(results).introduction
    assert note.startswith("Without declared contrasts, the two best methods")


def test_test_prompts_decide_the_direction(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    validation = (runs["method"] == "dpo") & (runs["split"] == "validation")
    runs.loc[validation, "reward"] += 5
    part = answer(loaded(tmp_path, runs), "polite")
    assert part.statement.startswith("ppo is better than dpo")
    assert part.paragraphs[0].startswith("dpo is best on validation prompts")


def test_chance_gets_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = np.random.default_rng(0).normal(size=len(runs))
    assert answer(loaded(tmp_path, runs), "polite").statement.startswith("Inconclusive: ")


def test_a_small_p_with_an_interval_around_0_is_inconclusive(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = 1.0
    better = runs["method"] == "ppo"
    runs.loc[better, "reward"] += runs.loc[better, "seed"].map(lambda s: 3.0 if s else 0.01)
    runs.loc[better & (runs["seed"] > 1), "reward"] = 1.01
    statement = answer(loaded(tmp_path, runs), "polite").statement
    assert statement.startswith("Inconclusive: ppo ahead of ")
    assert "[-" in statement and "p = 0.031" in statement


def test_more_contrasts_than_the_seeds_can_confirm_are_warned_of(tmp_path: Path) -> None:
    pairs = [("ppo", "dpo"), ("ppo", "best_of_n")]
    part = answer(ordered(tmp_path / "six", pairs), "polite")
    [inconclusive] = part.paragraphs[1:]
    assert part.statement.startswith("Inconclusive: ") and inconclusive.startswith("Inconclusive: ")
    [warning] = part.warnings
    assert "with 2 contrasts and 6 seeds, p cannot fall below 0.062. Run 7 seeds" in warning
    enough = answer(ordered(tmp_path / "seven", pairs, seeds=7), "polite")
    assert enough.warnings == ()
    assert enough.statement.startswith("ppo is better than dpo by ")
    assert enough.paragraphs[1].startswith("ppo is better than best_of_n by ")
    few = answer(ordered(tmp_path / "five", pairs, seeds=5), "polite")
    assert few.statement.startswith("Too few seeds for a verdict (5 of 7)") and few.warnings == ()


def test_a_privileged_method_is_never_best(tmp_path: Path) -> None:
    part = answer(loaded(tmp_path, make_runs(["polite"], list(GRID), 6)), "polite")
    assert "ppo_gold" not in " ".join([part.statement, *part.paragraphs])
    assert "privileged methods aside" in part.paragraphs[0]


def test_what_stood_in_the_way_is_the_larger_error(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], list(GRID), 2))
    text = " ".join(answer(results, "exact").paragraphs)
    assert (
        "Mostly the reward model's error held it back (0.90 in reward; the optimizer's: 0.30)."
        in text
    )
    # Where nothing was split, nothing is said.
    assert "error" not in " ".join(answer(results, "polite").paragraphs)
    alike = replace(results, regret=results.regret.assign(optimization_error=0.8))
    text = " ".join(answer(alike, "exact").paragraphs)
    assert (
        "The reward model's error (0.90 in reward) and the optimizer's (0.80) held it back." in text
    )
    lacking = results.regret["share"].mask(results.regret["seed"] == 1)
    some = replace(results, regret=results.regret.assign(share=lacking))
    assert "optimizer's: 0.30; 1 of 2 seeds)." in " ".join(answer(some, "exact").paragraphs)


def test_more_than_the_optimum_is_an_alarm(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo"], 2)
    runs.loc[runs["method"] == "ppo", "efficiency"] = 1.2
    [warning] = answer(loaded(tmp_path, runs), "polite").warnings
    assert "ppo (120%)" in warning and "estimated too low" in warning


def test_what_methods_were_given_is_said_in_the_answer(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    runs.loc[(runs["method"] == "ppo") & (runs["strength"] == 0.1), "reward"] += 1.0
    runs.loc[(runs["method"] == "dpo") & (runs["strength"] == 0.2), "reward"] += 0.5
    fewer = runs[(runs["method"] != "dpo") | (runs["strength"] < 0.3)]
    part = answer(loaded(tmp_path, fewer), "polite")
    assert part.warnings == (
        "Unequal effort: dpo tried 2 settings and ppo 4.",
        "Selected on a grid's edge: dpo's beta 0.2 (largest) and ppo's kl_coef 0.1 (smallest). "
        "Values beyond might be better.",
    )
    assert part.paragraphs[0].endswith(
        "Training per seed: ppo 24 s and dpo 5.2 s; 4,096 labels each."
    )


@pytest.mark.parametrize("tried", [1, 2])
def test_one_setting_each_is_said_to_show_one_order_of_many(tried: int, tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    few = runs[runs["strength"].isna() | runs["strength"].isin([0.1, 0.2][:tried])]
    note = answer_section(loaded(tmp_path, few)).introduction
    assert note.endswith("at one setting; at another, the order might differ.") == (tried == 1)
    assert note.endswith("their gains are a little optimistic.") == (tried > 1)


def test_a_method_is_not_best_by_the_seeds_that_it_finished(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 7)
    runs.loc[runs["method"] == "ppo", "reward"] += 5.0
    lost = fail(runs, (runs["method"] == "ppo") & (runs["seed"] == 3), "nan")
    results = load_results(write_folder(tmp_path, lost, [("ppo", "dpo")]))
    part = answer(results, "polite")
    assert part.statement.startswith("No verdict: ppo ahead of dpo by ")
    assert part.statement.endswith("] on 6 seeds, but it lost 1 that dpo finished.")
    assert part.paragraphs[0].startswith(
        "best_of_n is best on validation prompts of the methods that lost the fewest seeds; on "
        "test prompts its gold reward is "
    )
    assert part.warnings[:2] == (
        "ppo failed in 4 of 28 runs: nan.",
        "Seeds lost: ppo (3). Differences are over shared seeds. No rank.",
    )


def test_an_unknown_frontier_is_said_to_be_unknown(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    runs = runs.assign(frontier_reward=np.nan, efficiency=np.nan)
    text = " ".join(answer(loaded(tmp_path, runs), "polite").paragraphs)
    assert "an unknown share of the optimal gain" in text


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    part = answer(loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 1)), "polite")
    text = " ".join([part.statement, *part.paragraphs])
    assert "[" not in text and "nan" not in text


def test_results_of_failed_runs_alone_have_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    part = answer(loaded(tmp_path, fail(runs, runs["seed"] >= 0, "no disk")), "polite")
    assert part.statement == "No verdict. Every method failed: no run finished."
    assert part.warnings == ("sft and dpo failed in 10 of 10 runs: no disk.",)


@pytest.mark.parametrize("seeds", [6, 1])
def test_gains_have_the_interval_over_seeds_and_prompts_where_seeds_share_prompts(
    seeds: int,
) -> None:
    difference = crossed_values(0.5, seeds, 64, 0.02)
    rewards = {"sft": np.zeros_like(difference), "dpo": difference}
    results = recorded_results(rewards, [("dpo", "sft")])
    interval = bracketed(crossed_interval(difference))
    assert f"{interval} above sft's." in " ".join(answer(results, TASK).paragraphs)
    note = answer_section(results).introduction
    assert "over seeds and prompts" in note


def with_sft_at(results: Results, temperature: float, reward: float) -> Results:
    """Return results whose SFT policy has this reward at a temperature."""
    frame = results.temperatures.copy()
    frame["temperature"] = frame["temperature"].replace(0.7, temperature)
    rows = (frame["method"] == "sft") & (frame["temperature"] == temperature)
    frame.loc[rows, "reward"] = reward
    return replace(results, temperatures=frame)


@pytest.mark.parametrize(
    ("temperature", "how"), [(0.0, "greedily"), (0.7, "at temperature 0.7"), (1.0, "")]
)
def test_an_sft_policy_that_wins_at_another_temperature_is_warned_of(
    temperature: float, how: str, tmp_path: Path
) -> None:
    results = ordered(tmp_path, [("dpo", "ppo")])
    assert "alone" not in " ".join(answer(results, "polite").warnings)
    rows = selected_rows(results.runs, "polite")
    ppo = rows.loc[rows["method"] == "ppo", "reward"].mean()
    changed = with_sft_at(results, temperature, 9.0)
    others = of_selected(changed.temperatures, changed.runs, "polite")
    at = (others["method"] == "ppo") & (others["temperature"] == temperature)
    there = others.loc[at, "reward"].mean()
    warned = answer(changed, "polite").warnings
    # At the temperature of the comparison it is the SFT policy of the comparison.
    expected = [
        f"Sampled {how}, sft alone reaches 9.00: more than ppo, the best at temperature 1 "
        f"({ppo:.2f}). ppo reaches {there:.2f} there."
    ]
    assert [text for text in warned if "alone" in text] == (expected if how else [])


def test_the_best_method_at_that_temperature_is_said_too(tmp_path: Path) -> None:
    results = ordered(tmp_path, [("dpo", "ppo")])
    frame = results.temperatures.copy()
    greedy = frame["temperature"] == 0
    frame.loc[greedy, "reward"] = 9.0
    frame.loc[greedy & (frame["method"] == "ppo"), "reward"] = 8.5
    [warning] = [
        text
        for text in answer(replace(results, temperatures=frame), "polite").warnings
        if "alone" in text
    ]
    assert warning.endswith("ppo reaches 8.50 there.")


def words(text: str) -> int:
    return len(text.split())


def test_the_answer_is_short_even_with_many_methods_failures_and_contrasts(tmp_path: Path) -> None:
    methods = list(LEARNS_FROM)
    runs = make_runs(["polite"], methods, 3)
    runs["ended_rate"] = 0.5
    runs.loc[runs["method"] != "sft", "efficiency"] = 1.3
    online = [m for m, kind in LEARNS_FROM.items() if kind == "reward"]
    for i, method in enumerate(online):
        runs.loc[runs["method"] == method, "responses_sampled"] = 1000 * 2**i
    long = "RuntimeError: " + "no memory is left on this device " * 10
    runs = fail(runs, runs["method"].isin(methods[5:11]) & (runs["seed"] == 1), long)
    runs = fail(runs, runs["method"].isin(methods[12:17]), "no disk")
    runs = fail(runs, (runs["method"] == "ppo") & (runs["seed"] == 0), long)
    pairs = [("dpo", "ppo"), ("ppo", "best_of_n"), ("ppo", "kto"), ("dpo", "rloo")]
    folder = write_folder(tmp_path, runs, pairs)
    add_judges(folder, "polite")
    part = answer(load_results(folder), "polite")
    assert len(part.warnings) >= 8
    assert all(words(warning) <= 25 for warning in part.warnings), part.warnings
    assert words(part.statement) <= 35 and words(part.paragraphs[0]) <= 75
    note = answer_section(load_results(folder)).introduction
    assert words(note) <= 60
