"""Narrowing an experiment to some methods, tasks and seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.experiments import changed, write

from bench.config.catalog import catalog
from bench.config.files import load_experiment
from bench.config.narrowing import narrow
from bench.errors import UserError


def test_narrowing_keeps_sft() -> None:
    experiment = narrow(load_experiment("default"), methods=["ppo"], tasks=["exact"], seeds=1)
    assert list(experiment.methods) == ["sft", "ppo"]
    assert list(experiment.tasks) == ["exact"]
    strengths = [params["kl_coef"] for n, _, params in experiment.settings("exact") if n == "ppo"]
    assert strengths == [0.001, 0.01, 0.05, 0.2, 0.5]


def test_all_stands_for_every_method() -> None:
    chosen = narrow(load_experiment("default"), methods=["all"]).methods
    assert set(chosen) == set(catalog())
    assert next(iter(chosen)) == "sft"


def test_an_added_method_tries_no_more_settings_than_the_others(
    tmp_path: Path,
) -> None:
    def added(*path: str, value: object) -> list[dict[str, object]]:
        experiment = load_experiment(write(tmp_path, changed(*path, value=value)))
        narrowed = narrow(experiment, methods=["dpo", "best_of_n"])
        return [p for n, _, p in narrowed.settings("polite") if n == "best_of_n"]

    assert added("methods", "dpo", value={"beta": 0.3}) == [{"n": 4}]
    assert added("methods", "dpo", value={}) == [{"n": n} for n in (2, 4, 8, 16)]


def test_narrowing_removes_the_contrasts_of_removed_methods() -> None:
    content = load_experiment("default")
    assert content.contrasts == [("dpo", "ppo")]
    assert narrow(content, methods=["ppo", "dpo"]).contrasts == [("dpo", "ppo")]
    assert narrow(content, methods=["ppo", "best_of_n"]).contrasts == []
    assert narrow(content, seeds=1).contrasts == [("dpo", "ppo")]


def test_what_to_keep_is_named_by_its_option() -> None:
    assert narrow(load_experiment("default"), keep="selected").keep == "selected"
    with pytest.raises(UserError, match=r"^--keep: must be all, selected or none, not 'some'$"):
        narrow(load_experiment("default"), keep="some")
