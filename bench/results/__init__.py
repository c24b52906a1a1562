"""The files that a run leaves: the schema of every table, writing and loading.

Imports: bench.cache, bench.config, bench.errors, bench.tasks.
To add a metric, declare it in `metrics.py`; to add a table, in `schema.py`.
"""
