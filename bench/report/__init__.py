"""The report of a results folder: figures, report.md, report.json, report.html, the terminal.

A pure function of the files that a run leaves. `build.py` makes the sections of `sections/` and
writes them with `markdown.py`, `numbers.py` and `page/`, which know no section.

Imports: bench.cache, bench.report.charts, bench.report.content, bench.report.page,
bench.report.sections, bench.results.
To add a section, write its module in `sections/`.
"""
