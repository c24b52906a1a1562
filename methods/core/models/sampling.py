"""Sampling parameters, and sampling by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le

from methods.core.models.batch import Batch, make_batch
from methods.core.models.engines.base import Delegate, Engine, Request
from methods.core.models.pretrained import vocabulary_size
from methods.core.models.text import distinct, end_token_ids

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


# The share of a batch's rows that has ended when they leave it.
LEAVING = 0.25


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
    engine: Engine | None = None,
) -> tuple[Batch, torch.Tensor]:
    """Sample one response to each prompt.

    The `generate` of transformers calls our loop, which takes the sampling parameters from nowhere
    else. A response ends at any of the tokenizer's end tokens. The global random state and the
    model's mode stay as they were.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        prompts: Token ids of each prompt.
        sampling: How to sample.
        seed: The same seed gives the same responses.
        batch_slice: Which rows of a larger batch the prompts are. They get the responses that they
            would get if the whole batch were sampled at once.
        engine: What samples instead of our loop.

    Returns:
        The batch, and the log-probabilities [B, T] of the sampled tokens (nats; 0 past the end),
        taken while sampling.
    """
    import torch
    from transformers import GenerationConfig

    device, ends = model.device, end_token_ids(tokenizer)
    prompt_batch = make_batch(prompts, [[] for _ in prompts], tokenizer.pad_token_id, device)
    config = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )
    batch_slice = batch_slice or BatchSlice(0, len(prompts))
    firsts, equals = distinct([tuple(prompt) for prompt in prompts])
    request = Request(
        prompts=prompts,
        mask=prompt_batch.mask,
        firsts=firsts,
        equals=equals,
        sampling=sampling,
        ends=tuple(ends),
        batch_slice=batch_slice,
        vocabulary=partial(vocabulary_size, tokenizer),
        seed=derive_seed("engine", seed, batch_slice.first),
        draw=draw,
    )
    loop: Any = _Loop(request) if engine is None else Delegate(engine, request)
    devices = [device] if device.type == "cuda" else []
    # Not inference mode, in which autocast would cast all weights again at each token.
    with torch.random.fork_rng(devices=devices), torch.no_grad(), _evaluating(model):
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=prompt_batch.ids,
            attention_mask=prompt_batch.mask,
            generation_config=config,
            custom_generate=loop,
        )
    return _with_responses(prompt_batch, output[:, prompt_batch.width :], loop.logprobs, ends)


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch a model to evaluation mode, and back to the mode that it was in.

    With gradient checkpointing, a model in training mode silently ignores its cache.
    """
    training = model.training
    # Not `eval`, which does nothing where adapters are switched off.
    model.train(False)
    try:
        yield
    finally:
        model.train(training)


class _Loop:
    """Samples token after token, and keeps the log-probabilities of the sampled tokens.

    Equal prompts are read once. Rows that have ended leave the batch once they are a quarter of it.

    A token is sampled by a uniform number and the cumulative probabilities. The numbers are drawn
    for all rows of the whole batch, so that a row's response depends neither on the rows that have
    left nor on the process that samples it.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.logprobs: torch.Tensor

    def __call__(self, model: PreTrainedModel, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        """Return prompts and responses, [B, P + T]. `generate` calls it."""
        import torch
        from transformers import DynamicCache

        request, firsts = self.request, list(self.request.firsts)
        count, most = len(input_ids), request.sampling.max_new_tokens
        tokens, mask = input_ids[firsts], request.mask[firsts]
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=model.config)
        # Where each row of the batch belongs, and whether it goes on.
        places = torch.arange(count, device=input_ids.device)
        going_on = torch.ones_like(places, dtype=torch.bool)
        ends = torch.tensor(request.ends, device=input_ids.device)
        responses = torch.full((count, most), request.ends[0], device=input_ids.device)
        self.logprobs = torch.zeros(count, most, device=input_ids.device)
        for step in range(most):
            logits = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            if step == 0 and len(firsts) < count:
                rows = torch.tensor(request.equals, device=input_ids.device)
                cache.batch_select_indices(rows)
                logits, mask, positions = logits[rows], mask[rows], positions[rows]
            tokens, logprobs = self._draw(logits, places)
            responses[places[going_on], step] = tokens[going_on]
            self.logprobs[places[going_on], step] = logprobs[going_on]
            going_on = going_on & ~torch.isin(tokens, ends)
            left = int(going_on.sum())
            if left == 0:
                break
            tokens, positions = tokens.unsqueeze(1), positions[:, -1:] + 1
            mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
            if left <= (1 - LEAVING) * len(places):
                cache.batch_select_indices(going_on)
                tokens, positions, mask = tokens[going_on], positions[going_on], mask[going_on]
                places, going_on = places[going_on], going_on[going_on]
        self.logprobs = self.logprobs[:, : step + 1]
        return torch.cat([input_ids, responses[:, : step + 1]], dim=1)

    def _draw(
        self, logits: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sample a token for each row, [B], and return it with its log-probability, [B]."""
        import torch

        first, total = self.request.batch_slice
        uniforms = torch.rand(total, dtype=torch.float64, device=logits.device)
        return draw(logits, uniforms[first + places], self.request.sampling)


def draw(
    logits: torch.Tensor, uniforms: torch.Tensor, sampling: SamplingParams
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample a token for each row by a uniform number and the cumulative probabilities.

    Args:
        logits: [B, V].
        uniforms: From 0 to 1, [B].
        sampling: How to sample.

    Returns:
        The tokens and their log-probabilities (nats), [B] each.
    """
    import torch

    logprobs = vocabulary_logprobs(logits, sampling)
    # In float64, so that tokens of small probability are not lost in a large vocabulary.
    cumulative = logprobs.exp().double().cumsum(-1)
    reached = uniforms.unsqueeze(1) * cumulative[:, -1:]
    # Limited: logits that are not finite give a place past the last token.
    tokens = torch.searchsorted(cumulative, reached, right=True).clamp(max=logits.shape[1] - 1)
    return tokens.squeeze(1), logprobs.gather(1, tokens).squeeze(1)


def _with_responses(
    prompts: Batch, responses: torch.Tensor, logprobs: torch.Tensor, ends: Sequence[int]
) -> tuple[Batch, torch.Tensor]:
    """Append the responses to the prompts, and mask the padding after each end token."""
    import torch

    ended = torch.isin(responses, torch.tensor(ends, device=responses.device))
    after_end = (ended.cumsum(1) - ended.long()) > 0
    mask = torch.cat([prompts.mask, (~after_end).long()], dim=1)
    ids = torch.cat([prompts.ids, responses], dim=1)
    return Batch.of(ids, mask, prompts.width), logprobs.masked_fill(after_end, 0.0)


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
