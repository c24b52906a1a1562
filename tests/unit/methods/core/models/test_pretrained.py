"""Models from folders: all weights are there, and nothing in the folder changes the sampling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.architectures import make_architecture
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig

from bench.errors import UserError
from bench.pipeline.stages.training.models import load_model
from bench.pipeline.stages.training.tokenizers import load_tokenizer
from methods.core.models.logprobs import next_token_logprobs, token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.pretrained import (
    WeightsError,
    load_causal_model,
    load_classifier,
    vocabulary_size,
)
from methods.core.models.sampling import SamplingParams

Weights = dict[str, Any]
SAMPLING = SamplingParams(max_new_tokens=12)
PROMPTS = ["may I have the cup?", "go away", "hat"] * 20


def without(weights: Weights) -> None:
    del weights["model.norm.weight"]


def renamed(weights: Weights) -> None:
    for name in [name for name in weights if ".mlp." in name]:
        weights[name.replace(".mlp.", ".ffn.")] = weights.pop(name)


def reshaped(weights: Weights) -> None:
    weights["model.norm.weight"] = torch.ones(5)


def damage(folder: Path, change: Callable[[Weights], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "model.norm.weight missing"),
        (renamed, r"mlp.\w+.weight and 3 more missing; the files have .*ffn"),
        (reshaped, "model.norm.weight of another shape"),
    ],
)
def test_weights_that_do_not_fit_are_named_in_one_line(
    change: Callable[[Weights], None], message: str, tmp_path: Path
) -> None:
    folder = make_architecture("qwen2", tmp_path)
    tokenizer = load_tokenizer(folder, plain=False)
    # A head that is the input embedding is not missing.
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    load_model(folder, tokenizer, "float32")
    damage(folder, change)
    with pytest.raises(UserError, match=message) as caught:
        load_model(folder, tokenizer, "float32")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=message):
        ModelPolicy.load(folder, "cpu")
    with pytest.raises(WeightsError, match=message):
        load_classifier(folder, new_head=True, num_labels=1)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = make_architecture("qwen2", tmp_path)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:2000])
    with pytest.raises(UserError, match="its weights cannot be read"):
        load_model(folder, load_tokenizer(folder, plain=False), "float32")


def test_a_classifier_needs_its_head_unless_it_gets_a_new_one(tmp_path: Path) -> None:
    folder = make_architecture("qwen2", tmp_path)
    with pytest.raises(WeightsError, match=r"score.weight missing"):
        load_classifier(folder, num_labels=1)
    model = load_classifier(folder, new_head=True, num_labels=1)
    model.save_pretrained(tmp_path / "saved")
    again = load_classifier(tmp_path / "saved", num_labels=1)
    assert torch.equal(again.score.weight, model.score.weight)
    # Its number of outputs may change only with a new head.
    with pytest.raises(WeightsError, match=r"score.weight of another shape"):
        load_classifier(tmp_path / "saved", num_labels=3)
    assert load_classifier(tmp_path / "saved", new_head=True, num_labels=3).num_labels == 3


def test_a_models_own_generation_settings_do_not_act(tmp_path: Path) -> None:
    policies = []
    for name, settings in {"plain": {}, "set": None}.items():
        options = {} if settings is None else {"settings": settings}
        folder = make_architecture("qwen2", tmp_path / name, **options)
        tokenizer = load_tokenizer(folder, plain=False)
        policies.append(ModelPolicy(load_model(folder, tokenizer, "float32"), tokenizer))
        assert ("repetition_penalty" in (folder / "generation_config.json").read_text()) == (
            settings is None
        )
    texts = [policy.generate(PROMPTS, 0, SAMPLING) for policy in policies]
    assert texts[0] == texts[1]
    batch, logprobs = policies[1].sample(PROMPTS, 0, SAMPLING)
    with torch.no_grad():
        scored = token_logprobs(policies[1].model, batch, SAMPLING)
    assert (scored - logprobs).abs().max() < 1e-5
    # Nor in the generation of TRL's trainers, which passes what it wants changed.
    asked = GenerationConfig(max_new_tokens=12, do_sample=True, top_k=0, top_p=1.0)
    generated = []
    for policy in policies:
        torch.manual_seed(0)
        generated.append(
            policy.model.generate(
                input_ids=batch.ids[:, : batch.width],
                attention_mask=batch.mask[:, : batch.width],
                generation_config=asked,
            )
        )
    assert torch.equal(*generated)


def test_rows_without_a_token_are_never_sampled(tmp_path: Path) -> None:
    folder = make_architecture("qwen2", tmp_path)
    tokenizer = load_tokenizer(folder, plain=False)
    load_model(folder, tokenizer, "float32").save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    policy = ModelPolicy.load(tmp_path / "policy", "cpu")
    tokens, rows = vocabulary_size(tokenizer), policy.model.config.vocab_size
    assert rows == tokens + 40
    batch, _ = policy.sample(PROMPTS, 0, SAMPLING)
    logprobs = next_token_logprobs(policy.model, batch, SAMPLING)[batch.response_mask]
    probabilities = logprobs.exp()
    assert probabilities[:, tokens:].sum() == 0
    assert torch.allclose(probabilities[:, :tokens].sum(1), torch.tensor(1.0))
    # Their share would not be small, and the others keep their ratios.
    raw = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    whole = next_token_logprobs(raw, batch, SAMPLING)[batch.response_mask]
    assert whole[:, tokens:].exp().sum(1).mean() > 0.01
    assert torch.allclose(whole[:, :tokens].log_softmax(1), logprobs[:, :tokens], atol=1e-5)
    # Sums over the vocabulary stay finite, and so do gradients.
    assert (probabilities * logprobs).sum().isfinite()
    token_logprobs(policy.model, batch, SAMPLING).sum().backward()
    assert all(p.grad.isfinite().all() for p in policy.model.parameters() if p.grad is not None)


def test_new_rows_fill_up_to_a_round_number(tmp_path: Path) -> None:
    folder = make_architecture("gpt2", tmp_path)
    tokenizer = load_tokenizer(folder, plain=False)
    models = [load_model(folder, tokenizer, "float32") for _ in range(2)]
    rows = models[0].get_input_embeddings().weight
    assert rows.shape[0] % 64 == 0 and tokenizer.pad_token_id < rows.shape[0]
    # The same ones each time.
    assert torch.equal(rows, models[1].get_input_embeddings().weight)
    # A spare token of the model's own needs no new rows.
    spare = make_architecture("llama", tmp_path / "llama")
    tokenizer = load_tokenizer(spare, plain=False)
    before = load_causal_model(spare).config.vocab_size
    assert load_model(spare, tokenizer, "float32").config.vocab_size == before
