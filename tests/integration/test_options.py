"""Each option of exact does what its description says, in whole pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from bench.cache.store import Store
from bench.evaluation.enumeration import all_texts, model_logprobs
from bench.evaluation.optimal.frontier import OptimalFrontier
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.base import Architecture, RewardTraining, Training
from bench.tasks.exact import Exact
from bench.tasks.labeling import Annotator, ResponseSource
from methods.core.feedback import Pair
from methods.core.models.sampling import SamplingParams

TASK = Exact(
    length=2,
    labels=4096,
    architecture=Architecture(layers=2, hidden=16, heads=2, intermediate=32),
    pretraining=Training(8192, 1, 64, 6e-3),
    sft=Training(2048, 1, 64, 6e-3),
    reward_model=RewardTraining(4, 256, 1e-2),
)
SAMPLING = SamplingParams(max_new_tokens=2)
MakePipeline = Callable[..., EmbeddedPipeline]


@pytest.fixture(scope="module")
def make_pipeline(tmp_path_factory: pytest.TempPathFactory) -> MakePipeline:
    """Return a maker of pipelines up to a stage; they share what the options leave the same."""
    store = Store(tmp_path_factory.mktemp("options"))

    def make(last_stage: str = "reward_model", **options: object) -> EmbeddedPipeline:
        pipeline = EmbeddedPipeline(replace(TASK, **options), 0, "cpu", store)  # type: ignore[arg-type]
        for stage in pipeline.stages:
            pipeline.make(stage)
            if stage == last_stage:
                break
        return pipeline

    return make


def accuracy(pipeline: EmbeddedPipeline) -> float:
    return float(pipeline.metrics("reward_model")["reward_accuracy"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worse", "by"),
    [
        ({"annotator": Annotator(flip_rate=0.4)}, 0.02),
        ({"annotator": Annotator(temperature=8.0)}, 0.02),
        ({"annotator": Annotator(tie_margin=3.0)}, 0.02),
        ({"labels": 64}, 0.05),
    ],
    ids=["flips", "temperature", "ties", "labels"],
)
def test_a_worse_signal_makes_a_worse_reward_model(
    make_pipeline: MakePipeline, worse: dict[str, object], by: float
) -> None:
    assert accuracy(make_pipeline(**worse)) < accuracy(make_pipeline()) - by


def test_capacity_is_how_many_layers_the_reward_model_keeps(make_pipeline: MakePipeline) -> None:
    small = make_pipeline(reward_model=replace(TASK.reward_model, layers=1)).reward_model().model
    assert (small.config.num_hidden_layers, len(small.base_model.layers)) == (1, 1)
    assert len(make_pipeline().reward_model().model.base_model.layers) == 2


def test_label_accuracy_is_how_often_the_annotator_agrees(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    reward, pairs = pipeline.reward_model(), pipeline.held_out_pairs("test")
    prompts = [pair.prompt for pair in pairs]
    chosen = np.array(reward(prompts, [pair.chosen for pair in pairs]))
    rejected = np.array(reward(prompts, [pair.rejected for pair in pairs]))
    share = np.mean((chosen > rejected) + 0.5 * (chosen == rejected))
    assert pipeline.metrics("reward_model")["label_accuracy"] == pytest.approx(share)


def enumerated_frontier(pipeline: EmbeddedPipeline) -> OptimalFrontier:
    """Return the optimal frontier of the gold reward."""
    policy, prompts = pipeline.sft(), pipeline.prompts("test")
    texts = all_texts(policy.tokenizer, SAMPLING.max_new_tokens)
    gold = np.array([pipeline.reward([prompt] * len(texts), texts) for prompt in prompts])
    return OptimalFrontier.from_list(gold, model_logprobs(policy, prompts, SAMPLING))


@pytest.mark.slow
def test_the_response_source_sets_where_labeled_responses_come_from(
    make_pipeline: MakePipeline,
) -> None:
    """Labeled responses are likelier under the SFT policy when they are sampled from it."""

    def likelihood_and_gold(**source: Any) -> tuple[float, float]:
        pipeline = make_pipeline("feedback", response_source=ResponseSource(**source))
        pairs = cast(list[Pair], pipeline.feedback("pairs"))
        prompts = [pair.prompt for pair in pairs] * 2
        responses = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
        logprobs = pipeline.sft().logprobs(prompts, responses, SAMPLING)
        return float(np.mean(logprobs)), float(np.mean(pipeline.reward(prompts, responses)))

    default, gold = likelihood_and_gold()
    base, _ = likelihood_and_gold(policy="base_model")
    wide, _ = likelihood_and_gold(temperature=4.0)
    _, tilted = likelihood_and_gold(tilting=0.5)
    assert base < default - 0.05 and wide < default - 0.3
    frontier = enumerated_frontier(make_pipeline("sft"))
    half = (frontier.reference_reward() + frontier.point(0.5).reward) / 2
    assert tilted == pytest.approx(half, abs=0.1) and tilted > gold + 0.3


@pytest.mark.slow
def test_overlap_sets_where_the_reference_starts_and_how_far_the_optimum_is(
    make_pipeline: MakePipeline,
) -> None:
    apart, close = (
        enumerated_frontier(make_pipeline("sft", overlap=overlap)) for overlap in (-1.0, 1.0)
    )
    assert close.reference_reward() > apart.reference_reward() + 0.3
    assert close.kl(0.1) < apart.kl(0.1) - 0.2
