"""Sampling parameters, against a direct computation of the probabilities."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS
from torch.utils._python_dispatch import TorchDispatchMode

from methods.core.models.batch import make_batch
from methods.core.models.loading import Loading, Lora
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, vocabulary_logprobs
from methods.core.models.text import encode_prompts
from methods.core.training.context import Context


def nucleus(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> list[float]:
    """Return probabilities as Holtzman et al. (2020) define them, one token after another."""
    probabilities = (logits.double() / temperature).softmax(0).tolist()
    ordered = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
    ordered = ordered[: top_k or None]
    total = sum(probabilities[i] for i in ordered)
    kept, mass = [], 0.0
    for i in ordered:
        kept.append(i)
        mass += probabilities[i] / total
        if mass >= top_p:
            break
    total = sum(probabilities[i] for i in kept)
    return [p / total if i in kept else 0.0 for i, p in enumerate(probabilities)]


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.6, 0), (2.0, 0), (1.0, 4)])
def test_top_p_keeps_the_smallest_set_of_likely_tokens_with_that_probability(
    temperature: float, top_k: int, top_p: float
) -> None:
    torch.manual_seed(0)
    logits = 2 * torch.randn(6, 12)
    sampling = SamplingParams(temperature, top_k, top_p)
    probabilities = vocabulary_logprobs(logits, sampling).exp()
    for row, expected in zip(probabilities, logits, strict=True):
        assert row.tolist() == pytest.approx(nucleus(expected, temperature, top_k, top_p), abs=1e-6)


def test_top_p_by_hand() -> None:
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log()
    less, more = (SamplingParams(top_p=p) for p in (0.49, 0.6))
    assert vocabulary_logprobs(logits, less).exp()[0].tolist() == pytest.approx([0, 1, 0])
    # 0.5 is less than 0.6, so the next token stays too.
    assert vocabulary_logprobs(logits, more).exp()[0].tolist() == pytest.approx([0, 0.625, 0.375])


def test_all_tokens_stay_without_top_p() -> None:
    logits = torch.randn(3, 7)
    assert torch.equal(vocabulary_logprobs(logits, SamplingParams()), logits.log_softmax(-1))
    assert SamplingParams().is_softmax and not SamplingParams(top_p=0.99).is_softmax


def test_samples_follow_top_p(reference: ModelPolicy) -> None:
    sampling = SamplingParams(top_p=0.6, max_new_tokens=1)
    batch, logprobs = reference.sample(["a"] * 4000, 1, sampling)
    [prompt] = encode_prompts(reference.tokenizer, ["a"])
    start = make_batch([prompt], [[0]], reference.tokenizer.pad_token_id, "cpu")
    logits = reference.next_token_logprobs(start, SamplingParams())[0, 0]
    expected = torch.tensor(nucleus(logits, 1.0, 0, 0.6))
    counts = torch.bincount(batch.responses[:, 0], minlength=len(expected))
    assert 1 < int((expected > 0).sum()) < len(expected)
    assert int(counts[expected == 0].sum()) == 0
    spread = (expected * (1 - expected) / 4000).sqrt()
    assert bool(((counts / 4000 - expected).abs() <= 4 * spread).all())
    sampled = expected[batch.responses[:, 0]].log()
    assert torch.allclose(logprobs[:, 0], sampled.float(), atol=1e-5)


def test_logits_that_are_not_finite_give_tokens_still(reference: ModelPolicy) -> None:
    """So that a training that diverges is found by its loss, and not by a wrong index."""
    policy = ModelPolicy(deepcopy(reference.model), reference.tokenizer)
    policy.model.get_output_embeddings().weight.data.fill_(torch.nan)
    batch, _ = policy.sample(["a", "b"], 0, SamplingParams(max_new_tokens=3))
    assert int(batch.responses.max()) < len(reference.tokenizer)


@pytest.mark.parametrize("lora", [Lora(), Lora(rank=2)], ids=["whole", "lora"])
def test_a_training_with_gradient_checkpointing_is_sampled_like_any_other(
    make_context: Callable[..., Context], lora: Lora
) -> None:
    """In training mode, checkpointed layers ignore the cache."""
    context = make_context(loading=Loading(lora=lora, gradient_checkpointing=True))
    policy, sampling = context.start(), SamplingParams(max_new_tokens=12)
    for sampled in (policy, context.reference):
        expected, logprobs = sampled.sample(PROMPTS * 5, 0, sampling)
        policy.model.train()
        batch, in_training = sampled.sample(PROMPTS * 5, 0, sampling)
        assert torch.equal(batch.ids, expected.ids) and torch.equal(in_training, logprobs)
        assert policy.model.training
        policy.model.eval()


class CastWatch(TorchDispatchMode):
    """Counts how often a tensor of some shape is cast to bf16."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.casts = shape, 0

    def __torch_dispatch__(
        self, operation: Any, _: Any, args: Any = (), options: Any = None
    ) -> Any:
        result = operation(*args, **(options or {}))
        if operation is torch.ops.aten._to_copy.default and result.dtype == torch.bfloat16:
            self.casts += result.shape == self.shape
        return result


@pytest.mark.parametrize("sampler", ["loop", "static"])
def test_weights_are_cast_once_and_keep_their_gradients(sft_folder: Path, sampler: str) -> None:
    """In the precision of the training, where a loss is computed after its responses."""
    policy = ModelPolicy.load(sft_folder, "cpu", Loading(sampler=sampler))  # type: ignore[arg-type]
    sampling = SamplingParams(max_new_tokens=12)
    head = policy.model.get_output_embeddings().weight
    batch, _ = policy.sample(PROMPTS * 5, 0, sampling)
    gradients = []
    for is_sampled_first in (False, True):
        with torch.autocast("cpu", torch.bfloat16), CastWatch(head.shape) as watch:
            if is_sampled_first:
                policy.sample(PROMPTS * 5, 0, sampling)
            loss = token_logprobs(policy.model, batch, sampling).sum()
        if sampler == "loop":
            assert watch.casts == 1
        gradients.append(torch.autograd.grad(loss, list(policy.model.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_batch_that_does_not_fit_is_sampled_in_parts(
    reference: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each response is the one that it would be in the whole batch."""
    prompts = ["a", "b c a", "b", "a b c", "c", "d d", "b"]
    sampling = SamplingParams(max_new_tokens=9)
    whole, logprobs = reference.sample(prompts, 5, sampling)
    monkeypatch.setattr(reference.engines, "limits", lambda *_: (1024, lambda _: 3))
    parts, part_logprobs = reference.sample(prompts, 5, sampling)
    assert reference.decode(parts) == reference.decode(whole)
    assert parts.lengths == whole.lengths
    assert torch.equal(parts.mask, whole.mask)
    assert torch.allclose(part_logprobs, logprobs, atol=1e-5)
