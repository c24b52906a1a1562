"""The short report: what report.md keeps of the page's sections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bench.report.content.section import Column, Part, Section, Table

# Columns of the methods' table that say how each was set.
SETTINGS = ("method", "strength", "tried")
VERSIONS = "Versions"


def short_sections(sections: Iterable[Section]) -> list[Section]:
    """Return answer, main table, figure, verdicts, settings and versions."""
    by_id = {section.id: section for section in sections}
    made = (
        by_id.get("answer"),
        _charts_only(by_id.get("overview")),
        by_id.get("results"),
        _tested(by_id.get("contrasts")),
        _settings(by_id.get("methods")),
        _versions(by_id.get("provenance")),
    )
    return [section for section in made if section]


def _charts_only(section: Section | None) -> Section | None:
    return section and replace(section, parts=())


def _tested(section: Section | None) -> Section | None:
    """Return the verdicts: exploratory comparisons are on the page."""
    if section is None:
        return None

    def tested(table: Table) -> Table:
        return replace(table, rows=tuple(r for r in table.rows if r["kind"] != "exploratory"))

    parts = tuple(
        replace(part, paragraphs=(), tables=tuple(map(tested, part.tables)))
        for part in section.parts
    )
    return replace(section, title="Verdicts", parts=parts)


def _settings(section: Section | None) -> Section | None:
    if section is None:
        return None

    def narrow(table: Table) -> Table:
        columns: tuple[Column, ...] = tuple(c for c in table.columns if c.name in SETTINGS)
        return replace(table, columns=columns)

    parts = tuple(replace(part, tables=tuple(map(narrow, part.tables))) for part in section.parts)
    return replace(section, title="Settings", parts=parts)


def _versions(section: Section | None) -> Section | None:
    if section is None:
        return None
    parts: tuple[Part, ...] = tuple(p for p in section.parts if p.heading == VERSIONS)
    return replace(section, title=VERSIONS, parts=tuple(replace(p, heading="") for p in parts))
