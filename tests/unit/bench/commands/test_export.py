"""Samples in the formats of other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.synthetic import make_runs, write_folder

from bench.analysis.selection import select_settings
from bench.commands.export import export
from bench.errors import UserError
from bench.results.loading import load_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2)
    return write_folder(tmp_path_factory.mktemp("run"), runs)


def test_samples_of_the_selected_setting_are_exported_as_model_outputs(folder: Path) -> None:
    results = load_results(folder)
    selected = select_settings(results.runs, "exact")["ppo"]
    samples = results.samples[
        (results.samples["task"] == "exact")
        & (results.samples["method"] == "ppo")
        & (results.samples["params"] == selected)
        & (results.samples["seed"] == 1)
        & (results.samples["split"] == "test")
    ]
    text = export(folder, method="ppo", task="exact", seed=1, form="alpaca_eval")
    outputs = json.loads(text)
    assert [row["instruction"] for row in outputs] == samples["prompt"].tolist()
    expected = [response.removesuffix("</answer>").rstrip() for response in samples["response"]]
    assert [row["output"] for row in outputs] == expected
    assert {row["generator"] for row in outputs} == {"prefrontier-ppo"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "pppo"}, "--method: 'pppo' has no samples here; allowed: sft, dpo"),
        ({"task": "poilte"}, "--task: 'poilte' .*allowed: polite, exact"),
        ({"seed": 77}, "--seed: '77'"),
        ({"form": "csv"}, "unknown format 'csv'; allowed: alpaca_eval"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    options: dict[str, Any] = {"method": "ppo", "task": "", "seed": None, "form": "alpaca_eval"}
    with pytest.raises(UserError, match=message):
        export(folder, **(options | changed))
