"""Pages about several results folders: an index of all below a folder, and a comparison of a few.

Imports: bench.analysis, bench.cache, bench.errors, bench.report.build, bench.report.charts,
bench.report.claims, bench.report.content, bench.report.page, bench.report.sections,
bench.results.
To add a section to the comparison, write its module and add it to a tab in `comparison.py`.
"""
