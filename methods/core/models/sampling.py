"""The sampling sampling, and batches of prompts and responses as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class SamplingParams:
    """How responses are sampled: the same for every method and every metric of a run.

    Attributes:
        temperature: 0 is greedy.
        top_k: Only so many of the likeliest tokens; 0 is all.
        top_p: Only the likeliest tokens that hold this probability; 1 is all.
        max_new_tokens: The longest response, in tokens, its end token included.
    """

    temperature: Annotated[float, Ge(0)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    max_new_tokens: Annotated[int, Gt(0)] = 32

    @property
    def is_softmax(self) -> bool:
        """Whether it is a softmax over all tokens, so that every log-probability is finite."""
        return self.temperature > 0 and self.top_k == 0 and self.top_p == 1


@dataclass
class Batch:
    """Prompts padded left and responses padded right, so that all responses start at one column.

    ids, mask: [B, P + T]; width: P. mask is by length, never by token id, so a sampled pad token
    is a token like any other. response_mask: [B, T].
    """

    ids: torch.Tensor
    mask: torch.Tensor
    width: int

    @property
    def responses(self) -> torch.Tensor:
        return self.ids[:, self.width :]

    @property
    def response_mask(self) -> torch.Tensor:
        return self.mask[:, self.width :].bool()

    @property
    def positions(self) -> torch.Tensor:
        return (self.mask.cumsum(1) - 1).clamp(min=0)

    def rows(self, which: torch.Tensor | slice) -> Batch:
        """Return some of the rows as a batch of their own."""
        return Batch(self.ids[which], self.mask[which], self.width)


def make_batch(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    pad: int,
    device: torch.device | str,
) -> Batch:
    """Lay token ids out as a Batch on the device."""
    import torch

    width = max(len(p) for p in prompts)
    longest = max(len(r) for r in responses)
    rows, masks = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        left, right = width - len(prompt), longest - len(response)
        rows.append([pad] * left + [*prompt, *response] + [pad] * right)
        masks.append([0] * left + [1] * (len(prompt) + len(response)) + [0] * right)
    return Batch(torch.tensor(rows, device=device), torch.tensor(masks, device=device), width)


def derive_seed(*purpose: str | int) -> int:
    """Return a seed for a purpose, so that no two purposes draw the same random numbers."""
    name = " ".join(map(str, purpose))
    return int.from_bytes(sha256(name.encode()).digest()[:4])


class BatchSlice(NamedTuple):
    """Which rows of a batch are drawn here, where processes share it: from `first`, of `total`."""

    first: int
    total: int


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingParams,
    seed: int,
    batch_slice: BatchSlice | None = None,
) -> tuple[Batch, torch.Tensor]:
    """Draw one response for each prompt, with transformers' own `generate`.

    Returns the batch and the log-probabilities [B, T] of the sampled tokens under the sampling, taken
    while sampling (nats; 0 past the end). The global random state is left as it was. share: what
    the rows are of a larger batch; they come out as they would if all of it were drawn here.
    """
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    device = model.device
    start = make_batch(prompts, [[] for _ in prompts], tokenizer.pad_token_id, device)
    config = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    draw = _Draw(sampling, batch_slice or BatchSlice(0, len(prompts)))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode():
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=start.ids,
            attention_mask=start.mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([draw]),
        )
        responses = output[:, start.width :]
        logprobs = torch.cat(draw.logprobs, dim=1)
    return _finish(start, responses.clone(), logprobs.clone(), tokenizer.eos_token_id)


class _Draw:
    """Makes a search for the largest score draw from the sampling, and keeps the log-probabilities.

    The largest of p / e, with e from an exponential distribution, is a draw from p. It is what
    torch.multinomial does, with the noise of all rows of the batch, so that rows that are drawn in
    another process come out the same.
    """

    def __init__(self, sampling: SamplingParams, batch_slice: BatchSlice) -> None:
        self.sampling, self.batch_slice = sampling, batch_slice
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, _: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        logprobs = vocabulary_logprobs(logits, self.sampling)
        rows, words = logits.shape
        noise = logprobs.new_empty(self.batch_slice.total, words).exponential_()
        weights = logprobs.exp() / noise[self.batch_slice.first : self.batch_slice.first + rows]
        self.logprobs.append(logprobs.gather(1, weights.argmax(-1, keepdim=True)))
        return weights


def _finish(
    start: Batch, responses: torch.Tensor, logprobs: torch.Tensor, end: int
) -> tuple[Batch, torch.Tensor]:
    """Mask what `generate` padded behind each end token; the end token itself is kept."""
    import torch

    ended = responses == end
    after_end = (ended.cumsum(1) - ended.long()) > 0
    mask = torch.cat([start.mask, (~after_end).long()], dim=1)
    ids = torch.cat([start.ids.clone(), responses], dim=1)
    return Batch(ids, mask, start.width), logprobs.masked_fill(after_end, 0.0)


def vocabulary_logprobs(logits: torch.Tensor, sampling: SamplingParams) -> torch.Tensor:
    """Return log-probabilities over the vocabulary under the sampling, in float32."""
    import torch

    logits = logits.float()
    if sampling.temperature == 0:
        chosen = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter(-1, chosen, 0.0)
    logits = logits / sampling.temperature
    if sampling.top_k:
        least = logits.topk(min(sampling.top_k, logits.shape[-1])).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    logprobs = logits.log_softmax(-1)
    if sampling.top_p == 1:
        return logprobs
    likeliest, order = logprobs.sort(-1, descending=True)
    # A token stays while those before it hold less than top_p: the likeliest always does.
    before = likeliest.exp().cumsum(-1) - likeliest.exp()
    cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= sampling.top_p)
    return logprobs.masked_fill(cut, -torch.inf).log_softmax(-1)


def next_token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> torch.Tensor:
    """Return log-probabilities [B, T, V] before each response token, under the sampling."""
    steps = batch.responses.shape[1]
    logits = model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
        logits_to_keep=steps + 1,
    ).logits[:, :-1]
    return vocabulary_logprobs(logits, sampling)


def token_logprobs(model: PreTrainedModel, batch: Batch, sampling: SamplingParams) -> torch.Tensor:
    """Return log-probabilities [B, T] of the response tokens (nats; 0 on padding)."""
    table = next_token_logprobs(model, batch, sampling)
    taken = table.gather(2, batch.responses.unsqueeze(2)).squeeze(2)
    return taken.masked_fill(~batch.response_mask, 0.0)
