"""What the methods are: what each learns from, its settings on every task, and its paper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.report.display import MISSING, Link, linked
from bench.results.loading import Results, described


def methods_table(results: Results) -> pd.DataFrame:
    """Return a row for each method. Results without methods.csv have no settings and no papers."""
    return pd.DataFrame([_line(results, method) for method in results.methods])


def _line(results: Results, method: str) -> dict[str, str | Link]:
    known = described(results.manifest, "methods").get(method, {})
    rows = results.descriptions
    rows = rows[(rows["method"] == method) & rows["task"].isin(results.tasks)]
    about = {column: str(rows[column].iloc[0]) if len(rows) else "" for column in rows.columns}
    text = (about["title"] or str(known.get("title") or "")).removesuffix(".")
    takes = about["learns_from"] or results.learns_from(method)
    return {
        "method": method,
        "what it is": text or MISSING,
        "learns from": "nothing further" if takes == "none" else takes or MISSING,
        "dial": about["dial"] or str(known.get("strength") or MISSING),
        "settings tried": _settings(rows, "tried"),
        "other settings": _settings(rows, "fixed"),
        "paper": linked(about["authors"] or about["paper"], about["paper"]) or MISSING,
    }


def _settings(rows: pd.DataFrame, column: str) -> str:
    """Return settings as text: those of most tasks, then what differs on the others."""
    own = {str(row["task"]): _shown(str(row[column])) for _, row in rows.iterrows()}
    names = list(dict.fromkeys(name for values in own.values() for name in values))
    usual = {}
    for name in names:
        values = [values.get(name, "") for values in own.values()]
        usual[name] = max(values, key=values.count)
    parts = [_listed({name: value for name, value in usual.items() if value})]
    for task, mine in own.items():
        other = {n: mine.get(n) or "not set" for n in names if mine.get(n, "") != usual[n]}
        parts += [f"on {task}: {_listed(other)}"] if other else []
    return "; ".join(filter(None, parts)) or MISSING


def _shown(text: str) -> dict[str, str]:
    """Return JSON of settings as names to what is shown; nothing where it cannot be read."""
    try:
        settings = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(settings, dict):
        return {}
    return {name: _value(value) for name, value in settings.items()}


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(_value(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
