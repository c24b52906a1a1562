"""The sentiment task from texts to a report, with a classifier as the gold reward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.sentiment import sentiment_experiment

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from methods.core.models.reward import Classifier


@pytest.mark.slow
def test_the_classifier_is_the_gold_reward_and_a_privileged_method_learns_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(json.dumps(sentiment_experiment(tmp_path)))
    options: dict[str, Any] = {"methods": [], "tasks": [], "seeds": None, "jobs": 1}
    status = run_bench(Options(str(file), **options, device="cpu", out=out))
    runs = pd.read_csv(out / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    assert runs["reward"].between(0, 1).all() and (runs["reward_source"] == "gold").all()
    samples = pd.read_parquet(out / "samples.parquet")
    classifier = Classifier.load(
        tmp_path / "classifier",
        "cpu",
        ends=["<|endoftext|>"],
        label="POSITIVE",
        plain=True,
        probability=True,
    )
    expected = classifier(list(samples["prompt"]), list(samples["response"]))
    assert samples["reward"].tolist() == pytest.approx(expected, abs=1e-5)
