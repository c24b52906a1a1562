"""Whether judge and reward model share weights, and what is said of it."""

from __future__ import annotations

import pytest

from bench.pipeline.sources import Source, Sources
from bench.pipeline.summary import judge_warning
from bench.tasks.recorded import Classifier, Recorded

QWEN, COPY, OTHER = Source("qwen", "1"), Source("copy", "1"), Source("other", "2")


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ({}, {}),
        ({"judge_model": "tiny"}, {}),
        ({"model": "qwen"}, {"model": QWEN}),
        ({"model": "qwen", "judge_model": "copy"}, {"model": QWEN, "judge_model": COPY}),
    ],
)
def test_a_judge_from_the_same_weights_is_warned_of(
    options: dict[str, str], sources: dict[str, Source]
) -> None:
    warning = judge_warning(Recorded(data="d", **options), Sources(**sources))  # type: ignore[arg-type]
    model = options.get("model", "tiny")
    assert warning.startswith(
        f"The judge starts from the same weights as the reward model ({model})"
    )
    assert all(remedy in warning for remedy in ("judge_model", "judge_classifier", "llm_judge"))


def test_one_classifier_as_both_is_warned_of() -> None:
    same = Classifier("c")
    task = Recorded(data="d", judge_classifier=same, reward_classifier=same)
    sources = Sources(judge_classifier=QWEN, reward_classifier=COPY)
    assert judge_warning(task, sources).startswith("The judge is the reward model itself (c)")


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ({"judge_model": "1M"}, {}),
        ({"model": "qwen", "judge_model": "1M"}, {"model": QWEN}),
        ({"model": "qwen", "judge_model": "other"}, {"model": QWEN, "judge_model": OTHER}),
        ({"judge_classifier": Classifier("c")}, {"judge_classifier": OTHER}),
        ({"reward_classifier": Classifier("c")}, {"reward_classifier": OTHER}),
    ],
)
def test_a_judge_of_its_own_is_not(options: dict[str, object], sources: dict[str, Source]) -> None:
    assert judge_warning(Recorded(data="d", **options), Sources(**sources)) == ""  # type: ignore[arg-type]
