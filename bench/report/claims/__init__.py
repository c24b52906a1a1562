"""The page of tested claims: claims.html, claims.md, claims.csv, conditions.csv and the figure.

A pure function of the results folders of the claims' experiments. `page.py` makes what the template
`claims.html.j2` shows: `words.py` has its sentences, `tables.py` its tables, `forest.py` and
`dose.py` its charts.

Imports: bench.analysis, bench.cache, bench.config, bench.report.charts, bench.report.content,
bench.report.markdown, bench.report.page, bench.results.
To add a column of the files, add it to `rows.py`; of a claim's own tables, to `tables.py`.
"""
