"""Samples: each method's response to the same prompts, raw."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_design import LEARNS_FROM
from helpers.synthetic_tables import ATTACK

from bench.report.content.section import Text
from bench.report.sections.samples import FOLDED, PROMPTS, sample_parts, samples_section
from bench.results.loading import Results, load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_a_prompt_is_followed_by_the_response_of_each_method(results: Results) -> None:
    parts = sample_parts(results, "polite")
    assert len(parts) == 2 * PROMPTS
    prompt, responses = parts[:2]
    assert prompt.heading == "polite: support replies: prompt 1"
    assert prompt.texts == (Text("", "why is my laptop frozen ?"),)
    labels = [text.label for text in responses.texts]
    assert labels == ["sft", "dpo", "ppo", "ppo_gold (privileged)"]
    assert responses.texts[2].content == ATTACK
    assert responses.texts[1].about == "gold reward 1.50 · proxy reward 0.30 · KL 2.00"
    assert not responses.folded


def test_an_empty_response_is_a_dash(results: Results) -> None:
    empty = replace(results, samples=results.samples.assign(response=""))
    assert {text.content for text in sample_parts(empty, "polite")[1].texts} == {"—"}


def test_a_conversation_is_shown_with_its_roles(results: Results) -> None:
    turns = '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes ?"}]'
    talk = replace(results, samples=results.samples.assign(prompt=turns))
    [text] = sample_parts(talk, "polite")[0].texts
    assert text.content == "user: hi\n\nassistant: yes ?"


def test_many_responses_fold_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = make_runs(["polite"], list(LEARNS_FROM)[: FOLDED + 1], 1)
    results = load_results(write_folder(tmp_path_factory.mktemp("many"), runs))
    prompt, responses = sample_parts(results, "polite")[:2]
    assert responses.folded and not prompt.folded


def test_without_samples_there_is_no_section(results: Results) -> None:
    assert samples_section(replace(results, samples=results.samples.iloc[:0])) is None
