"""The heads of reward and value models compute in float32 inside a training in bf16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.models import PROMPTS, SAMPLING
from torch import Tensor, nn

from bench.pipeline.stages.training.reward_training import new_reward_model, rewards_of_rows
from methods.core.models.loading import Loading, Lora, adapted
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.online.critic import token_values
from methods.core.training.context import Context

LORA = Loading(lora=Lora(rank=4))


def in_bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def share_in_bf16(values: Tensor) -> float:
    """Return the share of values that bf16 can represent: 1 if they were rounded to it."""
    return float((values == values.bfloat16().float()).float().mean())


@pytest.mark.parametrize("loading", [Loading(), LORA], ids=["whole", "lora"])
def test_values_and_rewards_in_training_are_not_rounded(
    loading: Loading, sft_folder: Path, reference: ModelPolicy
) -> None:
    model = adapted(new_reward_model(sft_folder, 0, loading=loading), loading, head="score")
    batch, _ = reference.sample(PROMPTS * 20, 0, SAMPLING)
    with torch.no_grad(), in_bf16():
        values = token_values(model, batch)
        rewards = rewards_of_rows(model, batch.responses, batch.response_mask.long())
    for outputs in (values, rewards):
        assert outputs.dtype == torch.float32
        assert share_in_bf16(outputs) < 0.2
    # Gradients reach the head and the body.
    with in_bf16():
        token_values(model, batch).sum().backward()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert all(w.grad is not None and w.grad.isfinite().all() for w in trained)


def test_a_float32_head_is_closer_to_the_exact_output(sft_folder: Path) -> None:
    model = new_reward_model(sft_folder, 0)
    torch.manual_seed(0)
    hidden = 3 * torch.randn(200, model.config.hidden_size)
    plain = nn.Linear(*reversed(model.score.weight.shape), bias=False)
    plain.weight = model.score.weight
    exact = plain(hidden)
    with in_bf16():
        rounded, ours = plain(hidden).float(), model.score(hidden)
    assert torch.equal(ours, exact)
    assert (rounded - exact).abs().max() > 0.005


def test_a_reward_is_the_same_inside_a_training_in_bf16(
    sft_folder: Path, reference: ModelPolicy
) -> None:
    reward = RewardModel(new_reward_model(sft_folder, 0), reference.tokenizer)
    texts = reference.generate(PROMPTS, 0, SAMPLING)
    outside = reward(PROMPTS, texts)
    with in_bf16():
        assert reward(PROMPTS, texts) == outside


def test_a_saved_head_is_an_ordinary_one(
    sft_folder: Path, tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    from transformers import AutoModelForSequenceClassification

    model = new_reward_model(sft_folder, 0)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded.score) is nn.Linear
    assert torch.equal(loaded.score.weight, model.score.weight)
    critic = make_context().value_model("zero")
    assert critic.score.weight.count_nonzero() == 0
