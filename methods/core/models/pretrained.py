"""Models from folders: every weight must be there, and a folder's generation settings are not used.

A model's own `generation_config.json` changes how `generate` samples (a repetition penalty, top_k,
suppressed tokens ...). Here only the sampling parameters say how, so that sampled and computed
log-probabilities are those of one distribution.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

GENERATION_FILE = "generation_config.json"
# What the model's makers say about generation, kept for whoever publishes a trained policy.
ORIGINAL_GENERATION_FILE = "original_generation_config.json"
HEADS = ("score", "classifier")
# The most weights that a message names.
NAMED = 3
# The logit of an embedding row that belongs to no token: its probability is 0 in float32, and
# sums of probability times log-probability stay finite.
NO_TOKEN_LOGIT = -1e4


class WeightsError(ValueError):
    """The weights in a folder are not those of the model that its configuration describes."""


def load_causal_model(folder: Path, **options: Any) -> PreTrainedModel:
    """Return a causal language model that generates by sampling parameters alone.

    Args:
        folder: With safetensors; code in it is not run.
        **options: Of `from_pretrained`.

    Raises:
        WeightsError: A weight is missing or has another shape.
        OSError, ValueError, KeyError: The folder has no such model.
    """
    from transformers import AutoModelForCausalLM

    model = _load(AutoModelForCausalLM, folder, (), options)
    model.generation_config = neutral(model.generation_config)
    return model


def load_classifier(folder: Path, *, new_head: bool = False, **options: Any) -> PreTrainedModel:
    """Return a sequence classifier whose linear head computes in float32.

    Args:
        folder: With safetensors; code in it is not run.
        new_head: Whether the folder may be without the classifier's head, as those of causal
            models are. A new one is then drawn at random.
        **options: Of `from_pretrained`.

    Raises:
        WeightsError: A weight is missing or has another shape.
        OSError, ValueError, KeyError: The folder has no such model.
    """
    from transformers import AutoModelForSequenceClassification

    model = _load(AutoModelForSequenceClassification, folder, HEADS if new_head else (), options)
    return with_float32_head(model)


def _load(
    model_class: Any, folder: Path, new: tuple[str, ...], options: dict[str, Any]
) -> PreTrainedModel:
    """Load a model, and check that nothing but the weights under the names in `new` is missing."""
    from safetensors import SafetensorError

    safe = {"use_safetensors": True, "trust_remote_code": False}
    try:
        # Shapes are checked here: otherwise their message takes many lines.
        model, loaded = model_class.from_pretrained(
            folder, **safe | options, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except SafetensorError as error:
        raise WeightsError(f"its weights cannot be read: {error}") from None
    shapes = {name for name, *_ in loaded["mismatched_keys"]}
    missing = set(loaded["missing_keys"]) - shapes
    problems = {
        "missing": {name for name in missing if name.split(".")[0] not in new},
        "of another shape": {name for name in shapes if name.split(".")[0] not in new},
    }
    reasons = [f"{_listed(names)} {why}" for why, names in problems.items() if names]
    if reasons:
        unused = loaded["unexpected_keys"]
        hint = f"; the files have {_listed(unused)} instead" if unused else ""
        raise WeightsError(f"its weights do not fit its config.json: {'; '.join(reasons)}{hint}")
    loaded_model: PreTrainedModel = model
    return loaded_model


def _listed(names: set[str]) -> str:
    first, more = sorted(names)[:NAMED], len(names) - NAMED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def neutral(config: GenerationConfig) -> GenerationConfig:
    """Return a generation config with nothing but the special tokens of another one."""
    from transformers import GenerationConfig

    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return GenerationConfig(**{name: getattr(config, name) for name in names})


def read_generation_config(file: Path) -> dict[str, Any] | None:
    """Return the content of a generation config, or None if there is no such file."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def with_float32_head(model: PreTrainedModel) -> PreTrainedModel:
    """Return a classifier whose head, if it is one linear layer, computes in float32.

    In bf16 its outputs would be rounded by up to 0.03, as much as they differ between tokens.
    """
    from torch import nn

    from methods.core.models.heads import Float32Linear

    for name in HEADS:
        head = getattr(model, name, None)
        if type(head) is nn.Linear:
            setattr(model, name, Float32Linear.of(head))
    return model


def without_unused_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give embedding rows that belong to no token a probability of 0.

    Embeddings are often padded to a round number of rows. Text could not hold such a token.

    Args:
        model: A causal language model. It is changed.
        tokenizer: Its tokenizer.
    """
    head = model.get_output_embeddings()
    tokens = vocabulary_size(tokenizer)
    if head is not None and head.weight.shape[0] > tokens:
        head.register_forward_hook(_NoToken(tokens))


class _NoToken:
    """A hook of the output layer: no token past the last one of the tokenizer is ever sampled."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def __call__(self, head: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        logits[..., self.tokens :] = NO_TOKEN_LOGIT
        return logits


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the rows that a tokenizer needs of an embedding: one more than the largest id."""
    return max(tokenizer.get_vocab().values()) + 1
