"""Executors: where jobs run. The scheduler needs `submit` and `as_completed` of them.

Imports: bench.cache, bench.config, bench.errors, bench.execution.scheduling, bench.interrupt,
methods.core.
To add an executor, write a class with the methods of `bench.execution.scheduling.job.Executor` and
choose it in `bench/commands/experiments/executor.py`.
"""
