"""Processes that share a batch: which rows each has, and that its samples do not change."""

from __future__ import annotations

import pytest
import torch

from methods.core.models.distributed import batch_slice, local_batch_size
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import BatchSlice, SamplingParams, sample
from methods.core.models.text import encode_prompts


def test_a_slice_of_a_batch_gets_the_samples_of_the_whole_batch(reference: ModelPolicy) -> None:
    prompts = encode_prompts(reference.tokenizer, ["a", "b", "a b c", "c"])
    sampling = SamplingParams(max_new_tokens=6)
    model, tokenizer = reference.model, reference.tokenizer
    whole, logprobs = sample(model, tokenizer, prompts, sampling, 7)
    for first in (0, 2):
        part, part_logprobs = sample(
            model, tokenizer, prompts[first : first + 2], sampling, 7, BatchSlice(first, 4)
        )
        steps = part.responses.shape[1]
        mask = part.response_mask
        expected = whole.responses[first : first + 2, :steps]
        assert torch.equal(part.responses[mask], expected[mask])
        expected_logprobs = logprobs[first : first + 2, :steps]
        assert torch.allclose(part_logprobs[mask], expected_logprobs[mask], atol=1e-5)


def test_processes_share_a_batch_that_their_number_divides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(ValueError, match="a batch of 32 cannot be shared by 3 processes"):
        local_batch_size(32)
    assert local_batch_size(33) == 11
    assert batch_slice(33) == BatchSlice(22, 33)
