"""vLLM, by a stand-in for its `LLM` that samples from the weights it was given."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS

from methods.core.models.engines import vllm
from methods.core.models.engines.base import QUEUED_ROWS, Request
from methods.core.models.engines.choice import EngineChoice
from methods.core.models.loading import Loading, Lora
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import BatchSlice, SamplingParams, derive_seed, draw, sample

LONG = SamplingParams(temperature=0.9, top_k=6, top_p=0.95, max_new_tokens=8)
LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass
class TheirSamplingParams:
    """What the engine may set of vLLM's `SamplingParams`."""

    n: int
    seed: int
    temperature: float
    top_k: int
    top_p: float
    max_tokens: int
    stop_token_ids: list[int]
    ignore_eos: bool
    logit_bias: dict[int, float] | None
    logprobs: int
    detokenize: bool


@dataclass
class TheirLLM:
    """Takes the arguments that TRL gives vLLM's `LLM`, and has the parts of it that TRL uses."""

    model: str
    skip_tokenizer_init: bool
    generation_config: str
    dtype: str
    tensor_parallel_size: int
    gpu_memory_utilization: float
    max_model_len: int
    max_num_batched_tokens: int
    enable_sleep_mode: bool
    distributed_executor_backend: str
    seed: int
    logprobs_mode: str
    trust_remote_code: bool
    prefixes_kept: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # What its executor reads when it starts.
        self.launched_as = {name: os.environ[name] for name in LAUNCHED}
        self.policy = ModelPolicy.load(Path(self.model), "cpu", Loading(sampler="loop"))
        # It does not know which embedding rows belong to a token.
        self.policy.model.get_output_embeddings()._forward_hooks.clear()
        # As if the file held other weights than those that are trained.
        for weight in self.policy.model.parameters():
            weight.data.zero_()
        runner = SimpleNamespace(model=self)
        executor = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        self.llm_engine = SimpleNamespace(model_executor=executor)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        own = dict(self.policy.model.named_parameters())
        for name, weight in weights:
            own[name].data.copy_(weight)

    def reset_prefix_cache(self) -> None:
        self.prefixes_kept = False

    def generate(
        self, prompts: list[Any], sampling_params: list[TheirSamplingParams], use_tqdm: bool
    ) -> list[Any]:
        assert not self.prefixes_kept and not use_tqdm
        self.prefixes_kept = True
        seeds = [params.seed for params in sampling_params]
        # All else is the same for all prompts.
        params = sampling_params[0]
        assert all(replace(other, seed=params.seed) == params for other in sampling_params)
        assert params.ignore_eos and len(params.logit_bias or {}) <= 1024
        sampling = SamplingParams(params.temperature, params.top_k, params.top_p, params.max_tokens)
        ids = [prompt["prompt_token_ids"] for prompt in prompts]
        model, tokenizer = self.policy.model, self.policy.tokenizer
        with biased(model.get_output_embeddings(), params.logit_bias or {}):
            batch, logprobs = sample(model, tokenizer, ids, sampling, derive_seed(*seeds))
        outputs = []
        for row, length in enumerate(batch.response_lengths):
            tokens = tuple(batch.responses[row, :length].tolist())
            values = [
                {token: SimpleNamespace(logprob=float(logprobs[row, place]), rank=1)}
                for place, token in enumerate(tokens)
            ]
            response = SimpleNamespace(token_ids=tokens, logprobs=values)
            outputs.append(SimpleNamespace(outputs=[response]))
        return outputs


@contextmanager
def biased(head: torch.nn.Module, bias: dict[int, float]) -> Iterator[None]:
    """Add a bias to the logits of some tokens."""

    def add(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
        logits[..., list(bias)] += torch.tensor(list(bias.values()))
        return logits

    handle = head.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@pytest.fixture
def policy(sft_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModelPolicy:
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = TheirLLM, TheirSamplingParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(vllm, "is_installed", lambda: True)
    monkeypatch.setattr(vllm, "_LLMS", {})
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    return ModelPolicy.load(sft_folder, "cpu", Loading(sampler="vllm"))


def assert_scored(policy: ModelPolicy, seed: int) -> list[str]:
    batch, logprobs = policy.sample(PROMPTS * 5, seed, LONG)
    with torch.no_grad():
        scored = token_logprobs(policy.model, batch, LONG)
    assert torch.allclose(logprobs, scored, atol=1e-4)
    return policy.decode(batch)


def test_the_present_weights_are_loaded_before_each_batch(policy: ModelPolicy) -> None:
    first = assert_scored(policy, 0)
    assert first == assert_scored(policy, 0) != assert_scored(policy, 1)
    for weight in policy.model.parameters():
        weight.data *= 1.2
    assert first != assert_scored(policy, 0)


def test_thousands_of_prompts_are_one_batch(policy: ModelPolicy) -> None:
    assert len(list(policy.sampled(PROMPTS * 700, 0, SamplingParams(max_new_tokens=1)))) == 1


def llm_of(policy: ModelPolicy) -> TheirLLM:
    engine = policy.engine(LONG)
    assert isinstance(engine, vllm.VLLM) and isinstance(engine._llm, TheirLLM)
    return engine._llm


def request(policy: ModelPolicy, rows: int, seed: int) -> Request:
    tokens = len(policy.tokenizer)
    return Request(
        prompts=[[1]] * rows,
        mask=torch.ones(rows, 1),
        firsts=[0],
        equals=[0] * rows,
        sampling=LONG,
        ends=(policy.tokenizer.eos_token_id,),
        batch_slice=BatchSlice(0, rows),
        vocabulary=lambda: tokens,
        seed=seed,
        draw=draw,
    )


def test_no_rows_share_a_seed(policy: ModelPolicy) -> None:
    """Also not those of the largest batches whose seeds are neighbors."""
    seeds = [
        params.seed
        for seed in (7, 8, (1 << 32) - 1)
        for params in vllm._sampling_params(policy.model, request(policy, QUEUED_ROWS, seed))
    ]
    assert len(set(seeds)) == len(seeds) == 3 * QUEUED_ROWS
    # Its model runner keeps them in int64.
    assert min(seeds) >= 0 and max(seeds) < 1 << 63


def with_unused_rows(policy: ModelPolicy, folder: Path, count: int) -> ModelPolicy:
    """Return the policy with embedding rows of no token, as likely as the letter a."""
    model, letter = policy.model, policy.tokenizer.convert_tokens_to_ids("a")
    rows = len(policy.tokenizer)
    model.resize_token_embeddings(rows + count)
    head = model.get_output_embeddings().weight.data
    head[rows:] = head[letter]
    policy.save(folder)
    return ModelPolicy.load(folder, "cpu", Loading(sampler="vllm"))


def test_rows_of_no_token_are_not_sampled(policy: ModelPolicy, tmp_path: Path) -> None:
    larger = with_unused_rows(policy, tmp_path, 1024)
    batch, _ = larger.sample(PROMPTS * 15, 0, LONG)
    assert int(batch.responses.max()) < len(larger.tokenizer)
    assert_scored(larger, 0)
    # Without the bias, the stand-in samples them.
    plain = llm_of(larger).policy
    batch, _ = plain.sample(PROMPTS * 15, 0, SamplingParams(max_new_tokens=8))
    assert int(batch.responses.max()) >= len(larger.tokenizer)


def test_too_many_rows_of_no_token_are_refused(policy: ModelPolicy, tmp_path: Path) -> None:
    larger = with_unused_rows(policy, tmp_path, 1025)
    with pytest.raises(ValueError, match=r"1,025 embedding rows .* choose loop or continuous"):
        larger.sample(PROMPTS, 0, LONG)
    assert not vllm._LLMS


def test_policies_of_one_architecture_share_it(policy: ModelPolicy, sft_folder: Path) -> None:
    other = ModelPolicy.load(sft_folder, "cpu", Loading(sampler="vllm"))
    for weight in other.model.parameters():
        weight.data *= 1.2
    texts = [assert_scored(policy, 0), assert_scored(other, 0)]
    assert texts[0] == assert_scored(policy, 0) != texts[1]
    assert len(vllm._LLMS) == 1


def test_the_precision_of_the_training_makes_no_other_architecture(
    policy: ModelPolicy, sft_folder: Path
) -> None:
    loading = Loading(Lora(rank=2), dtype="bfloat16", sampler="vllm")
    other = ModelPolicy.load(sft_folder, "cpu", loading)
    assert policy.model.dtype != other.model.dtype
    for sampled in (policy, other):
        sampled.sample(PROMPTS, 0, LONG)
    assert len(vllm._LLMS) == 1


def test_the_environment_of_a_launcher_is_there_only_while_it_starts(policy: ModelPolicy) -> None:
    before = dict(os.environ)
    policy.sample(PROMPTS, 0, LONG)
    launched_as = llm_of(policy).launched_as
    assert [launched_as[name] for name in LAUNCHED[:-1]] == ["0", "0", "1", "localhost"]
    assert int(launched_as["MASTER_PORT"]) > 0
    assert dict(os.environ) == before


def test_the_environment_of_a_real_launcher_stays(
    policy: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    policy.sample(PROMPTS, 0, LONG)
    assert llm_of(policy).launched_as["RANK"] == os.environ["RANK"] == "3"
    assert "LOCAL_RANK" not in os.environ


def test_the_settings_are_safe(policy: ModelPolicy) -> None:
    policy.sample(PROMPTS, 0, LONG)
    llm = llm_of(policy)
    assert not llm.enable_sleep_mode and not llm.trust_remote_code
    assert llm.logprobs_mode == "processed_logprobs" and llm.generation_config == "vllm"
    assert vllm.memory_share(60, 80) == 0.3


def test_without_vllm_the_message_says_what_to_install(reference: ModelPolicy) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[vllm\]'"):
        EngineChoice("vllm").chosen(reference.model, LONG)
