"""Reducing an experiment to some of its tasks, methods and seeds."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from bench.config.catalog import ALL, expand_all, find_method
from bench.config.experiment import Experiment, Keep, validated
from bench.errors import UserError


def narrow(
    experiment: Experiment,
    *,
    tasks: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
    keep: str = "",
) -> Experiment:
    """Return the experiment with only these tasks and methods, and this many seeds.

    A task or method that the experiment lacks is added with its defaults. An added method gets its
    grid only where the experiment tries several settings of some method. SFT stays, because all
    others are compared with it. Methods that all remaining tasks leave out are removed unless they
    are named, and contrasts of removed methods are removed.

    Args:
        experiment: The whole experiment.
        tasks: Names of tasks; by default all of the experiment.
        methods: Names of methods; by default all of the experiment. `all` stands for every method;
            where a task has no gold reward, privileged methods are left out.
        seeds: Number of seeds; by default that of the experiment.
        keep: Which policies stay on disk; "" for what the experiment says.

    Raises:
        UserError: A name is unknown, or the result is not valid.
    """
    content = experiment.model_dump()
    if tasks:
        content["tasks"] = {name: content["tasks"].get(name, {}) for name in tasks}
    if methods:
        chosen = _chosen(experiment, methods)
        declared = content["methods"]
        content["methods"] = {
            name: declared[name] if name in declared else _added(name, experiment)
            for name in chosen
        }
        content["contrasts"] = [c for c in content["contrasts"] if set(c) <= set(chosen)]
    for entry in content["tasks"].values():
        overrides = entry.get("methods", {})
        entry["methods"] = {n: overrides[n] for n in overrides if n in content["methods"]}
    _drop_left_out(content, methods or [])
    if seeds is not None:
        content["seeds"] = seeds
    if keep:
        if keep not in get_args(Keep):
            raise UserError(f"--keep: must be all, selected or none, not '{keep}'")
        content["keep"] = keep
    return validated(content, "options")


def _drop_left_out(content: dict[str, Any], named: list[str]) -> None:
    """Drop methods that every task leaves out, unless named, and contrasts that no task has."""
    left_out = [
        {name for name, entry in task["methods"].items() if entry is None}
        for task in content["tasks"].values()
    ]
    for name in set.intersection(*left_out) - set(named):
        del content["methods"][name]
        for task in content["tasks"].values():
            del task["methods"][name]
    content["contrasts"] = [
        pair for pair in content["contrasts"] if any(not out & set(pair) for out in left_out)
    ]


def _chosen(experiment: Experiment, methods: list[str]) -> list[str]:
    chosen = expand_all(["sft", *expand_all(methods)])
    sources = {task.reward_source for task in experiment.task_objects.values()}
    if ALL in methods and sources != {"gold"}:
        chosen = [name for name in chosen if not find_method(name, "--methods").privileged]
    return chosen


def _added(name: str, experiment: Experiment) -> dict[str, Any]:
    """Return the entry of a method that the experiment does not have."""
    return {} if _varied(experiment) else _one_setting(name)


def _varied(experiment: Experiment) -> bool:
    """Return whether the experiment tries several settings of some method."""
    for task in experiment.tasks:
        names = [setting.name for setting in experiment.settings(task)]
        if len(names) > len(set(names)):
            return True
    return False


def _one_setting(name: str) -> dict[str, Any]:
    """Return an entry with which a method is tried at its default strength alone."""
    method = find_method(name, "--methods")
    strength = [f.default for f in dataclasses.fields(method) if f.name == method.strength]
    return {"grid": {method.strength: strength} if strength else {}}
