"""The reward model: a sequence classifier that starts from the SFT policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from bench.tasks.base import RewardTraining
from methods.core.models import distributed
from methods.core.feedback import Choice, Judgement, Thumb, derive
from methods.core.models.loading import Loading, adapted, merged
from methods.core.training.length_batching import IN_ORDER, in_order
from methods.core.models.reward import RewardModel, TextReward, positions_of
from methods.core.models.sampling import make_batch
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.trainer import train_quietly, trainer_arguments

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

# A Bradley-Terry loss leaves the reward's level free. This pull keeps its mean near 0; ten times
# more would flatten the reward, for it falls on all pairs of two good or two bad responses.
CENTER = 0.001
# For the interval of an accuracy.
RESAMPLES = 1000


def train_reward_model(
    sft: Path,
    judgements: Sequence[Choice] | Sequence[Thumb],
    training: RewardTraining,
    *,
    device: str,
    seed: int,
    workdir: Path,
    loading: Loading = Loading(),
) -> RewardModel:
    """Train a reward model on choices of one among several, or on thumbs.

    Of two it is Bradley-Terry, and what TRL's RewardTrainer does. A thumb goes up with probability
    sigmoid(reward).
    """
    from transformers import AutoTokenizer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(sft)
    model = new_reward_model(sft, seed, training.layers, loading, device)
    model = adapted(model, loading, head="score")
    rows, order = token_rows(tokenizer, judgements, positions_of(model)), {}
    if loading.group_by_length:
        lengths = [max(map(len, row.responses)) for row in rows]
        count = max(1, round(training.epochs * len(rows)))
        rows = in_order(rows, lengths, count, training.batch_size, seed)
        order = {"num_train_epochs": 1, **IN_ORDER}
    arguments = TrainingArguments(
        **trainer_arguments(model, device, seed, workdir, loading)
        | {"num_train_epochs": training.epochs}
        | order,
        per_device_train_batch_size=distributed.part_of(training.batch_size),
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


def choice_loss(scores: Tensor, center: float = CENTER) -> Tensor:
    """Return -log softmax of the chosen response's score, and a pull of the scores towards 0.

    scores: [choices, responses], the chosen one first; -inf where there are fewer responses.
    """
    import torch

    present = torch.where(scores.isfinite(), scores, 0.0)
    return -scores.log_softmax(1)[:, 0].mean() + center * (present.sum(1) ** 2).mean()


def thumb_loss(scores: Tensor, up: Tensor) -> Tensor:
    """Return -log sigmoid of the score where the thumb went up, of its negative where not: [B]."""
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(scores, up.to(scores.dtype))


def _trainer_class() -> type[Trainer]:
    """Return transformers' Trainer with the loss on choices or thumbs."""
    import torch
    from transformers import Trainer

    class ChoiceTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            rows = model(
                input_ids=inputs["ids"], attention_mask=inputs["mask"], use_cache=False
            ).logits.squeeze(-1)
            if "up" in inputs:
                return thumb_loss(rows, inputs["up"])
            scores = torch.full_like(inputs["present"], -torch.inf, dtype=rows.dtype)
            return choice_loss(scores.masked_scatter(inputs["present"], rows))

    return ChoiceTrainer


def new_reward_model(
    sft: Path,
    seed: int,
    layers: int | None = None,
    loading: Loading = Loading(),
    device: str = "cpu",
) -> PreTrainedModel:
    """Return the SFT policy's body with a new head, drawn from N(0, 1/(d+1)) without a bias.

    layers: how many of the body's layers are kept, from below; None: all.
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
    """Responses with their prompt, in tokens, the chosen one first. up: of a single one's thumb."""

    responses: list[list[int]]
    up: bool | None = None


def token_rows(
    tokenizer: PreTrainedTokenizerBase,
    judgements: Sequence[Choice] | Sequence[Thumb],
    longest: int,
) -> list[Row]:
    """Return each judgement in tokens, no more than the last so many of each response."""

    def texts(one: Any) -> tuple[str, ...]:
        return (one.response,) if isinstance(one, Thumb) else (one.chosen, *one.rejected)

    prompts = encode_prompts(tokenizer, [one.prompt for one in judgements])
    tokens = iter(encode_responses(tokenizer, [text for one in judgements for text in texts(one)]))
    return [
        Row([(prompt + next(tokens))[-longest:] for _ in texts(one)], getattr(one, "up", None))
        for prompt, one in zip(prompts, judgements, strict=True)
    ]


def collate(rows: list[Row], pad: int) -> dict[str, Tensor]:
    """Return all responses of a batch, one below the other, and which places they fill."""
    import torch

    flat = [tokens for row in rows for tokens in row.responses]
    batch = make_batch([[] for _ in flat], flat, pad, "cpu")
    laid_out = {"ids": batch.ids, "mask": batch.mask}
    if rows[0].up is not None:
        return laid_out | {"up": torch.tensor([row.up for row in rows])}
    among = max(len(row.responses) for row in rows)
    present = [[place < len(row.responses) for place in range(among)] for row in rows]
    return laid_out | {"present": torch.tensor(present)}


class Accuracy(NamedTuple):
    """How often a reward agrees with people, on how many judgements, and the 95% interval.

    That is for other prompts of the same kind, from drawing the prompts anew.
    """

    reward_accuracy: float
    pairs: int
    accuracy_low: float
    accuracy_high: float


def held_out_accuracy(reward: TextReward, judgements: Sequence[Judgement]) -> Accuracy:
    """Return how often a reward agrees with people, ties half; not a number without judgements.

    Of pairs: that it ranks the chosen response higher. Of thumbs: that one which went up is above
    one which went down, over all such pairs (the area under the ROC curve).
    """
    thumbs = [one for one in judgements if isinstance(one, Thumb)]
    if thumbs:
        scores = np.array(reward([t.prompt for t in thumbs], [t.response for t in thumbs]))
        up = np.array([thumb.up for thumb in thumbs])
        return _with_interval(
            [t.prompt for t in thumbs], lambda rows: _area(scores[rows], up[rows])
        )
    pairs: Any = derive(judgements, "pairs")
    prompts = [pair.prompt for pair in pairs]
    margins = np.subtract(
        reward(prompts, [pair.chosen for pair in pairs]),
        reward(prompts, [pair.rejected for pair in pairs]),
    )
    right = (margins > 0) + 0.5 * (margins == 0)
    return _with_interval(prompts, lambda rows: float(right[rows].mean()))


def _area(scores: ndarray, up: ndarray) -> float:
    """Return the area under the ROC curve; not a number without both kinds."""
    if up.all() or not up.any():
        return math.nan
    margins = scores[up][:, None] - scores[~up][None]
    return float(((margins > 0) + 0.5 * (margins == 0)).mean())


def _with_interval(prompts: Sequence[str], share: Callable[[ndarray], float]) -> Accuracy:
    """Return a share of rows with its percentile bootstrap interval over prompts."""
    if not prompts:
        return Accuracy(math.nan, 0, math.nan, math.nan)
    by_prompt: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(row)
    clusters = list(by_prompt.values())
    random = np.random.default_rng(0)
    drawn = [
        share(
            np.concatenate(
                [clusters[i] for i in random.integers(len(clusters), size=len(clusters))]
            )
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Accuracy(share(np.arange(len(prompts))), len(prompts), float(low), float(high))


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
