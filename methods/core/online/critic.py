"""Values of responses, token by token, from a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from methods.core.models.batch import Batch
from methods.core.models.loading import inner

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
    values: Tensor = classifier.score(hidden[:, batch.width - 1 :]).squeeze(-1)
    return values
