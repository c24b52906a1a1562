"""Memory of a training step: how many tokens fit into a micro-batch, and what to do if they don't.

A batch goes through the models in micro-batches whose gradients add up, so their size does not
change the algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import MOST_TOKENS
from methods.core.models.engines.memory import budget, gpu_bytes
from methods.core.models.loading import Loading, use_bf16

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

# Memory for the activations of a micro-batch (bytes): on a CPU, and a quarter of a GPU's memory.
ACTIVATIONS_BYTES, ACTIVATIONS_SHARE = 4 * 2**30, 4


class StepTooLargeError(RuntimeError):
    """A training step does not fit into memory, even row by row."""


def activation_bytes(config: PreTrainedConfig, loading: Loading, bytes_per_value: int) -> int:
    """Return the memory of one token's activations, which the backward pass needs (bytes).

    Args:
        config: Of the model.
        loading: How the model is loaded.
        bytes_per_value: 4 in float32, 2 in bf16.
    """
    text = config.get_text_config()
    width, layers = text.hidden_size, text.num_hidden_layers
    inner_width = getattr(text, "intermediate_size", None) or 4 * width
    # Norms compute in float32. Then queries, keys, values and what attention returns; and in the
    # MLP two projections, the activation and the product.
    layer = 4 * 6 * width + bytes_per_value * (4 * width + 4 * inner_width)
    if loading.gradient_checkpointing:
        return layers * bytes_per_value * width + layer
    return layers * layer


def micro_batch_tokens(models: Sequence[PreTrainedModel], loading: Loading, device: str) -> int:
    """Return the most tokens of a micro-batch, padding included.

    Args:
        models: The models that are trained together.
        loading: How they are loaded.
        device: "cpu" or "cuda".
    """
    import torch

    bf16 = any(use_bf16(model, device) for model in models)
    token = sum(activation_bytes(model.config, loading, 2 if bf16 else 4) for model in models)
    return tokens_within(token, loading, gpu_bytes(torch.device(device)))


def tokens_within(token_bytes: int, loading: Loading, gpu_memory: int | None) -> int:
    """Return the most tokens of a micro-batch, padding included.

    Args:
        token_bytes: Memory of one token's activations in all models that are trained together.
        loading: How the models are loaded.
        gpu_memory: All memory of the GPU (bytes); None on a CPU.
    """
    memory = budget(gpu_memory, ACTIVATIONS_BYTES, ACTIVATIONS_SHARE)
    return loading.micro_batch_tokens or max(1, min(MOST_TOKENS, memory // token_bytes))


def accumulation(batch_size: int, longest: int, most_tokens: int) -> dict[str, Any]:
    """Return arguments of a trainer that splits batches into micro-batches of equal size.

    Args:
        batch_size: Rows of a step, in this process.
        longest: Tokens of the longest row.
        most_tokens: The most tokens of a micro-batch, padding included.
    """
    size = next(
        size
        for size in range(batch_size, 0, -1)
        if batch_size % size == 0 and (size * longest <= most_tokens or size == 1)
    )
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": batch_size // size,
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has no memory left."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
