"""Policies: log-probabilities, sampling, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import PROMPTS, SAMPLING

from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.models.sampling import SamplingParams, vocabulary_logprobs
from methods.core.models.text import encode_prompts

MIXED = (["a", "a b c", "b", "a"], ["a b c", "b </answer>", "</answer>", "c <pad> a"])


@pytest.fixture
def policy(sft_folder: Path) -> ModelPolicy:
    return ModelPolicy.load(sft_folder, "cpu")


def test_logprobs_do_not_depend_on_padding_or_batch_size(policy: ModelPolicy) -> None:
    in_one_batch = policy.logprobs(*MIXED, SAMPLING)
    policy.batch_size = 1
    one_by_one = policy.logprobs(*MIXED, SAMPLING)
    assert in_one_batch == pytest.approx(one_by_one, abs=1e-5)


def test_logprobs_are_what_transformers_alone_gives(policy: ModelPolicy) -> None:
    prompts, responses = MIXED
    tokenizer = policy.tokenizer
    for prompt, response, ours in zip(
        prompts, responses, policy.logprobs(prompts, responses, SAMPLING), strict=True
    ):
        start = encode_prompts(tokenizer, [prompt])[0]
        ids = tokenizer(response, add_special_tokens=False)["input_ids"]
        logits = policy.model(torch.tensor([start + ids])).logits[0].log_softmax(-1)
        theirs = sum(float(logits[len(start) + i - 1, token]) for i, token in enumerate(ids))
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_probabilities_of_all_responses_sum_to_one(policy: ModelPolicy) -> None:
    from bench.evaluation.enumeration import all_texts, model_logprobs

    texts = all_texts(policy.tokenizer, SAMPLING.max_new_tokens)
    listed = model_logprobs(policy, PROMPTS, SAMPLING)
    assert np.exp(listed).sum(1) == pytest.approx(1.0, abs=1e-5)
    one_by_one = policy.logprobs([PROMPTS[2]] * len(texts), texts, SAMPLING)
    assert listed[2] == pytest.approx(one_by_one, abs=1e-4)


def test_samples_follow_the_probabilities(policy: ModelPolicy) -> None:
    responses = policy.generate(["a"] * 4000, seed=1, sampling=SAMPLING)
    first = np.mean([response.split()[0] == "a" for response in responses])
    ids = torch.tensor(encode_prompts(policy.tokenizer, ["a"]))
    row = vocabulary_logprobs(policy.model(ids).logits[:, -1], SAMPLING).exp()
    expected = float(row[0, policy.tokenizer.convert_tokens_to_ids("a")])
    assert abs(first - expected) < 4 * (expected * (1 - expected) / 4000) ** 0.5


def test_sampling_logprobs_are_those_of_scoring(policy: ModelPolicy) -> None:
    sampling = SamplingParams(temperature=0.7, max_new_tokens=3)
    batch, logprobs = policy.sample(PROMPTS * 10, 3, sampling)
    scored = policy.logprobs(PROMPTS * 10, policy.decode(batch), sampling)
    assert logprobs.sum(1).tolist() == pytest.approx(scored, abs=1e-4)


def test_same_seed_same_samples_and_global_state_untouched(policy: ModelPolicy) -> None:
    before = torch.get_rng_state()
    first = policy.generate(PROMPTS * 20, 5, SAMPLING)
    assert torch.equal(before, torch.get_rng_state())
    assert first == policy.generate(PROMPTS * 20, 5, SAMPLING)
    assert first != policy.generate(PROMPTS * 20, 6, SAMPLING)


def test_text_leads_back_to_the_tokens(policy: ModelPolicy) -> None:
    batch, _ = policy.sample(PROMPTS * 40, 0, SAMPLING)
    texts = policy.decode(batch)
    ids = policy.tokenizer(texts, add_special_tokens=False)["input_ids"]
    rows = zip(batch.responses.tolist(), batch.response_mask.tolist(), strict=True)
    assert ids == [[t for t, kept in zip(*row, strict=True) if kept] for row in rows]
    assert any(text.endswith("</answer>") for text in texts)
    assert any(
        len(row) == 3 and "</answer>" not in text for row, text in zip(ids, texts, strict=True)
    )


def test_greedy_and_top_k(policy: ModelPolicy) -> None:
    greedy = SamplingParams(temperature=0, max_new_tokens=3)
    assert policy.generate(PROMPTS, 1, greedy) == policy.generate(PROMPTS, 2, greedy)
    one = SamplingParams(top_k=1, max_new_tokens=3)
    assert policy.generate(PROMPTS, 1, one) == policy.generate(PROMPTS, 1, greedy)


def test_saved_and_loaded_gives_equal_logprobs(policy: ModelPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path / "saved")
    loaded = load_policy(tmp_path / "saved", "cpu")
    assert loaded.logprobs(*MIXED, SAMPLING) == policy.logprobs(*MIXED, SAMPLING)
    assert (tmp_path / "saved" / "model.safetensors").exists()
