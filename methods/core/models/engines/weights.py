"""The weights of a model as an engine of its own takes them: adapters added, none quantized."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def merged_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights under the names that they have without adapters, those tied once.

    Quantized ones are dequantized.

    Adapters that are switched off are left out. The model itself stays as it is: adding adapters to
    its weights and taking them off again would change those by rounding, a little at every update.

    Args:
        model: The model of transformers, with peft's layers in it if there are adapters.
    """
    from peft.utils.integrations import dequantize_module_weight

    adapted = {name: m for name, m in model.named_modules() if hasattr(m, "get_delta_weight")}
    inside = tuple(f"{name}." for name in adapted)
    for name, weight in model.named_parameters():
        if name.startswith(inside):
            continue
        owner, _, kind = name.rpartition(".")
        if kind == "weight":
            weight = dequantize_module_weight(model.get_submodule(owner))
        yield name, weight.detach()
    for name, layer in adapted.items():
        yield f"{name}.weight", _merged(layer)
        bias = getattr(layer.get_base_layer(), "bias", None)
        if bias is not None:
            yield f"{name}.bias", bias.detach()


def _merged(layer: Any) -> Tensor:
    """Return the weight of one of peft's layers with its active adapters added."""
    from peft.utils.integrations import dequantize_module_weight

    weight: Tensor = dequantize_module_weight(layer.get_base_layer()).detach()
    if not layer.disable_adapters:
        for adapter in layer.active_adapters:
            weight = weight + layer.get_delta_weight(adapter).detach()
    return weight
