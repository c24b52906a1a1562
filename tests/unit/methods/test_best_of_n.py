"""Best-of-n sampling, and policies that are no single model."""

from __future__ import annotations

from collections.abc import Callable

from helpers.methods import sampled_share_of_a
from helpers.models import PROMPTS, SAMPLING, likes_a

from methods.base import Context
from methods.best_of_n import BestOfNPolicy
from methods.core.models.policy import load_policy

MakeContext = Callable[..., Context]


def test_best_of_n_picks_the_best(make_context: MakeContext) -> None:
    context = make_context()
    policy = BestOfNPolicy(context.start(), likes_a, 16)  # type: ignore[arg-type]
    assert sampled_share_of_a(policy) > 0.6
    one = BestOfNPolicy(context.start(), likes_a, 1)  # type: ignore[arg-type]
    assert one.generate(PROMPTS, 3, SAMPLING) == context.start().generate(PROMPTS, 3, SAMPLING)


def test_a_policy_is_loaded_by_the_class_that_saved_it(
    make_context: MakeContext, sft_folder: object
) -> None:
    from bench.pipeline.stages.training.reward_training import new_reward_model
    from methods.core.models.reward import RewardModel

    context = make_context()
    reward = RewardModel(new_reward_model(context.sft, 0), context.reference.tokenizer)
    saved = BestOfNPolicy(context.start(), reward, 4)
    saved.save(context.workdir / "policy")
    loaded = load_policy(context.workdir / "policy", "cpu")
    assert isinstance(loaded, BestOfNPolicy)
    assert loaded.generate(PROMPTS, 1, SAMPLING) == saved.generate(PROMPTS, 1, SAMPLING)
