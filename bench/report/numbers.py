"""report.json: every number that the page shows, by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.content.display import Link, Number
from bench.report.content.section import Part, Section, Tab, Table


def report_json(title: str, about: str, tabs: Sequence[Tab], data: Mapping[str, Any]) -> str:
    """Return the report's numbers as JSON: sections with their tables, then what is drawn.

    A number that is missing is null. Samples are in samples.parquet.
    """
    content = {
        "name": title,
        "about": about,
        "sections": {section.id: _section(section) for tab in tabs for section in tab.sections},
        "tasks": data["tasks"],
        "methods": data["methods"],
        "head_to_head": data["head_to_head"]["tasks"],
        "plots": {
            name: {plot["task"]: plot["data"] for plot in plots}
            for name, plots in data["plots"].items()
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, Any]:
    return {"title": section.title, "parts": [_part(part) for part in section.parts if part]}


def _part(part: Part) -> dict[str, Any]:
    content = {
        "task": part.task,
        "heading": part.heading,
        "statement": part.statement,
        "warnings": list(part.warnings),
        "paragraphs": list(part.paragraphs),
        "tables": [_table(table) for table in part.tables if table],
    }
    return {name: value for name, value in content.items() if value}


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": {column.name: column.label for column in table.columns},
        "rows": [
            {column.name: _cell(row[column.name]) for column in table.columns} for row in table.rows
        ],
    }


def _cell(cell: object) -> Any:
    """Return a cell: a number, a number with its interval, or text."""
    if isinstance(cell, Link):
        return {"text": cell.text, "url": cell.url}
    if not isinstance(cell, Number):
        return str(cell)
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        return {"value": _known(cell.value), "low": cell.low, "high": cell.high}
    return _known(cell.value)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
