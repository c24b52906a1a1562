"""Configuration: experiment files, the catalog of methods, and the checks of both.

Imports: bench.cache, bench.errors, bench.tasks, methods.
To add a setting of an experiment, add a field to a model in `experiment.py`.
"""
