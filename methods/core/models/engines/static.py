"""Sampling with a cache of fixed size and, on a GPU, one CUDA graph for each decoding step.

A small model computes a step faster than Python can launch its kernels. A CUDA graph launches all
of them at once. It needs tensors that stay where they are, so the cache has a fixed size, and rows
that have ended stay in it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar

from methods.core.models.engines.base import Engine, Request
from methods.core.models.engines.decoder import Decoder, Shape, new_cache

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache, PreTrainedModel

# Prompts are padded to a multiple of this width (tokens), so that few shapes occur.
WIDTH = 64
# How many shapes keep their memory. The one that was used longest ago leaves.
KEPT = 2


class Static(Engine):
    """Samples from the training weights with a static cache: exact, and nothing to synchronize."""

    exact: ClassVar = True
    schedules: ClassVar = False

    def __init__(self) -> None:
        self._decoders: OrderedDict[Shape, Decoder] = OrderedDict()
        self._addresses: list[int] = []

    def respond(
        self, model: PreTrainedModel, input_ids: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        import torch

        self._forget_moved(model)
        shape = _shape(input_ids, request)
        firsts = list(request.firsts)
        ids, mask = input_ids[firsts], request.mask[firsts]
        logits, cache, mask = _read(model, ids, mask, shape)
        decoder = self._decoders.pop(shape, None) or Decoder(model, shape, cache, request.draw)
        self._decoders[shape] = decoder
        if len(self._decoders) > KEPT:
            self._decoders.popitem(last=False)
        filling = [0] * (shape.rows - len(request.equals))
        rows = torch.tensor([*request.equals, *filling], device=input_ids.device)
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
    # Other attention, and rotary embeddings that depend on the length, ask the device.
    rope = str(getattr(model.config, "rope_parameters", None))
    if model.config._attn_implementation != "sdpa" or "dynamic" in rope or "longrope" in rope:
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


def _read(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, shape: Shape
) -> tuple[Tensor, Cache, Tensor]:
    """Read the distinct prompts, [D, P], that have this mask, [D, P].

    Returns:
        The logits after each, [D, V], the cache, and which of its columns are tokens, [D, P + T].
    """
    import torch.nn.functional as F

    length, left = shape.width + shape.sampling.max_new_tokens, shape.width - ids.shape[1]
    ids, mask = F.pad(ids, (left, 0)), F.pad(mask, (left, 0))
    cache = new_cache(model, length)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    return logits, cache, F.pad(mask, (0, shape.sampling.max_new_tokens), value=1)
