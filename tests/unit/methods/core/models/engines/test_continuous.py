"""Continuous batching, against the model that it samples from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.models import PROMPTS

from methods.core.models.engines.continuous import Continuous
from methods.core.models.loading import Loading, Lora
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import END_TOKENS, end_token_ids

LONG = SamplingParams(max_new_tokens=12)
CONTINUOUS = Loading(sampler="continuous")


@pytest.fixture
def policy(sft_folder: Path) -> ModelPolicy:
    return ModelPolicy.load(sft_folder, "cpu", CONTINUOUS)


def assert_scored(policy: ModelPolicy, seed: int, sampling: SamplingParams) -> list[str]:
    """Check the log-probabilities of a sample, and return the responses."""
    batch, logprobs = policy.sample(PROMPTS * 5, seed, sampling)
    with torch.no_grad():
        scored = token_logprobs(policy.model, batch, sampling)
    assert torch.allclose(logprobs, scored, atol=1e-4)
    return policy.decode(batch)


def test_log_probabilities_are_those_of_the_present_weights(policy: ModelPolicy) -> None:
    assert isinstance(policy.engine(LONG), Continuous)
    # What the model's authors would sample with has no say.
    policy.model.generation_config.repetition_penalty = 9.0
    policy.model.generation_config.top_k = 1
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    first = assert_scored(policy, 0, LONG)
    assert first == assert_scored(policy, 0, LONG)
    assert first != assert_scored(policy, 1, LONG)
    # The model stays as it is, in its precision and with its attention.
    assert all(torch.equal(before[n], w) for n, w in policy.model.state_dict().items())
    assert policy.model.config._attn_implementation == "sdpa"
    for weight in policy.model.parameters():
        weight.data *= 1.2
    assert first != assert_scored(policy, 0, LONG)


def test_responses_end_where_they_end(policy: ModelPolicy) -> None:
    policy.tokenizer.init_kwargs[END_TOKENS] = ["</answer>", "d"]
    batch, _ = policy.sample(PROMPTS * 15, 0, LONG)
    ends = set(end_token_ids(policy.tokenizer))
    responses = batch.response_ids()
    for response in responses:
        assert not ends & set(response[:-1])
        assert response[-1] in ends or len(response) == 12
    assert ends <= {response[-1] for response in responses}


def test_sampling_parameters_hold(policy: ModelPolicy, sft_folder: Path) -> None:
    assert_scored(policy, 0, SamplingParams(0.7, 4, 0.9, max_new_tokens=6))
    greedy = SamplingParams(temperature=0.0, max_new_tokens=6)
    loop = ModelPolicy.load(sft_folder, "cpu", Loading(sampler="loop"))
    assert assert_scored(policy, 0, greedy) == loop.generate(PROMPTS * 5, 0, greedy)


def test_samples_follow_the_probabilities(policy: ModelPolicy) -> None:
    one = SamplingParams(max_new_tokens=1)
    batch, _ = policy.sample(["a"] * 600, 1, one)
    expected = policy.next_token_logprobs(batch.rows([0]), one)[0, 0].exp()
    shares = torch.bincount(batch.responses[:, 0], minlength=len(expected)) / 600
    assert bool(((shares - expected).abs() <= 4 * (expected / 600).sqrt() + 1e-3).all())


def test_rows_of_no_token_are_not_sampled(policy: ModelPolicy) -> None:
    """The loader keeps a model from sampling them by a hook, which its copy has too."""
    head = policy.model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, logits: logits.index_fill(-1, torch.tensor(3), -1e4))
    batch, _ = policy.sample(PROMPTS * 15, 0, LONG)
    assert not bool((batch.responses[batch.response_mask] == 3).any())


def test_responses_do_not_depend_on_earlier_batches(policy: ModelPolicy, sft_folder: Path) -> None:
    """A run that resumes starts with another batch than one in one go."""
    policy.sample(["a"], 0, LONG)
    fresh = ModelPolicy.load(sft_folder, "cpu", CONTINUOUS)
    first, second = (p.decode(p.sample(PROMPTS * 15, 0, LONG)[0]) for p in (policy, fresh))
    assert first == second


def test_buffers_are_those_of_the_model(policy: ModelPolicy) -> None:
    policy.model.model.rotary_emb.inv_freq *= 0.3
    assert_scored(policy, 0, LONG)


def test_adapters_and_usage(make_context: object) -> None:
    context = make_context(sampling=LONG, loading=Loading(Lora(rank=2), sampler="continuous"))  # type: ignore[operator]
    policy = context.start()
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    texts = assert_scored(policy, 0, LONG)
    assert context.usage.responses_sampled == len(texts)
    assert texts != assert_scored(context.reference, 0, LONG)
