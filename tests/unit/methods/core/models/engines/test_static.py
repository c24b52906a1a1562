"""The static engine, token for token against the plain loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.models import PROMPTS

from methods.base import Context
from methods.core.models.engines import decoder, static
from methods.core.models.engines.choice import choose
from methods.core.models.loading import Loading, Lora
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import BatchSlice, SamplingParams
from methods.core.models.text import END_TOKENS

LONG = SamplingParams(max_new_tokens=40)
# On a GPU, steps are CUDA graphs.
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture
def loop(sft_folder: Path) -> ModelPolicy:
    return ModelPolicy.load(sft_folder, "cpu", Loading(sampler="loop"))


@pytest.fixture
def policy(sft_folder: Path) -> ModelPolicy:
    return ModelPolicy.load(sft_folder, "cpu", Loading(sampler="static"))


def assert_equal(
    policy: ModelPolicy, loop: ModelPolicy, prompts: list[str], seed: int, sampling: SamplingParams
) -> None:
    batch, logprobs = policy.sample(prompts, seed, sampling)
    expected, expected_logprobs = loop.sample(prompts, seed, sampling)
    assert torch.equal(batch.ids, expected.ids)
    assert torch.equal(batch.mask, expected.mask)
    assert torch.allclose(logprobs, expected_logprobs, atol=1e-4)


@pytest.mark.parametrize(
    "sampling",
    [
        LONG,
        SamplingParams(temperature=0.7, top_k=4, top_p=0.9, max_new_tokens=20),
        SamplingParams(temperature=0.0, max_new_tokens=20),
        SamplingParams(max_new_tokens=1),
    ],
)
def test_tokens_are_those_of_the_loop(
    policy: ModelPolicy, loop: ModelPolicy, sampling: SamplingParams
) -> None:
    assert isinstance(policy.engine(sampling), static.Static) and loop.engine(sampling) is None
    # Some rows end early, some are cut off; the last prompt is wider than a column of padding.
    for seed, prompts in enumerate([PROMPTS * 9, [*PROMPTS, " ".join("abcd" * 20)]]):
        assert_equal(policy, loop, prompts, seed, sampling)


def test_a_response_ends_at_any_end_token(policy: ModelPolicy, loop: ModelPolicy) -> None:
    for sampled in (policy, loop):
        sampled.tokenizer.init_kwargs[END_TOKENS] = ["</answer>", "d"]
    assert_equal(policy, loop, PROMPTS * 9, 0, LONG)
    texts = policy.generate(PROMPTS * 9, 0, LONG)
    assert {"</answer>", "d"} <= {text.split()[-1] for text in texts}


def test_a_part_of_a_batch_gets_the_responses_of_the_whole(
    policy: ModelPolicy, loop: ModelPolicy
) -> None:
    whole, _ = loop.sample(PROMPTS * 4, 0, LONG)
    part, _ = policy.sample((PROMPTS * 4)[5:9], 0, LONG, BatchSlice(5, 12))
    assert policy.decode(part) == loop.decode(whole)[5:9]


def test_the_present_weights_are_sampled(policy: ModelPolicy, loop: ModelPolicy) -> None:
    """Whether they change in place, as an optimizer does it, or move."""
    before, _ = policy.sample(PROMPTS * 9, 0, LONG)
    for model in (policy.model, loop.model):
        for weight in model.parameters():
            weight.data *= 1.2
    assert_equal(policy, loop, PROMPTS * 9, 0, LONG)
    assert policy.decode(before) != loop.decode(loop.sample(PROMPTS * 9, 0, LONG)[0])
    for model in (policy.model, loop.model):
        for weight in model.parameters():
            weight.data = weight.data * 0.8
    assert_equal(policy, loop, PROMPTS * 9, 0, LONG)


@pytest.mark.parametrize("device", DEVICES)
def test_log_probabilities_are_those_of_scoring(sft_folder: Path, device: str) -> None:
    policy = ModelPolicy.load(sft_folder, device, Loading(sampler="static"))
    for seed in range(3):
        batch, logprobs = policy.sample(PROMPTS * 9, seed, LONG)
        with torch.no_grad():
            scored = token_logprobs(policy.model, batch, LONG)
            for weight in policy.model.parameters():
                weight *= 1.1
        assert torch.allclose(logprobs, scored, atol=1e-3)


def test_few_shapes_keep_their_memory(policy: ModelPolicy) -> None:
    engine = policy.engine(LONG)
    assert isinstance(engine, static.Static)
    for rows in (5, 6, 8, 20, 100):
        policy.sample(["a"] * rows, 0, SamplingParams(max_new_tokens=2))
    assert [shape.rows for shape in engine._decoders] == [32, 128]


def test_it_stops_once_all_rows_have_ended(
    policy: ModelPolicy, loop: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "STEPS_BETWEEN_CHECKS", 2)
    calls: list[int] = []
    policy.model.register_forward_pre_hook(lambda *_: calls.append(1))
    lengths = [loop.sample(["a"], seed, LONG)[0].responses.shape[1] for seed in range(20)]
    seed, longest = next((s, n) for s, n in enumerate(lengths) if 4 < n < 30)
    batch, _ = policy.sample(["a"], seed, LONG)
    # The first token takes no step, and the last look may come one step late.
    assert batch.responses.shape[1] == longest <= len(calls) <= longest + 1


def test_adapters_are_sampled_with_the_model(make_context: object) -> None:
    lora = Lora(rank=2)
    contexts: list[Context] = [
        make_context(sampling=LONG, loading=Loading(lora, sampler=sampler))  # type: ignore[operator]
        for sampler in ("static", "loop")
    ]
    policies = [context.start() for context in contexts]
    for policy in policies:
        torch.manual_seed(0)
        for name, weight in policy.model.named_parameters():
            if "lora" in name:
                weight.data = torch.randn_like(weight)
    first, second = policies
    assert_equal(first, second, PROMPTS * 5, 0, LONG)
    references = [context.reference for context in contexts]
    assert_equal(references[0], references[1], PROMPTS * 5, 0, LONG)
    assert contexts[0].usage.responses_sampled == contexts[1].usage.responses_sampled > 0
    texts = [policy.generate(PROMPTS * 5, 0, LONG) for policy in (first, references[0])]
    assert texts[0] != texts[1]


def test_the_precision_of_the_training_holds(policy: ModelPolicy) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        batch, logprobs = policy.sample(PROMPTS * 9, 0, LONG)
        scored = token_logprobs(policy.model, batch, LONG)
    gaps = (logprobs - scored)[batch.response_mask].abs()
    assert 0 < float(gaps.mean()) < 0.02
    exact = token_logprobs(policy.model, batch, LONG)
    assert float((logprobs - exact)[batch.response_mask].abs().mean()) > float(gaps.mean()) / 2


def test_a_model_without_such_a_cache_is_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        sliding_window=4,
    )
    with pytest.raises(ValueError, match="static does not work with MistralForCausalLM"):
        choose(MistralForCausalLM(config), "static", LONG)
