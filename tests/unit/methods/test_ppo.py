"""PPO learns, resumes, and passes each of its options on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import pvariance

import pytest
import torch
from helpers.methods import QUICK_PPO, sampled_share_of_a
from helpers.models import PROMPTS, SAMPLING, likes_a, same, small_context, weights

from methods.base import Context, Diverged
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.online.rollout import collect
from methods.ppo import PPO

MakeContext = Callable[..., Context]
# With all that changes between updates: the KL coefficient, and the scale of the rewards.
RESUMED_PPO = replace(
    QUICK_PPO, episodes=1024, kl_target=0.1, kl_horizon=1000, reward_scaling="standardize"
)
SHORT_PPO = replace(QUICK_PPO, episodes=256, epochs=2)
FOLLOWING_PPO = replace(QUICK_PPO, episodes=1024, reference_decay=0.5)


@pytest.fixture(scope="module")
def uninterrupted(
    sft_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[PPO, tuple[list[torch.Tensor], Context]]:
    """The weights after a training in one go, and its context, by method."""
    trained = {}
    for method in (RESUMED_PPO, FOLLOWING_PPO):
        context = small_context(sft_folder, tmp_path_factory.mktemp("uninterrupted"))
        trained[method] = weights(method.train(context)), context
    return trained


@pytest.fixture(scope="module")
def default_weights(
    sft_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[torch.Tensor]:
    """The weights after a short training with the default options."""
    return weights(SHORT_PPO.train(small_context(sft_folder, tmp_path_factory.mktemp("default"))))


def test_ppo_learns_a_trivial_preference(make_context: MakeContext) -> None:
    context = make_context()
    before = sampled_share_of_a(context.reference)
    assert before < 0.45
    assert sampled_share_of_a(QUICK_PPO.train(context)) > 0.8


def test_ppo_stays_at_the_reference_under_a_large_kl_coefficient(make_context: MakeContext) -> None:
    context = make_context()
    policy = replace(QUICK_PPO, kl_coef=50.0, reward_scaling="none").train(context)
    assert abs(sampled_share_of_a(policy) - sampled_share_of_a(context.reference)) < 0.1


def test_before_the_first_update_kl_is_0_and_ratios_are_1(make_context: MakeContext) -> None:
    context = make_context()
    policy = context.start()
    rollout = collect(context, policy, PROMPTS * 20, seed=0)
    logprobs = token_logprobs(policy.model, rollout.batch, SAMPLING)
    ratios = (logprobs - rollout.logprobs)[rollout.mask].exp()
    assert torch.allclose(ratios, torch.ones_like(ratios), atol=1e-4)
    assert rollout.kl() == pytest.approx(0.0, abs=1e-4)


def untimed(curves: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the curves without what the clock says."""
    return [{n: v for n, v in point.items() if not n.endswith("_seconds")} for point in curves]


class Stopped(Exception):
    """Stands for the kill signal."""


@pytest.mark.parametrize(
    ("method", "stop_after"), [(RESUMED_PPO, 7), (RESUMED_PPO, 12), (FOLLOWING_PPO, 7)]
)
def test_resumed_equals_uninterrupted(
    make_context: MakeContext,
    uninterrupted: dict[PPO, tuple[list[torch.Tensor], Context]],
    tmp_path: Path,
    method: PPO,
    stop_after: int,
) -> None:
    expected, whole = uninterrupted[method]
    calls = 0

    def killed(prompts: object, responses: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls > stop_after:
            raise Stopped
        return likes_a(prompts, responses)

    workdir = tmp_path / "resumed"
    workdir.mkdir()
    with pytest.raises(Stopped):
        method.train(make_context(reward=killed, workdir=workdir))
    again = make_context(workdir=workdir)
    assert same(expected, weights(method.train(again)))
    assert untimed(again.curves) == untimed(whole.curves)
    counts = ("responses_sampled", "reward_calls", "train_tokens")
    assert [getattr(again.usage, c) for c in counts] == [getattr(whole.usage, c) for c in counts]
    # It resumed, rather than starting again.
    assert again.usage.reward_calls > sum(1 for _ in again.curves)


def test_infinite_reward_is_divergence(make_context: MakeContext) -> None:
    context = make_context(reward=lambda p, r: [math.inf] * len(r))
    with pytest.raises(Diverged, match="a reward is not finite"):
        replace(QUICK_PPO, reward_scaling="none").train(context)


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("adaptive KL", {"kl_target": 0.1, "kl_horizon": 100}),
        ("standardized reward", {"reward_scaling": "standardize"}),
        ("missing end", {"missing_end_reward": -1.0}),
        ("missing end penalty", {"missing_end_penalty": 1.0}),
        ("no whitening", {"whiten": False}),
        ("no gradient clipping", {"max_grad_norm": None}),
        ("minibatches", {"minibatches": 4}),
        ("clip", {"clip": 0.01}),
        ("value clip", {"value_clip": 0.001}),
        ("lambda", {"lam": 0.5}),
        ("gamma", {"gamma": 0.5}),
        ("moving reference", {"reference_decay": 0.5}),
    ],
)
def test_every_option_of_ppo_changes_something(
    make_context: MakeContext,
    default_weights: list[torch.Tensor],
    option: str,
    changes: dict[str, object],
) -> None:
    """A documented option that is never passed on is a bug that other libraries have shipped."""
    method = replace(SHORT_PPO, **changes)  # type: ignore[arg-type]
    assert not same(default_weights, weights(method.train(make_context()))), option


def test_the_same_options_change_nothing(
    make_context: MakeContext, default_weights: list[torch.Tensor]
) -> None:
    assert same(default_weights, weights(SHORT_PPO.train(make_context())))


def test_the_scale_of_rewards_is_that_of_a_critic_that_starts_from_the_reward_model(
    make_context: MakeContext, sft_folder: Path, tmp_path: Path
) -> None:
    from bench.pipeline.stages.training.reward_training import new_reward_model

    tokenizer = ModelPolicy.load(sft_folder, "cpu").tokenizer
    RewardModel(new_reward_model(sft_folder, 0), tokenizer).save(tmp_path / "reward")
    model = RewardModel.load(tmp_path / "reward", "cpu")
    sampled: list[float] = []

    def reward(prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        sampled[:] = model(prompts, responses)
        return list(sampled)

    one_update = replace(
        QUICK_PPO, episodes=96, batch_size=96, epochs=1, minibatches=1, kl_coef=0.0
    )
    points = {}
    for scaling in ("none", "center", "standardize"):
        context = make_context(reward=reward, reward_folder=tmp_path / "reward")
        assert context.starts_from_reward("reward_model") and not context.starts_from_reward("zero")
        replace(one_update, reward_scaling=scaling, value_init="reward_model").train(context)
        [points[scaling]] = context.curves
    # A critic on the scale of the rewards errs equally on each scale, and the advantages are equal.
    squared = {"none": 1.0, "center": 1.0, "standardize": pvariance(sampled)}
    assert squared["standardize"] < 0.5
    for scaling, point in points.items():
        error = points["none"]["value_loss"] / squared[scaling]
        assert point["value_loss"] == pytest.approx(error, rel=1e-3)
        gradient = points["none"]["policy_gradient_norm"]
        assert point["policy_gradient_norm"] == pytest.approx(gradient, rel=1e-3)
