"""The methods: what each learns from, its settings on every task, and its paper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.report.content.display import MISSING, linked, plain_value
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results

INTRODUCTION = (
    "What each method learns from, the hyper-parameter that trades reward against KL (its "
    "strength), the values tried, and the settings that did not vary, with what differs from task "
    "to task. The next section shows what training used."
)
COLUMNS = (
    Column("method", "method", "text"),
    Column("title", "what it is", "long"),
    Column("learns_from", "learns from", "text"),
    Column("strength", "strength", "text"),
    Column("tried", "settings tried", "long"),
    Column("fixed", "other settings", "long"),
    Column("paper", "paper", "text"),
)


def methods_section(results: Results) -> Section:
    """Return the section: a row for each method."""
    return Section(
        "methods", "Methods", INTRODUCTION, parts=(Part(tables=(methods_table(results),)),)
    )


def methods_table(results: Results) -> Table:
    """Return a row for each method; without methods.csv, settings and papers are not known."""
    return Table.of(COLUMNS, [_row(results, method) for method in results.methods])


def _row(results: Results, method: str) -> dict[str, Any]:
    manifest = results.described("methods").get(method, {})
    rows = results.method_settings
    rows = rows[(rows["method"] == method) & rows["task"].isin(results.tasks)]
    first = {column: str(rows[column].iloc[0]) if len(rows) else "" for column in rows.columns}
    title = (first["title"] or str(manifest.get("title") or "")).removesuffix(".")
    learns_from = first["learns_from"] or results.learns_from(method)
    return {
        "method": method,
        "title": title or MISSING,
        "learns_from": "nothing further" if learns_from == "none" else learns_from or MISSING,
        "strength": first["strength"] or str(manifest.get("strength") or MISSING),
        "tried": _settings(rows, "tried"),
        "fixed": _settings(rows, "fixed"),
        "paper": linked(first["authors"] or first["paper"], first["paper"]) or MISSING,
    }


def _settings(rows: pd.DataFrame, column: str) -> str:
    """Return settings as text: those of most tasks, then what differs on the others.

    Args:
        rows: METHODS of one method, a row for each task.
        column: tried or fixed.
    """
    by_task = {str(row["task"]): parse_settings(str(row[column])) for _, row in rows.iterrows()}
    names = list(dict.fromkeys(name for settings in by_task.values() for name in settings))
    usual = {}
    for name in names:
        values = [settings.get(name, "") for settings in by_task.values()]
        usual[name] = max(values, key=values.count)
    parts = [_join({name: value for name, value in usual.items() if value})]
    for task, settings in by_task.items():
        different = {
            name: settings.get(name) or "not set"
            for name in names
            if settings.get(name, "") != usual[name]
        }
        parts += [f"on {task}: {_join(different)}"] if different else []
    return "; ".join(filter(None, parts)) or MISSING


def parse_settings(text: str) -> dict[str, str]:
    """Return a JSON object's values as display strings; nothing where it cannot be read."""
    try:
        settings = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(settings, dict):
        return {}
    return {name: plain_value(value) for name, value in settings.items()}


def _join(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
