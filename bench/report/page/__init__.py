"""The page report.html: its HTML, the data in it, and the scripts and styles in `assets/`.

`html.py` renders, `data.py` gathers what the scripts read, and `samples.py` and `head_to_head.py`
make the data of the views that are drawn in the browser.

Imports: bench.analysis, bench.report.charts, bench.report.content, bench.results, methods.core.
To add a view, write its script in `assets/`, list it in `html.py`, and name it in a section.
"""
