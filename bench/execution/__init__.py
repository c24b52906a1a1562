"""Running an experiment: the plan, its jobs, their executors, one run, and the tables it writes.

Imports: bench.analysis, bench.cache, bench.config, bench.evaluation, bench.pipeline, bench.results,
bench.tasks, methods.base, methods.core.
To add an executor, write a class with `run`, `describe` and `jobs` in `executors.py` and choose it
in `bench/commands/run.py`; to add a table, declare it in `bench/results/schema.py` and write its
rows in `tables.py`.
"""
