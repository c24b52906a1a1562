"""The feedback stage: what each kind of feedback takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cache.store import Store
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.base import FeedbackFormat
from bench.tasks.exact import Exact
from methods.core.feedback import FeedbackKind


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
