"""What a report is made of (sections, tables, charts, texts), and numbers as people read them.

Imports: bench.analysis, bench.results.
To add a kind of content, add a class to `section.py` and its markup to both templates.
"""
