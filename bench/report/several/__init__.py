"""Pages about several results folders: an index of all below a folder.

Imports: bench.cache, bench.errors, bench.report.build, bench.report.content, bench.report.page,
bench.report.sections, bench.results.
To add a column to the index, add it to `index.py`.
"""
