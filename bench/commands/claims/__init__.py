"""`prefrontier claims`: published claims, tested.

Imports: bench.analysis, bench.cache, bench.commands, bench.config, bench.errors, bench.execution,
bench.interrupt, bench.report, methods.core.
To add an option, add it to `command_line.py` and to `Options`.
"""
