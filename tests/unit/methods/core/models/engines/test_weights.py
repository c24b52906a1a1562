"""The weights that an engine of its own takes, against those that peft merges."""

from __future__ import annotations

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
