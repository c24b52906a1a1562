"""Reward models: what they read, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.models.text import encode_prompts


def test_reward_model_reads_the_last_real_token(sft_folder: Path) -> None:
    from bench.pipeline.stages.training.reward_training import new_reward_model

    tokenizer = ModelPolicy.load(sft_folder, "cpu").tokenizer
    model = new_reward_model(sft_folder, 0)
    prompts, responses = ["a", "a b c", "b"], ["a", "b c </answer>", "c c"]
    in_one_batch = RewardModel(model, tokenizer)(prompts, responses)
    one_by_one = [
        RewardModel(model, tokenizer)([p], [r])[0] for p, r in zip(prompts, responses, strict=True)
    ]
    assert in_one_batch == pytest.approx(one_by_one, abs=1e-5)
    ids = torch.tensor([encode_prompts(tokenizer, ["b"])[0] + tokenizer("c c")["input_ids"]])
    assert in_one_batch[2] == pytest.approx(float(model(ids).logits), abs=1e-5)
