"""Which built-in experiment is taken, by the model's size."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import make_folder, pairs, write_rows
from helpers.shapes import config_folder

from bench.config.files import load_experiment
from bench.requirements.presets import LARGEST, ON_CPU, PRESETS, built_in, limited_to_data


def on(device: str) -> Any:
    return lambda: device


def never() -> str:
    raise AssertionError("the device does not matter here")


def test_embedded_sizes_have_their_own() -> None:
    assert built_in("", "", never) == "default"
    assert [built_in("prefs", size, never) for size in ("", "tiny", "1M")] == ["recorded"] * 3
    assert [built_in("prefs", size, never) for size in ("10M", "150M")] == ["recorded_gpu"] * 2


def test_a_toy_model_is_trained_like_an_embedded_one(tmp_path: Path) -> None:
    assert built_in("prefs", str(make_folder("gpt2", tmp_path / "toy")), never) == "recorded"


@pytest.mark.parametrize(
    ("model", "preset"),
    [
        ("SmolLM2-135M", "pretrained_100M"),
        ("gpt2", "pretrained_100M"),
        ("Qwen2.5-0.5B", "pretrained_500M"),
        ("Llama-3.2-1B", "pretrained_1B"),
        ("Llama-3.2-3B", "pretrained_3B"),
        ("Llama-3.1-8B", "pretrained_8B"),
    ],
)
def test_a_large_model_has_the_preset_of_its_size(model: str, preset: str, models: Path) -> None:
    folder = config_folder(models, model)
    assert built_in("prefs", folder, on("cuda")) == preset
    small = preset in ("pretrained_100M", "pretrained_500M")
    assert built_in("prefs", folder, on("cpu")) == (ON_CPU if small else preset)


def test_a_model_without_a_config_gets_the_preset_in_the_middle(tmp_path: Path) -> None:
    assert built_in("prefs", str(tmp_path), never) == "pretrained_1B"
    assert built_in("prefs", "./no/such/folder", never) == "pretrained_1B"


def test_larger_models_do_not_learn_faster() -> None:
    def rates(name: str) -> list[float]:
        experiment = load_experiment(name, data="prefs.jsonl")
        task: Any = experiment.task_objects["recorded"]
        methods = {n: m for n, m, _ in experiment.settings("recorded")}
        ppo: Any = methods["ppo"]
        dpo: Any = methods["dpo"]
        stages = [task.sft, task.reward_model, task.judge]
        return [s.learning_rate for s in stages] + [
            dpo.learning_rate,
            ppo.learning_rate,
            ppo.value_learning_rate,
        ]

    by_size = [rates(name) for name in PRESETS]
    for smaller, larger in pairwise(by_size):
        assert all(a >= b for a, b in zip(smaller, larger, strict=True))
    # Adapters take larger rates than whole weights.
    assert all(a > b for a, b in zip(rates(LARGEST), by_size[-1], strict=True))


def test_few_pairs_are_gone_through_three_times_at_most(tmp_path: Path) -> None:
    def budget(count: int) -> int:
        data = write_rows(tmp_path / "prefs.jsonl", pairs(count))
        return limited_to_data(load_experiment("pretrained_1B", data=str(data))).budget

    assert budget(1000) == 3 * 600
    # Enough for a few batches.
    assert budget(100) == 1024
    on_the_hub = load_experiment("pretrained_1B", data="owner/name")
    assert limited_to_data(on_the_hub).budget == on_the_hub.budget
