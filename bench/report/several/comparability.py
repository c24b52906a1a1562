"""Whether results of several folders on a task can be compared, and by what they differ if not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.analysis.selection import selected_rows
from bench.report.content.display import listed
from bench.report.several.folders import Folder
from bench.report.several.values import differing, experiment_of, flatten, value_text

# Of an experiment's evaluation, what the metrics of the main table depend on.
EVALUATION = ("temperature", "top_k", "top_p", "responses_per_prompt")
# Of what the manifest says about recorded data, what must be the same.
DATA = ("kind", "labels", "rows", "prompts")
# More than this are counted, not listed.
MOST_LISTED = 5
# Rewards of SFT policies that differ by more are not the same policy's.
SAME_REWARD = 1e-6


class Comparability(NamedTuple):
    """Whether a task is the same in several folders.

    Attributes:
        task: The task's name.
        differences: What is not the same, as in "labels 4096 and 8192".
        unknown: What not every folder records.
    """

    task: str
    differences: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether nothing is known to differ."""
        return not self.differences

    @property
    def statement(self) -> str:
        """The answer in a sentence."""
        if self.differences:
            return f"Not comparable on {self.task}: {_some(self.differences, '; ')}."
        if self.unknown:
            missing = _some(self.unknown, ", ")
            return (
                f"Comparable on {self.task} as far as is known: not every folder records {missing}."
            )
        return (
            f"Comparable on {self.task}: the same options, SFT settings, reward, sampling "
            "parameters and test prompts."
        )


def _some(texts: Sequence[str], separator: str) -> str:
    more = len(texts) - MOST_LISTED
    shown = separator.join(texts[:MOST_LISTED])
    return f"{shown}{separator}and {more} more" if more > 0 else shown


def common_tasks(folders: Sequence[Folder]) -> list[str]:
    """Return the tasks that all folders have, in the order of the first."""
    first, *others = [folder.results.tasks for folder in folders]
    return [task for task in first if all(task in tasks for tasks in others)]


def common_methods(folders: Sequence[Folder], task: str) -> list[str]:
    """Return the methods that all folders have on a task, in the order of the first."""
    on_task = [
        set(folder.results.runs.loc[folder.results.runs["task"] == task, "method"])
        for folder in folders
    ]
    return [method for method in folders[0].results.methods if all(method in m for m in on_task)]


def comparability(folders: Sequence[Folder], task: str) -> Comparability:
    """Return whether a task's results in these folders can be compared."""
    facts = [_facts(folder, task) for folder in folders]
    differences: list[str] = []
    unknown: list[str] = []
    for group in facts[0]:
        recorded = [own[group] for own in facts]
        known = [values for values in recorded if values is not None]
        if len(known) < len(recorded):
            unknown.append(group)
        for name in dict.fromkeys(name for values in known for name in values):
            having = [values[name] for values in known if name in values]
            if len(having) < len(known):
                unknown.append(name)
            differences += _differences(name, having)
    prompts = [_test_prompts(folder, task) for folder in folders]
    if not all(prompts):
        unknown.append("test prompts")
    differences += _prompt_differences([each for each in prompts if each])
    return Comparability(task, tuple(differences), tuple(unknown))


def _facts(folder: Folder, task: str) -> dict[str, dict[str, Any] | None]:
    """Return what must be the same, in groups; None where the folder does not record a group."""
    about = folder.results.described("tasks").get(task, {})
    options = _mapping(about.get("options"))
    evaluation = _mapping(experiment_of(folder).get("evaluation"))
    reward = {"reward source": folder.results.reward_source(task)}
    data = _mapping(about.get("data")) or {}
    return {
        "task options": options and {"task": about.get("task"), **options},
        "evaluation": evaluation and _chosen(evaluation, EVALUATION),
        "reward": reward | _chosen(about, ("judge",)),
        "data": {f"data {name}": value for name, value in _chosen(data, DATA).items()},
    }


def _mapping(content: object) -> dict[str, Any] | None:
    return (
        {str(name): value for name, value in content.items()} if isinstance(content, dict) else None
    )


def _chosen(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _differences(name: str, values: Sequence[Any]) -> list[str]:
    """Return what differs of one fact, as in "sft.epochs 1 and 2"."""
    found = differing([flatten({name: value}) for value in values])
    return [f"{key} {listed(list(map(value_text, each)))}" for key, each in found.items()]


def _test_prompts(folder: Folder, task: str) -> frozenset[str]:
    samples = folder.results.samples
    rows = (samples["task"] == task) & (samples["split"] == "test")
    return frozenset(samples.loc[rows, "prompt"])


def _prompt_differences(prompts: Sequence[frozenset[str]]) -> list[str]:
    if len(set(prompts)) < 2:
        return []
    shared = len(frozenset.intersection(*prompts))
    counts = listed([str(n) for n in dict.fromkeys(map(len, prompts))])
    return [f"{counts} test prompts, of which {shared} are the same"]


def sft_sentence(folders: Sequence[Folder], task: str) -> str:
    """Say whether the SFT policies get the same rewards at the seeds that folders share.

    Equal settings make equal policies only with the same versions on the same kind of device.
    """
    rewards = [_sft_rewards(folder, task) for folder in folders]
    table = pd.concat(rewards, axis="columns", join="inner").dropna()
    if table.empty:
        return "No seed is in all folders."
    spread = table.max(axis="columns") - table.min(axis="columns")
    different = int((spread > SAME_REWARD).sum())
    shared = f"{len(table)} shared seed{'' if len(table) == 1 else 's'}"
    if not different:
        return f"The SFT policies get the same reward at {shared}."
    return (
        f"The SFT policies get different rewards at {different} of {shared}: they are not the same "
        "policies."
    )


def _sft_rewards(folder: Folder, task: str) -> pd.Series:
    rows = selected_rows(folder.results.runs, task)
    rows = rows[rows["method"] == "sft"]
    return rows.drop_duplicates("seed").set_index("seed")["reward"]
