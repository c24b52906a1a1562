"""Commands that run an experiment or say what that takes.

Imports: bench.analysis, bench.cache, bench.config, bench.errors, bench.execution, bench.interrupt,
bench.judging, bench.pipeline, bench.report, bench.requirements, bench.tasks, methods.core.
To add an executor, write it in `bench/execution/executors` and choose it in `executor.py`.
"""
