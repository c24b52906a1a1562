"""Training a reward model: a sequence classifier that starts from a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.tasks.base import RewardTraining
from methods.core.feedback import Choice, Unpaired, responses_of
from methods.core.models import distributed
from methods.core.models.loading import Loading, adapted, merged
from methods.core.models.reward import RewardModel, positions_of
from methods.core.models.sampling import make_batch
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.length_batching import IN_ORDER, in_order
from methods.core.training.trainer import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

# A Bradley-Terry loss leaves the reward's level free. This pull keeps its mean near 0; ten times
# more would flatten the reward, for it falls on all pairs of two good or two bad responses.
CENTER = 0.001


def train_reward_model(
    sft: Path,
    labels: Sequence[Choice] | Sequence[Unpaired],
    training: RewardTraining,
    *,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> RewardModel:
    """Train a reward model on choices of one among several, or on unpaired labels.

    A choice of two is Bradley-Terry, and what TRL's RewardTrainer does. An unpaired response is
    liked with probability sigmoid(reward).

    Args:
        sft: Folder of the policy that it starts from.
        labels: All of one kind.
        training: Epochs, batch size, learning rate, and how many layers are kept.
        device: "cpu" or "cuda".
        seed: Of the new head and the order of the labels.
        workdir: A folder for the trainer.
        loading: Whether adapters are trained, or all weights.

    Returns:
        The trained reward model, adapters merged.

    Raises:
        Diverged: A weight is not finite.
    """
    from transformers import AutoTokenizer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(sft)
    model = new_reward_model(sft, seed, training.layers, loading, device)
    model = adapted(model, loading, head="score")
    rows, order = token_rows(tokenizer, labels, positions_of(model)), {}
    if loading.group_by_length:
        lengths = [max(map(len, row.responses)) for row in rows]
        count = max(1, round(training.epochs * len(rows)))
        rows = in_order(rows, lengths, count, training.batch_size, seed)
        order = {"num_train_epochs": 1, **IN_ORDER}
    arguments = TrainingArguments(
        **trainer_arguments(model, device, seed, workdir, loading)
        | {"num_train_epochs": training.epochs}
        | order,
        per_device_train_batch_size=distributed.local_batch_size(training.batch_size),
        learning_rate=training.learning_rate,
        warmup_steps=20,
        remove_unused_columns=False,
        logging_strategy="no",
    )
    train_quietly(
        lambda: _trainer_class()(
            model,
            arguments,
            train_dataset=rows,
            data_collator=lambda batch: collate(batch, tokenizer.pad_token_id),
        )
    )
    return RewardModel(merged(model), tokenizer)


def choice_loss(logits: Tensor, center: float = CENTER) -> Tensor:
    """Return -log softmax of the chosen response's logit, and a pull of the logits towards 0.

    Args:
        logits: [choices, responses], the chosen response first; -inf where there are fewer.
        center: Weight of the pull.

    Returns:
        The mean loss, a scalar.
    """
    import torch

    present = torch.where(logits.isfinite(), logits, 0.0)
    return -logits.log_softmax(1)[:, 0].mean() + center * (present.sum(1) ** 2).mean()


def unpaired_loss(logits: Tensor, liked: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(logit) of liked responses, of its negative for others.

    Args:
        logits: [B].
        liked: [B], bool.
    """
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(logits, liked.to(logits.dtype))


def _trainer_class() -> type[Trainer]:
    """Return transformers' Trainer with the loss on choices or unpaired labels."""
    import torch
    from transformers import Trainer

    class ChoiceTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            rows = model(
                input_ids=inputs["ids"], attention_mask=inputs["mask"], use_cache=False
            ).logits.squeeze(-1)
            if "liked" in inputs:
                return unpaired_loss(rows, inputs["liked"])
            logits = torch.full_like(inputs["present"], -torch.inf, dtype=rows.dtype)
            return choice_loss(logits.masked_scatter(inputs["present"], rows))

    return ChoiceTrainer


def new_reward_model(
    sft: Path,
    seed: int,
    layers: int | None = None,
    loading: Loading = Loading(),
    device: str = "cpu",
) -> PreTrainedModel:
    """Return the SFT policy's body with a new head, drawn from N(0, 1/(d+1)) without a bias.

    Args:
        sft: Folder of the SFT policy.
        seed: Of the new head.
        layers: How many of the body's layers are kept, from below; None keeps all.
        loading: Precision, quantization and adapters.
        device: Where a quantized model is put.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        depth = {} if layers is None else {"num_hidden_layers": layers}
        model = AutoModelForSequenceClassification.from_pretrained(
            sft, num_labels=1, **loading.options(device), **depth
        )
        torch.nn.init.normal_(model.score.weight, std=(model.config.hidden_size + 1) ** -0.5)
    return model


class Row(NamedTuple):
    """A label in tokens.

    Attributes:
        responses: Token ids of prompt and response, the chosen response first.
        liked: The label of an unpaired response; None of a choice.
    """

    responses: list[list[int]]
    liked: bool | None = None


def token_rows(
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[Choice] | Sequence[Unpaired],
    longest: int,
) -> list[Row]:
    """Return each label in tokens, the last `longest` tokens of each prompt and response."""
    prompts = encode_prompts(tokenizer, [label.prompt for label in labels])
    texts = [responses_of(label) for label in labels]
    tokens = iter(encode_responses(tokenizer, [text for own in texts for text in own]))
    return [
        Row(
            [(prompt + next(tokens))[-longest:] for _ in own],
            label.label if isinstance(label, Unpaired) else None,
        )
        for prompt, own, label in zip(prompts, texts, labels, strict=True)
    ]


def collate(rows: list[Row], pad: int) -> dict[str, Tensor]:
    """Return all responses of a batch, one below the other, and which places they fill."""
    import torch

    flat = [tokens for row in rows for tokens in row.responses]
    batch = make_batch([[] for _ in flat], flat, pad, "cpu")
    laid_out = {"ids": batch.ids, "mask": batch.mask}
    if rows[0].liked is not None:
        return laid_out | {"liked": torch.tensor([row.liked for row in rows])}
    most = max(len(row.responses) for row in rows)
    present = [[place < len(row.responses) for place in range(most)] for row in rows]
    return laid_out | {"present": torch.tensor(present)}
