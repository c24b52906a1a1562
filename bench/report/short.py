"""The short report: what report.md keeps of the page's sections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bench.report.content.section import Part, Section, Table

# Columns of the main table, and of the methods' table those that say how each was set.
RESULTS = (
    *("method", "setting", "reward", "gain", "proxy_reward", "kl"),
    *("win_rate_sft", "efficiency", "seeds"),
)
SETTINGS = ("method", "strength", "tried")
VERSIONS = "Versions"


def short_sections(sections: Iterable[Section]) -> list[Section]:
    """Return answer, figure, main table, verdicts, settings and versions."""
    by_id = {section.id: section for section in sections}
    kept = {
        "answer": lambda answer: replace(answer, notes=(answer.introduction,)),
        "overview": lambda overview: replace(overview, parts=()),
        "results": lambda results: with_tables(results, only(RESULTS)),
        "contrasts": lambda contrasts: with_tables(replace(contrasts, title="Verdicts"), tested),
        "methods": lambda methods: with_tables(replace(methods, title="Settings"), only(SETTINGS)),
        "provenance": versions,
    }
    return [keep(by_id[id_]) for id_, keep in kept.items() if id_ in by_id]


def with_tables(section: Section, change: Callable[[Table], Table]) -> Section:
    """Return the section with its tables changed, and without the sentences around them."""
    parts = (
        replace(part, paragraphs=(), tables=tuple(map(change, part.tables)))
        for part in section.parts
    )
    return replace(section, notes=(), parts=tuple(parts))


def only(names: tuple[str, ...]) -> Callable[[Table], Table]:
    """Return what keeps these columns of a table."""

    def narrow(table: Table) -> Table:
        return replace(table, columns=tuple(c for c in table.columns if c.name in names))

    return narrow


def tested(table: Table) -> Table:
    """Return a table of contrasts without the exploratory ones."""
    return replace(table, rows=tuple(r for r in table.rows if r.get("kind") != "exploratory"))


def versions(provenance: Section) -> Section:
    """Return the versions alone."""
    parts: tuple[Part, ...] = tuple(p for p in provenance.parts if p.heading == VERSIONS)
    return Section("versions", VERSIONS, parts=tuple(replace(part, heading="") for part in parts))
