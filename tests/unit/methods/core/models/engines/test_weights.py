"""The weights that an engine of its own takes, against those that peft merges."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from methods.core.models.engines.weights import merged_weights
from methods.core.models.loading import Loading, Lora, inner, merged


def test_adapters_are_added_as_peft_adds_them(make_context: object) -> None:
    policy = make_context(loading=Loading(Lora(rank=2))).start()  # type: ignore[operator]
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    ours = dict(merged_weights(inner(policy.model)))
    with policy.model.disable_adapter():
        off = {name: weight.clone() for name, weight in merged_weights(inner(policy.model))}
    assert all(torch.equal(before[n], w) for n, w in policy.model.state_dict().items())
    theirs = dict(merged(policy.model).named_parameters())
    assert ours.keys() == theirs.keys() == off.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)
    assert not all(torch.allclose(off[name], theirs[name], atol=1e-3) for name in off)


def test_a_model_without_adapters_gives_its_own(reference: object) -> None:
    own = dict(reference.model.named_parameters())  # type: ignore[attr-defined]
    found = dict(merged_weights(reference.model))  # type: ignore[attr-defined]
    assert found.keys() == own.keys()
    assert all(found[name].data_ptr() == own[name].data_ptr() for name in own)


class Params4bit(torch.nn.Parameter):
    """A weight as bitsandbytes keeps it: packed, with what is needed to unpack it."""

    quant_state: torch.Tensor


def packed(weight: torch.Tensor) -> Params4bit:
    parameter = Params4bit(torch.zeros(weight.numel() // 2, 1, dtype=torch.uint8), False)
    parameter.quant_state = weight.detach().clone()
    return parameter


def test_quantized_weights_are_dequantized_with_adapters_and_without(
    make_context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack = SimpleNamespace(dequantize_4bit=lambda _, state: state)
    bitsandbytes: Any = ModuleType("bitsandbytes")
    bitsandbytes.functional = unpack
    monkeypatch.setitem(sys.modules, "bitsandbytes", bitsandbytes)
    lora = Lora(rank=2, targets=("q_proj",))
    policy = make_context(loading=Loading(lora)).start()  # type: ignore[operator]
    model = inner(policy.model)
    plain = {name: weight.clone() for name, weight in merged_weights(model)}
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    frozen = [layer for layer in layers if not layer.weight.requires_grad]
    for layer in frozen:
        layer.weight = packed(layer.weight)
    assert len(frozen) == 15 and frozen[0].weight.shape != plain["lm_head.weight"].shape
    dequantized = dict(merged_weights(model))
    assert dequantized.keys() == plain.keys()
    assert all(torch.equal(dequantized[name], plain[name]) for name in plain)
