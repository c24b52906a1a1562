"""Models from folders: every weight must be there, and a folder's generation settings are not used.

What a folder says of itself is not believed: the functions `read_config`, `read_tokenizer` and
`check_weights` refuse what would take any time or memory.

A model's own `generation_config.json` changes how `generate` samples (a repetition penalty, top_k,
suppressed tokens ...). Here only the sampling parameters say how, so that sampled and computed
log-probabilities are those of one distribution.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import (
        GenerationConfig,
        PretrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

GENERATION_FILE = "generation_config.json"
# What the model's makers say about generation, kept for whoever publishes a trained policy.
ORIGINAL_GENERATION_FILE = "original_generation_config.json"
HEADS = ("score", "classifier")
# The most weights that a message names.
NAMED = 3
# The logit of an embedding row that belongs to no token: its probability is 0 in float32, and
# sums of probability times log-probability stay finite.
NO_TOKEN_LOGIT = -1e4


# Files that a model's folder has beside its weights: the most of each, and of those that are short
# (bytes).
DESCRIBING = (".json", ".jinja", ".txt", ".model")
MOST_FILE, MOST_SHORT_FILE = 256 * 2**20, 16 * 2**20
SHORT_FILES = ("config.json", GENERATION_FILE, "tokenizer_config.json", "chat_template.jinja")
# The smallest and the largest value of sizes in a config. No known model is near the largest.
SIZES = {
    "num_hidden_layers": (1, 1024),
    "hidden_size": (1, 2**18),
    "intermediate_size": (1, 2**22),
    "num_attention_heads": (1, 2**14),
    "num_key_value_heads": (1, 2**14),
    "head_dim": (1, 2**14),
    "vocab_size": (1, 2**24),
    "num_labels": (1, 2**20),
    "max_position_embeddings": (8, 2**31),
}
# The largest id of a token.
MOST_TOKENS = 2**21
# How many parameters a model may have for each number in its files: quantized ones hold several.
PACKED = 16


class WeightsError(ValueError):
    """The weights in a folder are not those of the model that its configuration describes."""


def read_config(source: str | Path, **options: Any) -> PretrainedConfig:
    """Return a model's config with sizes that a model can have.

    Args:
        source: A folder, or a hub id. Code in it is not run.
        **options: Of `from_pretrained`.

    Raises:
        ValueError: A size is out of range, or a file too large.
        Exception: Whatever transformers raises on a config that is not valid.
    """
    from transformers import AutoConfig

    check_files(Path(source))
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **options)
    except ValueError as error:
        if "trust_remote_code" in str(error):
            raise ValueError("it needs code from its folder (auto_map), which is not run") from None
        raise
    for part in (config, config.get_text_config()):
        for name, (least, most) in SIZES.items():
            size = getattr(part, name, None)
            if isinstance(size, int) and not least <= size <= most:
                raise ValueError(f"{name} must be from {least:,} to {most:,}, not {size:,}")
    return config


def check_files(folder: Path) -> None:
    """Raise ValueError if a file beside the weights is too large to be read."""
    files = [file for file in folder.glob("*") if file.suffix in DESCRIBING and file.is_file()]
    for file in files:
        most = MOST_SHORT_FILE if file.name in SHORT_FILES else MOST_FILE
        if file.stat().st_size > most:
            raise ValueError(f"{file.name} has more than {most // 2**20} MB")


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a folder.

    Raises:
        ValueError: It has no tokens, too many, or a file that is too large.
        Exception: Whatever transformers raises on files that are not valid.
    """
    from transformers import AutoTokenizer

    check_files(folder)
    file = folder / "tokenizer.json"
    if file.is_file():
        content = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = content["model"].get("vocab") or {}
        ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else [len(vocabulary)]
        ids += [token["id"] for token in content.get("added_tokens") or []]
        # An id takes memory for all ids before it.
        if max(ids, default=0) >= MOST_TOKENS or min(ids, default=0) < 0:
            raise ValueError(f"the ids in tokenizer.json must be from 0 to {MOST_TOKENS - 1:,}")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    special = {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
    # transformers makes a tokenizer without tokens where the files are missing.
    if not set(tokenizer.get_vocab()) - special:
        raise ValueError("it has special tokens alone: is tokenizer.json missing?")
    tokenizer("a question")
    return tokenizer


def check_weights(folder: Path, config: PretrainedConfig, model_class: Any) -> None:
    """Check that a model is no larger than what its files hold: missing weights are drawn anew.

    Args:
        folder: With safetensors.
        config: The model's.
        model_class: Of transformers, with `from_config`.

    Raises:
        WeightsError: It is larger, or the files cannot be read.
        Exception: Whatever a model raises whose config is not valid.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    held = 0
    try:
        for file in folder.glob("*.safetensors"):
            with safe_open(file, "pt") as weights:
                shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
            held += sum(math.prod(shape) for shape in shapes)
    except SafetensorError as error:
        raise WeightsError(f"its weights cannot be read: {error}") from None
    with torch.device("meta"):
        model = model_class.from_config(config, trust_remote_code=False)
    if model.num_parameters() > PACKED * held:
        raise WeightsError(
            f"its weights do not fit its config.json: that describes {model.num_parameters():,} "
            f"parameters, and the files hold {held:,}"
        )


def check_finite_weights(model: PreTrainedModel) -> None:
    """Raise WeightsError if a weight is not finite."""
    bad = {name for name, weight in model.named_parameters() if not weight.isfinite().all()}
    if bad:
        raise WeightsError(f"its weights are not finite: {_listed(bad)}")


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
