"""The memory of models, against the bytes of real tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.preferences import make_folder
from helpers.shapes import config_folder
from transformers import AutoModelForCausalLM

from bench.requirements.memory import Memory, Model, frozen_model, sampling, step, trained_model
from bench.requirements.shape import shape_of
from methods.core.models.loading import Loading, Lora


def model_of(name: str, loading: Loading = Loading(), *, bf16: bool = False) -> Model:
    shape = shape_of(name)
    assert shape is not None
    return Model(name, shape, loading, bf16)


def test_weights_gradients_and_adam_are_those_of_a_real_step(tmp_path: Path) -> None:
    folder = make_folder("llama", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters())
    model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    weights = list(model.parameters())
    gradients = [w.grad for w in weights if w.grad is not None]
    averages = [s[n] for s in optimizer.state.values() for n in ("exp_avg", "exp_avg_sq")]
    estimate = trained_model(model_of(str(folder)))
    assert estimate.weights == sum(w.nbytes for w in weights)
    assert estimate.gradients == sum(g.nbytes for g in gradients)
    assert estimate.optimizer == sum(a.nbytes for a in averages)


def test_adapters_train_little_on_frozen_weights(models: Path) -> None:
    name = config_folder(models, "Llama-3.2-1B")
    whole = trained_model(model_of(name, bf16=True))
    # float32, and what training computes with in bf16.
    assert whole.weights == pytest.approx(4 * 1.2358e9 + 2 * 0.973e9, rel=1e-3)
    lora = trained_model(model_of(name, Loading(lora=Lora(16), dtype="bfloat16"), bf16=True))
    assert lora.weights == pytest.approx(2 * 1.2358e9 + 4 * 11.27e6, rel=1e-3)
    assert lora.optimizer == pytest.approx(8 * 11.27e6, rel=1e-3)
    quantized = trained_model(
        model_of(name, Loading(lora=Lora(16), quantization="4bit"), bf16=True)
    )
    assert quantized.weights < 0.35 * lora.weights


def test_frozen_models_are_in_bf16_on_a_gpu(models: Path) -> None:
    name = config_folder(models, "Llama-3.2-1B")
    assert frozen_model(model_of(name, bf16=True)).weights == 2 * 1_235_814_400
    assert frozen_model(model_of(name)).weights == 4 * 1_235_814_400


def test_checkpointing_keeps_one_layer_and_the_inputs_of_the_others(models: Path) -> None:
    name = config_folder(models, "Llama-3.2-1B")
    whole = model_of(name, bf16=True).activations(512)
    saved = model_of(name, Loading(gradient_checkpointing=True), bf16=True).activations(512)
    assert saved == pytest.approx(whole / 16 + 16 * 2048 * 4)


def test_logits_do_not_grow_beyond_those_of_a_part(models: Path) -> None:
    model = model_of(config_folder(models, "Llama-3.2-1B"))
    few, many, more = (step(model, 1000, 100, scored).activations for scored in (10, 300, 600))
    assert few < many == more


def test_keys_and_values_of_llama_1b_take_32_kilobytes_a_token(models: Path) -> None:
    model = model_of(config_folder(models, "Llama-3.2-1B"), bf16=True)
    one, two = (sampling(model, 1, length).cache for length in (100, 200))
    assert (two - one) / 100 == 2 * 2 * 16 * 8 * 64


def test_sampling_and_training_take_turns() -> None:
    memory = Memory(weights=10, gradients=3, optimizer=5, activations=4, cache=6)
    assert memory.total == 10 + 5 + 7
    assert (memory + Memory(cache=2)).total == 10 + 5 + 8
