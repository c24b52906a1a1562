"""The sections of the report, one file each: a module turns results into a `Section` or nothing.

Imports: bench.analysis, bench.report.charts, bench.report.content, bench.results, methods.core.
To add a section, write its module and add a line to `NAMES`.
"""

from __future__ import annotations

from pkgutil import resolve_name

from bench.report.content.section import MakeSection

# In their order: the module NAME.py has the function NAME_section.
NAMES = (
    "answer",
    "main",
    "judge",
    "language_judge",
    "ranking",
    "contrasts",
    "frontier",
    "regret",
    "overoptimization",
    "win_rates",
    "temperatures",
    "methods",
    "cost",
    "likelihood",
    "shape",
    "curves",
    "settings",
    "samples",
    "calibration",
    "glossary",
    "provenance",
)
SECTIONS: tuple[MakeSection, ...] = tuple(
    resolve_name(f"bench.report.sections.{name}:{name}_section") for name in NAMES
)
