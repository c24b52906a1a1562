"""Causal language models: new ones of an embedded size, and pretrained ones from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError, reason_of
from bench.tasks.base import Architecture
from methods.core.models.pretrained import (
    check_finite_weights,
    check_weights,
    load_causal_model,
    read_config,
    vocabulary_size,
)
from methods.core.models.text import end_token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Embeddings with room for new tokens get a multiple of so many rows: other sizes slow a GPU down.
ROWS_MULTIPLE = 64
# At most so many tokens of a tokenizer are new to its model.
MOST_NEW_ROWS = 1024
# The longest texts that new models take, in tokens: of whole words, and of byte pairs.
WORD_POSITIONS, PIECE_POSITIONS = 128, 2048


def make_model(
    size: Architecture,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    positions: int = WORD_POSITIONS,
    tied: bool = False,
) -> PreTrainedModel:
    """Return an untrained Llama model.

    Args:
        size: Layers and widths.
        tokenizer: Sets the vocabulary and the special tokens.
        seed: Of the weights.
        positions: The longest text that the model takes, in tokens.
        tied: Whether input and output embeddings share their weights. With a large vocabulary they
            would be most of a small model.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def load_model(folder: Path, tokenizer: PreTrainedTokenizerBase, dtype: str) -> PreTrainedModel:
    """Return a pretrained causal language model with room for the tokenizer's tokens.

    Args:
        folder: With safetensors; code in it is not run.
        tokenizer: Its special tokens become the model's, its end tokens included.
        dtype: Of the weights, such as "float32".

    Raises:
        UserError: The folder has no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    try:
        check_weights(folder, read_config(folder), AutoModelForCausalLM)
        model = load_causal_model(folder, dtype=dtype)
        check_finite_weights(model)
    except Exception as error:  # whatever a model raises whose files are not valid
        raise UserError(f"{folder}: no causal language model: {reason_of(error)}") from None
    tokens, rows = vocabulary_size(tokenizer), model.get_input_embeddings().weight.shape[0]
    if tokens > rows + MOST_NEW_ROWS:
        raise UserError(
            f"{folder}: its tokenizer is of another model: it has {tokens:,} tokens, and the model "
            f"{rows:,}"
        )
    if tokens > rows:
        # The new rows are drawn at random.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model.resize_token_embeddings(tokens, pad_to_multiple_of=ROWS_MULTIPLE)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end_token_ids(tokenizer),
    )
    return model


def positions_of(model_folder: str) -> int:
    """Return the longest text that a model takes, in tokens.

    Raises:
        UserError: The model's configuration cannot be read.
    """
    try:
        config = read_config(model_folder)
    except Exception as error:  # whatever a config raises that is not valid
        raise UserError(
            f"{model_folder}: its configuration cannot be read: {reason_of(error)}"
        ) from None
    return getattr(config.get_text_config(), "max_position_embeddings", None) or 2**30
