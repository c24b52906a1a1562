"""What the tables of a results folder hold by definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.execution.plan import Plan
from bench.execution.run import Run
from bench.execution.tables import run_rows, temperature_rows


class FakePipeline:
    task = SimpleNamespace(reward_source="gold")
    device = "cpu"


@dataclass
class FakeRun:
    """A run that was measured: 49% of its samples won against others of the SFT policy."""

    name: str
    pipeline: FakePipeline
    key: str = "key"
    strength: float | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    def metrics(self, split: str) -> dict[str, Any]:
        return {"reward": 1.0, "kl": 0.0, "win_rate_sft": 0.49, "win_rate_sft_sem": 0.02}

    def usage(self) -> dict[str, Any]:
        return {"labels": 0}

    def temperature_rows(self) -> list[dict[str, Any]]:
        return [{"temperature": 0.7, "reward": 1.0, "win_rate_sft": 0.51}]


@pytest.mark.parametrize(
    ("name", "rate", "error", "at_temperature"), [("sft", 0.5, 0, 0.5), ("ppo", 0.49, 0.02, 0.51)]
)
def test_sft_wins_half_of_the_comparisons_with_itself(
    name: str, rate: float, error: float, at_temperature: float
) -> None:
    run = FakeRun(name, FakePipeline())
    frontier = SimpleNamespace(reward=lambda kl: 2.0, efficiency=lambda reward, kl: None)
    plan = cast(Plan, SimpleNamespace(runs=[run]))
    frontiers = cast(Any, {run.pipeline: SimpleNamespace(reward=frontier)})
    rows = list(run_rows(plan, {}, frontiers))
    assert [(row["win_rate_sft"], row["win_rate_sft_sem"]) for row in rows] == [(rate, error)] * 2
    assert [(row["split"], row["reward"]) for row in rows] == [("validation", 1.0), ("test", 1.0)]
    [row] = temperature_rows([cast(Run, run)])
    assert (row["temperature"], row["win_rate_sft"]) == (0.7, at_temperature)
