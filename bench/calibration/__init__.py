"""Calibration: how often the suite's verdicts are right, on many small instances of `exact`.

Imports: bench.analysis, bench.cache, bench.evaluation, bench.execution, bench.pipeline,
bench.report, bench.tasks, methods.
To add a comparison, add a pair to `design.py`.
"""
