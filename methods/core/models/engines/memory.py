"""Memory of a device, and how many rows of keys, values and logits it holds when sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

GIB = 1 << 30
MOST_ROWS = 1024
# What sampling a token takes: logits, log-probabilities and probabilities in float32, and their
# cumulative sum in float64, with a copy of each (bytes for each token of the vocabulary and row).
BYTES_PER_LOGIT = 40
# On a CPU (bytes). On a GPU, an eighth and a sixteenth of its memory: the rest is for training and
# other models.
CACHE_BYTES, LOGITS_BYTES = GIB, GIB
CACHE_SHARE, LOGITS_SHARE = 8, 16


def gpu_bytes(device: torch.device) -> int | None:
    """Return all memory of a GPU, None for a CPU.

    What is free does not count: batches decide the random numbers.
    """
    import torch

    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def budget(gpu_memory: int | None, on_cpu: int, share: int) -> int:
    """Return how much memory there is for something (bytes).

    Args:
        gpu_memory: All memory of the GPU (bytes); None on a CPU.
        on_cpu: What it may take on a CPU (bytes).
        share: On a GPU, it may take 1 / share of the memory.
    """
    return on_cpu if gpu_memory is None else gpu_memory // share


def cache_bytes(device: torch.device) -> int:
    """Return how much memory keys and values may take (bytes)."""
    return budget(gpu_bytes(device), CACHE_BYTES, CACHE_SHARE)


def token_bytes(config: Any) -> int:
    """Return the memory of one token's keys and values in all layers, in float32 (bytes)."""
    config = config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * 4 * config.num_hidden_layers * heads * size)


def rows_that_fit(model: PreTrainedModel, length: int) -> int:
    """Return how many rows are sampled at once.

    Args:
        model: A causal language model.
        length: Tokens of the longest row, its response included.
    """
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    memory = gpu_bytes(model.device)
    return rows_within(length, vocabulary, token_bytes(model.config), memory)


def rows_within(length: int, vocabulary: int, token_bytes: int, gpu_memory: int | None) -> int:
    """Return how many rows are sampled at once.

    Args:
        length: Tokens of the longest row, its response included.
        vocabulary: Tokens of the vocabulary.
        token_bytes: As the function of this name returns it.
        gpu_memory: All memory of the GPU (bytes); None on a CPU.
    """
    by_logits = budget(gpu_memory, LOGITS_BYTES, LOGITS_SHARE) // (BYTES_PER_LOGIT * vocabulary)
    by_cache = budget(gpu_memory, CACHE_BYTES, CACHE_SHARE) // (token_bytes * length)
    return max(1, min(MOST_ROWS, by_logits, by_cache))
