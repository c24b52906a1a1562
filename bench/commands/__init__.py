"""What each command does, one module each; `bench/cli.py` gives it its options.

Imports: bench.analysis, bench.cache, bench.calibration, bench.checks, bench.commands, bench.config,
bench.errors, bench.evaluation, bench.execution, bench.interrupt, bench.judging, bench.report,
bench.results, methods.
To add a command, write its module here and a function in `bench/cli.py`.
"""
