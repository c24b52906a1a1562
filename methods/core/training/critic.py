"""Values of responses, token by token, from a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from methods.core.models import distributed
from methods.core.models.loading import inner
from methods.core.models.sampling import Batch
from methods.core.training.rollout import Rollout, padded

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def token_values(value_model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the value before each response token and after the last one.

    Args:
        value_model: A sequence classifier with one output, as `Context.value_model` returns it.
        batch: Prompts and responses.

    Returns:
        [B, T + 1], in float32.
    """
    classifier = inner(value_model)
    hidden = classifier.base_model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    values: Tensor = classifier.score(hidden[:, batch.width - 1 :]).float().squeeze(-1)
    return values


def gather_rollout(rollout: Rollout, values: Tensor) -> tuple[Rollout, Tensor]:
    """Return the rollouts of all processes as one, with their values [B, T + 1]."""
    if not distributed.is_distributed():
        return rollout, values
    import torch

    # Every process has its own device, so they exchange tensors on the CPU.
    device = values.device
    parts = distributed.all_gather((rollout.to("cpu"), values.cpu()))
    whole = Rollout.concatenate([part for part, _ in parts])
    length = whole.mask.shape[1] + 1
    all_values = torch.cat([padded(part_values, 0, 0, length) for _, part_values in parts])
    return whole.to(device), all_values.to(device)
