"""What the answer says, what it must not say, and what it warns of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_design import GRID

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
    statement = answer(results, "polite").statement
    assert statement == "ppo is better than dpo (sign-flip p = 0.031, 6 seeds)."
    [note] = answer_section(results).notes
    assert note.startswith("Only declared contrasts receive a verdict: dpo vs ppo. The test is")


def test_the_answer_says_how_many_contrasts_are_declared(tmp_path: Path) -> None:
    three = [("ppo", "dpo"), ("ppo", "best_of_n"), ("dpo", "best_of_n")]
    [note] = answer_section(ordered(tmp_path, three)).notes
    counted = "3, ppo vs dpo, ppo vs best_of_n and dpo vs best_of_n."
    assert note.startswith(f"Only declared contrasts receive a verdict: {counted} The test is")


def test_without_a_declared_contrast_the_best_two_get_a_verdict(tmp_path: Path) -> None:
    results = ordered(tmp_path, [])
    assert answer(results, "polite").statement.startswith("ppo is better than best_of_n")
    [note] = answer_section(results).notes
    assert note.startswith("No contrast is declared, so one comparison for each task receives")


def test_test_prompts_decide_the_direction(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    validation = (runs["method"] == "dpo") & (runs["split"] == "validation")
    runs.loc[validation, "reward"] += 5
    part = answer(loaded(tmp_path, runs), "polite")
    assert part.statement.startswith("ppo is better than dpo")
    assert "below the runner-up ppo" in part.paragraphs[0]


def test_chance_gets_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = np.random.default_rng(0).normal(size=len(runs))
    assert "No difference shown" in answer(loaded(tmp_path, runs), "polite").statement


def test_a_small_p_with_an_interval_around_0_shows_no_difference(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = 1.0
    better = runs["method"] == "ppo"
    runs.loc[better, "reward"] += runs.loc[better, "seed"].map(lambda s: 3.0 if s else 0.01)
    runs.loc[better & (runs["seed"] > 1), "reward"] = 1.01
    statement = answer(loaded(tmp_path, runs), "polite").statement
    assert statement.startswith("No difference shown between ppo and")
    assert "p = 0.031" in statement and "but the 95% interval contains 0" in statement


def test_more_contrasts_than_the_seeds_can_confirm_are_warned_of(tmp_path: Path) -> None:
    pairs = [("ppo", "dpo"), ("ppo", "best_of_n")]
    part = answer(ordered(tmp_path / "six", pairs), "polite")
    assert part.statement.count("No difference shown") == 2
    [warning] = part.warnings
    assert "2 contrasts are tested, and" in warning and "below 0.062 with 6 seeds" in warning
    assert "Run 7 seeds" in warning
    enough = answer(ordered(tmp_path / "seven", pairs, seeds=7), "polite")
    assert enough.warnings == ()
    assert enough.statement == (
        "ppo is better than dpo (Holm-corrected sign-flip p = 0.031, 7 seeds). "
        "ppo is better than best_of_n (Holm-corrected sign-flip p = 0.031, 7 seeds)."
    )
    few = answer(ordered(tmp_path / "five", pairs, seeds=5), "polite")
    assert few.statement.count("Too few seeds") == 2 and few.warnings == ()


def test_a_privileged_method_is_never_best(tmp_path: Path) -> None:
    part = answer(loaded(tmp_path, make_runs(["polite"], list(GRID), 6)), "polite")
    assert "gold" not in part.statement
    assert "ppo_gold" not in part.paragraphs[0]
    assert any("not a contender" in sentence for sentence in part.paragraphs)


def test_the_regret_is_split(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], list(GRID), 2))
    text = " ".join(answer(results, "exact").paragraphs)
    parts = "0.30 optimization error plus 0.90 reward-model error minus 0.20 interaction"
    assert f"of ppo is {parts};" in text
    assert "of ppo_gold is 0.30 optimization error;" in text
    # Where nothing was split, nothing is said.
    assert "optimization error" not in " ".join(answer(results, "polite").paragraphs)


def test_more_than_the_optimum_is_an_alarm(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo"], 2)
    runs.loc[runs["method"] == "ppo", "efficiency"] = 1.2
    [warning] = answer(loaded(tmp_path, runs), "polite").warnings
    assert "120% of the optimal gain" in warning and "estimated too low" in warning


def test_what_methods_were_given_is_said_in_the_answer(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    runs.loc[(runs["method"] == "ppo") & (runs["strength"] == 0.1), "reward"] += 1.0
    runs.loc[(runs["method"] == "dpo") & (runs["strength"] == 0.2), "reward"] += 0.5
    fewer = runs[(runs["method"] != "dpo") | (runs["strength"] < 0.3)]
    part = answer(loaded(tmp_path, fewer), "polite")
    assert part.warnings == (
        "Unequal effort: dpo tried 2 settings and ppo 4. More settings mean more chances.",
        "On an edge of the grid: ppo's kl_coef 0.1 is the smallest tried, dpo's beta 0.2 is the "
        "largest tried. Values beyond them might be better.",
    )
    assert part.paragraphs[2].startswith("Per seed, ppo used 24 s of training, 6,144 episodes and")


@pytest.mark.parametrize("tried", [1, 2])
def test_one_setting_each_is_said_to_show_one_order_of_many(tried: int, tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    few = runs[runs["strength"].isna() | runs["strength"].isin([0.1, 0.2][:tried])]
    [note] = answer_section(loaded(tmp_path, few)).notes
    assert note.endswith("at one setting; at another, the order might differ.") == (tried == 1)
    assert note.endswith("gains of selected settings are still slightly optimistic.") == (tried > 1)


def test_a_method_is_not_best_by_the_seeds_that_it_finished(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "best_of_n"], 7)
    runs.loc[runs["method"] == "ppo", "reward"] += 5.0
    lost = fail(runs, (runs["method"] == "ppo") & (runs["seed"] == 3), "nan")
    results = load_results(write_folder(tmp_path, lost, [("ppo", "dpo")]))
    part = answer(results, "polite")
    assert part.statement == (
        "No verdict: ppo is ahead of dpo on the 6 seeds that both finished, but lost 1 that dpo "
        "finished."
    )
    assert part.paragraphs[0].startswith(
        "On validation prompts, best_of_n (at n 16) has the highest gold reward of the methods "
        "that were not given it and lost the fewest seeds."
    )
    assert part.warnings[:2] == (
        "ppo failed in 4 of 28 runs: nan.",
        "The numbers of ppo leave out seed 3, which other methods finished. Differences between "
        "two methods are over the seeds that both finished. No rank for ppo.",
    )


def test_an_unknown_frontier_is_said_to_be_unknown(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    runs = runs.assign(frontier_reward=np.nan, efficiency=np.nan)
    text = " ".join(answer(loaded(tmp_path, runs), "polite").paragraphs)
    assert "the optimal gain at that KL is not known" in text


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    part = answer(loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 1)), "polite")
    assert "so no interval" in part.paragraphs[0] and "nan" not in " ".join(part.paragraphs)


def test_results_of_failed_runs_alone_have_no_verdict(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    part = answer(loaded(tmp_path, fail(runs, runs["seed"] >= 0, "no disk")), "polite")
    assert part.statement == "No verdict. Every method failed: no run finished."
    assert part.warnings == ("sft failed in 2 of 2 runs and dpo in 8 of 8: no disk.",)


@pytest.mark.parametrize(
    ("seeds", "basis"),
    [(6, "6 seeds and 64 prompts)"), (1, "1 seed and 64 prompts, for this one training)")],
)
def test_intervals_say_what_they_rest_on_where_seeds_share_prompts(seeds: int, basis: str) -> None:
    difference = crossed_values(0.5, seeds, 64, 0.02)
    rewards = {"sft": np.zeros_like(difference), "dpo": difference}
    results = recorded_results(rewards, [("dpo", "sft")])
    text = " ".join(answer(results, TASK).paragraphs)
    assert "above the SFT policy (95% interval" in text and basis in text
    [note] = answer_section(results).notes
    assert "Where all seeds share a sample of prompts, p is the larger" in note
