"""Fixtures that all tests share: a small policy, a small task, and contexts to train in."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from helpers.models import LETTERS, likes_a, small_context

from bench.execution.executors.process import silence_libraries
from bench.tasks.base import Architecture, RewardTraining, Training
from bench.tasks.exact import Exact
from bench.tasks.labeling import Annotator
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context, Reward

torch.set_num_threads(1)
silence_libraries()
# In the background of a shell SIGINT is ignored, also by what is started from there: the commands
# that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_exact() -> Exact:
    """The exact task with as little training as its machinery needs."""
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

    from bench.pipeline.stages.training.tokenizers import make_tokenizer

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


@pytest.fixture
def make_context(sft_folder: Path, tmp_path: Path) -> Callable[..., Context]:
    """Return a maker of contexts on the small policy."""

    def make(seed: int = 0, reward: Reward | None = likes_a, **changes: object) -> Context:
        workdir = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
        workdir.mkdir()
        settings: dict[str, object] = {"seed": seed, "workdir": workdir, "reward_function": reward}
        return small_context(sft_folder, **(settings | changes))  # type: ignore[arg-type]

    return make
