"""What sections are made of: tables, charts, texts, readable numbers, and sentences on effort.

Imports: bench.analysis, bench.results.
To add a kind of content, add a class to `section.py` and its markup to both templates.
"""
