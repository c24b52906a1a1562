"""Log-probabilities of response tokens: logits are computed there, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.models import PROMPTS

from methods.core.models import logprobs
from methods.core.models.batch import Batch, make_batch
from methods.core.models.loading import Loading, Lora, adapted
from methods.core.models.logprobs import (
    next_token_logprobs,
    of_tokens,
    on_batch,
    only_at,
    response_logprobs,
    token_logprobs,
)
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts, encode_responses

PLAIN = SamplingParams()
TESTS = Path(__file__).parents[4]


def some_batch(policy: ModelPolicy) -> Batch:
    responses = encode_responses(policy.tokenizer, ["a b c", "d", "c b </answer>"])
    prompts = encode_prompts(policy.tokenizer, PROMPTS)
    return make_batch(prompts, responses, policy.tokenizer.pad_token_id, "cpu")


def all_logprobs(policy: ModelPolicy, batch: Batch) -> torch.Tensor:
    """Return the log-probabilities of all tokens at every place, [B, P + T, V]."""
    logits = policy.model(
        input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions
    ).logits
    return logits.float().log_softmax(-1)


def test_logits_are_computed_at_the_given_places_alone(reference: ModelPolicy) -> None:
    batch, widths = some_batch(reference), []
    head = reference.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, __, output: widths.append(output.shape))
    places = torch.tensor([2, 7, 11])
    inputs = {
        "input_ids": batch.ids,
        "attention_mask": batch.mask,
        "position_ids": batch.positions,
    }
    with torch.no_grad():
        full = reference.model(**inputs).logits
        with only_at(reference.model, places):
            some = reference.model(**inputs).logits
        again = reference.model(**inputs).logits
    handle.remove()
    assert widths == [full.shape, (1, 3, full.shape[-1]), full.shape]
    assert torch.allclose(some[0], full.flatten(0, 1)[places], atol=1e-6)
    assert torch.equal(full, again)


def test_responses_have_the_logprobs_of_the_full_computation(reference: ModelPolicy) -> None:
    batch = some_batch(reference)
    mask = batch.response_mask
    with torch.no_grad():
        full = all_logprobs(reference, batch)[:, batch.width - 1 : -1]
        compact = response_logprobs(reference.model, batch, PLAIN)
        tokens = token_logprobs(reference.model, batch, PLAIN)
        vocabulary = next_token_logprobs(reference.model, batch, PLAIN)
    assert compact.shape == (mask.sum(), full.shape[-1])
    assert torch.allclose(compact, full[mask], atol=1e-5)
    assert torch.allclose(vocabulary[mask], full[mask], atol=1e-5)
    expected = full.gather(2, batch.responses.unsqueeze(2)).squeeze(2)
    assert torch.allclose(tokens[mask], expected[mask], atol=1e-5)
    assert bool((tokens[~mask] == 0).all()) and bool((vocabulary[~mask] == 0).all())
    chosen = of_tokens(compact, batch.responses[mask]).squeeze(1)
    assert torch.equal(tokens, on_batch(chosen, batch, batch.response_places))
    assert (
        on_batch(torch.ones(int(mask.sum())), batch, batch.response_places).tolist()
        == mask.float().tolist()
    )


def test_gradients_are_those_of_the_full_computation(reference: ModelPolicy) -> None:
    batch = some_batch(reference)
    model = reference.model
    token_logprobs(model, batch, PLAIN).sum().backward()
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    full = all_logprobs(reference, batch)[:, batch.width - 1 : -1]
    full.gather(2, batch.responses.unsqueeze(2)).squeeze(2)[batch.response_mask].sum().backward()
    expected = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    assert len(gradients) == len(list(model.parameters()))
    for a, b in zip(gradients, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


BODY = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "vocab_size": 300}
LLAMA = BODY | {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8}
VISION = {
    **{"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1},
    **{"num_attention_heads": 2, "image_size": 28, "patch_size": 14},
}
NO_DROPOUT = {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
NO_SPECIAL = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
# Cohere scales its logits, Gemma 2 caps them, and the text model of Gemma 3 is part of another.
ARCHITECTURES = {
    "llama": LLAMA,
    "gpt2": BODY | NO_DROPOUT,
    "cohere": {**LLAMA, "logit_scale": 0.3},
    "gemma2": LLAMA,
    "gemma3": {"text_config": LLAMA, "vision_config": VISION},
}


def made(architecture: str, *, lora: bool = False) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(architecture, **ARCHITECTURES[architecture], **NO_SPECIAL)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    if lora:
        model = adapted(model, Loading(lora=Lora(4, targets=("q_proj", "lm_head"))))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
    return model


def with_gradients(
    model: torch.nn.Module, batch: Batch, parameters: SamplingParams
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    tokens = token_logprobs(model, batch, parameters)
    (tokens**2).sum().backward()
    gradients = {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
    return tokens.detach(), gradients


@pytest.mark.parametrize(
    ("architecture", "lora"),
    [*((name, False) for name in ARCHITECTURES), ("llama", True)],
)
@pytest.mark.parametrize("parameters", [PLAIN, SamplingParams(temperature=0.7, top_p=0.99)])
def test_logits_in_parts_give_the_same_logprobs_and_gradients(
    architecture: str, lora: bool, parameters: SamplingParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(architecture, lora=lora)
    draw = torch.Generator().manual_seed(1)

    def rows(*lengths: int) -> list[list[int]]:
        return [torch.randint(300, (length,), generator=draw).tolist() for length in lengths]

    batch = make_batch(rows(3, 7, 5, 4), rows(9, 2, 6, 1), 0, "cpu")
    whole, gradients = with_gradients(model, batch, parameters)
    sizes: list[int] = []
    model.get_output_embeddings().register_forward_hook(
        lambda _, __, output: sizes.append(output.numel())
    )
    monkeypatch.setattr(logprobs, "LOGITS", 4 * 300)
    parts, part_gradients = with_gradients(model, batch, parameters)
    finite = whole.isfinite()
    # One row of the pass through the body, then 18 tokens by four, forward and backward.
    assert max(sizes) == 4 * 300 and len(sizes) == 1 + 2 * 5
    assert float((whole - parts)[finite].abs().max()) <= 1e-6
    assert gradients.keys() == part_gradients.keys()
    scale = max(float(gradient.nan_to_num().abs().max()) for gradient in gradients.values())
    if bool(finite.all()):
        for name, gradient in gradients.items():
            assert torch.allclose(part_gradients[name], gradient, atol=1e-6 * scale), name
    monkeypatch.setattr(logprobs, "LOGITS", 2**25)
    assert torch.equal(token_logprobs(model, batch, parameters), whole)


def peak_memory(*batches: tuple[int, int]) -> list[int]:
    module = [sys.executable, "-m", "helpers.peak_memory"]
    command = [*module, *(f"{logits}:{size}" for logits, size in batches)]
    # What is freed goes back to the system at once, so that only what is in use counts.
    environment = {"PYTHONPATH": str(TESTS), "MALLOC_MMAP_THRESHOLD_": "1000000"}
    output = subprocess.run(
        command, env=os.environ | environment, check=True, capture_output=True, text=True
    ).stdout
    return [int(line) for line in output.splitlines()]


def test_memory_does_not_grow_with_batch_and_vocabulary() -> None:
    """In MiB. Three copies of all logits take 55 for 1 response, and 879 for 16."""
    one, sixteen, whole = peak_memory((2**22, 1), (2**22, 16), (2**30, 16))
    assert sixteen - one < 30
    assert whole - one > 600
