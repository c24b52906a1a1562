"""Training reward models, against TRL."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from helpers.models import PROMPTS

from bench.pipeline.stages.training.reward_training import (
    CENTER,
    choice_loss,
    new_reward_model,
    train_reward_model,
)
from bench.tasks.base import RewardTraining
from methods.core.feedback import Choice
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.trainer import trainer_arguments


def test_a_choice_of_two_is_bradley_terry() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, 0.7]])
    plain = -torch.nn.functional.logsigmoid(logits[:, 0] - logits[:, 1]).mean()
    assert torch.allclose(choice_loss(logits, 0.0), plain)
    missing = torch.cat([logits, torch.full((2, 1), -torch.inf)], dim=1)
    assert torch.allclose(choice_loss(missing), choice_loss(logits))


def test_a_reward_model_of_pairs_is_that_of_trl(sft_folder: Path, tmp_path: Path) -> None:
    """Same weights after 12 steps as with TRL's RewardTrainer, and so the same loss at each."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    random = Random(0)
    texts = [" ".join(random.choices("abcd", k=random.randint(1, 3))) for _ in range(192)]
    choices = [
        Choice(random.choice(PROMPTS), f"{a} </answer>", (b,))
        for a, b in zip(texts[::2], texts[1::2], strict=True)
    ]
    ours = train_reward_model(
        sft_folder,
        choices,
        RewardTraining(2, 16, 1e-3),
        device="cpu",
        seed=0,
        workdir=tmp_path,
    )
    model, tokenizer = new_reward_model(sft_folder, 0), ours.tokenizer
    start = [p.detach().clone() for p in model.parameters()]

    def tokens(prompt: str, response: str) -> list[int]:
        return encode_prompts(tokenizer, [prompt])[0] + encode_responses(tokenizer, [response])[0]

    rows = [
        {"chosen_ids": tokens(c.prompt, c.chosen), "rejected_ids": tokens(c.prompt, c.rejected[0])}
        for c in choices
    ]
    arguments = RewardConfig(
        **trainer_arguments(model, "cpu", 0, tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        warmup_steps=20,
        center_rewards_coefficient=CENTER,
        max_length=None,
        logging_strategy="no",
    )
    RewardTrainer(
        model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    ).train()
    for before, mine, theirs in zip(
        start, ours.model.parameters(), model.parameters(), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-5)
        assert not torch.allclose(mine, before, atol=1e-5)
