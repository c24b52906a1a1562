"""A comparison sampled by another engine than the loop, from data to metrics."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.preferences import experiment_file, make_folder, pairs, write_rows

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench


def run(folder: Path, sampler: str, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Run PPO and DPO on the same small model and data, and return the runs."""
    folder.mkdir()
    monkeypatch.setenv("PREFRONTIER_CACHE", str(folder / "cache"))
    model = make_folder("qwen2", folder / "qwen2")
    data = write_rows(folder / "prefs.jsonl", pairs(120))
    loading = {"lora": {"rank": 4}, "sampler": sampler}
    experiment = experiment_file(folder, data, model=str(model), loading=loading)
    status = run_bench(
        Options(
            str(experiment),
            jobs=1,
            device="cpu",
            out=folder / "out",
        )
    )
    runs = pd.read_csv(folder / "out" / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    curves = pd.read_csv(folder / "out" / "curves.csv")
    gaps = curves.loc[curves["metric"] == "sampling_gap_mean", "value"]
    assert len(gaps) and gaps.lt(1e-4).all()
    return runs[runs["split"] == "test"].set_index("method")


@pytest.mark.slow
def test_the_static_engine_gives_what_the_loop_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run(tmp_path / sampler, sampler, monkeypatch) for sampler in ("loop", "static")]
    for column in ("reward", "kl", "response_tokens"):
        first, second = (table[column] for table in runs)
        assert first.to_dict() == pytest.approx(second.to_dict(), rel=1e-3, abs=1e-4), column


@pytest.mark.slow
def test_continuous_batching_from_data_to_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = run(tmp_path / "continuous", "continuous", monkeypatch)
    assert runs.loc[["dpo", "ppo"], "kl"].gt(1e-5).all()
