"""Labels that a reward model saved, counted over all settings of a seed."""

from __future__ import annotations

from pathlib import Path

from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import GRID

from bench.analysis.usage import reward_queries
from bench.report.sections.cost import savings, usage_table
from bench.results.loading import Results, load_results


def results_with(calls: float, per_seed: float, folder: Path) -> Results:
    """Return results in which a run of PPO calls its reward model so often."""
    runs = make_runs(["polite"], list(GRID), 2)
    ppo = runs["method"] == "ppo"
    runs.loc[ppo, "reward_calls"] = calls + per_seed * runs.loc[ppo, "seed"]
    return load_results(write_folder(folder, runs))


def saved(results: Results) -> dict[str, str]:
    table = as_frame(usage_table(results, "polite")).set_index("method")
    return dict(table["labels saved, all settings"])


def test_labels_saved_are_counted_over_all_settings_of_a_seed(tmp_path: Path) -> None:
    results = results_with(3000.0, 100.0, tmp_path)
    # Four settings: 12,000 and 12,400 answers for 4,096 labels.
    assert reward_queries(results, "polite") == {"ppo": (12200.0, 4096.0)}
    assert savings(results, "polite") == [
        "ppo: per seed, over all settings, its reward model answered 12,200 times and was trained "
        "on 4,096 labels: 8,104 labels saved."
    ]
    others = ["sft", "dpo", "ppo_gold (privileged)", "best_of_n"]
    assert saved(results) == {"ppo": "8,104"} | dict.fromkeys(others, "—")


def test_each_method_is_shown_with_what_it_was_trained_on(tmp_path: Path) -> None:
    results = load_results(write_folder(tmp_path, make_runs(["polite"], list(GRID), 2)))
    trained_on = as_frame(usage_table(results, "polite")).set_index("method")["trained on"]
    assert dict(trained_on) == {
        "sft": "—",
        "dpo": "4,096 examples",
        "ppo": "6,144 episodes",
        "ppo_gold (privileged)": "6,144 episodes",
        "best_of_n": "—",
    }


def test_few_answers_would_have_been_cheaper_without_a_reward_model(tmp_path: Path) -> None:
    results = results_with(500.0, 0.0, tmp_path)
    [sentence] = savings(results, "polite")
    assert sentence.endswith("would have been cheaper, by 2,096 labels.")
    assert saved(results)["ppo"] == "-2,096"
