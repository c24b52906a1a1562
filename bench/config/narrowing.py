"""An experiment cut down by options of the command line."""

from __future__ import annotations

import dataclasses
from typing import Any

from bench.config.catalog import find_method, named
from bench.config.experiment import Experiment, validated


def narrow(
    experiment: Experiment,
    *,
    tasks: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
) -> Experiment:
    """Return the experiment with only these tasks and methods, and this many seeds.

    A method or task that the experiment lacks is added at its defaults; a method's grid only where
    the experiment tries several settings of any. SFT stays, as all others are measured against it.
    Declared contrasts go with their methods.

    Args:
        experiment: The whole experiment.
        tasks: Names of tasks; all by default.
        methods: Names of methods; `all` is every method that there is, those left out that learn
            from a gold reward where a task has none.
        seeds: How many seeds; as many as before by default.

    Raises:
        UserError: A name is unknown, or the result is not valid.
    """
    content = experiment.model_dump()
    if tasks:
        content["tasks"] = {name: content["tasks"].get(name, {}) for name in tasks}
    if methods:
        chosen = _chosen(experiment, methods)
        known, varied = content["methods"], _varied(experiment)
        content["methods"] = {
            name: known[name] if name in known else {} if varied else _one_setting(name)
            for name in chosen
        }
        content["contrasts"] = [p for p in content["contrasts"] if set(p) <= set(chosen)]
    for entry in content["tasks"].values():
        overrides = entry.get("methods", {})
        entry["methods"] = {n: overrides[n] for n in overrides if n in content["methods"]}
    if seeds is not None:
        content["seeds"] = seeds
    return validated(content, "options")


def _chosen(experiment: Experiment, methods: list[str]) -> list[str]:
    chosen = named(["sft", *named(methods)])
    sources = {task.reward_source for task in experiment.task_objects.values()}
    if "all" in methods and sources != {"gold"}:
        chosen = [n for n in chosen if not find_method(n, "--methods").privileged]
    return chosen


def _varied(experiment: Experiment) -> bool:
    """Return whether several settings of any method are tried."""
    for task in experiment.tasks:
        names = [setting.name for setting in experiment.settings(task)]
        if len(names) > len(set(names)):
            return True
    return False


def _one_setting(name: str) -> dict[str, Any]:
    """Return an entry by which a method is tried at its default strength alone."""
    kind = find_method(name, "--methods")
    strength = [f.default for f in dataclasses.fields(kind) if f.name == kind.strength]
    return {"grid": {kind.strength: strength} if strength else {}}
