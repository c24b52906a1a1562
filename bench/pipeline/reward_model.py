"""The reward model: a sequence classifier that starts from the SFT policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tasks.base import RewardTraining
from methods.core.feedback import Choice
from methods.core.reward import RewardModel
from methods.core.sampling import make_batch
from methods.core.text import encode_prompts, encode_responses
from methods.core.training import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

# A Bradley-Terry loss leaves the reward's level free. This pull keeps its mean near 0; ten times
# more would flatten the reward, for it falls on all pairs of two good or two bad responses.
CENTER = 0.001


def train_reward_model(
    sft: Path,
    choices: Sequence[Choice],
    training: RewardTraining,
    *,
    device: str,
    seed: int,
    workdir: Path,
) -> RewardModel:
    """Train a reward model on choices of one among several: Bradley-Terry where it is among two.

    With two it does what TRL's RewardTrainer does.
    """
    from transformers import AutoTokenizer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(sft)
    model = new_reward_model(sft, seed, training.layers)
    arguments = TrainingArguments(
        **trainer_arguments(model, device, seed, workdir),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_steps=20,
        remove_unused_columns=False,
        logging_strategy="no",
    )
    rows = token_rows(tokenizer, choices)
    train_quietly(
        lambda: _trainer_class()(
            model,
            arguments,
            train_dataset=rows,
            data_collator=lambda batch: collate(batch, tokenizer.pad_token_id),
        )
    )
    return RewardModel(model, tokenizer)


def choice_loss(scores: Tensor, center: float = CENTER) -> Tensor:
    """Return -log softmax of the chosen response's score, and a pull of the scores towards 0.

    scores: [choices, responses], the chosen one first; -inf where there are fewer responses.
    """
    import torch

    present = torch.where(scores.isfinite(), scores, 0.0)
    return -scores.log_softmax(1)[:, 0].mean() + center * (present.sum(1) ** 2).mean()


def _trainer_class() -> type[Trainer]:
    """Return transformers' Trainer with the loss on choices."""
    import torch
    from transformers import Trainer

    class ChoiceTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            rows = model(
                input_ids=inputs["ids"], attention_mask=inputs["mask"], use_cache=False
            ).logits.squeeze(-1)
            scores = torch.full_like(inputs["present"], -torch.inf, dtype=rows.dtype)
            return choice_loss(scores.masked_scatter(inputs["present"], rows))

    return ChoiceTrainer


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
    tokenizer: PreTrainedTokenizerBase, choices: Sequence[Choice]
) -> list[list[list[int]]]:
    """Return each choice as prompt and response in tokens, the chosen response first."""
    prompts = encode_prompts(tokenizer, [choice.prompt for choice in choices])
    flat = [text for choice in choices for text in (choice.chosen, *choice.rejected)]
    responses = iter(encode_responses(tokenizer, flat))
    return [
        [prompt + next(responses) for _ in range(1 + len(choice.rejected))]
        for prompt, choice in zip(prompts, choices, strict=True)
    ]


def collate(rows: list[list[list[int]]], pad: int) -> dict[str, Tensor]:
    """Return all responses of a batch, one below the other, and which places they fill."""
    import torch

    flat = [tokens for row in rows for tokens in row]
    batch = make_batch([[] for _ in flat], flat, pad, "cpu")
    among = max(len(row) for row in rows)
    present = torch.tensor([[place < len(row) for place in range(among)] for row in rows])
    return {"ids": batch.ids, "mask": batch.mask, "present": present}


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
