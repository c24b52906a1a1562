"""The shape of a model: its parameters, and what it keeps for each token. No weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.tasks.sizes import SIZES
from methods.core.models.loading import Loading
from methods.core.models.pretrained import read_config
from methods.core.training.memory import activation_bytes

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

# So short a text that what a forward pass keeps is what does not grow with the text (tokens).
SHORT_TEXT = 8
# The longest text of an embedded size (tokens).
EMBEDDED_POSITIONS = 2048


@dataclass(frozen=True)
class Shape:
    """The shape of a causal language model.

    Attributes:
        parameters: All of them, each once.
        body: Those that every token is multiplied with: without embeddings and output layer.
        adapter_width: Sum of inputs and outputs of the body's linear layers: an adapter of rank 1
            has as many parameters.
        layers: Number of layers.
        hidden: Width of the hidden states.
        cache_width: Numbers that the key-value cache holds for a token; 0 for a model that has
            none, whose state does not grow with the text.
        vocabulary: Number of tokens.
        positions: The longest text (tokens).
    """

    parameters: int
    body: int
    adapter_width: int
    layers: int
    hidden: int
    cache_width: int
    vocabulary: int
    positions: int


@lru_cache(maxsize=8)
def parameters_of(name: str) -> int | None:
    """Return a model's number of parameters; None if its config cannot be read or built.

    Args:
        name: An embedded size, a folder, or a hub id.
    """
    model = _without_weights(name)
    return None if model is None else model.num_parameters()


class LayerNames(NamedTuple):
    """Names of a model's layers.

    Attributes:
        all: Of every module, with the names of those around it.
        linear: Of the linear layers, each name once, without those around them.
    """

    all: tuple[str, ...]
    linear: tuple[str, ...]


def layer_names(name: str) -> LayerNames | None:
    """Return the names of a model's layers; None if its config cannot be read or built.

    Args:
        name: An embedded size, a folder, or a hub id.
    """
    model = _without_weights(name)
    if model is None:
        return None
    modules = dict(model.named_modules())
    head = model.get_output_embeddings()
    linear = [key.rpartition(".")[2] for key, m in modules.items() if _is_linear(m, head)]
    return LayerNames(tuple(modules), tuple(dict.fromkeys(linear)))


def _is_linear(module: object, head: object) -> bool:
    return type(module).__name__ in ("Linear", "Conv1D") and module is not head


@lru_cache(maxsize=8)
def shape_of(name: str) -> Shape | None:
    """Return the shape of a model; None if its config cannot be read or built.

    Args:
        name: An embedded size, a folder, or a hub id.
    """
    model = _without_weights(name)
    if model is None:
        return None
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    outer = {id(model.get_input_embeddings().weight), id(getattr(head, "weight", None))}
    body = [weight for weight in model.base_model.parameters() if id(weight) not in outer]
    linear = [module.weight for module in model.modules() if _is_linear(module, head)]
    layers, hidden = config.num_hidden_layers, config.hidden_size
    return Shape(
        parameters=model.num_parameters(),
        body=sum(weight.numel() for weight in body),
        adapter_width=sum(sum(weight.shape) for weight in linear),
        layers=layers,
        hidden=hidden,
        cache_width=_cache_width(config),
        vocabulary=model.get_input_embeddings().weight.shape[0],
        positions=getattr(config, "max_position_embeddings", None) or 2**30,
    )


def _cache_width(config: PretrainedConfig) -> int:
    """Return how many numbers the key-value cache holds for a token; 0 without attention."""
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    key_value_heads = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(2 * config.num_hidden_layers * key_value_heads * head_width)


@lru_cache(maxsize=64)
def token_activations(name: str, tokens: int, *, bf16: bool) -> float:
    """Return the bytes that a forward pass keeps of each token for the backward pass.

    The model runs on tensors without content (torch's fake tensors), so that this holds for any
    architecture. What does not grow with the text, such as bf16 copies of weights, is left out.

    Args:
        name: A model whose `shape_of` is known.
        tokens: Length of the text: attention masks grow with its square.
        bf16: Whether the model computes in bf16.
    """
    config: Any = config_of(name)
    tokens = max(tokens, 2 * SHORT_TEXT)
    try:
        longer = _kept_bytes(config, tokens, bf16) - _kept_bytes(config, SHORT_TEXT, bf16)
        return longer / (tokens - SHORT_TEXT)
    except Exception:  # whatever a model raises that looks into its tensors
        return float(activation_bytes(config, Loading(), 2 if bf16 else 4))


def _without_weights(name: str) -> PreTrainedModel | None:
    """Return a model on the meta device, where tensors have a shape but no content."""
    import torch
    from transformers import AutoModelForCausalLM

    config = config_of(name)
    if config is None:
        return None
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                config, trust_remote_code=False
            )
    except Exception:  # whatever a model raises whose config is not valid
        return None
    # Shared weights are shared on the meta device too, so that each is counted once.
    model.tie_weights()
    return model


def config_of(name: str) -> PretrainedConfig | None:
    """Return a model's config; None if it cannot be read, or not be fetched from the hub."""
    from transformers import LlamaConfig, logging

    # What transformers warns of is checked by whoever loads the model.
    logging.set_verbosity_error()
    if name in SIZES:
        size = SIZES[name]
        return LlamaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.architecture.hidden,
            intermediate_size=size.architecture.intermediate,
            num_hidden_layers=size.architecture.layers,
            num_attention_heads=size.architecture.heads,
            max_position_embeddings=EMBEDDED_POSITIONS,
            tie_word_embeddings=True,
        )
    if not Path(name).is_dir() and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        return None
    try:
        return read_config(name)
    except Exception:  # whatever a config raises that is not valid
        return None


def _kept_bytes(config: PretrainedConfig, tokens: int, bf16: bool) -> int:
    """Return the bytes that a forward pass of one text keeps for the backward pass."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModelForCausalLM

    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # With the tensor, so that no other storage gets the same address.
        kept[storage._cdata] = (storage.nbytes(), tensor)
        return tensor

    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        # In evaluation mode: policies are trained without dropout.
        body = AutoModelForCausalLM.from_config(config, trust_remote_code=False).base_model.eval()
        ids = torch.zeros(1, tokens, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = body(input_ids=ids, use_cache=False)
        del output
    return sum(size for size, _ in kept.values())
