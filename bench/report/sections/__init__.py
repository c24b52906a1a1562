"""The sections of the report, one file each: a module turns results into a `Section` or nothing.

Imports: bench.analysis, bench.report.charts, bench.report.content, bench.results.
To add a section, write its module and add its name to a tab of `TABS`.
"""

from __future__ import annotations

from pkgutil import resolve_name

from bench.report.content.section import MakeSection

# The page's tabs in their order, with their sections: the module NAME.py has NAME_section.
TABS: dict[str, tuple[str, ...]] = {
    "Overview": ("answer", "overview"),
    "Results": (
        *("main", "judge", "language_judge", "ranking"),
        *("regret", "temperatures", "shape"),
    ),
    "Head-to-head": ("head_to_head", "win_rates"),
    "Over-optimization": ("overoptimization", "likelihood"),
    "Cost": ("cost",),
    "Samples": ("samples",),
    "Methods": ("methods", "settings"),
    "Statistics": ("contrasts", "calibration", "frontier", "curves"),
    "Run": ("provenance", "glossary"),
}
SECTIONS: dict[str, tuple[MakeSection, ...]] = {
    tab: tuple(resolve_name(f"bench.report.sections.{name}:{name}_section") for name in names)
    for tab, names in TABS.items()
}
