"""Small pipelines that the tests train in, for seconds at most."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from bench.evaluation.kl import model_kl
from bench.tasks.base import Annotator, Architecture, RewardTraining, Training
from bench.tasks.exact import Exact
from bench.execution.executors import silence_libraries
from methods.core.training.context import Context, Reward
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams

torch.set_num_threads(1)
silence_libraries()

LETTERS = ["a", "b", "c", "d"]
LAW = SamplingParams(max_new_tokens=3)
PROMPTS = ["a", "b", "a b c"]


def drawn_kl(
    policy: ModelPolicy, reference: ModelPolicy, prompts: list[str], seed: int
) -> tuple[list[float], list[float]]:
    """Sample a response to each prompt; return the estimates of KL and entropy."""
    kls, entropies = [0.0] * len(prompts), [0.0] * len(prompts)
    for places, batch in policy.sampled(prompts, seed, LAW):
        for place, kl, entropy in zip(
            places, *model_kl(policy, reference, batch, LAW), strict=True
        ):
            kls[place], entropies[place] = kl, entropy
    return kls, entropies


@pytest.fixture(scope="session")
def tiny_exact() -> Exact:
    """The exact pipeline with as little training as its machinery needs."""
    return Exact(
        length=3,
        labels=256,
        annotator=Annotator(),
        architecture=Architecture(layers=1, hidden=16, heads=2, intermediate=32),
        pretraining=Training(512, 1, 64, 3e-3),
        sft=Training(256, 1, 64, 1e-3),
        reward_model=RewardTraining(1, 64, 1e-3),
    )


@pytest.fixture(scope="session")
def sft_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random policy over four letters, saved as an SFT policy is."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from bench.pipeline.base_model import make_tokenizer

    tokenizer = make_tokenizer(LETTERS)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
    )
    folder = tmp_path_factory.mktemp("sft")
    ModelPolicy(LlamaForCausalLM(config), tokenizer).save(folder)
    return folder


@pytest.fixture(scope="session")
def reference(sft_folder: Path) -> ModelPolicy:
    return ModelPolicy.load(sft_folder, "cpu")


@pytest.fixture(scope="session")
def other(sft_folder: Path) -> ModelPolicy:
    """A policy some way from the reference."""
    policy = ModelPolicy.load(sft_folder, "cpu")
    torch.manual_seed(1)
    for parameter in policy.model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return policy


def likes_a(prompts: object, responses: list[str]) -> list[float]:
    """A trivial preference: the share of the letter a in the response."""
    return [response.split().count("a") / 3 for response in responses]


@pytest.fixture
def make_context(sft_folder: Path, tmp_path: Path) -> Callable[..., Context]:
    """Return a maker of contexts on the small policy."""

    def make(seed: int = 0, reward: Reward | None = likes_a, **changes: object) -> Context:
        workdir = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
        workdir.mkdir()
        settings: dict[str, object] = {
            "sft": sft_folder,
            "prompts": PROMPTS,
            "labels": [Pair(prompt, "a a a", "b b b") for prompt in PROMPTS] * 50,
            "sampling": LAW,
            "budget": 10**6,
            "seed": seed,
            "workdir": workdir,
            "device": "cpu",
            "reward_function": reward,
        }
        return Context(**(settings | changes))  # type: ignore[arg-type]

    return make


def load_module(file: Path) -> ModuleType:
    """Import a file that is in no package, under the name of its stem."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def weights(policy: ModelPolicy) -> list[torch.Tensor]:
    """Return all weights of a policy."""
    return [parameter.detach().clone() for parameter in policy.model.parameters()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    """Return whether two lists of tensors are equal to the last bit."""
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
