"""The reward model: a sequence classifier that starts from the SFT policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tasks.base import RewardTraining
from methods.core.feedback import Pair
from methods.core.reward import RewardModel
from methods.core.text import encode_prompts, encode_responses
from methods.core.training import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A Bradley-Terry loss leaves the reward's level free. This pull keeps its mean near 0; ten times
# more would flatten the reward, for it falls on all pairs of two good or two bad responses.
CENTER = 0.001


def train_reward_model(
    sft: Path,
    pairs: Sequence[Pair],
    training: RewardTraining,
    *,
    device: str,
    seed: int,
    workdir: Path,
) -> RewardModel:
    """Train a Bradley-Terry reward model with TRL's RewardTrainer."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    tokenizer = AutoTokenizer.from_pretrained(sft)
    model = new_reward_model(sft, seed, training.layers)
    arguments = RewardConfig(
        **trainer_arguments(model, device, seed, workdir),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_steps=20,
        center_rewards_coefficient=CENTER,
        max_length=None,
        logging_strategy="no",
    )
    rows = Dataset.from_list(token_rows(tokenizer, pairs))
    train_quietly(
        RewardTrainer(model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    )
    return RewardModel(model, tokenizer)


def new_reward_model(sft: Path, seed: int, layers: int | None = None) -> PreTrainedModel:
    """Return the SFT policy's body with a new head, drawn from N(0, 1/(d+1)) without a bias.

    layers: how many of the body's layers are kept, from below; all by default.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        depth = {} if layers is None else {"num_hidden_layers": layers}
        model = AutoModelForSequenceClassification.from_pretrained(
            sft, num_labels=1, use_safetensors=True, **depth
        )
        torch.nn.init.normal_(model.score.weight, std=(model.config.hidden_size + 1) ** -0.5)
    return model


def token_rows(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]
) -> list[dict[str, list[int]]]:
    """Return the pairs as RewardTrainer's token columns (from text it would add an end token)."""
    prompts = encode_prompts(tokenizer, [p.prompt for p in pairs])
    chosen = encode_responses(tokenizer, [p.chosen for p in pairs])
    rejected = encode_responses(tokenizer, [p.rejected for p in pairs])
    return [
        {"chosen_ids": p + c, "rejected_ids": p + r}
        for p, c, r in zip(prompts, chosen, rejected, strict=True)
    ]


def gold_order_accuracy(
    reward: RewardModel,
    prompts: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    gold: Sequence[tuple[float, float]],
) -> float:
    """Return how often the reward model ranks two responses as gold does; gold's ties left out."""
    kept = [i for i, (a, b) in enumerate(gold) if a != b]
    asked = [prompts[i] for i in kept]
    first = reward(asked, [pairs[i][0] for i in kept])
    second = reward(asked, [pairs[i][1] for i in kept])
    right = [
        (a > b) == (gold[i][0] > gold[i][1]) for i, a, b in zip(kept, first, second, strict=True)
    ]
    return sum(right) / len(right)
