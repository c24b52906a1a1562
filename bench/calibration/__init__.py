"""Calibration: how often verdicts are right, on instances of `exact` and on simulated rewards.

Imports: bench.analysis, bench.cache, bench.evaluation, bench.execution, bench.pipeline,
bench.report, bench.tasks, methods.
To add a comparison, add a pair to `design.py` or a cell to `shared_prompts.py`.
"""
