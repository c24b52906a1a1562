"""Sampling with a cache of fixed size and, on a GPU, one CUDA graph for each decoding step.

A small model computes a step faster than Python can launch its kernels. A CUDA graph launches all
of them at once. It needs tensors that stay where they are, so the cache has a fixed size, and rows
that have ended stay in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from methods.core.models.engines.base import Engine

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel, StaticCache

    from methods.core.models.sampling import Request, SamplingParams

# Steps between two looks at whether all rows have ended: each makes the GPU wait.
STEPS_BETWEEN_CHECKS = 16
# Prompts are padded to a multiple of this width (tokens), so that few shapes occur.
WIDTH = 64
# How many shapes keep their memory. The one that was used longest ago leaves.
KEPT = 4


class Shape(NamedTuple):
    """What is fixed in a decoding step.

    Attributes:
        rows: Rows of the batch.
        width: Columns of the prompts.
        sampling: The sampling parameters.
        ends: The tokens that end a response.
        autocast: In which precision the model computes, where that is not the weights' own.
    """

    rows: int
    width: int
    sampling: SamplingParams
    ends: tuple[int, ...]
    autocast: torch.dtype | None


class Static(Engine):
    """Samples from the training weights with a static cache: exact, and nothing to synchronize."""

    exact: ClassVar = True
    schedules: ClassVar = False

    def __init__(self) -> None:
        self._decoders: OrderedDict[Shape, _Decoder] = OrderedDict()
        self._addresses: list[int] = []

    def respond(
        self, model: PreTrainedModel, input_ids: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        import torch

        self._forget_moved(model)
        shape = _shape(input_ids, request)
        firsts, equals = _distinct(request.prompts)
        ids, mask = input_ids[firsts], request.mask[firsts]
        logits, cache, mask = _read(model, ids, mask, shape)
        decoder = self._decoders.pop(shape, None) or _Decoder(model, shape, cache, request.draw)
        self._decoders[shape] = decoder
        if len(self._decoders) > KEPT:
            self._decoders.popitem(last=False)
        equals += [0] * (shape.rows - len(equals))
        rows = torch.tensor(equals, device=input_ids.device)
        decoder.load(cache, mask, rows, len(input_ids), request.uniforms())
        del cache
        steps = decoder.run(logits[rows])
        count = len(input_ids)
        return decoder.responses[:steps, :count].T, decoder.logprobs[:steps, :count].T

    def _forget_moved(self, model: PreTrainedModel) -> None:
        """Forget the graphs if a weight has moved: they read it where it was."""
        addresses = [weight.data_ptr() for weight in model.parameters()]
        if addresses != self._addresses:
            self._decoders.clear()
            self._addresses = addresses


def supports(model: PreTrainedModel) -> bool:
    """Return whether the model works with a static cache: full attention in every layer."""
    from transformers import StaticCache
    from transformers.cache_utils import StaticLayer

    if not getattr(model, "_can_compile_fullgraph", False):
        return False
    if model.config._attn_implementation not in ("sdpa", "eager"):
        return False
    layers = StaticCache(config=model.config, max_cache_len=2).layers
    return all(type(layer) is StaticLayer for layer in layers)


def _shape(input_ids: Tensor, request: Request) -> Shape:
    import torch

    rows, width = input_ids.shape
    device = input_ids.device.type
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    # Powers of two, then multiples of 64.
    rows = 1 << (rows - 1).bit_length() if rows <= 64 else -(-rows // 64) * 64
    return Shape(rows, -(-width // WIDTH) * WIDTH, request.sampling, request.ends, autocast)


def _distinct(prompts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return the rows whose prompts differ, and which of those each row equals."""
    numbers: dict[tuple[int, ...], int] = {}
    equals = [numbers.setdefault(tuple(prompt), len(numbers)) for prompt in prompts]
    return [equals.index(number) for number in range(len(numbers))], equals


def _read(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, shape: Shape
) -> tuple[Tensor, StaticCache, Tensor]:
    """Read the distinct prompts, [D, P], that have this mask, [D, P].

    Returns:
        The logits after each, [D, V], the cache, and which of its columns are tokens, [D, P + T].
    """
    import torch.nn.functional as F
    from transformers import StaticCache

    length, left = shape.width + shape.sampling.max_new_tokens, shape.width - ids.shape[1]
    ids, mask = F.pad(ids, (left, 0)), F.pad(mask, (left, 0))
    cache = StaticCache(config=model.config, max_cache_len=length)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    return logits, cache, F.pad(mask, (0, shape.sampling.max_new_tokens), value=1)


class _Decoder:
    """Decoding of one shape: tensors that stay where they are, and the step that changes them.

    Attributes:
        responses: The sampled tokens, [T, B].
        logprobs: Their log-probabilities, [T, B] (nats).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        shape: Shape,
        template: StaticCache,
        draw: Callable[[Tensor, Tensor, SamplingParams], tuple[Tensor, Tensor]],
    ) -> None:
        import torch
        from transformers import StaticCache

        device, steps = model.device, shape.sampling.max_new_tokens
        self._model, self._shape, self._draw = model, shape, draw
        length = shape.width + steps
        self._cache = StaticCache(config=model.config, max_cache_len=length)
        for layer, read in zip(self._cache.layers, template.layers, strict=True):
            any_rows = torch.zeros(shape.rows, dtype=torch.long, device=device)
            layer.lazy_initialization(read.keys[any_rows], read.values[any_rows])
        self._ends = torch.tensor(shape.ends, device=device)
        self._tokens = torch.zeros(shape.rows, 1, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._tokens)
        self._mask = torch.ones(shape.rows, length, dtype=torch.long, device=device)
        self._uniforms = torch.zeros(steps, shape.rows, dtype=torch.float64, device=device)
        self._step = torch.zeros(1, dtype=torch.long, device=device)
        self._ended = torch.zeros(shape.rows, dtype=torch.bool, device=device)
        self.responses = torch.zeros(steps, shape.rows, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(steps, shape.rows, device=device)
        self._next: Callable[[], None] = self._decode
        if device.type == "cuda" and steps > 1:
            self._next = _captured(self._decode, self._restart)

    def load(
        self, cache: StaticCache, mask: Tensor, rows: Tensor, count: int, uniforms: Tensor
    ) -> None:
        """Start anew after the prompts.

        Args:
            cache: That of the distinct prompts.
            mask: Which of its columns are tokens, [D, P + T].
            rows: Which of the distinct prompts each row has, [B].
            count: Rows that are sampled. Those after them fill up the batch.
            uniforms: The uniform numbers, [T, count].
        """
        for layer, read in zip(self._cache.layers, cache.layers, strict=True):
            layer.keys.copy_(read.keys[rows])
            layer.values.copy_(read.values[rows])
        self._restart()
        self._mask.copy_(mask[rows])
        self._positions.copy_(self._mask[:, : self._shape.width].sum(1, keepdim=True) - 1)
        self._uniforms[:, :count] = uniforms
        self._ended[count:] = True

    def run(self, logits: Tensor) -> int:
        """Sample until all rows have ended.

        Args:
            logits: After the prompts, [B, V].

        Returns:
            The tokens of the longest response, or a few more.
        """
        self._keep(logits)
        most = self._shape.sampling.max_new_tokens
        for step in range(1, most):
            if step % STEPS_BETWEEN_CHECKS == 0 and bool(self._ended.all()):
                return step
            self._next()
        return most

    def _restart(self) -> None:
        for layer in self._cache.layers:
            layer.cumulative_length.fill_(self._shape.width)
        self._step.zero_()
        self._ended.zero_()

    def _decode(self) -> None:
        """Compute and sample the next token of each row."""
        with _without_kept_weights(self._tokens.device):
            logits = self._model(
                input_ids=self._tokens,
                attention_mask=self._mask,
                position_ids=self._positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        self._keep(logits)

    def _keep(self, logits: Tensor) -> None:
        """Sample a token for each row, and write down what it was."""
        uniforms = self._uniforms.index_select(0, self._step).squeeze(0)
        tokens, logprobs = self._draw(logits, uniforms, self._shape.sampling)
        self.responses.index_copy_(0, self._step, tokens.unsqueeze(0))
        self.logprobs.index_copy_(0, self._step, logprobs.unsqueeze(0))
        self._tokens.copy_(tokens.unsqueeze(1))
        self._ended |= (tokens.unsqueeze(1) == self._ends).any(1)
        self._positions += 1
        self._step += 1


def _without_kept_weights(device: torch.device) -> Any:
    """Return the present autocast, but without the cast weights that it keeps.

    A graph would go on reading the cast weights that were kept while it was captured.
    """
    import torch

    return torch.autocast(
        device.type,
        dtype=torch.get_autocast_dtype(device.type),
        enabled=torch.is_autocast_enabled(device.type),
        cache_enabled=False,
    )


def _captured(step: Callable[[], None], restart: Callable[[], None]) -> Callable[[], None]:
    """Capture a step as a CUDA graph, and return what replays it.

    Args:
        step: Launches kernels on tensors that stay where they are.
        restart: Called before each run of the step, so that it stays within its tensors.
    """
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        # Libraries set themselves up in their first calls, which cannot be captured.
        for _ in range(2):
            restart()
            step()
    torch.cuda.current_stream().wait_stream(stream)
    restart()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()
    return graph.replay
