"""What all methods share on one task at one seed: a kind of pipeline for each kind of task.

Imports: bench.cache, bench.data, bench.errors, bench.tasks, methods.core.
To add a kind of pipeline, write a subclass of `Pipeline` in a file of its own, its stages in
`stages/`, and a line in `registry.py`.
"""
