"""Shapes of models without weights, against the real models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.preferences import make_folder
from helpers.shapes import CONFIGS, PARAMETERS, config_folder
from transformers import AutoModelForCausalLM, DynamicCache

from bench.requirements.shape import Shape, parameters_of, shape_of, token_activations
from bench.tasks.sizes import SIZES
from methods.core.models.loading import Loading, Lora, adapted, trainable_weights

KINDS = ["gpt2", "qwen2", "gpt_neox", "llama"]
TOKENS = 64


def known_shape(name: str) -> Shape:
    shape = shape_of(name)
    assert shape is not None
    return shape


@pytest.mark.parametrize("name", list(CONFIGS))
def test_parameters_are_those_that_the_models_state(name: str, models: Path) -> None:
    assert parameters_of(config_folder(models, name)) == PARAMETERS[name]


def test_embedded_sizes_are_about_as_large_as_their_names_say() -> None:
    stated = {"1M": 1e6, "10M": 1e7, "50M": 5e7, "150M": 1.5e8}
    assert set(stated) == SIZES.keys() - {"tiny"}
    for name, parameters in stated.items():
        assert known_shape(name).parameters == pytest.approx(parameters, rel=0.1)


def test_a_model_without_a_valid_config_has_no_shape(tmp_path: Path) -> None:
    configs = {
        "type": '{"model_type": "no such type"}',
        "text": '{"model_type": "llama", "hidden_size": "576"}',
        "zero": '{"model_type": "llama", "num_attention_heads": 0}',
        "broken": "{",
    }
    for name, config in configs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
    for name in (*configs, "missing"):
        folder = str(tmp_path / name)
        assert parameters_of(folder) is None and shape_of(folder) is None
    assert parameters_of("./a/b/c") is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_is_that_of_the_real_model(kind: str, tmp_path: Path) -> None:
    folder = make_folder(kind, tmp_path)
    shape, model = known_shape(str(folder)), AutoModelForCausalLM.from_pretrained(folder)
    assert shape.parameters == model.num_parameters()
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(input_ids=torch.ones(2, 5, dtype=torch.long), past_key_values=cache)
    cached = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert shape.cache_width == cached / 10
    wrapped = adapted(model, Loading(lora=Lora(rank=3)))
    assert 3 * shape.adapter_width == sum(w.numel() for w in trainable_weights(wrapped).values())


@pytest.mark.parametrize("kind", ["mamba", "mamba2", "rwkv"])
def test_a_model_without_attention_has_no_keys_and_values(kind: str, tmp_path: Path) -> None:
    config = {"model_type": kind, "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 300}
    heads = {"num_heads": 4, "head_dim": 32, "n_groups": 1} if kind == "mamba2" else {}
    (tmp_path / "config.json").write_text(json.dumps(config | heads))
    shape = known_shape(str(tmp_path))
    assert shape.parameters > 300 * 64 and shape.layers == 2 and shape.cache_width == 0


@pytest.mark.parametrize("kind", KINDS)
def test_traced_activations_are_what_the_real_model_keeps(kind: str, tmp_path: Path) -> None:
    folder = make_folder(kind, tmp_path)
    body = AutoModelForCausalLM.from_pretrained(folder).base_model.eval()
    weights = {weight.untyped_storage().data_ptr() for weight in body.parameters()}

    def kept(tokens: int) -> int:
        found: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        ids = torch.ones(1, tokens, dtype=torch.long)
        # With padding, as in training: without it, models do not make an attention mask.
        mask = torch.arange(tokens).unsqueeze(0) > 0
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            # It holds the tensors, so that no address is used twice.
            output = body(input_ids=ids, attention_mask=mask, use_cache=False)
        assert output is not None
        return sum(found.values())

    real = (kept(TOKENS) - kept(8)) / (TOKENS - 8)
    assert token_activations(str(folder), TOKENS, bf16=False) == pytest.approx(real, rel=0.02)


def test_bf16_keeps_less_and_longer_texts_no_less(models: Path) -> None:
    folder = config_folder(models, "SmolLM2-135M")
    short, in_bf16 = (token_activations(folder, 32, bf16=bf16) for bf16 in (False, True))
    assert 0.5 * short < in_bf16 < 0.75 * short
    assert token_activations(folder, 1024, bf16=False) >= short
