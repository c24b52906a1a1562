"""Commands that use the selected policies of a results folder: export, chat, answers.

Imports: bench.analysis, bench.cache, bench.commands, bench.config, bench.data, bench.errors,
bench.evaluation, bench.execution, bench.report, bench.results, bench.tasks, methods.core.
To add a command, write its module here on top of `selected.py`, and a function in `bench/cli.py`.
"""
