"""Log-probabilities of response tokens under a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import Batch
from methods.core.models.sampling import SamplingParams, vocabulary_logprobs

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def response_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities of all tokens at the place of each response token.

    Args:
        model: A causal language model.
        batch: Prompts and responses.
        sampling: How tokens are sampled.

    Returns:
        [N, V] in float32 (nats), for the N response tokens of the batch in order, without padding.
    """
    import torch

    # The logits before a token are those of its probability.
    places = torch.arange(batch.ids.numel(), device=batch.ids.device).view_as(batch.ids)
    with only_at(model, places[:, batch.width - 1 : -1][batch.response_mask]):
        logits = model(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            use_cache=False,
        ).logits.squeeze(0)
    return vocabulary_logprobs(logits, sampling)


def next_token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities [B, T, V] of all tokens at each response token's place (nats).

    They are 0 on padding.
    """
    logprobs = response_logprobs(model, batch, sampling)
    mask = batch.response_mask
    vocabulary = logprobs.new_zeros(*mask.shape, logprobs.shape[1])
    return vocabulary.masked_scatter(mask.unsqueeze(2), logprobs)


def token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities [B, T] of the response tokens (nats; 0 on padding)."""
    return of_tokens(response_logprobs(model, batch, sampling), batch)


def of_tokens(logprobs: Tensor, batch: Batch) -> Tensor:
    """Return the log-probabilities of the response tokens among those of all tokens.

    Args:
        logprobs: As `response_logprobs` returns them, [N, V].
        batch: The batch that they belong to.

    Returns:
        [B, T], 0 on padding.
    """
    mask = batch.response_mask
    tokens = logprobs.gather(1, batch.responses[mask].unsqueeze(1)).squeeze(1)
    return on_batch(tokens, batch)


def on_batch(values: Tensor, batch: Batch) -> Tensor:
    """Return the values [N] of the response tokens as [B, T], 0 on padding."""
    mask = batch.response_mask
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


@contextmanager
def only_at(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Compute logits only at some tokens: a large vocabulary makes all of them expensive.

    Args:
        model: A causal language model, whose logits are then [1, N, V].
        places: Of the tokens, in the flattened rows that the model reads, [N].
    """

    def select(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].flatten(0, 1)[places].unsqueeze(0), *inputs[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()
