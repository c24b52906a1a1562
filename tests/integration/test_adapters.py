"""A comparison with adapters, from data to report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers.preferences import experiment_file, make_folder, pairs, write_rows

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from bench.config.files import load_experiment
from bench.errors import UserError


@pytest.mark.slow
def test_a_comparison_with_adapters_from_data_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    model = make_folder("qwen2", tmp_path / "qwen2")
    data = write_rows(tmp_path / "prefs.jsonl", pairs(120))
    loading = {"lora": {"rank": 4}, "gradient_checkpointing": True}
    experiment = experiment_file(tmp_path, data, model=str(model), loading=loading)
    out = tmp_path / "out"
    status = run_bench(Options(str(experiment), jobs=1, device="cpu", out=out))
    runs = pd.read_csv(out / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    test = runs[runs["split"] == "test"].set_index("method")
    assert test.loc[["dpo", "ppo"], "kl"].gt(1e-5).all()
    manifest = json.loads((out / "manifest.json").read_text())
    for entry in manifest["policies"]:
        folder = tmp_path / "cache" / entry["folder"]
        assert (folder / "adapter_config.json").exists()
    # The adapters of the SFT policy and of the reward models are merged into them.
    for stage in manifest["stages"]:
        if stage["stage"] in ("sft", "reward_model", "judge"):
            names = {f.name for f in (tmp_path / "cache" / stage["folder"]).iterdir()}
            assert "model.safetensors" in names and "adapter_config.json" not in names


def test_quantization_without_adapters_is_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(10))
    with pytest.raises(UserError, match=r"needs adapters: set loading\.lora\.rank"):
        load_experiment(str(experiment_file(tmp_path, data, loading={"quantization": "4bit"})))
