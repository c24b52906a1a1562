"""The feedback stage: what each kind of feedback takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cache.store import Store
from bench.errors import UserError
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.exact import Exact
from bench.tasks.labeling import FeedbackFormat, ResponseSource
from methods.core.feedback import FeedbackKind, responses_of


@pytest.mark.parametrize(
    ("feedback_format", "counts"),
    [
        (FeedbackFormat(), {"pairs": 60, "choices": 60, "unpaired": 60}),
        (FeedbackFormat("choices", 4), {"pairs": 180, "choices": 60, "unpaired": 60}),
        (
            FeedbackFormat("rankings", 4),
            {"pairs": 120, "choices": 60, "rankings": 20, "unpaired": 60},
        ),
    ],
)
def test_all_kinds_take_the_same_number_of_labels(
    tiny_exact: Exact,
    tmp_path: Path,
    feedback_format: FeedbackFormat,
    counts: dict[FeedbackKind, int],
) -> None:
    task = replace(tiny_exact, labels=60, feedback_format=feedback_format)
    pipeline = EmbeddedPipeline(task, 0, "cpu", Store(tmp_path))
    pipeline.prepare()
    for kind, count in counts.items():
        assert len(pipeline.feedback(kind)) == count
        assert pipeline.label_count(kind) == 60


def pipeline_to_feedback(task: Exact, folder: Path) -> EmbeddedPipeline:
    pipeline = EmbeddedPipeline(task, 0, "cpu", Store(folder))
    for stage in ("base_model", "sft", "feedback"):
        pipeline.make(stage)
    return pipeline


@pytest.mark.parametrize(
    "source",
    [
        ResponseSource(coverage=0.5),
        ResponseSource(coverage=0.2, distinct=True),
        ResponseSource(coverage=0.5, tilting=0.5),
        ResponseSource(distinct=True, policy="base_model", temperature=2.0),
    ],
)
def test_no_labeled_response_lies_outside_of_what_the_source_allows(
    tiny_exact: Exact, tmp_path: Path, source: ResponseSource
) -> None:
    task = replace(
        tiny_exact, response_source=source, feedback_format=FeedbackFormat("rankings", 4)
    )
    pipeline = pipeline_to_feedback(task, tmp_path)
    train = pipeline.feedback("rankings")
    labels = [*train, *pipeline.feedback("unpaired"), *pipeline.held_out_pairs("test")]
    texts = [text for label in labels for text in responses_of(label)]
    if source.coverage < 1:
        assert {text.split()[0] for text in texts} <= set("abcdef")
        assert len({text.split()[0] for text in texts}) == max(1, round(6 * source.coverage))
        assert all(map(task.is_covered, texts))
    if source.distinct:
        assert all(len(set(responses_of(label))) == 4 for label in train)
    assert len(train) == 256 // 3


def test_a_covered_response_is_as_likely_as_by_the_policy_among_those_covered(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    source = ResponseSource(coverage=0.5)
    whole = pipeline_to_feedback(replace(tiny_exact, labels=8192), tmp_path)
    part = replace(whole, task=replace(whole.task, response_source=source))
    part.make("feedback")

    def first_letters(pipeline: EmbeddedPipeline) -> dict[str, float]:
        pairs = pipeline.feedback("pairs")
        firsts = [text.split()[0] for pair in pairs for text in responses_of(pair)]
        covered = [first for first in firsts if part.task.is_covered(first)]
        return {letter: covered.count(letter) / len(covered) for letter in sorted(set(covered))}

    assert first_letters(part) == pytest.approx(first_letters(whole), abs=0.02)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_share_of_the_pairs_begins_with_the_same_word(
    tiny_exact: Exact, tmp_path: Path, share: float
) -> None:
    def alike(source: ResponseSource) -> list[bool]:
        task = replace(tiny_exact, response_source=source)
        pipeline = pipeline_to_feedback(task, tmp_path / str(source.shared_start))
        pairs = [*pipeline.feedback("pairs"), *pipeline.held_out_pairs("test")]
        starts = [{text.split()[0] for text in responses_of(pair)} for pair in pairs]
        return [len(words) == 1 for words in starts]

    by_chance = np.mean(alike(ResponseSource()))
    expected = share + (1 - share) * by_chance
    measured = alike(ResponseSource(shared_start=share))
    assert np.mean(measured) == pytest.approx(expected, abs=0.0 if share == 1 else 0.06)


def test_a_source_that_allows_next_to_nothing_is_refused(
    tiny_exact: Exact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """133 responses of two tokens: 200 different ones do not exist."""
    monkeypatch.setattr("bench.pipeline.stages.annotator.MOST_ROUNDS", 3)
    task = replace(
        tiny_exact,
        length=2,
        labels=200,
        response_source=ResponseSource(distinct=True),
        feedback_format=FeedbackFormat("choices", 200),
    )
    with pytest.raises(UserError, match=r"options\.response_source: after 3 attempts"):
        pipeline_to_feedback(task, tmp_path)


def test_tilting_repeats_responses() -> None:
    with pytest.raises(ValueError, match=r"response_source\.distinct is not possible"):
        ResponseSource(distinct=True, tilting=0.5)
    with pytest.raises(ValueError, match=r"response_source\.shared_start is not possible"):
        ResponseSource(shared_start=0.5, tilting=0.5)
