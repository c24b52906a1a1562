"""What differs between folders: versions and hardware, the experiment, and methods' settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.content.display import MISSING, visible
from bench.report.content.section import Column, Part, Section, Table
from bench.report.sections.methods import parse_settings
from bench.report.several.comparability import common_methods, common_tasks
from bench.report.several.folders import Folder
from bench.report.several.values import ABSENT, differing, experiment_of, flatten, value_text

INTRODUCTION = "Only what is not the same in all folders."
# Of the manifest, what may change results.
CIRCUMSTANCES = ("device", "processes", "hardware", "versions", "commit")
# Of the experiment, what names a run or says how many processes it had.
LEFT_OUT = ("name", "jobs")
SAME = "The same in all."


def settings_section(folders: Sequence[Folder]) -> Section:
    """Return the section: a table of each kind of difference, with a column for each folder."""
    parts = [
        Part(heading, tables=(table,)) if table else Part(heading, paragraphs=(SAME,))
        for heading, table in settings_tables(folders).items()
    ]
    return Section("settings", "What differs", INTRODUCTION, parts=tuple(parts))


def settings_tables(folders: Sequence[Folder]) -> dict[str, Table]:
    """Return the tables by heading."""
    manifests = [folder.results.manifest for folder in folders]
    circumstances = [
        flatten({name: manifest[name] for name in CIRCUMSTANCES if name in manifest})
        for manifest in manifests
    ]
    tasks = common_tasks(folders)
    experiments = [experiment_of(folder) for folder in folders]
    entries = [_entries(experiment, tasks) for experiment in experiments]
    settings = [_settings_of(*each) for each in zip(experiments, entries, strict=True)]
    return {
        "Versions, hardware and commit": _table("fact", circumstances, folders),
        "Task options": _table("option", _options(folders, entries, tasks), folders),
        "Experiment": _table("setting", settings, folders),
        "Settings of methods": methods_table(folders),
    }


def _options(
    folders: Sequence[Folder], entries: Sequence[Mapping[str, Any]], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the options of each task: all of them, or those that were set if not all are known."""
    recorded = [
        {task: folder.results.described("tasks").get(task, {}).get("options") for task in tasks}
        for folder in folders
    ]
    if all(options for own in recorded for options in own.values()):
        return [flatten(own) for own in recorded]
    return [flatten({task: own[task].get("options") or {} for task in own}) for own in entries]


def _settings_of(experiment: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment's settings, of its tasks all but their options."""
    own = {name: value for name, value in experiment.items() if name not in LEFT_OUT}
    tasks = {
        task: {name: value for name, value in entry.items() if name != "options"}
        for task, entry in entries.items()
    }
    return flatten(own | {"tasks": tasks})


def _entries(experiment: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what an experiment says of these tasks."""
    entries = experiment.get("tasks")
    found = {task: entries.get(task) for task in tasks} if isinstance(entries, dict) else {}
    return {task: entry for task, entry in found.items() if isinstance(entry, dict)}


def folder_columns(folders: Sequence[Folder], kind: Any = "number") -> list[Column]:
    """Return a column for each folder."""
    return [Column(folder_column(i), folder.name, kind) for i, folder in enumerate(folders)]


def folder_column(i: int) -> str:
    """Return the name of a folder's column."""
    return f"folder_{i}"


def _table(label: str, contents: Sequence[Mapping[str, Any]], folders: Sequence[Folder]) -> Table:
    """Return a row for each key whose values are not the same."""
    columns = (Column("key", label, "long"), *folder_columns(folders, "long"))
    rows = [{"key": visible(key), **_cells(row)} for key, row in differing(contents).items()]
    return Table.of(columns, rows)


def _cells(values: Sequence[Any]) -> dict[str, str]:
    """Return a row's values by the folders' columns."""
    return {
        folder_column(i): MISSING if value is ABSENT else value_text(value)
        for i, value in enumerate(values)
    }


def methods_table(folders: Sequence[Folder]) -> Table:
    """Return a row for each setting of a method that differs, and the tasks where it does so.

    Of tasks and methods that all folders have; without methods.csv nothing is known.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    values: dict[tuple[str, ...], list[Any]] = {}
    for task in common_tasks(folders):
        for method in common_methods(folders, task):
            settings = [_settings(folder, task, method) for folder in folders]
            for name, row in differing(settings).items():
                key = (method, name, *(value_text(value) for value in row))
                found.setdefault(key, []).append(task)
                values[key] = row
    rows = [
        {
            "method": visible(key[0]),
            "setting": visible(key[1]),
            "tasks": visible(", ".join(tasks)),
            **_cells(values[key]),
        }
        for key, tasks in found.items()
    ]
    columns = (
        Column("method", "method", "text"),
        Column("setting", "setting", "text"),
        Column("tasks", "tasks", "long"),
        *folder_columns(folders, "long"),
    )
    return Table.of(columns, rows)


def _settings(folder: Folder, task: str, method: str) -> dict[str, str]:
    """Return a method's settings on a task: fixed ones, and the values tried of the others."""
    rows = folder.results.method_settings
    rows = rows[(rows["task"] == task) & (rows["method"] == method)]
    settings: dict[str, str] = {}
    for column in ("fixed", "tried"):
        for text in rows[column]:
            settings |= parse_settings(text)
    return settings
