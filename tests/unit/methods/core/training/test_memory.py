"""Memory of a training step: micro-batches that leave gradients as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS

from bench.pipeline.stages.training.reward_training import train_reward_model
from bench.tasks.base import RewardTraining
from methods.core.feedback import Pair
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.training.memory import accumulation, activation_bytes, micro_batch_tokens
from methods.core.training.trainer import trainer_arguments
from methods.core.trl.sft import train_on_responses

LETTERS = "a b c d"
RESPONSES = ["a b c </answer>", "d", "c b a d c </answer>", "b </answer>", "a", "d d d", "c", "a b"]


def changes(before: ModelPolicy, after: Any) -> torch.Tensor:
    pairs = zip(before.model.parameters(), after.parameters(), strict=True)
    return torch.cat([(new - old).detach().flatten() for old, new in pairs])


@pytest.mark.parametrize(
    ("longest", "most", "size"), [(10, 1000, 12), (10, 60, 6), (10, 59, 4), (10, 5, 1)]
)
def test_micro_batches_are_as_large_as_memory_allows(longest: int, most: int, size: int) -> None:
    expected = {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": 12 // size,
    }
    assert accumulation(12, longest, most) == expected


def test_micro_batches_leave_fine_tuning_as_it_is(reference: ModelPolicy, tmp_path: Path) -> None:
    """Also where responses differ in their tokens: the loss is a mean over those of the batch."""
    trained = []
    for most_tokens in (1000, 25):
        policy = ModelPolicy.load(Path(reference.model.name_or_path), "cpu")
        start = ModelPolicy.load(Path(reference.model.name_or_path), "cpu")
        arguments = trainer_arguments(policy.model, "cpu", 0, tmp_path) | {
            **{"max_steps": 4, "per_device_train_batch_size": 8, "learning_rate": 0.1},
            **{"optim": "sgd", "logging_strategy": "no"},
        }
        prompts = [PROMPTS[i % len(PROMPTS)] for i in range(len(RESPONSES))]
        trainer = train_on_responses(
            policy.model, policy.tokenizer, prompts, RESPONSES, arguments, most_tokens
        )
        trained.append((changes(start, policy.model), trainer.args.gradient_accumulation_steps))
    (whole, one), (parts, several) = trained
    assert (one, several) == (1, 4)
    assert float(whole.abs().max()) > 0.01
    assert torch.allclose(whole, parts, atol=1e-5)


def test_micro_batches_leave_a_reward_model_as_it_is(sft_folder: Path, tmp_path: Path) -> None:
    pairs = [
        Pair(PROMPTS[i % len(PROMPTS)], RESPONSES[i % 8], RESPONSES[(i + 3) % 8]) for i in range(64)
    ]
    labels = [pair for pair in pairs if pair.chosen != pair.rejected]
    weights = []
    for tokens in (0, 30):
        model = train_reward_model(
            sft_folder,
            labels,
            RewardTraining(1, 16, 1e-3),
            device="cpu",
            seed=0,
            workdir=tmp_path,
            loading=Loading(micro_batch_tokens=tokens),
        )
        weights.append(torch.cat([w.detach().flatten() for w in model.model.parameters()]))
    # Adam divides by the size of a gradient, so rounding shows where that is near 0.
    difference = (weights[0] - weights[1]).abs()
    assert float(difference.mean()) < 1e-6 and float(difference.max()) < 1e-3


def test_small_models_have_large_micro_batches(reference: ModelPolicy) -> None:
    assert micro_batch_tokens([reference.model], Loading(), "cpu") == 16_384
    assert micro_batch_tokens([reference.model], Loading(micro_batch_tokens=7), "cpu") == 7


def test_checkpointing_makes_room_for_more_tokens() -> None:
    from transformers import LlamaConfig

    sizes = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
    config = LlamaConfig(**sizes)
    plain = activation_bytes(config, Loading(), 2)
    checkpointing = activation_bytes(config, Loading(gradient_checkpointing=True), 2)
    # In bytes of a layer, 4 x 6 x 2048 and 2 x (4 x 2048 + 4 x 8192).
    assert plain == 16 * 131_072
    # 2048 values of each layer, and all of one.
    assert checkpointing == 16 * 2 * 2048 + 131_072
