"""A decoding step of fixed shape, on a GPU as one CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import Cache, PreTrainedModel

    from methods.core.models.sampling import SamplingParams

# Steps between two looks at whether all rows have ended: each makes the GPU wait.
STEPS_BETWEEN_CHECKS = 16


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


def new_cache(model: PreTrainedModel, length: int) -> Cache:
    """Return an empty cache that holds `length` tokens per row."""
    from transformers import Cache, StaticCache

    count = len(StaticCache(config=model.config, max_cache_len=length).layers)
    return Cache(layers=[_layer_type()(max_cache_len=length) for _ in range(count)])


@lru_cache(maxsize=1)
def _layer_type() -> Any:
    from transformers.cache_utils import StaticLayer

    class Layer(StaticLayer):
        """Keeps keys in the precision of the values.

        Under autocast, their rotation leaves keys in float32, and attention casts them back.
        """

        def update(self, keys: Tensor, values: Tensor, *args: Any, **options: Any) -> Any:
            return super().update(keys.to(values.dtype), values, *args, **options)

    return Layer


class Decoder:
    """Decoding of one shape: tensors that stay where they are, and the step that changes them.

    Attributes:
        responses: The sampled tokens, [T, B].
        logprobs: Their log-probabilities, [T, B] (nats).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        shape: Shape,
        template: Cache,
        draw: Callable[[Tensor, Tensor, SamplingParams], tuple[Tensor, Tensor]],
    ) -> None:
        import torch

        device, steps = model.device, shape.sampling.max_new_tokens
        self._model, self._shape, self._draw = model, shape, draw
        length = shape.width + steps
        self._cache = new_cache(model, length)
        for layer, read in zip(self._cache.layers, template.layers, strict=True):
            layer.lazy_initialization(
                read.keys[:1].expand(shape.rows, -1, -1, -1),
                read.values[:1].expand(shape.rows, -1, -1, -1),
            )
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

    def load(self, cache: Cache, mask: Tensor, rows: Tensor, count: int, uniforms: Tensor) -> None:
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
    """Capture a step as a CUDA graph, and return what replays it, or the step if that fails.

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
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            step()
    except RuntimeError as error:
        warnings.warn(f"decoding without a CUDA graph, because of: {error}", stacklevel=2)
        return step
    return graph.replay
