"""Each dial of the exact world does what it says, seen in what it is meant to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.evaluation.reference_samples import Ruler
from bench.pipeline.embedded import EmbeddedWorld
from bench.cache.store import Store
from bench.tasks.base import Annotator, Architecture, Coverage, RewardTraining, Training
from bench.tasks.exact import Exact
from methods.core.models.sampling import SamplingLaw

WORLD = Exact(
    length=2,
    judgements=4096,
    architecture=Architecture(layers=2, hidden=16, heads=2, intermediate=32),
    pretraining=Training(8192, 1, 64, 6e-3),
    sft=Training(2048, 1, 64, 6e-3),
    reward=RewardTraining(4, 256, 1e-2),
)
MakeWorld = Callable[..., EmbeddedWorld]


@pytest.fixture(scope="module")
def make_world(tmp_path_factory: pytest.TempPathFactory) -> MakeWorld:
    """Return a maker of prepared worlds, which share what does not depend on the dial."""
    store = Store(tmp_path_factory.mktemp("dials"))

    def make(**dials: object) -> EmbeddedWorld:
        world = EmbeddedWorld(replace(WORLD, **dials), 0, "cpu", store)  # type: ignore[arg-type]
        world.prepare()
        return world

    return make


def accuracy(world: EmbeddedWorld) -> float:
    return float(world.figures("reward_model")["reward_accuracy"])


@pytest.mark.parametrize(
    ("worse", "by"),
    [
        ({"annotator": Annotator(flip_rate=0.4)}, 0.02),
        ({"annotator": Annotator(temperature=8.0)}, 0.02),
        ({"annotator": Annotator(tie_margin=3.0)}, 0.02),
        ({"judgements": 64}, 0.05),
    ],
    ids=["flips", "temperature", "ties", "judgements"],
)
def test_a_worse_signal_makes_a_worse_reward_model(
    make_world: MakeWorld, worse: dict[str, object], by: float
) -> None:
    assert accuracy(make_world(**worse)) < accuracy(make_world()) - by


def test_capacity_is_how_many_layers_the_reward_model_keeps(make_world: MakeWorld) -> None:
    small = make_world(reward=replace(WORLD.reward, layers=1)).reward_model().model
    assert (small.config.num_hidden_layers, len(small.base_model.layers)) == (1, 1)
    assert len(make_world().reward_model().model.base_model.layers) == 2


def test_coverage_says_where_judged_responses_come_from(make_world: MakeWorld) -> None:
    """Judged responses are likelier under the SFT policy when they are sampled from it."""

    def likelihood_and_gold(world: EmbeddedWorld) -> tuple[float, float]:
        pairs = world.feedback("pairs")
        prompts = [pair.prompt for pair in pairs] * 2
        responses = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
        logprobs = world.sft().logprobs(prompts, responses, SamplingLaw(max_new_tokens=2))
        return float(np.mean(logprobs)), float(np.mean(world.task.gold(prompts, responses)))

    own, gold = likelihood_and_gold(make_world())
    base, _ = likelihood_and_gold(make_world(coverage=Coverage(policy="base_model")))
    wide, _ = likelihood_and_gold(make_world(coverage=Coverage(temperature=4.0)))
    _, tilted = likelihood_and_gold(make_world(coverage=Coverage(tilt=0.5)))
    assert base < own - 0.05 and wide < own - 0.3
    ruler = Ruler(make_world(), SamplingLaw(max_new_tokens=2), 64)
    ruler.make()
    half = (ruler.basis.limit.reference_reward() + ruler.basis.limit.point(0.5)[1]) / 2
    assert tilted == pytest.approx(half, abs=0.1) and tilted > gold + 0.3


def test_overlap_says_where_the_reference_starts_and_how_far_the_optimum_is(
    make_world: MakeWorld,
) -> None:
    starts, ways = [], []
    for overlap in (-1.0, 1.0):
        world = make_world(overlap=overlap)
        ruler = Ruler(world, SamplingLaw(max_new_tokens=2), 64)
        ruler.make()
        starts.append(ruler.basis.limit.reference_reward())
        ways.append(ruler.basis.limit.kl(0.1))
    assert starts[1] > starts[0] + 0.3
    assert ways[1] < ways[0] - 0.2
