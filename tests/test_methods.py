"""Methods learn what they should, and the same run is the same run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from conftest import LAW, PROMPTS, likes_a, same, weights

from methods.base import Context, Diverged
from methods.best_of_n import BestOfNPolicy
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.training.rollout import collect
from methods.core.models.sampling import token_logprobs
from methods.core.training.trainer import whole_batches
from methods.dpo import DPO
from methods.ppo import PPO, check_untouched
from methods.ppo_gold import PPOGold
from methods.sft import SFT

MakeContext = Callable[..., Context]
QUICK_PPO = PPO(
    kl_coef=0.02, episodes=1536, batch_size=64, learning_rate=5e-3, value_learning_rate=5e-3,
    value_init="zero", save_every=5,
)  # fmt: skip
QUICK_DPO = DPO(beta=0.5, examples=960, batch_size=32, learning_rate=2e-3)


def test_batches_fit_or_it_is_said() -> None:
    assert whole_batches(10, 100, 4) == 2 and whole_batches(100, 10, 4) == 2
    assert whole_batches(10, 0, 4) == 0
    for wanted, budget in ((3, 100), (100, 3)):
        with pytest.raises(ValueError, match="3 examples or episodes are too few for a batch of 4"):
            whole_batches(wanted, budget, 4)


def share_of_a(policy: object) -> float:
    responses = policy.generate(PROMPTS * 100, 99, LAW)  # type: ignore[attr-defined]
    return sum(likes_a(None, responses)) / len(responses)


def test_ppo_learns_a_trivial_preference(make_context: MakeContext) -> None:
    context = make_context()
    before = share_of_a(context.reference)
    assert before < 0.45
    assert share_of_a(QUICK_PPO.train(context)) > 0.8


def test_ppo_stays_at_the_reference_under_a_large_kl_coefficient(make_context: MakeContext) -> None:
    context = make_context()
    policy = replace(QUICK_PPO, kl_coef=50.0, reward_scaling="none").train(context)
    assert abs(share_of_a(policy) - share_of_a(context.reference)) < 0.1


def test_dpo_learns_a_trivial_preference(make_context: MakeContext) -> None:
    context = make_context()
    policy = QUICK_DPO.train(context)
    chosen, rejected = ["a a a"] * 3, ["b b b"] * 3

    def margin(of: object) -> list[float]:
        return [
            a - b
            for a, b in zip(
                of.logprobs(PROMPTS, chosen, LAW),  # type: ignore[attr-defined]
                of.logprobs(PROMPTS, rejected, LAW),  # type: ignore[attr-defined]
                strict=True,
            )
        ]

    grown = [a - b for a, b in zip(margin(policy), margin(context.reference), strict=True)]
    assert min(grown) > 2


def test_dpo_loss_at_the_reference_is_log_2(make_context: MakeContext) -> None:
    context = make_context()
    replace(QUICK_DPO, learning_rate=1e-12).train(context)
    assert context.curves[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_dpo_does_not_train_an_end_that_was_not_there(make_context: MakeContext) -> None:
    """Cut-off responses have no end token: its probability after them must not be touched."""
    context = make_context(labels=[Pair("a", "a b c", "c b a")] * 64)
    from methods.core.trl.pair_rows import token_rows
    from methods.core.trl.dpo import PairCollator

    tokenizer = context.reference.tokenizer
    row = token_rows(tokenizer, [Pair("a", "a b c", "c b </answer>")])[0]
    end = tokenizer.eos_token_id
    ids = {
        "prompt_ids": [3, 6, 4, 5],
        # As DPOTrainer's own preparation gives them: an end token on both.
        "chosen_ids": [*tokenizer("a b c")["input_ids"], end],
        "rejected_ids": [*tokenizer("c b")["input_ids"], end],
    }
    batch = PairCollator(tokenizer.pad_token_id)([ids | row])
    assert batch["completion_mask"].sum(1).tolist() == [3, 3]
    assert (batch["input_ids"] == end).sum(1).tolist() == [0, 1]


def test_before_the_first_update_kl_is_0_and_ratios_are_1(make_context: MakeContext) -> None:
    context = make_context()
    policy = context.start()
    rollout = collect(context, policy, PROMPTS * 20, seed=0)
    logprobs = token_logprobs(policy.model, rollout.batch, LAW)
    ratios = (logprobs - rollout.logprobs)[rollout.mask].exp()
    assert torch.allclose(ratios, torch.ones_like(ratios), atol=1e-4)
    assert rollout.kl() == pytest.approx(0.0, abs=1e-4)
    with pytest.raises(RuntimeError, match="sampling and scoring differ"):
        check_untouched(rollout, logprobs + 0.5, tolerance=0.01)


class Stopped(Exception):
    """Stands for the kill signal."""


@pytest.mark.parametrize("stop_after", [7, 12])
def test_resumed_equals_uninterrupted(make_context: MakeContext, stop_after: int) -> None:
    method = replace(QUICK_PPO, episodes=1024)
    whole = make_context()
    expected = weights(method.train(whole))
    calls = 0

    def killed(prompts: object, responses: list[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls > stop_after:
            raise Stopped
        return likes_a(prompts, responses)

    workdir = whole.workdir.parent / "resumed"
    workdir.mkdir()
    with pytest.raises(Stopped):
        method.train(make_context(reward=killed, workdir=workdir))
    again = make_context(workdir=workdir)
    assert same(expected, weights(method.train(again)))
    assert again.curves == whole.curves
    costs = ("responses_sampled", "reward_calls", "train_tokens")
    assert [getattr(again.usage, c) for c in costs] == [getattr(whole.usage, c) for c in costs]
    # It did go on, and not start anew.
    assert again.usage.reward_calls > sum(1 for _ in again.curves)


def test_infinite_reward_is_divergence(make_context: MakeContext) -> None:
    context = make_context(reward=lambda p, r: [math.inf] * len(r))
    with pytest.raises(Diverged, match="gradient norm nan in update 0"):
        replace(QUICK_PPO, reward_scaling="none").train(context)


def test_what_was_used_is_metered(make_context: MakeContext) -> None:
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


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("adaptive KL", {"kl_target": 0.1, "kl_horizon": 100}),
        ("standardized reward", {"reward_scaling": "standardize"}),
        ("missing end", {"missing_end_score": -1.0}),
        ("missing end penalty", {"missing_end_penalty": 1.0}),
        ("no whitening", {"whiten": False}),
        ("no gradient clipping", {"max_grad_norm": None}),
        ("minibatches", {"minibatches": 4}),
        ("clip", {"clip": 0.01}),
        ("value clip", {"value_clip": 0.001}),
        ("lambda", {"lam": 0.5}),
        ("gamma", {"gamma": 0.5}),
    ],
)
def test_every_option_of_ppo_changes_something(
    make_context: MakeContext, option: str, changes: dict[str, object]
) -> None:
    """An option that is documented but never passed on is a bug that others have shipped."""
    base = replace(QUICK_PPO, episodes=256, epochs=2)
    plain = weights(base.train(make_context()))
    changed = weights(replace(base, **changes).train(make_context()))  # type: ignore[arg-type]
    assert not same(plain, changed), option


def test_best_of_n_picks_the_best_and_survives_saving(make_context: MakeContext) -> None:
    context = make_context()
    policy = BestOfNPolicy(context.start(), likes_a, 16)  # type: ignore[arg-type]
    assert share_of_a(policy) > 0.6
    one = BestOfNPolicy(context.start(), likes_a, 1)  # type: ignore[arg-type]
    assert one.generate(PROMPTS, 3, LAW) == context.start().generate(PROMPTS, 3, LAW)


def test_sft_is_the_start(make_context: MakeContext) -> None:
    context = make_context()
    assert same(weights(SFT().train(context)), weights(context.reference))


def test_beta_is_no_coefficient_of_the_kl_where_something_else_holds_the_policy() -> None:
    assert DPO().strength_is_kl
    assert not DPO(divergence="js_divergence").strength_is_kl


def test_only_ppo_gold_is_privileged() -> None:
    from bench.config.catalog import catalog

    kinds = {name: kind for name, kind in catalog().items() if not isinstance(kind, str)}
    assert [name for name, kind in kinds.items() if kind.privileged] == ["ppo_gold"]
    assert PPOGold().value_init == "zero"


def test_a_policy_is_loaded_by_the_class_that_saved_it(
    make_context: MakeContext, sft_folder: object
) -> None:
    from bench.pipeline.reward_model import new_reward_model
    from methods.core.models.reward import RewardModel

    context = make_context()
    reward = RewardModel(new_reward_model(context.sft, 0), context.reference.tokenizer)
    saved = BestOfNPolicy(context.start(), reward, 4)
    saved.save(context.workdir / "policy")
    loaded = load_policy(context.workdir / "policy", "cpu")
    assert isinstance(loaded, BestOfNPolicy)
    assert loaded.generate(PROMPTS, 1, LAW) == saved.generate(PROMPTS, 1, LAW)


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
