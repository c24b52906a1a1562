"""bandit: what the reference gives, what is labeled, and what DPO makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.cache.store import Store
from bench.evaluation.enumeration import all_texts, model_logprobs
from bench.execution.training import train_policy
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.bandit import PROMPT, Bandit
from bench.tasks.base import Training
from bench.tasks.labeling import FeedbackFormat, ResponseSource
from methods.core.feedback import Pair, Unpaired
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.dpo import DPO

SAMPLING = SamplingParams(max_new_tokens=1)
QUICK = Bandit(
    labels=256,
    pretraining=Training(2048, 1, 64, 2e-2),
    sft=Training(2048, 1, 128, 1e-2),
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedPipeline:
    made = EmbeddedPipeline(QUICK, 0, "cpu", Store(tmp_path_factory.mktemp("bandit")))
    made.prepare()
    return made


def probabilities(policy: ModelPolicy) -> tuple[float, float, float]:
    """Return the probabilities of y1, of y2, and of all else together."""
    texts = all_texts(policy.tokenizer, 1)
    [row] = np.exp(model_logprobs(policy, [PROMPT], SAMPLING))
    y1, y2 = (float(row[texts.index(text)]) for text in ("y1", "y2"))
    return y1, y2, float(row.sum()) - y1 - y2


def test_gold_orders_the_three_and_has_everything_else_as_bad_as_y3() -> None:
    task = Bandit(unseen=-3.0)
    responses = ["y1", "y2", "y3", "</answer>", "choose", "y1 y1", ""]
    assert task.gold([PROMPT] * 7, responses) == [1.0, 0.0] + [-3.0] * 5


def test_the_text_has_y1_and_y2_half_of_the_time_each() -> None:
    for examples in (Bandit().corpus(Random(0), 100), Bandit().demonstrations(Random(0), 100)):
        responses = [example.response for example in examples]
        assert (responses.count("y1"), responses.count("y2")) == (50, 50)


def test_options_that_would_label_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match=r"feedback_format\.responses must be 2"):
        Bandit(feedback_format=FeedbackFormat("rankings", 3))
    with pytest.raises(ValueError, match=r"response_source\.coverage must be 1"):
        Bandit(response_source=ResponseSource(coverage=0.5))


def test_the_reference_is_that_of_the_paper(pipeline: EmbeddedPipeline) -> None:
    y1, y2, unseen = probabilities(pipeline.sft())
    assert y1 == pytest.approx(0.5, abs=0.06) and y2 == pytest.approx(0.5, abs=0.06)
    assert unseen < 0.003


def test_every_label_prefers_y1_over_y2(pipeline: EmbeddedPipeline) -> None:
    assert pipeline.feedback("pairs") == [Pair(PROMPT, "y1", "y2")] * 256
    assert set(pipeline.feedback("unpaired")) == {
        Unpaired(PROMPT, "y1", True),
        Unpaired(PROMPT, "y2", False),
    }
    assert set(pipeline.held_out_pairs("test")) == {Pair(PROMPT, "y1", "y2")}


def test_without_distinct_responses_pairs_may_be_equal(pipeline: EmbeddedPipeline) -> None:
    task = replace(QUICK, response_source=ResponseSource())
    other = replace(pipeline, task=task)
    other.make("feedback")
    pairs = [("y1", "y2"), ("y1", "y1"), ("y2", "y2")]
    assert set(other.feedback("pairs")) == {Pair(PROMPT, *pair) for pair in pairs}


def test_dpo_learns_the_label(pipeline: EmbeddedPipeline, tmp_path: Path) -> None:
    trained = train_policy(
        DPO(beta=0.1, examples=1024, learning_rate=5e-3),
        pipeline,
        sampling=SAMPLING,
        budget=10**6,
        checkpoints=0,
        workdir=tmp_path,
    )
    assert isinstance(trained.policy, ModelPolicy)
    y1, y2, unseen = probabilities(trained.policy)
    assert y2 < 0.1 and y1 + unseen > 0.9
    # Hardly any of what y2 loses goes anywhere else here, though the loss would allow it.
    assert y1 > 0.8
