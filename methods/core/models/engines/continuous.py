"""Sampling by the continuous batching of transformers: a row that ends makes room for another.

The model is copied: continuous batching exchanges the attention of the model that it gets and runs
it in another thread, where the precision of the training (autocast) does not hold. The weights are
copied anew for each batch, so none can be out of date.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from methods.core.models.engines.base import Engine, Request, laid_out
from methods.core.models.engines.memory import cache_bytes, token_bytes
from methods.core.models.engines.weights import merged_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# The most rows of a step.
MOST_STEP_ROWS = 512


class Continuous(Engine):
    """Samples by `ContinuousBatchingManager`, from a copy of the model."""

    exact: ClassVar = False
    schedules: ClassVar = True

    def __init__(self) -> None:
        self._copy: PreTrainedModel | None = None
        self._manager: Any = None
        self._made_for: tuple[Any, ...] = ()

    def respond(
        self, model: PreTrainedModel, input_ids: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        manager = self._prepared(model, request)
        outputs = _outputs(manager, request)
        if request.sampling.temperature == 0:
            # The likeliest token is the only one that can be sampled.
            for output in outputs:
                output.logprobs = [0.0] * len(output.generated_tokens)
        return laid_out(
            [output.generated_tokens for output in outputs],
            [output.logprobs for output in outputs],
            request.ends[0],
            input_ids.device,
        )

    def _prepared(self, model: PreTrainedModel, request: Request) -> Any:
        """Return the manager of a copy with the model's present weights."""
        self._copy = self._copy or _copied(model)
        targets = dict(self._copy.named_parameters())
        for name, weight in merged_weights(model):
            targets[name].copy_(weight)
        length = max(map(len, request.prompts)) + request.sampling.max_new_tokens
        # Rounded up, so that few lengths occur.
        length = -(-length // 256) * 256
        # So are the rows. The pages depend on this batch alone, so that a run that resumes samples
        # as one in one go.
        rows = 1 << (min(len(request.prompts), MOST_STEP_ROWS) - 1).bit_length()
        made_for = (request.sampling, request.ends, length, rows)
        if self._made_for != made_for:
            self._copy.destroy_cached_continuous_batching_manager()
            self._manager = self._copy.init_continuous_batching(
                generation_config=_generation_config(request),
                continuous_batching_config=_batching_config(self._copy, rows, length),
            )
            # This captures the CUDA graphs, and sets a random seed.
            self._manager.warmup()
            self._made_for = made_for
        else:
            # It goes back to the attention that continuous batching needs.
            self._manager = self._copy.init_continuous_batching()
        return self._manager


def is_fast(model: PreTrainedModel) -> bool:
    """Return whether flash attention is here: without it, all rows are compared with all."""
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available() and getattr(model, "_supports_flash_attn", False))


def _copied(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model of the same kind, in bf16 on a GPU, whose weights are still to be set.

    Its buffers are set: no training changes them.
    """
    import torch

    on_gpu = model.device.type == "cuda"
    config = deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device(model.device):
        copy: PreTrainedModel = type(model)._from_config(
            config,
            dtype=torch.bfloat16 if on_gpu else model.dtype,
            attn_implementation="flash_attention_2" if on_gpu and is_fast(model) else "sdpa",
        )
    buffers = dict(copy.named_buffers())
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffers[name].copy_(buffer)
    # Hooks keep embedding rows that belong to no token from being sampled.
    for hook in model.get_output_embeddings()._forward_hooks.values():
        copy.get_output_embeddings().register_forward_hook(hook)
    return copy.eval().requires_grad_(False)


def _generation_config(request: Request) -> Any:
    """Return the sampling parameters as transformers takes them, and nothing of the model's own."""
    from transformers import GenerationConfig

    sampling, settings = request.sampling, {}
    if sampling.temperature:
        settings = {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
        }
    return GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=bool(settings),
        eos_token_id=list(request.ends),
        **settings,
    )


def _batching_config(model: PreTrainedModel, rows: int, length: int) -> Any:
    """Return how continuous batching works: within a memory that depends on the device alone.

    Args:
        model: The copy that is sampled.
        rows: The most rows at once.
        length: Tokens of the longest row.
    """
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    # Flash attention takes pages of multiples of 256 tokens. Without it there is a mask of all
    # tokens of a step by all tokens of the cache, so both are kept small.
    has_flash = "flash" in model.config._attn_implementation
    page, tokens = (256, 4096) if has_flash else (16, 512)
    pages = length // page
    most = cache_bytes(model.device) // (token_bytes(model.config) * page)
    return ContinuousBatchingConfig(
        page_size=page,
        num_blocks=max(pages, min(pages * rows, most)),
        max_batch_tokens=tokens,
        max_requests_per_batch=MOST_STEP_ROWS,
        max_blocks_per_request=pages + pages % 2 if has_flash else 0,
        # A page that is shared would outlive the weights that it was computed with.
        allow_block_sharing=False,
        return_logprobs=True,
        # It would download code.
        auto_switch_to_flash=False,
    )


def _outputs(manager: Any, request: Request) -> list[Any]:
    """Return the output of each request, in order.

    Raises:
        RuntimeError: One has failed.
    """
    import torch

    manager.start()
    try:
        # While it pauses, so that it finds all requests at once: the same batches every time.
        with getattr(manager, "pause", nullcontext)():
            torch.manual_seed(request.seed)
            prompts = [list(prompt) for prompt in request.prompts]
            names = manager.add_requests(prompts, max_new_tokens=request.sampling.max_new_tokens)
        outputs: dict[str, Any] = {}
        while len(outputs) < len(names):
            output = manager.get_result(timeout=1)
            if output is None and not manager.is_running():
                raise RuntimeError("continuous batching has stopped before all responses ended")
            if output is not None and output.error is not None:
                raise RuntimeError(f"continuous batching has failed: {output.error}")
            if output is not None and output.is_finished():
                outputs[output.request_id] = output
    finally:
        manager.stop(keep_for_next_session=True)
    return [outputs[name] for name in names]
