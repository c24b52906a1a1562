"""The glossary: every metric that the results have, in the metric's own words."""

from __future__ import annotations

from dataclasses import replace

from helpers.report import as_frame
from helpers.synthetic import make_results, make_runs

from bench.report.content.display import metric_help
from bench.report.sections.glossary import glossary_section
from bench.results.loading import Results
from bench.results.metrics import METRICS


def meanings(results: Results) -> dict[str, str]:
    [part] = glossary_section(results).parts
    return dict(as_frame(part.tables[0]).to_numpy().tolist())


def test_terms_are_those_of_the_metrics_that_were_measured() -> None:
    results = make_results({"runs": make_runs(["polite"], ["sft", "dpo"], 1)})
    terms = meanings(results)
    measured = [metric for metric in METRICS if results.runs[metric.name].notna().any()]
    assert {metric_help(metric) for metric in measured} <= set(terms.values())
    assert "win rate vs chosen" not in terms and "KL (nats)" in terms
    assert {"optimal frontier", "effective samples", "privileged", "seeds"} <= set(terms)


def test_the_reward_has_the_name_of_its_source() -> None:
    results = make_results({"runs": make_runs(["polite"], ["sft", "dpo"], 1)})
    assert "gold reward" in meanings(results)
    judged = replace(results, runs=results.runs.assign(reward_source="judge"))
    assert "judge reward" in meanings(judged) and "gold reward" not in meanings(judged)
    assert not any("gold" in meaning for meaning in meanings(judged).values())


def test_a_seed_of_recorded_preferences_varies_the_training_alone() -> None:
    results = make_results({"runs": make_runs(["polite", "haiku"], ["sft", "dpo"], 1)})
    judged = replace(results, runs=results.runs.assign(reward_source="judge"))
    assert "own base model" in meanings(results)["seeds"]
    assert "own base model" not in meanings(judged)["seeds"]
    assert "share data, base model and judge" in meanings(judged)["seeds"]
