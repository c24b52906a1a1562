"""Calibration: how often verdicts are right, on instances of `exact` and by simulation.

Imports: bench.analysis, bench.cache, bench.evaluation, bench.execution, bench.pipeline,
bench.report, bench.tasks, methods.
To add a comparison, add a pair to `design.py`, a cell to `shared_prompts.py` or a kind of contrast
to `claims.py`.
"""
