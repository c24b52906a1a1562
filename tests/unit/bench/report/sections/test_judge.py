"""Judges: how often they agree with people, and what is said of a judge that hardly does."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_judges import add_judges

from bench.analysis.agreement import wilson_interval
from bench.report.sections.judge import (
    agreement_table,
    chosen_table,
    errors_sentence,
    judge_section,
    judge_sentence,
    judge_warnings,
)
from bench.report.sections.language_judge import language_judge_section, language_judge_table
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A judged task beside one with a gold reward."""
    runs = make_runs(["polite", "haiku"], ["sft", "dpo", "ppo"], 2)
    folder = write_folder(tmp_path_factory.mktemp("run"), runs)
    add_judges(folder, "haiku")
    return load_results(folder)


def test_agreement_is_shown_of_judge_reward_model_and_language_model(results: Results) -> None:
    table = as_frame(agreement_table(results))
    assert set(table["task"]) == {"haiku: what people prefer"}
    assert table["agrees with people"].tolist()[:2] == [
        "71.0% [66.0%, 76.0%]",
        "66.0% [61.0%, 71.0%]",
    ]
    low, high = wilson_interval(0.63, 38)
    assert table["agrees with people"].tolist()[2] == (
        f"63.0% [{100 * low:.1f}%, {100 * high:.1f}%]"
    )
    assert table["preferences"].tolist() == ["400", "400", "38"]


def test_a_gold_reward_needs_no_judge(results: Results) -> None:
    assert judge_sentence(results, "polite") == "" and judge_warnings(results, "polite") == []
    polite = replace(results, runs=results.runs[results.runs["task"] == "polite"])
    assert judge_section(replace(polite, llm_judge=results.llm_judge.iloc[:0])) is None


def test_the_sentence_says_what_the_judge_is_and_how_good(results: Results) -> None:
    sentence = judge_sentence(results, "haiku")
    assert "measured by a judge, a reward model." in sentence
    assert "71.0% [66.0%, 76.0%] of 400 held-out preferences" in sentence
    assert judge_warnings(results, "haiku") == [
        "The judge shares the reward model's weights: where it is wrong, the reward model is wrong "
        "too in 69% of pairs."
    ]


def test_shared_errors_are_shown_with_their_intervals(results: Results) -> None:
    sentence = errors_sentence(results, "haiku")
    assert sentence.endswith(
        "The correlation of their errors is 0.47 [0.38, 0.56] and the correlation of their margins "
        "is 0.60 [0.52, 0.67] (95% intervals over prompts, 400 held-out pairs)."
    )
    unknown = replace(results, stages=results.stages.assign(both_wrong=math.nan))
    assert errors_sentence(unknown, "haiku") == ""
    never = replace(results, stages=results.stages.assign(reward_accuracy=1.0, both_wrong=0.0))
    assert errors_sentence(never, "haiku") == "The judge is wrong on none of 400 held-out pairs."


def test_a_judge_with_weights_of_its_own_is_not_warned_of(results: Results) -> None:
    about = {"tasks": {"haiku": {"judge": "a reward model", "judge_warning": ""}}}
    assert judge_warnings(replace(results, manifest=about), "haiku") == []


def test_a_judge_no_better_than_chance_is_warned_of(results: Results) -> None:
    doubtful = replace(results, stages=results.stages.assign(accuracy_low=0.49))
    *_, warning = judge_warnings(doubtful, "haiku")
    assert "not shown to be better than chance" in warning
    unknown = replace(results, stages=results.stages.iloc[:0])
    *_, warning = judge_warnings(unknown, "haiku")
    assert "on — of — preferences" in warning


def test_methods_are_compared_with_what_people_chose(results: Results) -> None:
    rows = [
        ("haiku", seed, prompt, "dpo", "chosen", 0.5 + 0.1 * prompt, 10.0 + prompt, 11.0)
        for seed in (0, 1)
        for prompt in range(4)
    ]
    chosen = pd.DataFrame(rows, columns=results.head_to_head.columns)
    table = as_frame(chosen_table(replace(results, head_to_head=chosen), "haiku"))
    table = table.set_index("method")
    assert table.loc["dpo", "win rate vs chosen"] == "40%"
    assert table.loc["dpo", "implicit accuracy"] == "60%"
    assert table.loc["dpo", "tokens of chosen"] == "11.0"
    assert table.loc["dpo", "at equal length"].endswith("%")
    assert table.loc["ppo", "at equal length"] == "—"
    section = judge_section(results)
    assert section is not None
    assert [part.heading for part in section.parts if part.heading] == [
        "haiku: what people prefer: errors of judge and reward model",
        "haiku: what people prefer: against what people chose",
    ]


def test_a_language_models_verdicts_are_means_over_seeds(results: Results) -> None:
    table = as_frame(language_judge_table(results, "haiku"))
    assert table["method"].tolist() == ["dpo", "ppo"]
    assert set(table["win rate"]) == {"63%"} and set(table["at equal length"]) == {"60%"}
    assert set(table["comparisons"]) == {"80"} and set(table["seeds"]) == {"2"}
    assert set(table["first preferred"]) == {"55%"}


def test_without_a_language_model_there_is_no_section(results: Results) -> None:
    assert language_judge_section(replace(results, llm_judge=results.llm_judge.iloc[:0])) is None
    section = language_judge_section(results)
    assert section is not None and len(section.parts) == 1
