"""Running an experiment: the plan, its jobs, one run, and the tables it writes.

Imports: bench.analysis, bench.cache, bench.config, bench.errors, bench.evaluation,
bench.execution, bench.pipeline, bench.requirements, bench.results, bench.tasks, methods.base,
methods.core.
To add a kind of job, yield it in `jobs.py`; to add a table, declare it in `bench/results/schema.py`
and write its rows in `tables.py`.
"""
