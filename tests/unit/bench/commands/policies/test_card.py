"""What a model card says of the metrics: the same as the report."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from helpers.sampled_prompts import TASK, crossed_values, recorded_results
from helpers.synthetic import make_runs, write_folder

from bench.cache.store import Store
from bench.commands.policies.card import Exported, metadata, model_card
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.report.sections.main import main_table
from bench.results.loading import Results, load_results

MODEL = Exported("model")


def card(folder: Path, results: Results, task: str, method: str) -> str:
    (folder / "experiment.yaml").write_text(f"tasks: {{{task}: {{task: polite}}}}\nmethods: {{}}\n")
    policies = TaskPolicies(folder, results, task, Store(folder / "cache"))
    params = policies.settings[method]
    return model_card(policies, Selected(task, method, params, 0, None), MODEL)


def row(text: str, name: str) -> list[str]:
    """Return the cells of a metric: of the policy, and the mean over seeds."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.split("|")[2:4]]


def test_the_mean_reward_has_the_interval_of_the_report(tmp_path: Path) -> None:
    rewards = {
        "sft": crossed_values(0.0, 6, 30, 0.1),
        "dpo": crossed_values(1.0, 6, 30, 0.1, prompt_deviation=2.0),
    }
    results = recorded_results(rewards)
    [reported] = [r["reward"] for r in main_table(results, TASK).rows if r["method"] == "dpo"]
    text = card(tmp_path, results, TASK, "dpo")
    assert row(text, "judge reward")[1] == reported
    # Over seeds alone it would be far narrower.
    over_seeds = 2.57 * np.std(rewards["dpo"].mean(axis=1), ddof=1) / 6**0.5
    assert float(reported.split(" ± ")[1]) > 3 * over_seeds
    assert "for the mean reward, over seeds and prompts together" in text


def test_the_card_says_whether_the_method_saw_the_gold_reward(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo_gold"], 3))
    results = load_results(folder)
    texts = {name: card(folder, results, "polite", name) for name in ("dpo", "ppo_gold")}
    assert "gold reward, which the method did not see" in texts["dpo"]
    assert "gold reward, which this method was trained on" in texts["ppo_gold"]
    assert "seeds and prompts" not in texts["dpo"]
    assert re.match(r"[\d.]+ ± [\d.]+$", row(texts["dpo"], "gold reward")[1])


def test_no_path_is_published_as_a_name_of_the_hub(tmp_path: Path) -> None:
    """Wherever the card is written: relative paths look like names of the hub."""
    results = recorded_results({"dpo": crossed_values(1.0, 2, 4, 0.1)})
    about = results.manifest["tasks"][TASK]
    options = {"data": "mine/prefs", "model": "models/smollm"}
    about |= {"options": options, "local_sources": list(options.values())}
    policy = Selected(TASK, "dpo", "{}", 0, None)
    policies = TaskPolicies(tmp_path, results, TASK, Store(tmp_path))
    data = metadata(policies, policy, MODEL)
    assert data.datasets is None and data.base_model is None
    text = card(tmp_path, results, TASK, "dpo")
    assert "mine/" not in text and "models/" not in text and "model smollm" in text
    about["local_sources"] = []
    data = metadata(policies, policy, MODEL)
    assert (data.datasets, data.base_model) == (["mine/prefs"], "models/smollm")
