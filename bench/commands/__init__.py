"""What each command does, one module each; `bench/cli.py` gives it its options.

Imports: bench.analysis, bench.cache, bench.calibration, bench.checks, bench.config, bench.errors,
bench.evaluation, bench.execution, bench.judging, bench.pipeline, bench.report, bench.requirements,
bench.results, bench.tasks, methods.
To add a command, write its module here and a function in `bench/cli.py`.
"""
