"""Each dial of the exact pipeline does what it says, seen in what it is meant to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.evaluation.reference_samples import ReferenceSamples
from bench.pipeline.embedded import EmbeddedPipeline
from bench.cache.store import Store
from bench.tasks.base import Annotator, Architecture, ResponseSource, RewardTraining, Training
from bench.tasks.exact import Exact
from methods.core.models.sampling import SamplingParams

WORLD = Exact(
    length=2,
    labels=4096,
    architecture=Architecture(layers=2, hidden=16, heads=2, intermediate=32),
    pretraining=Training(8192, 1, 64, 6e-3),
    sft=Training(2048, 1, 64, 6e-3),
    reward_model=RewardTraining(4, 256, 1e-2),
)
MakeWorld = Callable[..., EmbeddedPipeline]


@pytest.fixture(scope="module")
def make_pipeline(tmp_path_factory: pytest.TempPathFactory) -> MakeWorld:
    """Return a maker of prepared pipelines, which share what does not depend on the dial."""
    store = Store(tmp_path_factory.mktemp("options"))

    def make(**options: object) -> EmbeddedPipeline:
        pipeline = EmbeddedPipeline(replace(WORLD, **options), 0, "cpu", store)  # type: ignore[arg-type]
        pipeline.prepare()
        return pipeline

    return make


def accuracy(pipeline: EmbeddedPipeline) -> float:
    return float(pipeline.figures("reward_model")["reward_accuracy"])


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
    make_pipeline: MakeWorld, worse: dict[str, object], by: float
) -> None:
    assert accuracy(make_pipeline(**worse)) < accuracy(make_pipeline()) - by


def test_capacity_is_how_many_layers_the_reward_model_keeps(make_pipeline: MakeWorld) -> None:
    small = make_pipeline(reward=replace(WORLD.reward, layers=1)).reward_model().model
    assert (small.config.num_hidden_layers, len(small.base_model.layers)) == (1, 1)
    assert len(make_pipeline().reward_model().model.base_model.layers) == 2


def test_coverage_says_where_judged_responses_come_from(make_pipeline: MakeWorld) -> None:
    """Judged responses are likelier under the SFT policy when they are sampled from it."""

    def likelihood_and_gold(pipeline: EmbeddedPipeline) -> tuple[float, float]:
        pairs = pipeline.feedback("pairs")
        prompts = [pair.prompt for pair in pairs] * 2
        responses = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
        logprobs = pipeline.sft().logprobs(prompts, responses, SamplingParams(max_new_tokens=2))
        return float(np.mean(logprobs)), float(np.mean(pipeline.task.gold(prompts, responses)))

    own, gold = likelihood_and_gold(make_pipeline())
    base, _ = likelihood_and_gold(make_pipeline(response_source=ResponseSource(policy="base_model")))
    wide, _ = likelihood_and_gold(make_pipeline(response_source=ResponseSource(temperature=4.0)))
    _, tilted = likelihood_and_gold(make_pipeline(response_source=ResponseSource(tilt=0.5)))
    assert base < own - 0.05 and wide < own - 0.3
    reference_samples = ReferenceSamples(make_pipeline(), SamplingParams(max_new_tokens=2), 64)
    reference_samples.make()
    half = (reference_samples.frontiers.frontier.reference_reward() + reference_samples.frontiers.frontier.point(0.5)[1]) / 2
    assert tilted == pytest.approx(half, abs=0.1) and tilted > gold + 0.3


def test_overlap_says_where_the_reference_starts_and_how_far_the_optimum_is(
    make_pipeline: MakeWorld,
) -> None:
    starts, ways = [], []
    for overlap in (-1.0, 1.0):
        pipeline = make_pipeline(overlap=overlap)
        reference_samples = ReferenceSamples(pipeline, SamplingParams(max_new_tokens=2), 64)
        reference_samples.make()
        starts.append(reference_samples.frontiers.frontier.reference_reward())
        ways.append(reference_samples.frontiers.frontier.kl(0.1))
    assert starts[1] > starts[0] + 0.3
    assert ways[1] < ways[0] - 0.2
