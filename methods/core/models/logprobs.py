"""Log-probabilities of response tokens under a model.

Logits are computed at the response tokens only, and never more than `LOGITS` of them at once: a
vocabulary of 150,000 tokens would fill any memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import Batch
from methods.core.models.engines.memory import budget, gpu_bytes
from methods.core.models.loading import inner
from methods.core.models.sampling import SamplingParams, vocabulary_logprobs

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

# The most tokens that are scored at once, padding included, and the memory for what a layer's MLP
# makes of them (bytes; on a GPU a share of its memory).
SCORED_TOKENS = 131_072
MLP_BYTES, MLP_SHARE = 2**30, 16
# The most logits in memory at once. Each takes 4 bytes, and a loss needs about three copies.
LOGITS = 2**25

# A function of the log-probabilities of all tokens under each model, [n, V], and of the response
# tokens, [n]. It returns k columns, [n, k].
Statistics = Callable[..., "Tensor"]


def token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities [B, T] of the response tokens (nats; 0 on padding)."""
    (logprobs,) = over_vocabulary(of_tokens, batch, sampling, model)
    return logprobs


def scored_tokens(model: PreTrainedModel) -> int:
    """Return the most tokens that a model reads at once without gradients, padding included."""
    config = model.config.get_text_config()
    width = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    memory = budget(gpu_bytes(model.device), MLP_BYTES, MLP_SHARE)
    # Two projections, the activation and the product, in float32.
    return int(min(SCORED_TOKENS, memory // (16 * width)))


def of_tokens(logprobs: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probabilities of the response tokens among those of all tokens, [n, 1]."""
    return logprobs.gather(1, tokens.unsqueeze(1))


def over_vocabulary(
    statistics: Statistics, batch: Batch, sampling: SamplingParams, *models: PreTrainedModel
) -> list[Tensor]:
    """Compute statistics of the distribution at the place of each response token.

    Where there are many logits, they are computed part by part, and again in the backward pass.

    Args:
        statistics: See the type.
        batch: Prompts and responses.
        sampling: How tokens are sampled.
        *models: Causal language models with the same tokens.

    Returns:
        k tensors [B, T], 0 on padding.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    places = batch.response_places
    tokens = batch.ids.flatten()[places]
    # The logits before a token are those of its probability.
    before = places - 1
    size = max(1, LOGITS // (len(models) * _vocabulary(models[0])))
    if len(places) <= size:
        whole = [_logits(model, batch, before).squeeze(0) for model in models]
        values = statistics(*(vocabulary_logprobs(part, sampling) for part in whole), tokens)
    else:
        hidden = [_hidden(model, batch, before) for model in models]

        def compute(tokens: Tensor, *states: Tensor) -> Tensor:
            logits = (_head(model, state) for model, state in zip(models, states, strict=True))
            return statistics(*(vocabulary_logprobs(part, sampling) for part in logits), tokens)

        options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
        parts = zip(tokens.split(size), *(state.split(size) for state in hidden), strict=True)
        values = torch.cat([checkpoint(compute, *part, **options) for part in parts])
    return [on_batch(column, batch, places) for column in values.unbind(1)]


def response_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities of all tokens at the place of each response token.

    They fill the memory if batch and vocabulary are large.

    Args:
        model: A causal language model.
        batch: Prompts and responses.
        sampling: How tokens are sampled.

    Returns:
        [N, V] in float32 (nats), for the N response tokens of the batch in order, without padding.
    """
    logits = _logits(model, batch, batch.response_places - 1).squeeze(0)
    return vocabulary_logprobs(logits, sampling)


def next_token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> Tensor:
    """Return log-probabilities [B, T, V] of all tokens at each response token's place (nats).

    They are 0 on padding.
    """
    logprobs = response_logprobs(model, batch, sampling)
    mask = batch.response_mask
    vocabulary = logprobs.new_zeros(*mask.shape, logprobs.shape[1])
    return vocabulary.masked_scatter(mask.unsqueeze(2), logprobs)


def on_batch(values: Tensor, batch: Batch, places: Tensor) -> Tensor:
    """Return the values of the response tokens as [B, T], 0 on padding.

    Args:
        values: [N].
        batch: Prompts and responses.
        places: Where the tokens are among all ids, `batch.response_places`, [N].
    """
    shape, columns = batch.responses.shape, batch.ids.shape[1]
    # Each row starts with its prompt. By places, for the gradient by a mask makes a GPU wait.
    places = places - batch.width * (places // columns + 1)
    return values.new_zeros(shape.numel()).scatter(0, places, values).view(shape)


def _vocabulary(model: PreTrainedModel) -> int:
    return int(model.config.get_text_config().vocab_size)


def _logits(model: PreTrainedModel, batch: Batch, places: Tensor) -> Tensor:
    """Return the logits at some places, [1, N, V]."""
    with only_at(model, places):
        logits: Tensor = _read(model, batch).logits
    return logits


def _read(model: PreTrainedModel, batch: Batch) -> Any:
    return model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    )


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


def _hidden(model: PreTrainedModel, batch: Batch, places: Tensor) -> Tensor:
    """Return the hidden states that the model's head reads at some places, [N, d]."""
    read: list[Tensor] = []

    def keep(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        states = inputs[0].flatten(0, 1)
        read.append(states[places])
        return (states[:1].unsqueeze(0), *inputs[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(keep)
    try:
        _read(model, batch)
    finally:
        handle.remove()
    return read[0]


def _head(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Return the logits [n, V] of hidden states [n, d].

    They are those of the whole model, which may scale or cap what its output embeddings return.
    """
    import torch

    ids = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
    with _body_returns(inner(model).base_model, hidden.unsqueeze(0)):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits.squeeze(0)
    return logits


class _BodyOutput:
    """The output of a model's body with hidden states only: all else is None."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, place: int) -> Tensor:
        return (self.last_hidden_state,)[place]

    def __getattr__(self, name: str) -> None:
        return None


@contextmanager
def _body_returns(body: nn.Module, hidden: Tensor) -> Iterator[None]:
    """Let a model's body return the given hidden states, [1, n, d], whatever it reads."""
    attributes = vars(body)
    replaced = {"forward": attributes["forward"]} if "forward" in attributes else {}
    attributes["forward"] = lambda *_, **__: _BodyOutput(hidden)
    try:
        yield
    finally:
        del attributes["forward"]
        attributes |= replaced
