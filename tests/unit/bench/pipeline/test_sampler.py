"""A sampler that is not installed is a mistake of the user, found before any training."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cache.store import Store
from bench.errors import UserError
from bench.pipeline.recorded import RecordedPipeline
from bench.tasks.recorded import Recorded
from methods.core.models.loading import Loading


def test_vllm_must_be_installed(tmp_path: Path) -> None:
    for sampler in ("auto", "loop", "static", "continuous", "vllm"):
        task = Recorded(data="pairs.jsonl", loading=Loading(sampler=sampler))  # type: ignore[arg-type]
        pipeline = RecordedPipeline(task, 0, "cpu", Store(tmp_path), "mine")
        if sampler != "vllm":
            pipeline.check_sampler()
    with pytest.raises(UserError) as error:
        pipeline.check_sampler()
    assert str(error.value) == (
        "tasks.mine.options.loading.sampler vllm needs vLLM: .venv/bin/pip install '.[vllm]'"
    )
