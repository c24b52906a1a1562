"""Sampling parameters, and batches of prompts and responses as tensors."""

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
        temperature: Logits are divided by it. 0 means greedy decoding.
        top_k: Sample from this many of the most likely tokens. 0 means all.
        top_p: Sample from the most likely tokens that together have this probability (Holtzman et
            al., 2020). 1 means all.
        max_new_tokens: Length of the longest response, in tokens, its end token included.
    """

    temperature: Annotated[float, Ge(0)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    max_new_tokens: Annotated[int, Gt(0)] = 32

    @property
    def is_softmax(self) -> bool:
        """Whether every token keeps a probability above 0, so that log-probabilities are finite."""
        return self.temperature > 0 and self.top_k == 0 and self.top_p == 1


@dataclass
class Batch:
    """Prompts padded left and responses padded right, so that all responses start in one column.

    Attributes:
        ids: Token ids, [B, P + T].
        mask: 1 on tokens, 0 on padding, [B, P + T]. It follows lengths and not token ids: a sampled
            pad token is a token like any other.
        width: P, the columns of the prompts.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    width: int

    @property
    def responses(self) -> torch.Tensor:
        """Token ids of the responses, [B, T]."""
        return self.ids[:, self.width :]

    @property
    def response_mask(self) -> torch.Tensor:
        """Where the response tokens are, [B, T]."""
        return self.mask[:, self.width :].bool()

    @property
    def positions(self) -> torch.Tensor:
        """The position of each token in its row, from 0, [B, P + T]."""
        return (self.mask.cumsum(1) - 1).clamp(min=0)

    def rows(self, rows: torch.Tensor | slice) -> Batch:
        """Return some of the rows as a batch."""
        return Batch(self.ids[rows], self.mask[rows], self.width)


def make_batch(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    pad: int,
    device: torch.device | str,
) -> Batch:
    """Lay token ids out as a batch.

    Args:
        prompts: Token ids of each prompt.
        responses: Token ids of each response.
        pad: The id that fills up the rows.
        device: Where to put the batch.
    """
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
    """Return the seed of a purpose, so that no two purposes draw the same random numbers.

    Args:
        *purpose: Words and numbers that name the purpose, such as `"rollout", seed, update`.
    """
    name = " ".join(map(str, purpose))
    return int.from_bytes(sha256(name.encode()).digest()[:4])


class BatchSlice(NamedTuple):
    """The rows of a batch that one process has.

    Attributes:
        first: The first of them.
        total: Rows of the whole batch.
    """

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
    """Sample one response to each prompt by the `generate` of transformers.

    The global random state stays as it was.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        prompts: Token ids of each prompt.
        sampling: How to sample.
        seed: The same seed gives the same responses.
        batch_slice: Which rows of a larger batch the prompts are. They get the responses that they
            would get if the whole batch were sampled at once.

    Returns:
        The batch, and the log-probabilities [B, T] of the sampled tokens (nats; 0 past the end),
        taken while sampling.
    """
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    device = model.device
    prompt_batch = make_batch(prompts, [[] for _ in prompts], tokenizer.pad_token_id, device)
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
            input_ids=prompt_batch.ids,
            attention_mask=prompt_batch.mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([draw]),
        )
        responses = output[:, prompt_batch.width :]
        logprobs = torch.cat(draw.logprobs, dim=1)
    return _with_responses(
        prompt_batch, responses.clone(), logprobs.clone(), tokenizer.eos_token_id
    )


class _Draw:
    """Turns greedy search into sampling, and keeps the log-probabilities of the sampled tokens.

    The largest of p / e, where e follows an exponential distribution, is a sample from p, as in
    torch.multinomial. The noise is drawn for all rows of the whole batch, so that a row's response
    does not depend on the process that samples it.
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


def _with_responses(
    prompts: Batch, responses: torch.Tensor, logprobs: torch.Tensor, end: int
) -> tuple[Batch, torch.Tensor]:
    """Append the responses to the prompts, and mask the padding behind each end token."""
    import torch

    ended = responses == end
    after_end = (ended.cumsum(1) - ended.long()) > 0
    mask = torch.cat([prompts.mask, (~after_end).long()], dim=1)
    ids = torch.cat([prompts.ids.clone(), responses], dim=1)
    return Batch(ids, mask, prompts.width), logprobs.masked_fill(after_end, 0.0)


def vocabulary_logprobs(logits: torch.Tensor, sampling: SamplingParams) -> torch.Tensor:
    """Return log-probabilities of all tokens under the sampling parameters.

    Args:
        logits: [..., V].
        sampling: How tokens are sampled.

    Returns:
        [..., V], in float32 (nats). Tokens that cannot be sampled have minus infinity.
    """
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
    ordered, order = logprobs.sort(-1, descending=True)
    # A token stays while those before it have less than top_p. So the most likely one always does.
    before = ordered.exp().cumsum(-1) - ordered.exp()
    cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= sampling.top_p)
    return logprobs.masked_fill(cut, -torch.inf).log_softmax(-1)


def next_token_logprobs(
    model: PreTrainedModel, batch: Batch, sampling: SamplingParams
) -> torch.Tensor:
    """Return log-probabilities [B, T, V] of all tokens at each response token's place (nats)."""
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
    vocabulary = next_token_logprobs(model, batch, sampling)
    logprobs = vocabulary.gather(2, batch.responses.unsqueeze(2)).squeeze(2)
    return logprobs.masked_fill(~batch.response_mask, 0.0)
