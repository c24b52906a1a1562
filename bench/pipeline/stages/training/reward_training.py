"""Training a reward model: a sequence classifier that starts from a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.tasks.base import RewardTraining
from methods.core.feedback import Choice, Unpaired, responses_of
from methods.core.models import distributed
from methods.core.models.batch import by_length, make_batch
from methods.core.models.loading import Loading, adapted, merged
from methods.core.models.pretrained import load_classifier
from methods.core.models.reward import RewardModel, positions_of
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.length_batching import IN_ORDER, in_order
from methods.core.training.memory import accumulation, micro_batch_tokens
from methods.core.training.trainer import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

# A Bradley-Terry loss does not determine the mean of the reward. This penalty keeps it near 0 (as
# in TRL's `center_rewards_coefficient`). Ten times more would flatten the reward, as it also
# penalizes pairs of two good or of two bad responses.
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

    With two responses the choice model is Bradley-Terry, as in TRL's RewardTrainer. An unpaired
    response is liked with probability sigmoid(reward).

    Args:
        sft: Folder of the policy that it starts from.
        labels: All of one kind.
        training: Epochs, batch size, learning rate, and how many layers are kept.
        device: "cpu" or "cuda".
        seed: Of the new head, new adapters, and the order of the labels.
        workdir: A folder for the trainer.
        loading: Precision, adapters and batching.

    Returns:
        The trained reward model, adapters merged.

    Raises:
        Diverged: A weight is not finite.
    """
    from transformers import AutoTokenizer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(sft)
    model = new_reward_model(sft, seed, training.layers, loading, device)
    model = adapted(model, loading, head="score", seed=seed)
    rows, order = token_rows(tokenizer, labels, positions_of(model)), {}
    longest = max(sum(map(len, row.responses)) for row in rows)
    most = micro_batch_tokens([model], loading, device)
    if loading.group_by_length:
        lengths = [max(map(len, row.responses)) for row in rows]
        count = max(1, round(training.epochs * len(rows)))
        rows = in_order(rows, lengths, count, training.batch_size, seed)
        order = {"num_train_epochs": 1, **IN_ORDER}
    arguments = TrainingArguments(
        **trainer_arguments(model, device, seed, workdir, loading)
        | {"num_train_epochs": training.epochs}
        | order,
        **accumulation(distributed.local_batch_size(training.batch_size), longest, most),
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
    """Return the mean of -log softmax of the chosen response's logit, and a centering penalty.

    Args:
        logits: [B, responses], the chosen response first; -inf where a choice has fewer responses.
        center: Weight of the penalty, the squared sum of a choice's logits.

    Returns:
        A scalar.
    """
    import torch

    present = torch.where(logits.isfinite(), logits, 0.0)
    return -logits.log_softmax(1)[:, 0].mean() + center * (present.sum(1) ** 2).mean()


def unpaired_loss(logits: Tensor, liked: Tensor) -> Tensor:
    """Return the binary cross-entropy of the labels under sigmoid(logits).

    Args:
        logits: [B].
        liked: [B], bool.

    Returns:
        The mean, a scalar.
    """
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(logits, liked.to(logits.dtype))


def rewards_of_rows(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the reward of each row, [N]. Rows of similar length are read together.

    Args:
        model: A sequence classifier with one output.
        ids: Token ids, padded right, [N, tokens].
        mask: 1 on tokens, [N, tokens].
    """
    import torch

    lengths = mask.sum(1).tolist()
    parts = by_length(lengths)
    rewards = []
    for part in parts:
        longest = max(lengths[row] for row in part)
        rows = torch.tensor(part, device=ids.device)
        logits = model(
            input_ids=ids[rows, :longest], attention_mask=mask[rows, :longest], use_cache=False
        ).logits
        rewards.append(logits.squeeze(-1))
    places = torch.tensor([row for part in parts for row in part], device=ids.device)
    return torch.cat(rewards)[places.argsort()]


def _trainer_class() -> type[Trainer]:
    """Return a transformers Trainer with the losses above."""
    import torch
    from transformers import Trainer

    class ChoiceTrainer(Trainer):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            # The loss is a mean over the labels of a micro-batch, and these are of equal size.
            self.model_accepts_loss_kwargs = False

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            flat = rewards_of_rows(model, inputs["ids"], inputs["mask"])
            if "liked" in inputs:
                return unpaired_loss(flat, inputs["liked"])
            logits = torch.full_like(inputs["present"], -torch.inf, dtype=flat.dtype)
            return choice_loss(logits.masked_scatter(inputs["present"], flat))

    return ChoiceTrainer


def new_reward_model(
    sft: Path,
    seed: int,
    layers: int | None = None,
    loading: Loading = Loading(),
    device: str = "cpu",
) -> PreTrainedModel:
    """Return the SFT policy's body with a new linear head without a bias.

    The head's weights are drawn from N(0, 1 / (d + 1)), d the width of the body (Stiennon et al.,
    2020).

    Args:
        sft: Folder of the SFT policy.
        seed: Of the new head.
        layers: How many of the body's layers are kept, from below; None keeps all.
        loading: Precision, quantization and adapters.
        device: Where a quantized model is put.
    """
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(sft, num_labels=1)
    body = config.get_text_config()
    if layers is not None:
        body.num_hidden_layers = layers
        if getattr(body, "layer_types", None):
            body.layer_types = body.layer_types[:layers]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = load_classifier(sft, new_head=True, config=config, **loading.options(device))
        torch.nn.init.normal_(model.score.weight, std=(body.hidden_size + 1) ** -0.5)
    return model


class Row(NamedTuple):
    """A tokenized label.

    Attributes:
        responses: Token ids of the prompt with each response, the chosen response first.
        liked: The label of an unpaired response; None for a choice.
    """

    responses: list[list[int]]
    liked: bool | None = None


def token_rows(
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[Choice] | Sequence[Unpaired],
    longest: int,
) -> list[Row]:
    """Tokenize labels; of each prompt with its response, the last `longest` tokens are kept."""
    prompts = encode_prompts(tokenizer, [label.prompt for label in labels])
    texts = [responses_of(label) for label in labels]
    tokens = iter(encode_responses(tokenizer, [text for responses in texts for text in responses]))
    return [
        Row(
            [(prompt + next(tokens))[-longest:] for _ in responses],
            label.label if isinstance(label, Unpaired) else None,
        )
        for prompt, responses, label in zip(prompts, texts, labels, strict=True)
    ]


def collate(rows: list[Row], pad: int) -> dict[str, Tensor]:
    """Collate a batch of labels.

    Args:
        rows: All choices, or all unpaired.
        pad: The pad token's id.

    Returns:
        ids and mask: all responses of the batch, [N, tokens]. Of choices also present: which
        responses each of them has, [B, responses], bool; their order is that of the ids. Of
        unpaired labels also liked: [B], bool.
    """
    import torch

    flat = [tokens for row in rows for tokens in row.responses]
    batch = make_batch([[] for _ in flat], flat, pad, "cpu")
    tensors = {"ids": batch.ids, "mask": batch.mask}
    if rows[0].liked is not None:
        return tensors | {"liked": torch.tensor([row.liked for row in rows])}
    most = max(len(row.responses) for row in rows)
    present = [[place < len(row.responses) for place in range(most)] for row in rows]
    return tensors | {"present": torch.tensor(present)}
