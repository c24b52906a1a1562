"""Which engine is chosen, and how many rows it gets."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from methods.core.models.engines import choice, continuous, memory, vllm
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams

LONG = SamplingParams(max_new_tokens=512)


class OnGPU:
    """The small policy's model, but of another size and on a GPU."""

    def __init__(self, model: Any, parameters: int) -> None:
        self._model, self._parameters = model, parameters
        self.device = torch.device("cuda")

    def parameters(self) -> list[Any]:
        return [SimpleNamespace(numel=lambda: self._parameters)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.mark.parametrize(
    ("parameters", "with_vllm", "with_flash", "new_tokens", "expected"),
    [
        (10**8, True, True, 512, "static"),
        (5 * 10**8, True, True, 512, "continuous"),
        (5 * 10**8, True, True, 32, "loop"),
        (5 * 10**8, True, False, 512, "loop"),
        (2 * 10**9, True, True, 512, "vllm"),
        (2 * 10**9, False, True, 512, "continuous"),
    ],
)
def test_on_a_gpu_size_and_libraries_decide(
    reference: ModelPolicy,
    monkeypatch: pytest.MonkeyPatch,
    parameters: int,
    with_vllm: bool,
    with_flash: bool,
    new_tokens: int,
    expected: str,
) -> None:
    monkeypatch.setattr(vllm, "is_installed", lambda: with_vllm)
    monkeypatch.setattr(continuous, "is_fast", lambda _: with_flash)
    model: Any = OnGPU(reference.model, parameters)
    assert choice.automatic(model, SamplingParams(max_new_tokens=new_tokens)) == expected


def test_on_a_cpu_it_is_the_loop(reference: ModelPolicy) -> None:
    assert choice.choose(reference.model, "auto", LONG) is None
    assert reference.engines.sampler == "auto" and reference.engine(LONG) is None


def test_the_sampler_is_saved_with_the_policy(reference: ModelPolicy, tmp_path: Any) -> None:
    for sampler in ("auto", "static"):
        policy = ModelPolicy(reference.model, reference.tokenizer, sampler=sampler)  # type: ignore[arg-type]
        policy.save(tmp_path / sampler)
        assert ModelPolicy.load(tmp_path / sampler, "cpu").engines.sampler == sampler
    with policy.engines.only_loop():
        assert policy.engine(LONG) is None
    assert policy.engine(LONG) is not None


def test_what_is_not_used_is_not_imported() -> None:
    code = (
        "import sys; import methods.core.models.policy as _; "
        "print([n for n in ('torch', 'transformers', 'vllm', 'peft') if n in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_rows_are_as_many_as_memory_holds(reference: ModelPolicy) -> None:
    # A small model has the whole batch.
    assert memory.rows_that_fit(reference.model, 100) == 1024

    def config(vocabulary: int, layers: int) -> Any:
        text = SimpleNamespace(
            vocab_size=vocabulary,
            num_hidden_layers=layers,
            num_attention_heads=16,
            num_key_value_heads=2,
            hidden_size=1024,
            head_dim=64,
        )
        return SimpleNamespace(get_text_config=lambda **_: text)

    model: Any = SimpleNamespace(config=config(152_000, 24), device=torch.device("cpu"))
    # 2 (keys and values) x 4 bytes x 24 layers x 2 heads x 64.
    assert memory.token_bytes(model.config) == 24_576
    assert memory.rows_that_fit(model, 128) == (1 << 30) // (40 * 152_000) == 176
    assert memory.rows_that_fit(model, 4096) == (1 << 30) // (24_576 * 4096) == 10
    assert memory.rows_that_fit(model, 10**9) == 1
