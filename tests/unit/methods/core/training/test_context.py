"""The context: it counts what is used, and keeps methods to what they declare."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.methods import QUICK_DPO, QUICK_PPO
from helpers.models import same, weights

from methods.base import Context
from methods.core.models.policy import ModelPolicy, load_policy
from methods.dpo import DPO
from methods.ppo import PPO
from methods.sft import SFT

MakeContext = Callable[..., Context]


def test_usage_is_counted(make_context: MakeContext) -> None:
    context = make_context()
    replace(QUICK_PPO, episodes=128, reward_scaling="none", epochs=1).train(context)
    assert context.usage.responses_sampled == 128
    assert context.usage.reward_calls == 128
    # Two models, one pass: prompts of 4 to 6 tokens and responses of 1 to 3.
    assert 2 * 128 * 5 < context.usage.train_tokens < 2 * 128 * 9


def test_a_method_that_declares_no_reward_gets_none(make_context: MakeContext) -> None:
    with pytest.raises(PermissionError):
        make_context(reward=None).reward(["a"], ["a"])


def test_budget_is_kept(make_context: MakeContext) -> None:
    context = make_context(budget=200)
    QUICK_PPO.train(context)
    assert context.curves[-1]["step"] == 192
    start = weights(context.start())
    assert same(start, weights(QUICK_DPO.train(make_context(budget=0))))
    assert same(start, weights(QUICK_PPO.train(make_context(budget=0))))


def test_sft_is_the_start(make_context: MakeContext) -> None:
    context = make_context()
    assert same(weights(SFT().train(context)), weights(context.reference))


@pytest.mark.parametrize("method", [QUICK_PPO, QUICK_DPO], ids=["ppo", "dpo"])
def test_checkpoints_lie_at_the_squares_of_equal_parts_and_change_nothing(
    make_context: MakeContext, method: PPO | DPO
) -> None:
    total = 640
    field = "episodes" if isinstance(method, PPO) else "examples"
    short = replace(method, **{field: total})
    context = make_context(checkpoints=3)
    policy = short.train(context)
    assert same(weights(policy), weights(short.train(make_context())))
    kept = sorted((context.workdir / "checkpoints").iterdir(), key=lambda path: int(path.name))
    points = [json.loads((folder / "checkpoint.json").read_text()) for folder in kept]
    # The first update at or past 1/16, 4/16 and 9/16 of the way.
    size = method.batch_size
    wanted = [math.ceil(total * share / size) * size for share in (1 / 16, 4 / 16, 9 / 16)]
    assert [point["step"] for point in points] == wanted
    assert {point["total"] for point in points} == {total}
    first, last = load_policy(kept[0], "cpu"), load_policy(kept[-1], "cpu")
    assert isinstance(first, ModelPolicy) and isinstance(last, ModelPolicy)
    assert not same(weights(first), weights(last))
    assert not same(weights(last), weights(policy))
