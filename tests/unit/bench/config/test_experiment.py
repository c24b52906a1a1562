"""Experiment files: the built-in ones are valid, and settings are merged and varied as written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from helpers.experiments import GOOD, changed, write

from bench.cache.store import Store
from bench.config.files import BUILT_IN, load_experiment
from bench.config.narrowing import narrow
from bench.errors import UserError
from bench.execution.plan import Plan
from bench.tasks.base import Training
from bench.tasks.exact import Exact
from methods.dpo import DPO


def test_built_in_experiments_are_valid() -> None:
    names = [file.stem for file in BUILT_IN.glob("*.yaml")]
    assert {"default", "quick"} <= set(names)
    for name in names:
        # These are for data that users bring.
        data = f"{name}.jsonl" if name.startswith(("recorded", "pretrained")) else ""
        assert load_experiment(name, data=data).name == name


@pytest.mark.parametrize("task", ["polite", "haiku", "exact"])
def test_default_has_five_strengths_for_each_method_and_seven_seeds(task: str) -> None:
    experiment = load_experiment("default")
    assert experiment.seeds == 7
    counts = Counter(name for name, _, _ in experiment.settings(task))
    # Every response of best_of_n costs n samples, so it has fewer.
    assert counts.pop("best_of_n") <= 4
    assert counts == {"sft": 1, "dpo": 5, "ppo": 5, "ppo_gold": 5}


def test_settings_come_from_method_then_task_then_grid(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, GOOD))
    on_exact = [(n, m, p) for n, m, p in experiment.settings("exact") if n == "dpo"]
    assert on_exact == [("dpo", DPO(beta=0.3, learning_rate=1e-3), {"beta": 0.3})]
    assert len([1 for n, _, _ in experiment.settings("polite") if n == "dpo"]) == 5


def test_a_task_can_leave_a_method_out(tmp_path: Path) -> None:
    experiment = load_experiment(
        write(tmp_path, changed("tasks", "exact", "methods", "dpo", value=None))
    )
    assert {setting.name for setting in experiment.settings("exact")} == {"sft"}
    assert {setting.name for setting in experiment.settings("polite")} == {"sft", "dpo"}
    # Where only such tasks are left, so is the method, unless it is asked for.
    assert list(narrow(experiment, tasks=["exact"]).methods) == ["sft"]
    with pytest.raises(UserError, match=r"methods\.dpo: every task leaves it out"):
        narrow(experiment, tasks=["exact"], methods=["dpo"])


def test_a_contrast_needs_a_task_that_has_both(tmp_path: Path) -> None:
    tasks = {"polite": {"methods": {"ipo": None}}, "exact": {"methods": {"dpo": None}}}
    content = changed("tasks", value=tasks) | {
        "methods": {"dpo": {}, "ipo": {}},
        "contrasts": [["dpo", "ipo"]],
    }
    with pytest.raises(UserError, match=r"contrasts\.0: no task has both dpo and ipo"):
        load_experiment(write(tmp_path, content))
    tasks["haiku"] = {}
    experiment = load_experiment(write(tmp_path, content))
    assert narrow(experiment, tasks=["haiku"]).contrasts == [("dpo", "ipo")]
    assert narrow(experiment, tasks=["polite", "exact"]).contrasts == []


def test_a_task_can_have_several_entries(tmp_path: Path) -> None:
    content = changed(
        "tasks", value={"few": {"task": "exact", "options": {"labels": 64}}, "exact": {}}
    )
    plan = Plan.of(load_experiment(write(tmp_path, content)), Store(tmp_path), "cpu")
    assert {
        (pipeline.name, type(pipeline.task), pipeline.task.labels) for pipeline in plan.pipelines
    } == {
        ("few", Exact, 64),
        ("exact", Exact, Exact().labels),
    }
    few, exact = (pipeline for pipeline in plan.pipelines if pipeline.seed == 0)
    # Stages that do not depend on the option are shared.
    assert few.key("sft") == exact.key("sft") and few.key("feedback") != exact.key("feedback")


def test_a_field_that_is_set_is_not_varied(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, changed("methods", "dpo", value={"beta": 0.3})))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [0.3]
    near = changed("methods", "dpo", value={"grid": {"beta": [1.0, 1, 2]}})
    near["tasks"]["polite"] = {"methods": {"dpo": {"beta": 0.4}}}  # type: ignore[index]
    experiment = load_experiment(write(tmp_path, near))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [0.4]
    near["tasks"]["polite"] = {}  # type: ignore[index]
    experiment = load_experiment(write(tmp_path, near))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [1.0, 2]


def test_a_nested_option_keeps_the_defaults_of_its_neighbors(tmp_path: Path) -> None:
    content = changed("tasks", "polite", value={"options": {"sft": {"examples": 7}}})
    task = load_experiment(write(tmp_path, content)).task_objects["polite"]
    assert task.sft == Training(7, 1, 64, 2e-3)
