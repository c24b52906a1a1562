"""The report: from a results folder to figures, report.md, report.html and the terminal's tables.

A pure function of the files that a run leaves. `build.py` makes the sections of `sections/` and
`render.py` renders them with `templates/`, which know no section.

Imports: bench.cache, bench.report.charts, bench.report.content, bench.report.sections,
bench.results.
To add a section, write its module in `sections/`.
"""
