"""Two steps of dr_grpo, dapo, gspo and cispo are those of TRL's GRPOTrainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
import torch
from helpers.models import weights
from helpers.online import Recorder

from methods.base import Context
from methods.cispo import CISPO
from methods.core.models.batch import make_batch
from methods.core.models.logprobs import token_logprobs
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.online import run as loop
from methods.core.online.rollout import Rollout
from methods.dapo import DAPO
from methods.dr_grpo import DrGRPO
from methods.grpo import GRPO
from methods.gspo import GSPO
from methods.toolkit.policy_gradient import PolicyGradient

LONG = SamplingParams(max_new_tokens=12)
# Both steps are on the same responses, the second one with ratios that have moved. One minibatch,
# so that the order of the rows does not matter. Half the learning rate in the second step.
COMMON = {"batch_size": 32, "episodes": 32, "group": 4, "minibatches": 1, "epochs": 2}
MakeContext = Callable[..., Context]


class Scattered(Recorder):
    """Keeps what was rewarded. Almost no two rewards are equal."""

    def reward(self, prompts: list[str], responses: list[str]) -> list[float]:
        super().reward(prompts, responses)
        return [crc32(response.encode()) / 2**32 for response in responses]


def recorded_rollout(context: Context, recorder: Scattered) -> Rollout:
    """Return what TRL sampled and rewarded as a rollout of ours."""
    policy = context.reference
    prompts, responses = map(list, zip(*recorder.rewarded, strict=True))
    batch = make_batch(
        encode_prompts(policy.tokenizer, prompts),
        encode_responses(policy.tokenizer, responses),
        policy.tokenizer.pad_token_id,
        "cpu",
    )
    with torch.no_grad():
        logprobs = token_logprobs(policy.model, batch, context.sampling)
    rewards = torch.tensor(recorder.reward(prompts, responses))
    ended = torch.ones(len(rewards)).bool()
    return Rollout(batch, logprobs, logprobs.clone(), rewards, ended)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (
            DrGRPO(kl_coef=0.5, clip=0.1, learning_rate=2.0),
            {"loss_type": "dr_grpo", "scale_rewards": "none"},
        ),
        (
            DAPO(kl_coef=0.05, clip=0.1, clip_high=0.15, learning_rate=0.5),
            {"loss_type": "dapo", "epsilon_high": 0.15},
        ),
        (
            CISPO(kl_coef=0.05, clip_high=0.1, learning_rate=0.5),
            {"loss_type": "cispo", "epsilon_high": 1.1},
        ),
        (
            GSPO(kl_coef=0.05, clip=0.05, clip_high=0.06, learning_rate=0.5),
            {
                "loss_type": "grpo",
                "importance_sampling_level": "sequence",
                "epsilon_high": 0.06,
            },
        ),
    ],
    ids=["dr_grpo", "dapo", "cispo", "gspo"],
)
def test_two_steps_are_those_of_trl(
    make_context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    method: PolicyGradient,
    options: dict[str, Any],
) -> None:
    """By plain gradient descent, so that the weights show the gradients themselves."""
    from trl import GRPOConfig, GRPOTrainer

    recorder = Scattered(monkeypatch)
    method = replace(method, **COMMON, max_grad_norm=None)  # type: ignore[arg-type]
    shared = {name: getattr(method, name) for name in ("kl_coef", "clip", "learning_rate")}
    by_trl = GRPO(**shared, **COMMON)  # type: ignore[arg-type]
    context = make_context(reward=recorder.reward, sampling=LONG)
    options = {"scale_rewards": "group", "use_bias_correction_kl": False} | options
    expected = by_trl.fit(
        context, GRPOTrainer, GRPOConfig, optim="sgd", max_grad_norm=1e9, **options
    )

    ours = make_context(reward=recorder.reward, sampling=LONG)
    rollout = recorded_rollout(ours, recorder)
    assert 1 < int(rollout.mask.sum(1).min()) + 1 < int(rollout.mask.sum(1).max())
    monkeypatch.setattr(loop, "collect", lambda *_: rollout)
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, **_: torch.optim.SGD(groups))
    policy = method.train(ours)
    start = weights(ours.start())
    moved, theirs = (
        torch.cat([(a - b).flatten() for a, b in zip(weights(p), start, strict=True)])  # type: ignore[arg-type]
        for p in (policy, expected)
    )
    [point] = ours.curves
    assert float(theirs.norm()) > 0.01
    assert 0.02 < point["clip_fraction"] < 0.5, "the second step should be clipped at some tokens"
    assert float((moved - theirs).abs().max()) < 1e-5
    assert float((moved - theirs).norm() / theirs.norm()) < 1e-4
