"""Measuring policies: samples, KL, win rates and likelihoods, the same for every method.

Imports: bench.cache, bench.pipeline, bench.tasks, methods.best_of_n, methods.core.
To add a metric, measure it in `measure.py` and declare it in `bench/results/metrics.py`.
"""
