"""Jobs that depend on each other: a scheduler that hands out what is ready, and its estimates.

Imports: bench.cache, bench.errors, methods.base.
To add a way to run jobs, write an executor in `bench/execution/executors`.
"""
